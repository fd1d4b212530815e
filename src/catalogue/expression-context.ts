import { jsonPointer, parsePointer } from "../platform/json-pointer.ts";
import type { JsonPath } from "../platform/json-pointer.ts";
import type { BodySchema, ValueSchema } from "./body-schema.ts";
import type { Evaluate } from "./scope.ts";
import type { FactType } from "./types.ts";
import type { Report } from "./text-rules.ts";

/** What is known about an expression's result before any request: `any` where only the request can tell. */
export type StaticType = FactType | "any";

/** An expression ready to run. Running never throws: what cannot be understood is `unsized`, with the reason. */
export type CompiledExpression = { readonly run: Evaluate; readonly type: StaticType };

export type Tables = ReadonlyMap<string, ReadonlyMap<string, string | number>>;

/** What an expression at this place of the document may refer to. */
export type ExpressionContext = {
  readonly report: Report;
  readonly tables: Tables;
  readonly params: ReadonlySet<string>;
  readonly query: ReadonlySet<string>;
  readonly headers: ReadonlySet<string>;
  readonly lookUps: ReadonlySet<string>;
  /** Facts defined before this place, with their types: an expression cannot refer to a later one, so none is circular. */
  readonly facts: ReadonlyMap<string, StaticType>;
  readonly body: BodySchema | null;
  /** Whether there is a response yet (outcome rules). */
  readonly response: boolean;
  /** Whether the place is inside `each` or `parse`. */
  readonly item: boolean;
  /** Sources that must not be read at this place although the route has them, and why; null where there are none. */
  readonly barred: { readonly sources: readonly string[]; readonly why: string } | null;
};

/** What a caller chooses, or the gate derives from it. */
export const REQUEST_SOURCES: readonly string[] = ["body", "path", "query", "header", "fact"];

/** Reports a pointer that the closed body schema can never satisfy: a typing mistake would otherwise size to "absent". */
export function checkBodyPointer(pointer: string, path: JsonPath, context: ExpressionContext): void {
  if (context.body === null) {
    context.report(path, "this route declares no body");
    return;
  }
  let schema: ValueSchema | null = context.body;
  const walked: string[] = [];
  for (const token of parsePointer(pointer) ?? []) {
    walked.push(token);
    schema = step(schema, token);
    if (schema === null) {
      context.report(path, `the body schema has nothing at ${jsonPointer(walked)}`);
      return;
    }
    if (schema.type === "opaque") return;
  }
}

function step(schema: ValueSchema, token: string): ValueSchema | null {
  switch (schema.type) {
    case "object":
      return Object.hasOwn(schema.keys, token) ? (schema.keys[token] ?? null) : null;
    case "map":
      return schema.value;
    case "list":
      return /^(0|[1-9][0-9]*)$/.test(token) ? schema.items : null;
    case "either":
      return schema.of.map((alternative) => step(alternative, token)).find((found) => found !== null) ?? null;
    default:
      return null;
  }
}
