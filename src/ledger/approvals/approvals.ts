import { canonicalJson } from "../../platform/canonical-json.ts";
import { digestOf } from "../../platform/digest.ts";
import type { JsonObject } from "../../platform/json.ts";
import type { ApprovalSummary } from "../../refusal.ts";
import type { Digest, EpochMs, Micros } from "../../vocabulary.ts";
import type { Approver, RequestContext, Requester, Requirement } from "../contract.ts";

export type ApprovalState =
  | "draft"
  | "pending"
  | "approved"
  | "denied"
  | "expired"
  | "withdrawn"
  | "invalidated"
  | "consumed";

/** A draft waits ten minutes for its context (wire contract, section 9). */
export const DRAFT_LIFETIME_MS = 10 * 60_000;

/** A grant lives at most half an hour after the last decision (wire contract, section 9). */
export const GRANT_LIFETIME_MS = 30 * 60_000;

/** After a denial the same request is not put before people again for this long. */
export const DENIAL_COOL_DOWN_MS = 10 * 60_000;

/**
 * Drafts and proposals of one principal that may be open at once. More than people read in half an hour, and a quarter of
 * what a list shows, so that one agent's flood neither buries another's proposal nor fills the ledger.
 */
export const OPEN_APPROVALS_MAX = 50;

export type ApprovalRequirement = Extract<Requirement, { kind: "approval" }>;

/** What people saw and signed besides the request itself: every member is bound by the approval digest. */
export type ApprovalTerms = RequestContext & {
  readonly resource: string | null;
  readonly affected: Digest | null;
  readonly resourceVersion: string | null;
  readonly ceilingMicros: Micros;
  readonly ruleDigest: Digest;
};

export type Approval = {
  readonly id: string;
  readonly state: ApprovalState;
  readonly principal: string;
  readonly owner: string;
  readonly issuer: string;
  readonly delegation: readonly string[];
  readonly requestDigest: string;
  readonly approvalDigest: string;
  readonly tier: number;
  readonly action: string;
  readonly needed: number;
  readonly terms: ApprovalTerms;
  readonly shown: JsonObject;
  readonly ceilingMicros: Micros;
  readonly timeoutMs: number;
  readonly openedAt: EpochMs;
  readonly expiresAt: EpochMs;
  readonly grantJti: string | null;
  readonly decidedAt: EpochMs | null;
  readonly consumedBy: string | null;
  /** The key that the catalogue derived for what it works on. */
  readonly derivedIncident: string | null;
};

export type Decision = {
  readonly subject: string;
  readonly decision: "approve" | "deny" | "break-glass";
  readonly comment: string | null;
  readonly demo: boolean;
  readonly decidedAt: EpochMs;
};

/** The digest of what is approved: the request digest plus everything in `terms`. A new member binds by being there. */
export const approvalDigest = (requestDigest: string, terms: ApprovalTerms): Digest =>
  digestOf("portcullis/approval/v1", canonicalJson({ request_digest: requestDigest, ...terms }));

/** Everybody on the requester's side, none of whom may decide. */
export type RequesterSide = Pick<Requester, "subject" | "owner" | "issuer" | "delegation">;

/** The requester's side as the approval has it. */
export const requesterOf = ({ principal, owner, issuer, delegation }: Approval): RequesterSide => ({
  subject: principal,
  owner,
  issuer,
  delegation,
});

/** Why this person cannot decide a request of this side, null where nothing of the kind stands in the way. */
export function interestOf(subject: string, side: RequesterSide): string | null {
  if (subject === side.subject) return "The requester cannot decide its own request.";
  if (subject === side.owner) return "The owner of the requesting credential cannot decide its requests.";
  if (subject === side.issuer) return "The issuer of the requesting credential cannot decide its requests.";
  if (side.delegation.includes(subject))
    return "This person stands in the delegation chain of the requesting credential.";
  return null;
}

/** People who may decide a request of this requester: on the list now, and not on the requester's side. */
export const eligibleApprovers = (approvers: readonly Approver[], requester: RequesterSide): readonly Approver[] =>
  approvers.filter((a) => interestOf(a.subject, requester) === null);

/** What the requester is told about a proposal. */
export function summaryOf(
  approval: Approval,
  given: number,
  eligible: readonly Approver[],
  missing: readonly string[],
): ApprovalSummary {
  return {
    id: approval.id,
    url: `/_gate/v1/approvals/${approval.id}`,
    state: approval.state === "draft" ? "draft" : "pending",
    needed: approval.needed,
    given,
    eligible: eligible.length,
    approvers: eligible.map((a) => a.handle),
    expires_at: new Date(approval.expiresAt).toISOString(),
    request_digest: approval.requestDigest,
    missing,
  };
}
