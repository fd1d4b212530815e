import type { DocumentProblem } from "../platform/document.ts";
import type { JsonPath } from "../platform/json-pointer.ts";
import { parseUsd } from "../platform/money.ts";
import type { ParsedDocument } from "../platform/yaml-document.ts";
import type { Micros } from "../vocabulary.ts";
import type { PolicyDocument } from "./policy-schema.ts";
import type { CompiledPolicy } from "./types.ts";

/** Requests per minute and tenant where the policy states none (wire contract, section 5). */
const DEFAULT_READS_PER_MINUTE = 6_000;
const DEFAULT_WRITES_PER_MINUTE = 600;
const DEFAULT_TIMEZONE = "UTC";
/** Half of the money, two warnings while something can still be done, and the end of it. */
const DEFAULT_THRESHOLDS_PERCENT = [50, 80, 95, 100] as const;

/** `Europe/Berlin`, `UTC`, `Etc/GMT+3`. A bare offset is no zone: it knows nothing of daylight saving. */
const IANA_ZONE = /^[A-Za-z][A-Za-z0-9_+-]*(\/[A-Za-z0-9_+-]+)*$/;

type Document = ParsedDocument<PolicyDocument>;
/** Collects mistakes while a document is compiled. */
export type Report = (problem: DocumentProblem) => void;

/**
 * The tenant's own figures in micro-USD, read from the digits as written, and when people are told. A cap that is not
 * stated is 0; a bound of submissions that is not stated is null, because it follows the daily cap in force.
 */
export function readBudget(document: Document, text: string, report: Report): CompiledPolicy["budget"] {
  const stated = (key: "daily_limit_usd" | "monthly_limit_usd" | "gross_daily_limit_usd"): Micros | null =>
    document.value.budget?.[key] === undefined ? null : readUsd(document, text, ["budget", key], report);
  return {
    dailyCapMicros: stated("daily_limit_usd") ?? 0,
    monthlyCapMicros: stated("monthly_limit_usd") ?? 0,
    grossDailyCapMicros: stated("gross_daily_limit_usd"),
    thresholdsPercent: readThresholds(document, report),
  };
}

/** Ascending and distinct: each is told of once, on the way up. */
function readThresholds(document: Document, report: Report): readonly number[] {
  const percents = document.value.budget?.notify_at_percent ?? DEFAULT_THRESHOLDS_PERCENT;
  for (const [index, percent] of percents.entries()) {
    const before = percents[index - 1];
    if (before === undefined || percent > before) continue;
    const message = percent === before ? `${percent} stands in this list twice` : `${percent} comes before ${before}`;
    report(
      document.problem(["budget", "notify_at_percent", index], `${message}: write the thresholds in ascending order`),
    );
  }
  return percents;
}

/**
 * The amount at `path`, which the document states, in micro-USD. Parsed again from its own digits: a float has forgotten a
 * 17th digit, and money is not rounded silently.
 */
export function readUsd(document: Document, text: string, path: JsonPath, report: Report): Micros {
  const { line, column } = document.locate(path);
  const written = /^[^\s,}#]*/.exec(text.split(/\r?\n/)[line - 1]?.slice(column - 1) ?? "")?.[0] ?? "";
  const micros = parseUsd(written);
  if (micros === null) {
    report(document.problem(path, `${written} is not an amount in USD: 0 or more, at most six decimals`));
    return 0;
  }
  return micros;
}

/** The zone in which budget days and months are counted. */
export function readTimezone(document: Document, report: Report): string {
  const zone = document.value.timezone ?? DEFAULT_TIMEZONE;
  if (!isTimezone(zone)) report(document.problem(["timezone"], `${JSON.stringify(zone)} is not an IANA time zone`));
  return zone;
}

/** Whether it is an IANA zone that this platform knows. */
export function isTimezone(zone: string): boolean {
  if (!IANA_ZONE.test(zone)) return false;
  try {
    new Intl.DateTimeFormat("en", { timeZone: zone }).format(0);
    return true;
  } catch {
    return false;
  }
}

/**
 * The tenant's two buckets: tiers 0–1 draw on one, tiers 2–4 on the other, so one figure per bucket can hold. Two tiers
 * of a bucket may both be named, but only with the same figure: picking one of two would read past the other.
 */
export function readRateLimits(document: Document, report: Report): CompiledPolicy["rateLimits"] {
  return {
    readsPerMinute: bucket(document, ["tier_0", "tier_1"], DEFAULT_READS_PER_MINUTE, report),
    writesPerMinute: bucket(document, ["tier_2", "tier_3", "tier_4"], DEFAULT_WRITES_PER_MINUTE, report),
  };
}

type TierName = keyof NonNullable<PolicyDocument["rate_limits"]>;

function bucket(document: Document, tiers: readonly TierName[], byDefault: number, report: Report): number {
  const stated = tiers.flatMap((tier) => {
    const perMinute = document.value.rate_limits?.[tier];
    return perMinute === undefined ? [] : [{ tier, perMinute }];
  });
  const [first, ...others] = stated;
  if (first === undefined) return byDefault;
  for (const other of others) {
    if (other.perMinute === first.perMinute) continue;
    const message = `${other.tier} shares one limit with ${first.tier}, which says ${first.perMinute}`;
    report(document.problem(["rate_limits", other.tier], message));
  }
  return first.perMinute;
}
