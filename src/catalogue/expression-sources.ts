import type { JsonValue } from "../platform/json.ts";
import { parsePointer, valueAt } from "../platform/json-pointer.ts";
import type { JsonPath } from "../platform/json-pointer.ts";
import { checkBodyPointer } from "./expression-context.ts";
import type { CompiledExpression, ExpressionContext } from "./expression-context.ts";
import type { Expression } from "./expression-schema.ts";
import { absent, unsized, valueOf } from "./scope.ts";
import type { Evaluated, Scope } from "./scope.ts";

/** Compiles one kind of expression at a place of the document. */
export type Compile = (path: JsonPath, context: ExpressionContext) => CompiledExpression;

/** Expressions that read something: request, look-up, response or an earlier fact. */
export function sourceOf(expression: Exclude<Expression, string | number | boolean>): Compile | null {
  if ("body" in expression) return bodySource(expression.body);
  if ("path" in expression) {
    return namedSource(
      "path",
      expression.path,
      "path parameter",
      (context) => context.params,
      (scope, name) => scope.params.get(name),
    );
  }
  if ("query" in expression) {
    return namedSource(
      "query",
      expression.query,
      "query key",
      (context) => context.query,
      (scope, name) => scope.query.get(name),
    );
  }
  if ("header" in expression) {
    return headerSource(expression.header);
  }
  if ("look_up" in expression) return lookUpSource(expression.look_up, expression.at);
  if ("response" in expression) {
    const tokens = parsePointer(expression.response) ?? [];
    return (path, context) => {
      if (!context.response)
        context.report(path, "there is no response here: only outcome rules and `affected` can read one");
      return {
        run: (scope) => present(valueAt(scope.response, tokens), `response${expression.response}`),
        type: "any",
      };
    };
  }
  if ("item" in expression) {
    const tokens = parsePointer(expression.item) ?? [];
    return (path, context) => {
      if (!context.item) context.report(path, "`item` exists only inside `each`, `parse` and `affected`");
      return { run: (scope) => present(valueAt(scope.item, tokens), `item${expression.item}`), type: "any" };
    };
  }
  return "fact" in expression ? factSource(expression.fact) : null;
}

const present = (value: JsonValue | undefined, what: string): Evaluated =>
  value === undefined || value === null ? absent(`${what} is absent`) : valueOf(value);

const bodySource = (pointer: string): Compile => {
  const tokens = parsePointer(pointer) ?? [];
  return (path, context) => {
    checkBodyPointer(pointer, [...path, "body"], context);
    return { run: (scope) => present(valueAt(scope.body, tokens), `body${pointer}`), type: "any" };
  };
};

function namedSource(
  source: string,
  name: string,
  what: string,
  known: (context: ExpressionContext) => ReadonlySet<string>,
  read: (scope: Scope, name: string) => string | undefined,
): Compile {
  return (path, context) => {
    if (!known(context).has(name)) context.report([...path, source], `the route has no ${what} "${name}"`);
    return { run: (scope) => present(read(scope, name), `${what} ${name}`), type: "string" };
  };
}

/** Only headers that the catalogue passes on or matches by: a credential must not become a fact, which is audited. */
const headerSource =
  (name: string): Compile =>
  (path, context) => {
    if (!context.headers.has(name))
      context.report([...path, "header"], `"${name}" is neither passed on nor matched by this route`);
    return { run: (scope) => present(scope.header(name) ?? undefined, `header ${name}`), type: "string" };
  };

/** Why nothing of a look-up can be read. */
export const notLookedUp = (name: string): string => `look-up ${name} has no answer`;

const lookUpSource = (name: string, at: string): Compile => {
  const tokens = parsePointer(at) ?? [];
  return (path, context) => {
    if (!context.lookUps.has(name)) context.report([...path, "look_up"], `the route has no look-up "${name}"`);
    return {
      run: ({ lookedUp }) =>
        lookedUp.has(name)
          ? present(valueAt(lookedUp.get(name), tokens), `look-up ${name}${at}`)
          : unsized(notLookedUp(name)),
      type: "any",
    };
  };
};

const factSource =
  (name: string): Compile =>
  (path, context) => {
    const type = context.facts.get(name);
    if (type === undefined) context.report([...path, "fact"], `no fact "${name}" is defined before this place`);
    // A fact that could not be extracted has its own reason in `missing`; here it only stops what builds on it.
    return {
      run: ({ facts }) =>
        Object.hasOwn(facts, name) ? present(facts[name], `fact ${name}`) : absent(`fact ${name} is missing`),
      type: type ?? "any",
    };
  };
