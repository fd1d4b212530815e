import { z } from "zod";
import { decideProposal, type Word } from "../approval/decide-proposal.ts";
import { areShownLines } from "../gateway/shown-text.ts";
import type { ApprovalWithDecisions } from "../ledger/approvals/approval-with-decisions.ts";
import { err, ok, type Result } from "../platform/result.ts";
import type { Refusal } from "../refusal.ts";
import { forged, refusedPage, type PageAnswer, type PageCall, type PageRoute } from "./call.ts";
import { isFormToken } from "./csrf.ts";
import { COMMENT_MAX, CONFIRM_MAX } from "./decision-form.ts";
import { findProposal, placeOf, viewOf, type Place } from "./load.ts";
import { credentialIdOf, type Visitor } from "./session.ts";
import { proposalAnswer, proposalPath } from "./show.ts";
import { signedOut } from "./signed-out.ts";
import { refusalWording } from "./wording.ts";

const DECISIONS = z.enum(["approve", "deny", "break-glass"]);

/** The only route by which a page decides. */
export const decideRoutes: readonly PageRoute[] = [
  {
    method: "POST",
    path: "/_gate/approvals/:id/decisions",
    fields: ["token", "digest", "decision", "comment", "confirm"],
    handle: decide,
  },
];

type Posted = Pick<Word, "decision" | "comment" | "confirm"> & { readonly digest: string };

/**
 * One person's word by form. What was shown must be what is there: a form is bound to its session and to the digest of the
 * proposal as it was rendered, and a proposal that changed since is shown again instead. Whether the person may decide is the
 * ledger's to say, which records who tried and could not.
 */
async function decide(call: PageCall): Promise<PageAnswer> {
  const { visitor } = call;
  const id = call.param("id");
  if (visitor === null) return signedOut(call, proposalPath(id));
  const digest = call.form.get("digest") ?? "";
  const { sessionId, tenant } = visitor;
  const purpose = { sessionId, tenant, act: "decide", proposal: { id, digest } } as const;
  if (!isFormToken(call.gate.keys.sealing, purpose, call.form.get("token") ?? "")) {
    return refusedPage(forged("it was made for another sign-in or another proposal, or changed on the way"), {
      visitor,
    });
  }
  const place = await placeOf(call, visitor);
  if (!place.ok) return refusedPage(place.error, { visitor });
  const found = await findProposal(place.value, visitor, id);
  if (!found.ok) return refusedPage(found.error, { visitor });
  if (viewOf(call, place.value.context, found.value).approvalDigest !== digest) {
    return refusedAt(call, place.value, visitor, found.value, {
      kind: "resource-changed",
      differences: ["the proposal"],
    });
  }
  const posted = readPosted(call, digest);
  return posted.ok
    ? put(call, place.value, visitor, found.value, posted.value)
    : proposalAnswer(call, place.value, visitor, found.value, {
        refusal: posted.error,
        comment: call.form.get("comment") ?? "",
        commentError: posted.error.reason,
      });
}

async function put(
  call: PageCall,
  place: Place,
  visitor: Visitor,
  found: ApprovalWithDecisions,
  { decision, comment, confirm }: Posted,
): Promise<PageAnswer> {
  const { gate, trail } = call;
  const { id } = found.approval;
  const { subject, demo, authenticatedAt } = visitor;
  const outcome = await decideProposal(
    { gate, ...place },
    {
      subject,
      class: "person",
      credentialId: credentialIdOf(visitor),
      demo,
      channel: "page",
      authenticatedAt,
      fault: null,
    },
    { requestId: trail.requestId, approvalId: id, decision, comment, confirm },
    trail.receivedAt,
  );
  if (outcome.kind === "recorded") return { kind: "see-other", location: `${proposalPath(id)}?recorded=${decision}` };
  const { refusal } = outcome;
  if (refusal.kind === "malformed-request") {
    const confirmError = "That is not the name. Nothing was decided.";
    return proposalAnswer(call, place, visitor, found, { refusal, comment: comment ?? "", confirmError });
  }
  const now = await findProposal(place, visitor, id);
  return now.ok ? refusedAt(call, place, visitor, now.value, refusal) : refusedPage(now.error, { visitor });
}

/** The proposal as it stands, and above it why the decision was not taken. */
function refusedAt(
  call: PageCall,
  place: Place,
  visitor: Visitor,
  found: ApprovalWithDecisions,
  refusal: Refusal,
): Promise<PageAnswer> {
  const { title, detail, remedy } = refusalWording(refusal);
  return proposalAnswer(call, place, visitor, found, {
    refusal,
    notice: { tone: "bad", title, text: [detail, remedy] },
  });
}

type Malformed = Extract<Refusal, { kind: "malformed-request" }>;

function readPosted({ form }: PageCall, digest: string): Result<Posted, Malformed> {
  const decision = DECISIONS.safeParse(form.get("decision"));
  if (!decision.success) return malformed("Press one of the buttons.");
  const comment = form.get("comment") ?? "";
  if (comment.length > COMMENT_MAX) return malformed(`A comment has at most ${COMMENT_MAX} characters.`);
  if (comment !== "" && comment.trim() !== "" && !areShownLines(comment))
    return malformed("The comment has characters that cannot be shown.");
  if (decision.data === "break-glass" && comment.trim() === "")
    return malformed("Breaking the glass needs a comment that says why.");
  const confirm = form.get("confirm") ?? "";
  if (confirm.length > CONFIRM_MAX) return malformed("The name is too long.");
  return ok({
    digest,
    decision: decision.data,
    comment: comment.trim() === "" ? null : comment,
    confirm: confirm === "" ? null : confirm,
  });
}

const malformed = (reason: string): Result<never, Malformed> => err({ kind: "malformed-request", reason });
