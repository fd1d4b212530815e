import type { AdmissionCost, BudgetTerms } from "../../src/ledger/contract.ts";
import type {
  ChangeAsk,
  ChangeOutcome,
  MoneyActor,
  ScopeCap,
  UsageReport,
  UsageResult,
} from "../../src/ledger/money/finance-port.ts";
import type { LedgerPort } from "../../src/ledger/ledger-port.ts";
import { newId } from "../../src/platform/ids.ts";
import { BUDGET, digest, ended, priced, rowsOf, USD, write } from "./fixture.ts";

export const HOUR = 3_600_000;
export const DAY = 24 * HOUR;

/** Somebody who has signed in and acts on money; of finance unless `over` says otherwise. */
export const actor = (name: string, over: Partial<MoneyActor> = {}): MoneyActor => ({
  subject: `person:${name}`,
  class: "person",
  owner: `person:${name}`,
  issuer: "https://login.example",
  credentialId: `key_${name}`,
  demo: false,
  roles: ["finance"],
  fault: null,
  ...over,
});

export const FIONA = actor("fiona");
export const FRANK = actor("frank");
export const FRIDA = actor("frida");
export const OLGA = actor("olga", { roles: ["operator"] });
/** What reports usage and nothing else; fiona owns its credential and olga issued it. */
export const BILLING = actor("meter", {
  subject: "service:meter",
  class: "service",
  owner: "person:fiona",
  issuer: "person:olga",
  roles: ["billing"],
});
export const TRAINER = actor("trainer", {
  subject: "agent:trainer",
  class: "agent",
  owner: "person:fiona",
  issuer: "person:frank",
  roles: [],
});

/** The policy's figures, in whole USD. */
export const caps = (dailyUsd: number, monthlyUsd: number, over: Partial<BudgetTerms> = {}): BudgetTerms => ({
  ...BUDGET,
  dailyCapMicros: dailyUsd * USD,
  monthlyCapMicros: monthlyUsd * USD,
  ...over,
});

/** A cap inside the tenant's, in USD; null where the policy states none for the period. */
export const innerCap = (scope: string, dailyUsd: number | null, monthlyUsd: number | null = null): ScopeCap => ({
  scope,
  dailyCapMicros: dailyUsd === null ? null : dailyUsd * USD,
  monthlyCapMicros: monthlyUsd === null ? null : monthlyUsd * USD,
});

/** An ask for another daily cap, in whole USD, from now on. */
export const asking = (capUsd: number, over: Partial<ChangeAsk> = {}): ChangeAsk => ({
  requestId: newId("req"),
  period: "daily",
  capMicros: capUsd * USD,
  reason: "quarter end",
  incident: null,
  effectiveAt: null,
  endsAt: null,
  ...over,
});

/** What became of an ask: `approved`, `pending`, … of the change, or the refusal's kind. */
export const said = (outcome: ChangeOutcome): string =>
  outcome.kind === "changed" ? outcome.change.state : outcome.refusal.kind;

/** The id of the change that an ask made or joined. */
export function idOf(outcome: ChangeOutcome): string {
  if (outcome.kind !== "changed") throw new Error(`no change: ${JSON.stringify(outcome)}`);
  return outcome.change.id;
}

/** The word of `who` on a change. */
export const say = (
  ledger: LedgerPort,
  who: MoneyActor,
  id: string,
  decision: "approve" | "deny",
): Promise<ChangeOutcome> => ledger.decideBudgetChange(who, { requestId: newId("req"), id, decision, comment: null });

/** The cost of a change of something that runs: what it will cost as a whole, and costs now as the control plane has it. */
export const resized = (resultMicros: number, currentMicros: number): AdmissionCost => ({
  kind: "priced",
  ceilingMicros: resultMicros,
  priceVersion: "2031-11",
  durationMs: 10 * HOUR,
  currentMicros,
});

let serial = 0;
/** A write of so many micro-USD unlike any other. */
export const spend = (micros: number, over: Parameters<typeof write>[0] = {}): ReturnType<typeof write> =>
  write({ cost: priced(micros), requestDigest: digest(`spend ${(serial += 1)}`), ...over });

/** Starts something that runs for `durationMs` as `resource`, and returns its request id. */
export async function run(
  ledger: LedgerPort,
  micros: number,
  resource: string,
  durationMs = 10 * HOUR,
  over: Parameters<typeof write>[0] = {},
): Promise<string> {
  const request = spend(micros, { cost: priced(micros, durationMs), ...over });
  const outcome = await ledger.admit(request);
  if (outcome.kind !== "admitted") throw new Error(`not admitted: ${JSON.stringify(outcome)}`);
  await ledger.conclude(ended(request.requestId, "succeeded", { resource }));
  return request.requestId;
}

/** One line of a usage report. */
export const report = (requestId: string, actualMicros: number, evidence = "inv-1"): UsageReport => ({
  requestId,
  actualMicros,
  endedAt: null,
  evidence,
});

/** Reports one line and returns what came of it. */
export async function reportOne(ledger: LedgerPort, who: MoneyActor, line: UsageReport): Promise<UsageResult> {
  const [result] = await ledger.reportUsage(who, newId("req"), [line]);
  if (result === undefined) throw new Error("a line has a result");
  return result;
}

/** What people were told about money; in the order of ids where at the same time. */
export async function alerts(tenant: string, kind: string): Promise<readonly string[]> {
  const rows = await rowsOf(tenant, "SELECT id FROM alerts WHERE id GLOB ? ORDER BY at, id", `${kind}*`);
  return rows.map((row) => String(row["id"]));
}

/** Journaled records of one kind about `code…`, oldest first: decision, principal and code of each. */
export async function journaled(tenant: string, kind: string, code: string): Promise<readonly string[]> {
  const rows = await rowsOf(
    tenant,
    `SELECT record ->> 'decision' AS decision, record ->> 'principal' AS principal, record ->> 'reason_code' AS code
     FROM journal WHERE record ->> 'kind' = ? AND record ->> 'reason_code' GLOB ? ORDER BY sequence`,
    kind,
    `${code}*`,
  );
  return rows.map((row) => `${String(row["decision"])} ${String(row["principal"])} ${String(row["code"])}`);
}
