import { z } from "zod";
import { eligibleApprovers, requesterOf } from "../ledger/approvals/approvals.ts";
import type { ApprovalWithDecisions } from "../ledger/approvals/approval-with-decisions.ts";
import type { JsonObject } from "../platform/json.ts";
import type { CompiledPeople } from "../policy/people.ts";
import type { CompiledPolicy } from "../policy/types.ts";
import type { Facts, Micros, ShadowVerdict, Tier } from "../vocabulary.ts";

/**
 * A proposal as people see it on every channel (API, CLI, page, Slack, webhook): rendered by the gate from the bound
 * request, secrets already redacted. Texts written by agents (`reason`, `evidence`, `backOut`, names inside `facts`) are
 * untrusted: a channel shows them inert.
 */
export type ProposalView = {
  readonly id: string;
  readonly tenant: string;
  readonly state: "draft" | "pending" | "approved" | "denied" | "expired" | "withdrawn" | "invalidated" | "consumed";
  readonly action: string;
  readonly tier: number;
  readonly rule: string | null;
  /** Id of the one resource that is changed, null for creations. */
  readonly resource: string | null;
  readonly facts: Facts;
  readonly request: {
    readonly method: string;
    readonly path: string;
    readonly query: JsonObject;
    readonly body: JsonObject | null;
  };
  readonly ceilingMicros: Micros;
  readonly blastRadius: string | null;
  /** Whether it reaches further than the smallest radius of its catalogue. */
  readonly elevated: boolean;
  readonly reversible: boolean | null;
  /** What would be affected, e.g. the running workloads of an allocation; null when the catalogue declares no look-up. */
  readonly affected: { readonly count: number; readonly items: readonly string[] } | null;
  /** The maintenance window that was open when it was proposed, and when that closes: it runs in a window only. Null: at any time. */
  readonly window: { readonly name: string; readonly closesAt: string } | null;
  /** What rules in shadow would have said: judged, recorded and not enforced. */
  readonly shadow: readonly ShadowVerdict[];
  readonly reason: string | null;
  readonly evidence: string | null;
  readonly backOut: string | null;
  readonly incident: string | null;
  readonly requester: string;
  readonly owner: string;
  readonly needed: number;
  readonly given: number;
  /** Handles of the people who may decide it. */
  readonly approvers: readonly string[];
  readonly decisions: readonly {
    readonly handle: string | null;
    readonly subject: string;
    readonly decision: "approve" | "deny" | "break-glass";
    readonly comment: string | null;
    /** Whether it was made with a key that `npm start` seeded. */
    readonly demo: boolean;
    /** ISO 8601, UTC. */
    readonly decidedAt: string;
  }[];
  /** People whose word does not count and who tried all the same. */
  readonly attempts: readonly {
    readonly handle: string | null;
    readonly subject: string;
    readonly decision: string;
    readonly reason: string;
    readonly attemptedAt: string;
  }[];
  /** Set where somebody broke the glass: by whom, and what its review said; `reviewedBy` is null while it is due. */
  readonly review: {
    readonly brokenBy: string;
    readonly reviewedBy: string | null;
    readonly comment: string | null;
  } | null;
  readonly openedAt: string;
  readonly expiresAt: string;
  readonly requestDigest: string;
  readonly approvalDigest: string;
  /** Text that the approver has to type, where the policy asks for it; null where a click is enough. */
  readonly confirm: string | null;
  /** Where a person can see and decide it; absolute where the deployment says how people reach it. */
  readonly url: string;
};

/** What the gate rendered when the proposal was opened (gateway/admission-request.ts). */
const shownSchema = z.object({
  rule: z.string().nullish(),
  resource: z.string().nullish(),
  facts: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.array(z.string())])).default({}),
  request: z
    .object({
      method: z.string(),
      path: z.string(),
      query: z.record(z.string(), z.json()).default({}),
      body: z.record(z.string(), z.json()).nullish(),
    })
    .default({ method: "", path: "", query: {}, body: null }),
  affected: z.object({ count: z.int(), items: z.array(z.string()) }).nullish(),
  blast_radius: z.string().nullish(),
  elevated: z.boolean().default(false),
  reversible: z.boolean().nullish(),
  window: z.object({ name: z.string(), closes_at: z.string() }).nullish(),
  shadow: z.array(z.object({ rule: z.string(), verdict: z.string() })).default([]),
});

/** What the view of a proposal depends on besides the proposal: the policy and people in force now. */
export type Viewing = {
  readonly tenant: string;
  readonly policy: CompiledPolicy;
  readonly people: CompiledPeople;
  /** The gate's own origin, null where the deployment does not say. */
  readonly publicUrl: string | null;
};

/** A proposal as it stands now, for every channel. */
export function proposalView(
  { approval, decisions, review, attempts }: ApprovalWithDecisions,
  { tenant, policy, people, publicUrl }: Viewing,
): ProposalView {
  const shown = shownSchema.parse(approval.shown);
  const tier = tierOf(approval.tier);
  const resource = shown.resource ?? null;
  const blastRadius = shown.blast_radius ?? null;
  const eligible = eligibleApprovers(policy.approvers(tier).people, requesterOf(approval));
  return {
    id: approval.id,
    tenant,
    state: approval.state,
    action: approval.action,
    tier,
    rule: shown.rule ?? null,
    resource,
    facts: shown.facts,
    request: { ...shown.request, body: shown.request.body ?? null },
    ceilingMicros: approval.ceilingMicros,
    blastRadius,
    elevated: shown.elevated,
    reversible: shown.reversible ?? null,
    affected: shown.affected ?? null,
    window: shown.window ? { name: shown.window.name, closesAt: shown.window.closes_at } : null,
    shadow: shown.shadow,
    reason: approval.terms.reason,
    evidence: approval.terms.evidence ?? approval.terms.evidenceRef,
    backOut: approval.terms.backOut,
    incident: approval.terms.incident ?? approval.derivedIncident,
    requester: approval.principal,
    owner: approval.owner,
    needed: approval.needed,
    given: decisions.filter((d) => d.decision === "approve").length,
    approvers: eligible.map((a) => a.handle),
    decisions: decisions.map((d) => ({
      handle: people.bySubject(d.subject)?.handle ?? null,
      subject: d.subject,
      decision: d.decision,
      comment: d.comment,
      demo: d.demo,
      decidedAt: new Date(d.decidedAt).toISOString(),
    })),
    attempts: attempts.map((a) => ({
      handle: people.bySubject(a.subject)?.handle ?? null,
      subject: a.subject,
      decision: a.decision,
      reason: a.reason,
      attemptedAt: new Date(a.attemptedAt).toISOString(),
    })),
    review:
      review === null ? null : { brokenBy: review.brokenBy, reviewedBy: review.reviewedBy, comment: review.comment },
    openedAt: new Date(approval.openedAt).toISOString(),
    expiresAt: new Date(approval.expiresAt).toISOString(),
    requestDigest: approval.requestDigest,
    approvalDigest: approval.approvalDigest,
    confirm: policy.confirms(tier, blastRadius) ? (resource ?? approval.action) : null,
    url: `${publicUrl ?? ""}/_gate/approvals/${approval.id}`,
  };
}

/** The ledger stores tiers as it got them: 2 to 4. */
export const tierOf = (tier: number): Tier => (tier === 4 ? 4 : tier === 3 ? 3 : 2);

/**
 * What a person who is asked (in Slack, on the page, in a terminal) has to type before an approval counts; null where a click
 * is enough. Tier 4 and an elevated blast radius always ask; elsewhere the policy does.
 */
export const confirmTextOf = ({
  confirm,
  tier,
  elevated,
  resource,
  action,
}: Pick<ProposalView, "confirm" | "tier" | "elevated" | "resource" | "action">): string | null =>
  confirm ?? (tier >= 4 || elevated ? (resource ?? action) : null);
