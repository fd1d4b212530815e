import { z } from "zod";
import type { JsonValue } from "../platform/json.ts";
import { plainJson } from "../platform/plain-json.ts";
import { catalogueSchema } from "./document-schema.ts";
import { pricesSchema } from "./prices.ts";

/** JSON Schema (2020-12) of catalogue documents, for editors. The compiler checks more: this finds typing mistakes. */
export const catalogueJsonSchema = (): JsonValue => toJson(catalogueSchema, "Portcullis catalogue");

/** JSON Schema (2020-12) of price documents, for editors. */
export const pricesJsonSchema = (): JsonValue => toJson(pricesSchema, "Portcullis prices");

function toJson(schema: z.ZodType, title: string): JsonValue {
  const generated = z.toJSONSchema(schema, { target: "draft-2020-12", io: "input", unrepresentable: "any" });
  // Through text: the generator's result carries non-enumerable functions that are no part of the schema.
  return plainJson({ title, ...generated });
}
