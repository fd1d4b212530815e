import type { JsonValue } from "../platform/json.ts";
import type { JsonPath } from "../platform/json-pointer.ts";
import type { Fact } from "../vocabulary.ts";
import type { ActionDocument, RouteDocument } from "./document-schema.ts";
import { compileExpression } from "./expression.ts";
import type { ExpressionContext, StaticType } from "./expression-context.ts";
import type { Evaluate, Scope } from "./scope.ts";
import type { FactsOutcome, FactType } from "./types.ts";

/** A declared fact: its type, and whether a request may leave it out without becoming unsized. */
export type FactDeclaration = { readonly type: FactType; readonly optional: boolean };

type FactRule = FactDeclaration & { readonly name: string; readonly run: Evaluate };

/** The facts an action declares, in document order. */
export function declaredFacts(action: ActionDocument): ReadonlyMap<string, FactDeclaration> {
  return new Map(
    Object.entries(action.facts ?? {}).map(([name, type]) => [
      name,
      { type: baseType(type), optional: type.endsWith("?") },
    ]),
  );
}

/** The type of a fact as it is declared: `number?` is a number. */
export const baseType = (type: string): FactType => {
  const base = type.replace("?", "");
  return base === "number" || base === "boolean" || base === "strings" ? base : "string";
};

/**
 * Compiles a route's facts. Every fact that the action declares must be said by each of its routes (a route that cannot
 * writes `{unsized: reason}`), and no other: a policy may rely on every declared name.
 */
export function compileFacts(
  route: RouteDocument,
  declared: ReadonlyMap<string, FactDeclaration>,
  path: JsonPath,
  context: ExpressionContext,
): { readonly extract: (scope: Scope) => FactsOutcome; readonly context: ExpressionContext } {
  const rules: FactRule[] = [];
  const known = new Map<string, StaticType>();
  for (const [name, expression] of Object.entries(route.facts ?? {})) {
    const declaration = declared.get(name);
    if (declaration === undefined) {
      context.report([...path, "facts", name], `action ${route.action} does not declare a fact "${name}"`, "key");
      continue;
    }
    const { run, type } = compileExpression(expression, [...path, "facts", name], {
      ...context,
      facts: new Map(known),
    });
    if (type !== "any" && type !== declaration.type) {
      context.report([...path, "facts", name], `the fact is declared as ${declaration.type}, this is ${type}`);
    }
    known.set(name, declaration.type);
    rules.push({ name, run, ...declaration });
  }
  for (const name of declared.keys()) {
    if (!known.has(name))
      context.report([...path, "id"], `the route does not say the fact "${name}" of action ${route.action}`);
  }
  return { extract: (scope) => extractFacts(rules, scope), context: { ...context, facts: known } };
}

function extractFacts(rules: readonly FactRule[], scope: Scope): FactsOutcome {
  const facts: Record<string, Fact> = {};
  const missing: { fact: string; reason: string }[] = [];
  const inner = { ...scope, facts };
  for (const { name, run, type, optional } of rules) {
    const result = run(inner);
    if (result.kind === "value") {
      const fact = asFact(result.value, type);
      if (fact === null)
        missing.push({ fact: name, reason: `not ${type === "number" ? "a whole number" : `of type ${type}`}` });
      else facts[name] = fact;
    } else if (result.kind === "unsized" || !optional) {
      missing.push({ fact: name, reason: result.reason });
    }
  }
  const { resource } = facts;
  return { facts, missing, resource: typeof resource === "string" ? resource : null };
}

/** The value as a fact of its declared type, null where it is of another. Nothing is converted. */
function asFact(value: JsonValue, type: FactType): Fact | null {
  if (type === "number") return typeof value === "number" && Number.isSafeInteger(value) ? value : null;
  if (type === "string") return typeof value === "string" ? value : null;
  if (type === "boolean") return typeof value === "boolean" ? value : null;
  return isTextList(value) ? value : null;
}

const isTextList = (value: JsonValue): value is readonly string[] =>
  Array.isArray(value) && value.every((member) => typeof member === "string");
