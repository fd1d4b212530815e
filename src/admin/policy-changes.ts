import type { Gate } from "../gateway/gate.ts";
import { concernsFinance, type PolicyVersion } from "../ledger/lifecycle/versions.ts";
import type { JsonObject } from "../platform/json.ts";
import { usd } from "../platform/money.ts";
import type { PolicyChange } from "../policy/diff/diff-change.ts";
import { policyDiff, widens } from "../policy/diff/diff.ts";
import type { EpochMs } from "../vocabulary.ts";

const DOCUMENTS = ["policy", "people", "catalogue", "prices"] as const;

/** Most changes in meaning that one answer names, those that widen first; the others are counted. */
export const CHANGES_MAX = 100;

/**
 * What putting `candidate` in force would change while `against` is, and who may do it: which documents have another text, the tenant's
 * two caps, the roles, and what changes in meaning. The author never may, whatever their roles.
 */
export async function changesJson(
  gate: Pick<Gate, "documents">,
  against: PolicyVersion,
  candidate: PolicyVersion,
  now: EpochMs,
): Promise<JsonObject> {
  return {
    against: against.version,
    documents: DOCUMENTS.filter((name) => candidate[name] !== against[name]),
    caps: {
      daily: capJson(against.dailyCapMicros, candidate.dailyCapMicros),
      monthly: capJson(against.monthlyCapMicros, candidate.monthlyCapMicros),
    },
    activated_by: concernsFinance(candidate, against) ? ["finance"] : ["security", "finance"],
    never_by: candidate.author,
    meaning: await meaningJson(gate, against, candidate, now),
  };
}

/** Null where the documents of one of the two cannot be had: nothing is said then, and nothing rests on it. */
async function meaningJson(
  { documents }: Pick<Gate, "documents">,
  against: PolicyVersion,
  candidate: PolicyVersion,
  now: EpochMs,
): Promise<JsonObject | null> {
  const [before, after] = await Promise.all([documents.rulebook(against), documents.rulebook(candidate)]);
  if (!before.ok || !after.ok) return null;
  const changes = policyDiff(before.value, after.value, now).toSorted((a, b) => Number(b.widens) - Number(a.widens));
  return {
    widens: widens(changes),
    changes: changes.slice(0, CHANGES_MAX).map(changeJson),
    more: Math.max(0, changes.length - CHANGES_MAX),
  };
}

const changeJson = ({ kind, widens: isWider, action, text }: PolicyChange): JsonObject => ({
  kind,
  widens: isWider,
  action,
  text,
});

const capJson = (beforeMicros: number, afterMicros: number): JsonObject => ({
  before_usd: usd(beforeMicros),
  before_micros: beforeMicros,
  after_usd: usd(afterMicros),
  after_micros: afterMicros,
});
