import type { JsonValue } from "../platform/json.ts";
import { isJsonObject } from "../platform/json.ts";
import type { JsonPath } from "../platform/json-pointer.ts";
import { parseStrictJson } from "../platform/strict-json.ts";
import { readPlainYaml } from "../platform/yaml-document.ts";
import {
  arithmetic,
  combine,
  differenceOf,
  divideUp,
  maxOf,
  minOf,
  ofPresent,
  productOf,
  sumOf,
} from "./arithmetic.ts";
import type { Operation } from "./arithmetic.ts";
import { compileCondition } from "./condition.ts";
import type { CompiledExpression, ExpressionContext, StaticType } from "./expression-context.ts";
import { sourceOf } from "./expression-sources.ts";
import type { Compile } from "./expression-sources.ts";
import type { Combine, Expression } from "./expression-schema.ts";
import { textOf, textual } from "./expression-text.ts";
import { readQuantity, yieldsText } from "./quantities.ts";
import type { QuantityGrammar } from "./quantities.ts";
import { absent, unsized, valueOf } from "./scope.ts";
import type { Evaluate, Evaluated } from "./scope.ts";

/** Compiles an expression; references to what does not exist are reported at their place. */
export function compileExpression(
  expression: Expression,
  path: JsonPath,
  context: ExpressionContext,
): CompiledExpression {
  if (typeof expression !== "object") return literal(expression);
  if ("literal" in expression) return { run: () => valueOf(expression.literal), type: "strings" };
  const barred = context.barred?.sources.find((source) => source in expression);
  if (barred !== undefined) context.report([...path, barred], context.barred?.why ?? "cannot be read here");
  return (sourceOf(expression) ?? computation(expression))(path, context);
}

const literal = (value: string | number | boolean): CompiledExpression => {
  const result = valueOf(value);
  return {
    run: () => result,
    type: typeof value === "string" ? "string" : typeof value === "number" ? "number" : "boolean",
  };
};

/** Expressions that compute something from others. */
function computation(expression: Exclude<Expression, string | number | boolean>): Compile {
  if ("first" in expression) return firstOf(expression.first);
  if ("sum" in expression) return numeric("sum", expression.sum, sumOf);
  if ("product" in expression) return numeric("product", expression.product, productOf);
  if ("max" in expression) return numeric("max", expression.max, maxOf);
  if ("min" in expression) return numeric("min", expression.min, minOf);
  if ("divide_up" in expression) return numeric("divide_up", expression.divide_up, divideUp);
  if ("difference" in expression) return numeric("difference", expression.difference, differenceOf);
  if ("largest_present" in expression) return numeric("largest_present", expression.largest_present, maxOf, ofPresent);
  if ("count" in expression) return countOf(expression.count);
  if ("each" in expression) return eachOf(expression.each, expression.combine, expression.value);
  if ("table" in expression) return tableOf(expression.table, expression.key);
  if ("quantity" in expression) return quantityOf(expression.quantity, expression.of);
  if ("parse" in expression) return parsed(expression.parse, expression.of, expression.value);
  if ("concat" in expression) return textual("concat", expression.concat, (texts) => texts.join(""));
  if ("text" in expression) return textOf(expression.text);
  if ("upper" in expression) return textual("upper", [expression.upper], ([text]) => (text ?? "").toUpperCase());
  if ("lower" in expression) return textual("lower", [expression.lower], ([text]) => (text ?? "").toLowerCase());
  if ("if" in expression) return choice(expression);
  const reason = "unsized" in expression ? expression.unsized : "not an expression";
  return () => ({ run: () => unsized(reason), type: "any" });
}

const firstOf =
  (operands: readonly Expression[]): Compile =>
  (path, context) => {
    const compiled = operands.map((operand, index) => compileExpression(operand, [...path, "first", index], context));
    return {
      run: (scope) => {
        let last: Evaluated = absent("nothing is given");
        for (const { run } of compiled) {
          last = run(scope);
          // Only absence moves on: something there that cannot be read must not be replaced by a default.
          if (last.kind !== "absent") return last;
        }
        return last;
      },
      type: commonType(compiled.map(({ type }) => type)),
    };
  };

const numeric =
  (key: string, operands: readonly Expression[], operation: Operation, how: typeof arithmetic = arithmetic): Compile =>
  (path, context) => {
    const compiled = operands.map((operand, index) => typed(operand, [...path, key, index], context, "number"));
    return { run: how(compiled, operation), type: "number" };
  };

/** Compiles an operand that must have one type; a literal or computation of another type is reported. */
export function typed(
  operand: Expression,
  path: JsonPath,
  context: ExpressionContext,
  wanted: "number" | "string",
): Evaluate {
  const { run, type } = compileExpression(operand, path, context);
  if (type !== wanted && type !== "any") context.report(path, `a ${wanted} is required here, this is ${type}`);
  return run;
}

const countOf =
  (operand: Expression): Compile =>
  (path, context) => {
    const { run } = compileExpression(operand, [...path, "count"], context);
    return {
      run: (scope) => {
        const result = run(scope);
        if (result.kind !== "value") return result;
        if (Array.isArray(result.value)) return valueOf(result.value.length);
        return isJsonObject(result.value) ? valueOf(Object.keys(result.value).length) : unsized("not a list");
      },
      type: "number",
    };
  };

const OPERATIONS: Readonly<Record<Exclude<Combine, "list">, Operation>> = {
  sum: sumOf,
  product: productOf,
  max: maxOf,
  min: minOf,
};

const eachOf =
  (list: Expression, how: Combine, value: Expression): Compile =>
  (path, context) => {
    const { run: runList } = compileExpression(list, [...path, "each"], context);
    const inner = compileExpression(value, [...path, "value"], { ...context, item: true });
    return {
      run: (scope) => {
        const members = runList(scope);
        if (members.kind !== "value") return members;
        const items = membersOf(members.value);
        if (items === null) return unsized("not a list");
        const results = items.map((item) => required(inner.run({ ...scope, item })));
        return how === "list" ? textList(results) : combine(results, OPERATIONS[how]);
      },
      type: how === "list" ? "strings" : "number",
    };
  };

const membersOf = (value: JsonValue): readonly JsonValue[] | null => {
  if (Array.isArray(value)) return value;
  return isJsonObject(value) ? Object.values(value) : null;
};

/** Inside a list nothing may be left out: an absent member is not a member of size zero. */
const required = (result: Evaluated): Evaluated => (result.kind === "absent" ? unsized(result.reason) : result);

function textList(results: readonly Evaluated[]): Evaluated {
  const texts: string[] = [];
  for (const result of results) {
    if (result.kind !== "value") return result;
    if (typeof result.value !== "string") return unsized("not text");
    texts.push(result.value);
  }
  return valueOf(texts);
}

const tableOf =
  (name: string, key: Expression): Compile =>
  (path, context) => {
    const table = context.tables.get(name);
    if (table === undefined) context.report([...path, "table"], `the catalogue has no table "${name}"`);
    const run = typed(key, [...path, "key"], context, "string");
    return {
      run: (scope) => {
        const result = run(scope);
        if (result.kind !== "value") return result;
        const found = typeof result.value === "string" ? table?.get(result.value) : undefined;
        return found === undefined ? unsized(`table ${name} has no such key`) : valueOf(found);
      },
      type: commonType([...(table?.values() ?? [])].map((value) => (typeof value === "number" ? "number" : "string"))),
    };
  };

const quantityOf =
  (grammar: QuantityGrammar, operand: Expression): Compile =>
  (path, context) => {
    const { run } = compileExpression(operand, [...path, "of"], context);
    return {
      run: (scope) => {
        const result = run(scope);
        if (result.kind !== "value") return result;
        const { value } = result;
        // A bare count names no type: that is absence, and a default may follow.
        if (yieldsText(grammar) && typeof value === "number") return absent("no type is named");
        if (typeof value !== "string" && typeof value !== "number")
          return unsized(`not a quantity of the form ${grammar}`);
        const amount = readQuantity(grammar, value);
        if (amount !== null) return valueOf(amount);
        return yieldsText(grammar) ? absent("no type is named") : unsized(`not a quantity of the form ${grammar}`);
      },
      type: yieldsText(grammar) ? "string" : "number",
    };
  };

const parsed =
  (language: "json" | "yaml", operand: Expression, value: Expression): Compile =>
  (path, context) => {
    const run = typed(operand, [...path, "of"], context, "string");
    const inner = compileExpression(value, [...path, "value"], { ...context, item: true });
    return {
      run: (scope) => {
        const result = run(scope);
        if (result.kind !== "value") return result;
        if (typeof result.value !== "string") return unsized("not text");
        const document = language === "json" ? parseStrictJson(result.value) : readPlainYaml(result.value);
        return document.ok
          ? inner.run({ ...scope, item: document.value })
          : unsized(`the text is not plain ${language.toUpperCase()}`);
      },
      type: inner.type,
    };
  };

const choice =
  (expression: Extract<Expression, { readonly if: unknown }>): Compile =>
  (path, context) => {
    const test = compileCondition(expression.if, [...path, "if"], context);
    const positive = compileExpression(expression.use, [...path, "use"], context);
    const negative = compileExpression(expression.else, [...path, "else"], context);
    return {
      run: (scope) => {
        const verdict = test(scope);
        if (typeof verdict !== "boolean") return verdict;
        return verdict ? positive.run(scope) : negative.run(scope);
      },
      type: commonType([positive.type, negative.type]),
    };
  };

const commonType = (types: readonly StaticType[]): StaticType => {
  const known = new Set(types.filter((type) => type !== "any"));
  const [type] = known;
  return known.size === 1 && type !== undefined && !types.includes("any") ? type : "any";
};
