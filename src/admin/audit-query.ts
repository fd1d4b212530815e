import { AUDIT_DECISIONS, AUDIT_KINDS } from "../audit/record-schema.ts";
import { EQUAL_FILTERS, type AuditFilters } from "../db/audit-rows.ts";
import { err, ok, type Result } from "../platform/result.ts";
import type { StrictRequest } from "../strict-request.ts";
import { queryValue } from "./body.ts";

/** Query keys that narrow a list of audit records. */
export const AUDIT_FILTERS: readonly string[] = ["since", "until", "tier", "approver", "q", ...EQUAL_FILTERS];

/** Longest and shortest text that is searched for. One character is in almost every record. */
export const TEXT_MIN = 2;
export const TEXT_MAX = 200;

/**
 * Free text has no index: its records are read one by one. 31 days at a million records a month are about a second; without a bound,
 * one question could keep the database busy for all others.
 */
export const TEXT_DAYS_MAX = 31;
const DAY_MS = 86_400_000;

const ISO_TIME = /^\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,3})?)?Z)?$/;

/** The filters of a call, or in words what is wrong with one. An unknown kind or decision is a mistake, not an empty answer. */
export function readAuditFilters(strict: StrictRequest, now: number): Result<AuditFilters, string> {
  const range = readTimeRange(strict);
  if (!range.ok) return range;
  const tier = queryValue(strict, "tier");
  if (tier !== null && !/^[0-5]$/.test(tier)) return err("query: tier is a number from 0 to 5");
  const words = [
    ["kind", AUDIT_KINDS],
    ["decision", AUDIT_DECISIONS],
  ] as const;
  for (const [name, known] of words) {
    const value = queryValue(strict, name);
    if (value !== null && !known.some((word) => word === value))
      return err(`query: ${name} is one of ${known.join(", ")}`);
  }
  const text = queryValue(strict, "q");
  const searched = text === null ? null : textFault(text, range.value, now);
  if (searched !== null) return err(searched);
  const equal = EQUAL_FILTERS.flatMap((name) => {
    const value = queryValue(strict, name);
    return value === null ? [] : [[name, value] as const];
  });
  return ok({
    ...range.value,
    equal: Object.fromEntries(equal),
    tier: tier === null ? null : Number(tier),
    approver: queryValue(strict, "approver"),
    text,
  });
}

export type TimeRange = { readonly since: string | null; readonly until: string | null };

/** `since` and `until`, as records write times. */
export function readTimeRange(strict: StrictRequest): Result<TimeRange, string> {
  const since = readTime(strict, "since");
  const until = readTime(strict, "until");
  if (since === undefined || until === undefined)
    return err("query: since and until are UTC times such as 2026-11-20T08:00:00Z");
  return ok({ since, until });
}

/** Undefined for what is no time: the form alone lets 2026-13-01 through. */
function readTime(strict: StrictRequest, name: string): string | null | undefined {
  const written = queryValue(strict, name);
  if (written === null) return null;
  if (!ISO_TIME.test(written) || Number.isNaN(Date.parse(written))) return undefined;
  return new Date(written).toISOString();
}

function textFault(text: string, { since, until }: TimeRange, now: number): string | null {
  if (text.length < TEXT_MIN || text.length > TEXT_MAX) return `query: q has ${TEXT_MIN} to ${TEXT_MAX} characters`;
  const end = until === null ? now : Date.parse(until);
  return since !== null && end - Date.parse(since) <= TEXT_DAYS_MAX * DAY_MS
    ? null
    : `query: q needs since, at most ${TEXT_DAYS_MAX} days before until (or before now)`;
}
