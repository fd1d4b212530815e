import { isStandingUse, type CheckedRecord, type Complain } from "./records.ts";

/** What the records say of every dispatched write: intent first, perhaps `unknown`, one outcome, settlements after it. */
export type Effects = {
  /** Intents by request id. */
  readonly intents: ReadonlyMap<string, CheckedRecord>;
  /** `dispatching`, `unknown`, or what the outcome says, by request id. */
  readonly states: ReadonlyMap<string, string>;
};

/** Members that nobody may change between an intent and what comes of it. */
const SAME = [
  "principal",
  "owner",
  "credential_id",
  "action",
  "tier",
  "request_digest",
  "approval_id",
  "cost_micros",
] as const;

/** Checks the order of a write's records, and that they are about one and the same request. */
export function checkEffects(records: readonly CheckedRecord[], complain: Complain): Effects {
  const intents = new Map<string, CheckedRecord>();
  const states = new Map<string, string>();
  for (const record of records) {
    const { kind, request_id: id, outcome } = record;
    if (kind === "intent") {
      if (intents.has(id)) complain(record, `is a second intent of ${id}`);
      intents.set(id, record);
      states.set(id, "dispatching");
      if (record.decision !== "allow") complain(record, "is an intent of what was not allowed");
      if (record.tier === null || record.tier < 2 || record.tier > 4)
        complain(record, `is an intent at tier ${record.tier}`);
    }
    if (kind !== "unknown" && kind !== "outcome" && kind !== "settlement") continue;
    const intent = intents.get(id);
    if (intent === undefined) {
      complain(record, `is the ${kind} of ${id}, which has no intent before it`);
      continue;
    }
    const state = states.get(id);
    if (kind === "settlement") {
      checkSettlement(record, state, complain);
      continue;
    }
    if (kind === "outcome" && state !== "dispatching" && state !== "unknown")
      complain(record, `is a second outcome of ${id}`);
    if (kind === "unknown" && state !== "dispatching")
      complain(record, `says that ${id} is unknown, which was ${state}`);
    if (kind === "unknown" && outcome !== "unknown") complain(record, `is unknown and says ${outcome}`);
    for (const name of SAME) if (record[name] !== intent[name]) complain(record, `has another ${name} than its intent`);
    if (record.approvers.join() !== intent.approvers.join()) complain(record, "has other approvers than its intent");
    if (isStandingUse(record) !== isStandingUse(intent)) complain(record, "rests on another approval than its intent");
    states.set(id, outcome ?? "");
  }
  return { intents, states };
}

/** Money of a write is settled after its outcome; a refused report may come at any time and changes nothing. */
function checkSettlement(record: CheckedRecord, state: string | undefined, complain: Complain): void {
  const isOver = state !== "dispatching" && state !== "unknown";
  if (!isOver && record.reason_code !== "usage-rejected") complain(record, `settles what is ${state}`);
}
