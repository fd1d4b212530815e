import type { DocumentProblem } from "../../platform/document.ts";
import type { ParsedDocument } from "../../platform/yaml-document.ts";
import { isWrite, type EpochMs } from "../../vocabulary.ts";
import type { Guard } from "../guards.ts";
import { warningAt } from "./lint.ts";
import { isAlwaysIn } from "./lint-shadowed.ts";
import type { MaintenanceWindow } from "../maintenance-windows.ts";
import type { PolicyDocument } from "../policy-schema.ts";
import type { Rule } from "../rules.ts";

type Document = ParsedDocument<PolicyDocument>;
type Windows = ReadonlyMap<string, MaintenanceWindow>;

/** A year: what is not open together in it is not meant to be. */
const HORIZON_MS = 366 * 24 * 60 * 60_000;
/** Openings looked at: one window that opens daily, for the whole year. More often than that, no answer is given. */
const MOST_OPENINGS = 400;

/** Warnings about entries whose requests need two windows that are never open at the same time. */
export function lintWindows(
  document: Document,
  rules: readonly Rule[],
  guards: readonly Guard[],
  windows: Windows,
  now: EpochMs,
): readonly DocumentProblem[] {
  if (document.value.mode === "shadow") return [];
  const pairs = guards.flatMap((first, index) =>
    guards.slice(index + 1).flatMap((second) => (neverTogether(first, second, windows, now) ? [[first, second]] : [])),
  );
  return rules.flatMap((rule) => {
    const barring = pairs.find((pair) =>
      pair.every((guard) => isWrite(rule.tier) && guard.covers(rule.spec) && isAlwaysIn(document, guard, rule)),
    );
    if (barring === undefined) return [];
    const labels = barring.map(({ label }) => label).join(" and ");
    return [warningAt(document, rule.path, `never runs: windows of ${labels} are not open together within a year`)];
  });
}

function neverTogether(first: Guard, second: Guard, windows: Windows, now: EpochMs): boolean {
  if (first.isShadow || second.isShadow || first.windows === null || second.windows === null) return false;
  const named = (guard: Guard): readonly MaintenanceWindow[] =>
    (guard.windows ?? []).flatMap((name) => windows.get(name) ?? []);
  return named(first).every((one) => named(second).every((other) => !mayMeet(one, other, now)));
}

/** Whether both are open at some moment of the next year. True where that cannot be told. */
function mayMeet(one: MaintenanceWindow, other: MaintenanceWindow, now: EpochMs): boolean {
  if (one.name === other.name) return true;
  let opensAt = one.closesAt(now) === null ? one.opensAfter(now) : now;
  for (let looked = 0; opensAt !== null && opensAt < now + HORIZON_MS; looked++) {
    if (looked >= MOST_OPENINGS) return true;
    const closesAt = one.closesAt(opensAt) ?? opensAt;
    if (other.closesAt(opensAt) !== null || (other.opensAfter(opensAt) ?? Infinity) < closesAt) return true;
    opensAt = one.opensAfter(opensAt);
  }
  return false;
}
