import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { blankEntry } from "../../src/audit/record.ts";
import { ledgerTimings } from "../../src/config.ts";
import {
  LEDGER_RPC_VERSION,
  type AdmissionCost,
  type AdmissionOutcome,
  type AdmissionRequest,
  type Approver,
  type Authority,
  type BudgetTerms,
  type Conclusion,
  type ProposalBounds,
  type RequestContext,
  type Requirement,
} from "../../src/ledger/contract.ts";
import type { DecisionOutcome, DecisionRequest } from "../../src/ledger/approvals/decisions.ts";
import { ledgerOf, type Actor, type LedgerPort } from "../../src/ledger/ledger-port.ts";
import { digestOf } from "../../src/platform/digest.ts";
import { newId } from "../../src/platform/ids.ts";
import type { ApproverGroup } from "../../src/policy/types.ts";
import type { RefusalKind } from "../../src/refusal.ts";
import type { Digest } from "../../src/vocabulary.ts";
import { testEnv } from "../support/test-env.ts";

/** Far in the real future, so that no alarm fires by itself: tests run alarms when they say so. Noon, far from every edge. */
export const START = Date.UTC(2031, 10, 20, 12);

export const { dispatchDeadlineMs: DISPATCH_DEADLINE_MS, graceMs: GRACE_MS } = ledgerTimings(testEnv);

export const MINUTE = 60_000;
export const USD = 1_000_000;

/** A digest like any other, told apart by `name`. */
export const digest = (name: string): Digest => digestOf("portcullis/test", name);

const TERMS = {
  policy: digest("policy"),
  people: digest("people"),
  catalogue: digest("catalogue"),
  prices: digest("prices"),
  dailyCapMicros: 100 * USD,
  monthlyCapMicros: 1_000 * USD,
  moneyDigest: digest("money"),
  signals: null,
  retention: null,
};
export const versionTerms = TERMS;

export const AUTHORITY: Authority = {
  policy: TERMS.policy,
  people: TERMS.people,
  catalogue: TERMS.catalogue,
  prices: TERMS.prices,
  credentialEpoch: 1,
};

export const BUDGET: BudgetTerms = {
  timezone: "UTC",
  dailyCapMicros: TERMS.dailyCapMicros,
  monthlyCapMicros: TERMS.monthlyCapMicros,
  // Bounds nothing: tests of gross submissions, thresholds and inner caps state their own.
  grossDailyCapMicros: Number.MAX_SAFE_INTEGER,
  thresholdsPercent: [],
  team: null,
  per: [],
};

export const OPERATOR: Actor = {
  subject: "person:olga",
  class: "person",
  credentialId: "key_operator",
  demo: false,
  roles: ["operator"],
};

const people = (...names: readonly string[]): readonly Approver[] =>
  names.map((name) => ({ handle: `@${name}`, subject: `person:${name}` }));

/** Who may approve in these tests; dana owns the agents' credentials and olga issued them. */
export const APPROVERS = people("alice", "bob", "carol");
export const WITH_INTERESTED = people("alice", "bob", "dana", "olga");

export const person = (name: string): DecisionRequest["decider"] => ({
  subject: `person:${name}`,
  class: "person",
  credentialId: `key_${name}`,
  demo: false,
  fault: null,
});

export const NO_CONTEXT: RequestContext = {
  reason: null,
  evidence: null,
  evidenceRef: null,
  backOut: null,
  incident: null,
};

export const CONTEXT: RequestContext = {
  ...NO_CONTEXT,
  reason: "disk is full",
  evidence: "df -h",
  backOut: "resubmit",
};

/** A kept request: to the ledger a sealed text like any other. */
export const SEALED = "v1.sealed.request";

/** Bounds that bound nothing: tests of the bounds state their own. */
export const UNBOUNDED: ProposalBounds = {
  principalPercent: 100,
  tenantPercent: 100,
  deniedCoolDownMs: 0,
  withdrawnCoolDownMs: 0,
};

export const priced = (ceilingMicros: number, durationMs: number | null = null): AdmissionCost => ({
  kind: "priced",
  ceilingMicros,
  priceVersion: "2031-11",
  durationMs,
  currentMicros: null,
});

/** One group: any `needed` of these people. */
export const anyOf = (needed: number, approvers: readonly Approver[]): readonly ApproverGroup[] => [
  { name: "approvers", needed, subjects: approvers.map((a) => a.subject) },
];

/** An approval by `needed` of `approvers`; whatever else of it is at stake goes into `over`. */
export const needing = (
  needed: number,
  over: Partial<Extract<Requirement, { kind: "approval" }>> = {},
): Extract<Requirement, { kind: "approval" }> => ({
  kind: "approval",
  needed,
  approvers: APPROVERS,
  groups: anyOf(needed, over.approvers ?? APPROVERS),
  missingContext: [],
  breakGlass: [],
  timeoutMs: 30 * MINUTE,
  bounds: UNBOUNDED,
  execute: "resend",
  ruleDigest: digest("rule"),
  standing: null,
  ...over,
});

const HANDLES: AdmissionRequest["handles"] = {
  idempotencyKey: null,
  byDigest: false,
  receipt: null,
  tokens: [],
  signed: [],
  tokenFault: null,
};

type Over = Partial<Omit<AdmissionRequest, "handles">> & { readonly handles?: Partial<AdmissionRequest["handles"]> };

/** A write by `agent:trainer` that costs one dollar and needs nothing more, under a request id of its own. */
export function write(over: Over = {}): AdmissionRequest {
  const requestId = over.requestId ?? newId("req");
  const requirement = over.requirement ?? { kind: "none" };
  const action = over.action ?? "workloads.submit";
  const requestDigest = over.requestDigest ?? digest("request");
  return {
    rpcVersion: LEDGER_RPC_VERSION,
    authority: AUTHORITY,
    requester: agent("trainer"),
    tier: requirement.kind === "approval" ? 4 : 2,
    route: "workloads.submit",
    sent: null,
    stored: null,
    resource: null,
    aggregates: [],
    lift: null,
    facts: {},
    observed: { affected: null, version: null },
    cost: priced(USD),
    budget: BUDGET,
    context: CONTEXT,
    incident: { derived: null, claimMs: 60 * MINUTE },
    open: null,
    tellAfterMs: null,
    refusal: null,
    shown: { action, facts: { gpus: 4 } },
    ...over,
    requestId,
    requirement,
    action,
    requestDigest,
    handles: { ...HANDLES, byDigest: requirement.kind === "approval", ...over.handles },
    entry: {
      ...blankEntry("intent", requestId, START),
      principal: over.requester?.subject ?? "agent:trainer",
      action,
      request_digest: requestDigest,
    },
  };
}

/** The same request sent again, under a request id of its own. */
export const again = (request: AdmissionRequest, over: Over = {}): AdmissionRequest =>
  write({ ...request, ...over, requestId: newId("req"), handles: { ...request.handles, ...over.handles } });

/** The requester behind one of the agents' keys. */
export const agent = (name: string): AdmissionRequest["requester"] => ({
  subject: `agent:${name}`,
  class: "agent",
  owner: "person:dana",
  issuer: "person:olga",
  delegation: [],
  credentialId: `key_${name}`,
  listed: true,
});

/** A tenant of its own, bootstrapped, with keys for two agents. */
export async function newTenant(): Promise<{ readonly tenant: string; readonly ledger: LedgerPort }> {
  const tenant = newId("t").replace("_", "-");
  const ledger = ledgerOf(testEnv.LEDGER, tenant);
  const expiresAt = Date.now() + 366 * 86_400_000;
  await ledger.bootstrap({
    tenant,
    requestId: newId("req"),
    terms: TERMS,
    founders: [{ credentialId: OPERATOR.credentialId, subject: OPERATOR.subject, record: "{}", expiresAt }],
  });
  for (const name of ["trainer", "tuner", "pruner"]) {
    await ledger.addCredential(OPERATOR, newId("req"), {
      credentialId: `key_${name}`,
      subject: `agent:${name}`,
      record: "{}",
      expiresAt,
    });
  }
  return { tenant, ledger };
}

/** Runs the ledger's alarm now, if one is set: due jobs, and one projection to D1. */
export const runAlarm = (tenant: string): Promise<boolean> => runDurableObjectAlarm(testEnv.LEDGER.getByName(tenant));

/** A row of SQLite, as these tables have them: no blobs. */
export type Row = Record<string, string | number | null>;

/** Rows of the ledger's SQLite. */
export async function rowsOf(
  tenant: string,
  query: string,
  ...bindings: readonly (string | number)[]
): Promise<readonly Row[]> {
  return await runInDurableObject(testEnv.LEDGER.getByName(tenant), (_, { storage }) =>
    storage.sql.exec<Row>(query, ...bindings).toArray(),
  );
}

/** What came of an admission or a decision, in one word: `admitted`, `replay`, `stale`, `recorded`, or the problem's slug. */
export const verdict = (
  outcome: AdmissionOutcome | DecisionOutcome | { readonly kind: "stale" },
): "admitted" | "replay" | "stale" | "recorded" | RefusalKind =>
  outcome.kind === "refused" ? outcome.refusal.kind : outcome.kind;

/** Opens a proposal with `request` and returns its id. */
export async function propose(ledger: LedgerPort, request: AdmissionRequest): Promise<string> {
  const outcome = await ledger.admit(request);
  if (
    outcome.kind !== "refused" ||
    outcome.refusal.kind !== "approval-required" ||
    outcome.refusal.approval.id === null
  ) {
    throw new Error(`no proposal was opened: ${JSON.stringify(outcome)}`);
  }
  return outcome.refusal.approval.id;
}

/** One person's decision. Without `groups`, as many of `approvers` as the proposal needs. */
export async function decideAs(
  ledger: LedgerPort,
  approvalId: string,
  decider: DecisionRequest["decider"],
  decision: "approve" | "deny",
  approvers: readonly Approver[] = APPROVERS,
  groups: readonly ApproverGroup[] | null = null,
): Promise<ReturnType<typeof verdict>> {
  const needed = (await ledger.approval(approvalId))?.approval.needed ?? 1;
  const outcome = await ledger.decide(AUTHORITY, {
    requestId: newId("req"),
    approvalId,
    decider,
    decision,
    comment: null,
    breakGlass: [],
    breakGlassMaxMicros: 0,
    approvers,
    groups: groups ?? anyOf(needed, approvers),
  });
  return verdict(outcome);
}

/** A receipt for `request`. */
export async function receiptFor(ledger: LedgerPort, request: AdmissionRequest): Promise<string> {
  const planned = await ledger.plan(request, true);
  if (planned.kind !== "planned" || planned.receipt === null) throw new Error(`no receipt: ${JSON.stringify(planned)}`);
  return planned.receipt.receipt;
}

/** A dispatch that ended in `outcome`. */
export const ended = (
  requestId: string,
  outcome: Conclusion["outcome"],
  over: Partial<Conclusion> = {},
): Conclusion => ({
  requestId,
  outcome,
  upstreamStatus: outcome === "succeeded" ? 201 : outcome === "failed" ? 422 : null,
  resource: null,
  actualMicros: null,
  response:
    outcome === "succeeded" || outcome === "failed"
      ? { status: outcome === "succeeded" ? 201 : 422, contentType: "application/json", body: "{}" }
      : null,
  detail: null,
  ...over,
});

/** State and amounts of one reservation, as text: `dispatching 1000000`, `settled 1000000/1000000`. */
export async function hold(tenant: string, id: string): Promise<string> {
  const [row] = await rowsOf(tenant, "SELECT state, ceiling_micros, settled_micros FROM reservations WHERE id = ?", id);
  if (row === undefined) return "none";
  const settled = row["settled_micros"] === null ? "" : `/${String(row["settled_micros"])}`;
  return `${String(row["state"])} ${String(row["ceiling_micros"])}${settled}`;
}

/** Held and settled micro-USD of each window that has any: `{ "2031-11-20": [held, settled] }`. */
export async function windows(tenant: string): Promise<Readonly<Record<string, readonly [number, number]>>> {
  const rows = await rowsOf(tenant, 'SELECT * FROM "windows" WHERE held_micros + settled_micros > 0');
  return Object.fromEntries(
    rows.map((row) => [String(row["window"]), [Number(row["held_micros"]), Number(row["settled_micros"])]]),
  );
}
