import { checkChain, checkRetention, isCut } from "./chain.ts";
import { checkEffects, type Effects } from "./effects.ts";
import { sumMoney, type Money } from "./money.ts";
import { checkPeople } from "./people.ts";
import type { CheckedRecord } from "./records.ts";

/** What an auditor can say of a tenant from its records alone. */
export type Replayed = {
  /** What does not hold: `ledger/7 …`. */
  readonly problems: readonly string[];
  readonly effects: Effects;
  readonly money: Money;
  /** Whether the ledger's log has all its texts: what came of what, and what it cost, is told by the whole log only. */
  readonly isWhole: boolean;
};

/**
 * Replays a tenant's records. An auditor's own reading of the documents: it shares no code with the gate, so a mistake
 * in what the gate writes and in how it checks itself does not hide here. `logs`: the exported lines of every log, in order.
 */
export function replay(tenant: string, logs: ReadonlyMap<string, readonly string[]>): Replayed {
  const problems: string[] = [];
  const complain = ({ log, sequence }: Pick<CheckedRecord, "log" | "sequence">, what: string): void =>
    void problems.push(`${log}/${sequence} ${what}`);
  let ledger: readonly CheckedRecord[] = [];
  for (const [log, lines] of logs) {
    const records = checkChain(log, lines, complain);
    for (const record of records) {
      if (record.tenant !== tenant) complain(record, `is of tenant ${record.tenant}`);
      const isEnding = record.kind === "request" || record.kind === "plan";
      if (log !== "ledger" && !isEnding) complain(record, `is of kind ${record.kind}, which belongs into the ledger`);
    }
    if (log === "ledger") ledger = records;
  }
  for (const [log, lines] of logs) checkRetention(log, lines, ledger, complain);
  const isWhole = !isCut(logs.get("ledger") ?? []);
  const told = isWhole ? ledger : [];
  const effects = checkEffects(told, complain);
  checkPeople(told, complain);
  return { problems, effects, money: sumMoney(told, complain), isWhole };
}
