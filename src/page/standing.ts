import { STEP_UP_MAX_AGE_MS } from "../approval/decide-proposal.ts";
import type { ProposalView } from "../approval/proposal-view.ts";
import { tierOf } from "../approval/proposal-view.ts";
import type { ApprovalWithDecisions } from "../ledger/approvals/approval-with-decisions.ts";
import { interestOf, requesterOf } from "../ledger/approvals/approvals.ts";
import type { CompiledPolicy } from "../policy/types.ts";
import type { EpochMs } from "../vocabulary.ts";
import type { Visitor } from "./session.ts";

/** What a visitor may do with a proposal, for showing it. What is posted is judged anew by `decideProposal` and the ledger. */
export type Standing = {
  readonly mayDecide: boolean;
  readonly mayBreakGlass: boolean;
  /** Why the visitor cannot decide, null where they can. */
  readonly why: string | null;
  readonly mine: ProposalView["decisions"][number] | null;
  /** Tier 4 needs a fresh sign-in to approve: whether this one is, was, or does not say. */
  readonly signIn: "fresh" | "old" | "undated";
};

/** Judges by the policy and people in force now. */
export function standingOf(
  { approval }: ApprovalWithDecisions,
  view: ProposalView,
  policy: CompiledPolicy,
  visitor: Visitor,
  now: EpochMs,
): Standing {
  const mine = view.decisions.find((one) => one.subject === visitor.subject) ?? null;
  const interest = interestOf(visitor.subject, requesterOf(approval));
  const listed = policy.approvers(tierOf(approval.tier)).people.some((one) => one.subject === visitor.subject);
  const holder = policy.breakGlass.includes(visitor.subject) && view.ceilingMicros <= policy.breakGlassMaxMicros;
  const open = view.state === "pending" && Date.parse(view.expiresAt) > now;
  const barred = interest ?? (listed ? null : "You are not on the policy's list for this tier.");
  const why = notOpen(view, open) ?? (barred === null ? null : `You cannot decide this. ${barred}`);
  return {
    mayDecide: why === null,
    mayBreakGlass: open && interest === null && holder,
    why,
    mine,
    signIn: signInOf(view, visitor, now),
  };
}

/**
 * Whether the visitor sees the proposal at all: its requester, the owner of its credential, who may decide it and who may
 * break the glass. To everybody else it does not exist.
 */
export function maySee({ approval }: ApprovalWithDecisions, policy: CompiledPolicy, { subject }: Visitor): boolean {
  if (subject === approval.principal || subject === approval.owner || policy.breakGlass.includes(subject)) return true;
  return policy.approvers(tierOf(approval.tier)).people.some((one) => one.subject === subject);
}

function notOpen(view: ProposalView, open: boolean): string | null {
  if (open) return null;
  if (view.state === "draft") return "It is a draft: nobody can decide it before its requester has said why.";
  return view.state === "pending" ? "Its time is over. Nothing can be decided any more." : "Nothing is left to decide.";
}

function signInOf({ tier }: ProposalView, { demo, authenticatedAt }: Visitor, now: EpochMs): Standing["signIn"] {
  if (tier < 4 || demo) return "fresh";
  if (authenticatedAt === null) return "undated";
  return now - authenticatedAt <= STEP_UP_MAX_AGE_MS ? "fresh" : "old";
}
