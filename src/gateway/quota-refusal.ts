import type { QuotaOutcome, QuotaRule } from "../quota/port.ts";
import { retryAfterS } from "../quota/headers.ts";
import type { Refusal } from "../refusal.ts";

/** What a limiter's answer refuses, null where it grants. One that could not say refuses as `unavailable`. */
export function quotaRefusal(rule: QuotaRule, outcome: QuotaOutcome): Refusal | null {
  if (outcome.kind === "granted") return null;
  if (outcome.kind === "unavailable") return { kind: "unavailable", dependency: "limiter", cause: outcome.cause };
  return {
    kind: "rate-limited",
    limit: `${outcome.limit} per ${rule.windowMs / 1_000} s`,
    retry_after_s: retryAfterS(outcome.retryAfterMs),
  };
}
