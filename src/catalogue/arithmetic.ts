import type { Evaluate, Evaluated, Scope } from "./scope.ts";
import { absent, unsized, valueOf } from "./scope.ts";

/** Combines whole numbers exactly; null where the result is not one (overflow, division by zero, less than nothing). */
export type Operation = (values: readonly number[]) => number | null;

const exact = (value: number): number | null => (Number.isSafeInteger(value) ? value : null);
const fold =
  (start: number, step: (left: number, right: number) => number): Operation =>
  (values) => {
    let total = start;
    for (const value of values) {
      total = step(total, value);
      // Checked at every step: a product that overflows and is then multiplied by zero must not come back.
      if (!Number.isSafeInteger(total)) return null;
    }
    return total;
  };

export const sumOf: Operation = fold(0, (left, right) => left + right);
export const productOf: Operation = fold(1, (left, right) => left * right);
export const maxOf: Operation = (values) => (values.length === 0 ? null : Math.max(...values));
export const minOf: Operation = (values) => (values.length === 0 ? null : Math.min(...values));
/** First ÷ second, rounded up: partial hours are whole ones. */
export const divideUp: Operation = ([dividend, divisor]) =>
  dividend === undefined || divisor === undefined || divisor <= 0 ? null : exact(Math.ceil(dividend / divisor));

/** First − second. Amounts of things and times are never negative: less than nothing has been misread. */
export const differenceOf: Operation = ([whole, part]) =>
  whole === undefined || part === undefined || part > whole ? null : exact(whole - part);

/** All operands must be there and whole; one that is not decides the outcome. */
export const arithmetic =
  (operands: readonly Evaluate[], operation: Operation): Evaluate =>
  (scope) =>
    collect(operands, scope, operation);

/** Like `arithmetic`, but leaves out operands that are absent; absent when all are. */
export const ofPresent =
  (operands: readonly Evaluate[], operation: Operation): Evaluate =>
  (scope) => {
    const results = operands.map((operand) => operand(scope));
    const there = results.filter((result) => result.kind !== "absent");
    if (there.length === 0)
      return absent(results.map((result) => (result.kind === "absent" ? result.reason : "")).join("; "));
    return combine(there, operation);
  };

/** Combines results that have been evaluated already. */
export function combine(results: readonly Evaluated[], operation: Operation): Evaluated {
  const values: number[] = [];
  for (const result of results) {
    if (result.kind !== "value") return result;
    if (typeof result.value !== "number" || !Number.isSafeInteger(result.value)) return unsized("not a whole number");
    values.push(result.value);
  }
  const total = operation(values);
  return total === null ? unsized("the result is not an exact whole number") : valueOf(total);
}

const collect = (operands: readonly Evaluate[], scope: Scope, operation: Operation): Evaluated =>
  combine(
    operands.map((operand) => operand(scope)),
    operation,
  );
