import type { JsonPath } from "../platform/json-pointer.ts";
import { parseUsd } from "../platform/money.ts";
import type { EpochMs, Micros } from "../vocabulary.ts";
import type { CostDocument } from "./document-schema.ts";
import { compileExpression } from "./expression.ts";
import { REQUEST_SOURCES } from "./expression-context.ts";
import type { ExpressionContext } from "./expression-context.ts";
import type { CompiledPrices, PriceTable } from "./prices.ts";
import type { Evaluate, Scope } from "./scope.ts";
import type { CostOutcome } from "./types.ts";
import { priceVersion } from "./upstream-prices.ts";

/** Prices what the scope says by the table that is in force at `now`. */
export type CostRule = (scope: Scope, prices: CompiledPrices, now: EpochMs) => CostOutcome;

/** One unit's price, and whose it is. */
type KnownUnit = { readonly ok: true; readonly micros: Micros; readonly source: "table" | "upstream" };
type Missing = { readonly ok: false; readonly missing: string };
type Amount = { readonly ok: true; readonly micros: bigint; readonly unit: KnownUnit } | Missing;
/** The table in force, or why there is none. */
type Rates = PriceTable | string;
type UnitPrice = (scope: Scope, rates: Rates) => KnownUnit | Missing;
type Charge = (scope: Scope, rates: Rates) => Amount;
/** A sum with the unit prices that it was made from, or what is missing for it. */
type Sum = { readonly micros: Micros; readonly units: readonly KnownUnit[] } | readonly string[];
type Total = (scope: Scope, rates: Rates) => Sum;
type ChargeDocument = Exclude<CostDocument, "none">["charges"][number];

const FREE: CostOutcome = { kind: "none" };
const none: CostRule = () => FREE;
const NOTHING: Sum = { micros: 0, units: [] };
const fail = (missing: string): Missing => ({ ok: false, missing });

/** Compiles a cost rule: the sum of its charges, each rounded up to a whole micro-USD. Anything unknown is `unpriced`. */
export function compileCost(cost: CostDocument, path: JsonPath, context: ExpressionContext): CostRule {
  if (cost === "none") return none;
  const charges = compileCharges(cost.charges, [...path, "charges"], context);
  const current = cost.current === undefined ? null : compileCurrent(cost.current, [...path, "current"], context);
  const duration = cost.duration === undefined ? null : compileDuration(cost.duration, [...path, "duration"], context);
  return (scope, prices, now) => {
    const rates = prices.at(now) ?? `no price table is in force before ${new Date(prices.since).toISOString()}`;
    const ceiling = charges(scope, rates);
    const asItIs = current === null ? NOTHING : current(scope, rates);
    const durationMs = duration === null ? null : duration(scope);
    if ("micros" in ceiling && "micros" in asItIs && typeof durationMs !== "string") {
      const currentMicros = current === null ? null : asItIs.micros;
      const version = versionOf([...ceiling.units, ...asItIs.units], rates);
      return { kind: "priced", ceilingMicros: ceiling.micros, priceVersion: version, durationMs, currentMicros };
    }
    const missing = [
      ...("micros" in ceiling ? [] : ceiling),
      // Without it the whole result would be held beside what is held already, or nothing at all.
      ...("micros" in asItIs ? [] : asItIs),
      ...(typeof durationMs === "string" ? [durationMs] : []),
    ];
    return { kind: "unpriced", missing: [...new Set(missing)] };
  };
}

/** Names what the units were priced by. */
function versionOf(units: readonly KnownUnit[], rates: Rates): string {
  const fromTable = typeof rates !== "string" && units.some(({ source }) => source === "table");
  const upstream = units.filter(({ source }) => source === "upstream");
  return priceVersion(
    fromTable ? rates.version : null,
    upstream.map(({ micros }) => micros),
  );
}

/** What a thing costs as it is: a caller must not have a say in what is taken off the hold, so look-ups alone are read. */
const compileCurrent = (
  current: NonNullable<Exclude<CostDocument, "none">["current"]>,
  path: JsonPath,
  context: ExpressionContext,
): Total =>
  compileCharges(current.charges, [...path, "charges"], {
    ...context,
    barred: { sources: REQUEST_SOURCES, why: "`current` can read look-ups alone" },
  });

/** The sum of the charges, or everything that is missing for it. */
function compileCharges(documents: readonly ChargeDocument[], path: JsonPath, context: ExpressionContext): Total {
  const charges = documents.map((charge, index) => compileCharge(charge, [...path, index], context));
  return (scope, rates) => {
    const amounts = charges.map((charge) => charge(scope, rates));
    const missing = amounts.flatMap((amount) => (amount.ok ? [] : [amount.missing]));
    const total = amounts.reduce((sum, amount) => (amount.ok ? sum + amount.micros : sum), 0n);
    if (total > BigInt(Number.MAX_SAFE_INTEGER)) missing.push("the ceiling is too large to be exact");
    if (missing.length > 0) return missing;
    return { micros: Number(total), units: amounts.flatMap((amount) => (amount.ok ? [amount.unit] : [])) };
  };
}

function compileCharge(charge: ChargeDocument, path: JsonPath, context: ExpressionContext): Charge {
  const quantity = compileExpression(charge.quantity, [...path, "quantity"], context).run;
  const unit = compileUnit(charge, path, context);
  const per = BigInt(charge.per ?? 1);
  return (scope, rates) => {
    const price = unit(scope, rates);
    if (!price.ok) return price;
    const units = wholeNumber(quantity, scope);
    if (typeof units === "string") return fail(units);
    // Rounded up: a ceiling may be a micro-dollar too high, never too low.
    return { ok: true, micros: (BigInt(price.micros) * BigInt(units) + per - 1n) / per, unit: price };
  };
}

function compileUnit(charge: ChargeDocument, path: JsonPath, context: ExpressionContext): UnitPrice {
  if ("rate" in charge) {
    const key = compileExpression(charge.key, [...path, "key"], context).run;
    return (scope, rates) => {
      const result = key(scope);
      if (result.kind !== "value") return fail(result.reason);
      if (typeof rates === "string") return fail(rates);
      const micros = typeof result.value === "string" ? rates.unitMicros(charge.rate, result.value) : null;
      return micros === null
        ? fail(`no price ${charge.rate} for ${describeKey(result.value)}`)
        : { ok: true, micros, source: "table" };
    };
  }
  const price = compileExpression(charge.unit_price, [...path, "unit_price"], context).run;
  return (scope) => {
    const result = price(scope);
    if (result.kind !== "value") return fail(result.reason);
    const micros =
      typeof result.value === "string" || typeof result.value === "number"
        ? microsOf(String(result.value), charge.unit)
        : null;
    return micros === null
      ? fail("the upstream's price is not an exact amount")
      : { ok: true, micros, source: "upstream" };
  };
}

/** Exact micro-USD of an upstream's price, rounded up below a micro-dollar; null when it is not a plain amount. */
export function microsOf(text: string, unit: "usd" | "cents" | "micros"): Micros | null {
  const asUsd = parseUsd(text);
  if (asUsd === null) return null;
  if (unit === "usd") return asUsd;
  return Math.ceil(asUsd / (unit === "cents" ? 100 : 1_000_000));
}

type DurationDocument = NonNullable<Exclude<CostDocument, "none">["duration"]>;
const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;
const SECOND_MS = 1000;

function compileDuration(
  duration: DurationDocument,
  path: JsonPath,
  context: ExpressionContext,
): (scope: Scope) => number | string {
  const [unit, expression, unitMs] =
    "hours" in duration
      ? (["hours", duration.hours, HOUR_MS] as const)
      : "minutes" in duration
        ? (["minutes", duration.minutes, MINUTE_MS] as const)
        : (["seconds", duration.seconds, SECOND_MS] as const);
  const { run } = compileExpression(expression, [...path, unit], context);
  return (scope) => {
    const units = wholeNumber(run, scope);
    if (typeof units === "string") return units;
    return Number.isSafeInteger(units * unitMs) ? units * unitMs : "the duration is too long to be exact";
  };
}

/** A non-negative whole number, or why there is none. */
export function wholeNumber(run: Evaluate, scope: Scope): number | string {
  const result = run(scope);
  if (result.kind !== "value") return result.reason;
  const { value } = result;
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0 ? value : "not a whole number";
}

const describeKey = (value: unknown): string => (typeof value === "string" ? value : "this request");
