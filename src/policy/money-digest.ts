import { canonicalJson } from "../platform/canonical-json.ts";
import { digestOf } from "../platform/digest.ts";
import type { Digest } from "../vocabulary.ts";
import type { WrittenCap } from "./scope-caps.ts";
import type { CompiledPolicy } from "./types.ts";

/**
 * SHA-256 over what a policy says of money besides the tenant's own two caps, which are compared as numbers: bound of
 * submissions, thresholds, caps inside the tenant's, who belongs to which team, and who of the people speaks for finance
 * (their subjects). Another digest is for finance to put in force. The order of writing, comments and the spelling of an amount are not in it.
 */
export function moneyDigest(
  budget: CompiledPolicy["budget"],
  caps: readonly WrittenCap[],
  teams: ReadonlyMap<string, string>,
  finance: readonly string[],
): Digest {
  const parts = {
    finance: finance.toSorted(),
    gross_daily_cap_micros: budget.grossDailyCapMicros,
    per: caps
      .map(({ kind, name, dailyCapMicros, monthlyCapMicros }) =>
        canonicalJson([kind, name, dailyCapMicros, monthlyCapMicros]),
      )
      .toSorted(),
    teams: [...teams].map((member) => canonicalJson(member)).toSorted(),
    thresholds_percent: budget.thresholdsPercent,
  };
  return digestOf("portcullis/money/v1", canonicalJson(parts));
}
