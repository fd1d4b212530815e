import type { Gate } from "../gateway/gate.ts";
import type { TenantContext } from "../gateway/tenant-context.ts";
import type { PrincipalClass } from "../identity/principal.ts";
import type { DecisionOutcome } from "../ledger/approvals/decisions.ts";
import type { LedgerPort } from "../ledger/ledger-port.ts";
import type { EpochMs } from "../vocabulary.ts";
import { confirmTextOf, proposalView, tierOf, type ProposalView } from "./proposal-view.ts";

/** How long ago a person may have signed in to approve at tier 4: an agent on the same machine may have the session since. */
export const STEP_UP_MAX_AGE_MS = 5 * 60_000;

/** Clocks of identity providers may run ahead by as much as tokens' dates may. */
const CLOCK_TOLERANCE_MS = 60_000;

/** Who decides, as a channel has authenticated them. */
export type DecidingPerson = {
  readonly subject: string;
  readonly class: PrincipalClass;
  readonly credentialId: string;
  readonly demo: boolean;
  /** `api`: an access token or demo key; `slack`: Slack's signature over the person's click; `page`: the gate's own session. */
  readonly channel: "api" | "slack" | "page";
  /** When the person signed in; null where the credential does not say. Not asked of Slack, which vouches for each click. */
  readonly authenticatedAt: EpochMs | null;
  /** Why this credential does not speak for the person at all, null where it does. */
  readonly fault: string | null;
};

/** One person's word on one proposal. `confirm`: what the person typed. */
export type Word = {
  readonly requestId: string;
  readonly approvalId: string;
  readonly decision: "approve" | "deny" | "break-glass";
  readonly comment: string | null;
  readonly confirm: string | null;
};

type Deciding = { readonly gate: Gate; readonly context: TenantContext; readonly ledger: LedgerPort };

/**
 * Puts one person's word before the ledger, the same way from every channel: who may decide is the policy's in force now, tier
 * 4 needs a fresh sign-in, and where a name has to be typed it must be the one. Whoever is not eligible is refused by the
 * ledger, which records the attempt.
 */
export async function decideProposal(
  { gate, context, ledger }: Deciding,
  person: DecidingPerson,
  word: Word,
  now: EpochMs,
): Promise<DecisionOutcome> {
  const found = await ledger.approval(word.approvalId);
  if (found === null) return { kind: "refused", refusal: { kind: "not-found" } };
  const { policy, people, tenant, snapshot } = context;
  const view = proposalView(found, { tenant, policy, people, publicUrl: gate.config.publicUrl });
  if (word.decision !== "deny") {
    const expected = confirmationAskedFor(view, person, word);
    if (expected !== null && word.confirm !== expected) {
      const reason = `confirm: type the name of what will change, exactly ${expected}. Nothing was decided.`;
      return { kind: "refused", refusal: { kind: "malformed-request", reason } };
    }
  }
  const rule = policy.approvers(tierOf(found.approval.tier));
  const outcome = await ledger.decide(snapshot.authority, {
    requestId: word.requestId,
    approvalId: word.approvalId,
    decider: {
      subject: person.subject,
      class: person.class,
      credentialId: person.credentialId,
      demo: person.demo,
      fault: person.fault ?? stepUpFault(view, person, word.decision, now),
    },
    decision: word.decision,
    comment: gate.redactor.text(word.comment),
    approvers: rule.people,
    groups: rule.groups,
    breakGlass: policy.breakGlass,
    breakGlassMaxMicros: policy.breakGlassMaxMicros,
  });
  if (outcome.kind !== "stale") return outcome;
  return {
    kind: "refused",
    refusal: { kind: "unavailable", dependency: "policy", cause: "the policy changed meanwhile" },
  };
}

/** Channels that show the proposal always ask at tier 4. A program asks for what the policy says, and errs by a wrong text. */
function confirmationAskedFor(view: ProposalView, { channel }: DecidingPerson, { confirm }: Word): string | null {
  if (channel !== "api" || confirm !== null) return confirmTextOf(view) ?? (confirm === null ? null : nameOf(view));
  return view.confirm;
}

const nameOf = ({ resource, action }: ProposalView): string => resource ?? action;

function stepUpFault(
  view: ProposalView,
  person: DecidingPerson,
  decision: Word["decision"],
  now: EpochMs,
): string | null {
  if (view.tier < 4 || decision === "deny" || person.demo || person.channel === "slack") return null;
  const { authenticatedAt } = person;
  if (authenticatedAt === null) {
    return "Tier 4 needs a fresh sign-in, and this credential does not say when its holder signed in: decide in Slack or on the proposal's page.";
  }
  const age = now - authenticatedAt;
  return age <= STEP_UP_MAX_AGE_MS && age >= -CLOCK_TOLERANCE_MS
    ? null
    : "Tier 4 needs a sign-in of the last five minutes: sign in again.";
}
