import { isJsonObject } from "../platform/json.ts";
import type { JsonValue } from "../platform/json.ts";
import type { JsonPath } from "../platform/json-pointer.ts";
import { compileExpression } from "./expression.ts";
import type { ExpressionContext } from "./expression-context.ts";
import type { Condition, Expression } from "./expression-schema.ts";
import { unsized } from "./scope.ts";
import type { Evaluated, NoValue, Scope } from "./scope.ts";

/** True, false, or why it cannot be told. */
export type Verdict = boolean | NoValue;
export type Test = (scope: Scope) => Verdict;

/** Compiles a condition. An operand that is absent or unsized makes the test untellable; only `present` and `empty` accept absence. */
export function compileCondition(condition: Condition, path: JsonPath, context: ExpressionContext): Test {
  if ("equal" in condition) return comparison("equal", condition.equal, path, context, (left, right) => left === right);
  if ("at_most" in condition)
    return comparison(
      "at_most",
      condition.at_most,
      path,
      context,
      numbers((left, right) => left <= right),
    );
  if ("at_least" in condition)
    return comparison(
      "at_least",
      condition.at_least,
      path,
      context,
      numbers((left, right) => left >= right),
    );
  if ("one_of" in condition) {
    const { run } = compileExpression(condition.of, [...path, "of"], context);
    const allowed = new Set<JsonValue>(condition.one_of);
    return (scope) => withValue(run(scope), (value) => allowed.has(value));
  }
  if ("present" in condition) {
    const { run } = compileExpression(condition.present, [...path, "present"], context);
    return (scope) => acceptingAbsence(run(scope), false, () => true);
  }
  if ("empty" in condition) {
    const { run } = compileExpression(condition.empty, [...path, "empty"], context);
    return (scope) => acceptingAbsence(run(scope), true, isEmpty);
  }
  if ("not" in condition) {
    const test = compileCondition(condition.not, [...path, "not"], context);
    return (scope) => {
      const verdict = test(scope);
      return typeof verdict === "boolean" ? !verdict : verdict;
    };
  }
  return "all" in condition
    ? several("all", condition.all, path, context, false)
    : several("any", condition.any, path, context, true);
}

/** Stops at the first test that decides (`false` for all, `true` for any) or that cannot be told. */
function several(
  key: string,
  conditions: readonly Condition[],
  path: JsonPath,
  context: ExpressionContext,
  decisive: boolean,
): Test {
  const tests = conditions.map((condition, index) => compileCondition(condition, [...path, key, index], context));
  return (scope) => {
    for (const test of tests) {
      const verdict = test(scope);
      if (verdict !== !decisive) return verdict;
    }
    return !decisive;
  };
}

function comparison(
  key: string,
  [left, right]: readonly [Expression, Expression],
  path: JsonPath,
  context: ExpressionContext,
  compare: (left: JsonValue, right: JsonValue) => Verdict,
): Test {
  const first = compileExpression(left, [...path, key, 0], context);
  const second = compileExpression(right, [...path, key, 1], context);
  return (scope) =>
    withValue(first.run(scope), (leftValue) =>
      withValue(second.run(scope), (rightValue) => compare(leftValue, rightValue)),
    );
}

const numbers =
  (compare: (left: number, right: number) => boolean) =>
  (left: JsonValue, right: JsonValue): Verdict =>
    typeof left === "number" && typeof right === "number" ? compare(left, right) : unsized("not a number");

const withValue = (result: Evaluated, use: (value: JsonValue) => Verdict): Verdict =>
  result.kind === "value" ? use(result.value) : result;

const acceptingAbsence = (result: Evaluated, whenAbsent: boolean, use: (value: JsonValue) => boolean): Verdict => {
  if (result.kind === "absent") return whenAbsent;
  return result.kind === "value" ? use(result.value) : result;
};

const isEmpty = (value: JsonValue): boolean => {
  if (value === "" || value === null) return true;
  if (Array.isArray(value)) return value.length === 0;
  return isJsonObject(value) && Object.keys(value).length === 0;
};
