import { blankEntry } from "../../../src/audit/record.ts";
import {
  LEDGER_RPC_VERSION,
  type AdmissionRequest,
  type Approver,
  type Authority,
  type BudgetTerms,
  type ProposalBounds,
  type RequestContext,
} from "../../../src/ledger/contract.ts";
import type { TenantTerms } from "../../../src/ledger/money/finance-port.ts";
import type { ApproverGroup } from "../../../src/policy/types.ts";
import { digestOf } from "../../../src/platform/digest.ts";
import { newId } from "../../../src/platform/ids.ts";
import type { Digest } from "../../../src/vocabulary.ts";
import { innerCaps, MINUTE, START, WISHES, type Policy } from "./scene.ts";

/** A digest like any other, told apart by `name`; the same as in `../fixture.ts`, which only workerd can import. */
export const digest = (name: string): Digest => digestOf("portcullis/test", name);

export const AUTHORITY: Authority = {
  policy: digest("policy"),
  people: digest("people"),
  catalogue: digest("catalogue"),
  prices: digest("prices"),
  credentialEpoch: 1,
};

export const APPROVERS: readonly Approver[] = ["alice", "bob", "carol"].map((name) => ({
  handle: `@${name}`,
  subject: `person:${name}`,
}));

/** Any `needed` of them. */
export const groups = (needed: number): readonly ApproverGroup[] => [
  { name: "approvers", needed, subjects: APPROVERS.map(({ subject }) => subject) },
];

export const CONTEXT: RequestContext = {
  reason: "disk is full",
  evidence: "df -h",
  evidenceRef: null,
  backOut: "resubmit",
  incident: null,
};
const NO_CONTEXT: RequestContext = { ...CONTEXT, reason: null, evidence: null, backOut: null };

/** Bounds that bound nothing: they have tests of their own. */
export const UNBOUNDED: ProposalBounds = {
  principalPercent: 100,
  tenantPercent: 100,
  deniedCoolDownMs: 0,
  withdrawnCoolDownMs: 0,
};

/** The policy's figures as they come with every call. */
export const tenantTerms = (policy: Policy): TenantTerms => ({
  timezone: policy.zone,
  dailyCapMicros: policy.daily,
  monthlyCapMicros: policy.monthly,
  grossDailyCapMicros: policy.gross,
  thresholdsPercent: [50, 80, 95, 100],
});

/** The same with what concerns one request of this agent. */
export const budgetTerms = (policy: Policy, agent: string, action: string): BudgetTerms => ({
  ...tenantTerms(policy),
  team: policy.teams[agent] ?? null,
  per: innerCaps(policy, agent, action),
});

/** How a wish is sent. `other`: with another reason than usual. */
export type Sending = {
  readonly who: string;
  readonly what: number;
  readonly key: string | null;
  readonly receipt: string | null;
  readonly other: boolean;
};

/** The request behind a wish. Wishes that need a draft never bring context. */
export function requestFor(policy: Policy, { who, what, key, receipt, other }: Sending): AdmissionRequest {
  const wish = WISHES[what];
  if (wish === undefined) throw new Error(`no wish ${what}`);
  const requestId = newId("req");
  const requestDigest = digest(`${who} wants ${what}`);
  const { needs, micros, action } = wish;
  const needed = needs === 2 ? 2 : 1;
  const isApproval = needs !== "nothing" && needs !== "receipt";
  return {
    rpcVersion: LEDGER_RPC_VERSION,
    requestId,
    authority: AUTHORITY,
    requester: {
      subject: `agent:${who}`,
      class: "agent",
      owner: "person:dana",
      issuer: "person:olga",
      delegation: [],
      credentialId: `key_${who}`,
      listed: true,
    },
    action,
    route: what % 3 === 0 ? null : action,
    tier: isApproval ? 4 : 2,
    facts: {},
    requestDigest,
    sent: what % 2 === 0 ? "v1.sealed.request" : null,
    stored: null,
    resource: wish.resource,
    observed: { affected: null, version: null },
    cost:
      micros === 0
        ? { kind: "none" }
        : {
            kind: "priced",
            ceilingMicros: micros,
            priceVersion: "2031-11",
            durationMs: wish.runsMs,
            currentMicros: wish.currentMicros,
          },
    budget: budgetTerms(policy, who, action),
    context: needs === "draft" ? NO_CONTEXT : other ? { ...CONTEXT, reason: "another" } : CONTEXT,
    handles: { idempotencyKey: key, byDigest: isApproval, receipt, tokens: [], signed: [], tokenFault: null },
    requirement: isApproval
      ? {
          kind: "approval",
          needed,
          approvers: APPROVERS,
          groups: groups(needed),
          missingContext: needs === "draft" ? ["reason", "evidence", "back_out"] : [],
          breakGlass: [],
          timeoutMs: 30 * MINUTE,
          bounds: UNBOUNDED,
          execute: "resend",
          ruleDigest: digest("rule"),
          standing: null,
        }
      : { kind: needs === "receipt" ? "receipt" : "none" },
    incident: { derived: null, claimMs: 60 * MINUTE },
    open: null,
    tellAfterMs: null,
    aggregates: [],
    lift: null,
    refusal: null,
    entry: {
      ...blankEntry("intent", requestId, START),
      principal: `agent:${who}`,
      action,
      request_digest: requestDigest,
    },
    shown: { action, facts: { gpus: 4 } },
  };
}
