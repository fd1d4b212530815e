import { z } from "zod";
import type { JsonValue } from "../platform/json.ts";
import { PEOPLE_DOCUMENT } from "./people-schema.ts";
import { POLICY_DOCUMENT } from "./policy-schema.ts";
import { POLICY_TESTS } from "./policy-tests-schema.ts";

/** JSON Schema 2020-12 of the policy document, for editors. It knows no catalogue: actions and floors are checked on publishing. */
export const policyJsonSchema = (): JsonValue => asJson("Portcullis tenant policy", POLICY_DOCUMENT);

/** JSON Schema 2020-12 of the people document, for editors. */
export const peopleJsonSchema = (): JsonValue => asJson("Portcullis people", PEOPLE_DOCUMENT);

/** JSON Schema 2020-12 of the table of tests beside a policy, for editors. */
export const policyTestsJsonSchema = (): JsonValue => asJson("Portcullis policy tests", POLICY_TESTS);

const asJson = (title: string, schema: z.ZodType): JsonValue =>
  JSON.parse(JSON.stringify({ title, ...z.toJSONSchema(schema, { io: "input", unrepresentable: "any" }) }));
