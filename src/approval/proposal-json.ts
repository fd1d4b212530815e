import type { ApprovalWithDecisions } from "../ledger/approvals/approval-with-decisions.ts";
import type { Constraints } from "../catalogue/constraints.ts";
import type { StandingApproval } from "../ledger/approvals/standing-approvals.ts";
import type { JsonObject } from "../platform/json.ts";
import { usd } from "../platform/money.ts";
import type { Digest } from "../vocabulary.ts";
import type { ApprovalKey } from "./approval-key.ts";
import { mintApprovalToken } from "./approval-token.ts";
import type { ProposalView } from "./proposal-view.ts";

/** A proposal as JSON, the same for the gate's API and for webhooks: what was rendered when it was opened, and how it stands now. */
export const proposalJson = ({ approval, standing }: ApprovalWithDecisions, shown: ProposalView): JsonObject => ({
  ...approval.shown,
  id: shown.id,
  state: shown.state,
  tier: shown.tier,
  cost: { ceiling_usd: usd(shown.ceilingMicros), ceiling_micros: shown.ceilingMicros },
  affected: shown.affected === null ? null : { count: shown.affected.count, items: [...shown.affected.items] },
  blast_radius: shown.blastRadius,
  elevated: shown.elevated,
  reversible: shown.reversible,
  window: shown.window === null ? null : { name: shown.window.name, closes_at: shown.window.closesAt },
  shadow: shown.shadow.map(({ rule, verdict }) => ({ rule, verdict })),
  reason: shown.reason,
  evidence: shown.evidence,
  back_out: shown.backOut,
  incident: shown.incident,
  requester: shown.requester,
  owner: shown.owner,
  needed: shown.needed,
  given: shown.given,
  eligible: shown.approvers.length,
  approvers: [...shown.approvers],
  decisions: shown.decisions.map((d) => ({
    subject: d.subject,
    handle: d.handle,
    decision: d.decision,
    comment: d.comment,
    demo: d.demo,
    decided_at: d.decidedAt,
  })),
  attempts: shown.attempts.map((a) => ({
    subject: a.subject,
    handle: a.handle,
    decision: a.decision,
    reason: a.reason,
    attempted_at: a.attemptedAt,
  })),
  review:
    shown.review === null
      ? null
      : {
          state: shown.review.reviewedBy === null ? "due" : "done",
          broken_by: shown.review.brokenBy,
          reviewed_by: shown.review.reviewedBy,
          comment: shown.review.comment,
        },
  opened_at: shown.openedAt,
  expires_at: shown.expiresAt,
  request_digest: shown.requestDigest,
  approval_digest: shown.approvalDigest,
  confirm: shown.confirm,
  consumed_by: approval.consumedBy,
  standing: standing === null ? null : standingJson(standing),
  url: `/_gate/v1/approvals/${shown.id}`,
  page_url: shown.url,
});

/** What a standing approval allows beyond one request, and how much of it is left. */
const standingJson = (standing: StandingApproval): JsonObject => ({
  pins: pinsJson(standing.pins),
  uses: standing.uses,
  uses_left: standing.uses - standing.used,
  cap_usd: usd(standing.capMicros),
  cap_micros: standing.capMicros,
  left_usd: usd(standing.capMicros - standing.usedMicros),
  left_micros: standing.capMicros - standing.usedMicros,
  expires_at: new Date(standing.endsAt).toISOString(),
});

/** Constraints as JSON. */
export const pinsJson = (pins: Constraints): JsonObject =>
  Object.fromEntries(
    Object.entries(pins).map(([name, limit]) => [name, typeof limit === "object" ? [...limit] : limit]),
  );

/**
 * The approval token of a grant, null where there is none (any more). Made anew each time from the record, so it is the same
 * grant under the same `jti`. Whoever gets it must be the requester, or a place that the tenant's operator trusts with it: only
 * the requester's own credential can use it.
 */
export async function grantToken(
  { approval, decisions }: ApprovalWithDecisions,
  tenant: string,
  key: ApprovalKey,
): Promise<string | null> {
  if (approval.state !== "approved" || approval.grantJti === null) return null;
  return mintApprovalToken(
    {
      jti: approval.grantJti,
      tenant,
      principalSubject: approval.principal,
      approvalId: approval.id,
      requestDigest: asDigest(approval.requestDigest),
      approvalDigest: asDigest(approval.approvalDigest),
      approvers: decisions.filter((d) => d.decision !== "deny").map((d) => d.subject),
      issuedAt: wholeSecond(approval.decidedAt ?? approval.openedAt),
      expiresAt: wholeSecond(approval.expiresAt),
    },
    key,
  );
}

const wholeSecond = (ms: number): number => Math.floor(ms / 1_000) * 1_000;

const asDigest = (text: string): Digest => `sha256:${text.slice("sha256:".length)}`;
