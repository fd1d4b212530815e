import { concernsFinance, type PolicyVersion } from "../ledger/versions.ts";
import type { JsonObject } from "../platform/json.ts";
import { usd } from "../platform/money.ts";

const DOCUMENTS = ["policy", "people", "catalogue", "prices"] as const;

/**
 * What putting `candidate` in force would change while `against` is, and who may do it: which documents have another text, the tenant's
 * two caps, and the roles. The author never may, whatever their roles.
 */
export const changesJson = (against: PolicyVersion, candidate: PolicyVersion): JsonObject => ({
  against: against.version,
  documents: DOCUMENTS.filter((name) => candidate[name] !== against[name]),
  caps: {
    daily: capJson(against.dailyCapMicros, candidate.dailyCapMicros),
    monthly: capJson(against.monthlyCapMicros, candidate.monthlyCapMicros),
  },
  activated_by: concernsFinance(candidate, against) ? ["finance"] : ["security", "finance"],
  never_by: candidate.author,
});

const capJson = (beforeMicros: number, afterMicros: number): JsonObject => ({
  before_usd: usd(beforeMicros),
  before_micros: beforeMicros,
  after_usd: usd(afterMicros),
  after_micros: afterMicros,
});
