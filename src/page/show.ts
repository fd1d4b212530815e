import { refusedPage, type PageAnswer, type PageCall, type PageRoute } from "./call.ts";
import { formToken } from "./csrf.ts";
import type { FormState } from "./decision-form.ts";
import { listBody } from "./list-page.ts";
import { findProposal, placeOf, storedEvidenceOf, viewOf, type Place } from "./load.ts";
import { startPath } from "./notice-pages.ts";
import { proposalBody, type Notice } from "./proposal-page.ts";
import type { ApprovalWithDecisions } from "../ledger/approvals/approval-with-decisions.ts";
import type { ProposalView } from "../approval/proposal-view.ts";
import type { Visitor } from "./session.ts";
import { LIST_PATH, readReturnPath } from "./sign-in/return-path.ts";
import { readSignInSettings } from "./sign-in/settings.ts";
import { signedOut } from "./signed-out.ts";
import { maySee, standingOf, type Standing } from "./standing.ts";
import { LASTING_STATE_MEANS, titleOf } from "./wording.ts";

/** As many as the ledger keeps open at most, and what ended lately. */
const LISTED_MAX = 200;

/** Reading: nothing here changes anything, whoever fetches it. */
export const showRoutes: readonly PageRoute[] = [
  { method: "GET", path: "/_gate/approvals", handle: list },
  { method: "GET", path: "/_gate/approvals/:id", handle: show },
];

/** The page of a proposal; the list for what is no proposal's id. */
export const proposalPath = (id: string): string => readReturnPath(`${LIST_PATH}/${id}`) ?? LIST_PATH;

async function list(call: PageCall): Promise<PageAnswer> {
  const { visitor } = call;
  if (visitor === null) return signedOut(call, LIST_PATH);
  const place = await placeOf(call, visitor);
  if (!place.ok) return refusedPage(place.error, { visitor });
  const { context, ledger } = place.value;
  const now = call.trail.receivedAt;
  // Asked for by state first: a flood of ended ones must not push an open one off the list.
  const found = new Map<string, ApprovalWithDecisions>();
  for (const state of ["pending", "draft", null]) {
    for (const one of await ledger.approvals(state, LISTED_MAX)) found.set(one.approval.id, one);
  }
  const listed = [...found.values()]
    .filter((one) => maySee(one, context.policy, visitor))
    .map((one) => {
      const view = viewOf(call, context, one);
      return { view, lasting: one.standing, standing: standingOf(one, view, context.policy, visitor, now) };
    });
  const { tenant, subject } = visitor;
  const known = context.people.bySubject(subject) !== null;
  return { kind: "page", title: "Proposals", body: listBody({ tenant, subject, known, listed, now }), visitor };
}

async function show(call: PageCall): Promise<PageAnswer> {
  const id = call.param("id");
  const { visitor } = call;
  if (visitor === null) return signedOut(call, proposalPath(id));
  const place = await placeOf(call, visitor);
  if (!place.ok) return refusedPage(place.error, { visitor });
  const found = await findProposal(place.value, visitor, id);
  if (!found.ok) return refusedPage(found.error, { visitor });
  return proposalAnswer(call, place.value, visitor, found.value, {});
}

/** What a page of a proposal shows besides it: what came of a decision, or what was wrong with one. */
export type Aftermath = Partial<Pick<FormState, "comment" | "confirmError" | "commentError">> & {
  readonly notice?: Notice;
  readonly refusal?: Extract<PageAnswer, { kind: "page" }>["refusal"];
};

/** The page of a proposal for this visitor, with forms bound to exactly what it shows. */
export async function proposalAnswer(
  call: PageCall,
  { context }: Place,
  visitor: Visitor,
  found: ApprovalWithDecisions,
  aftermath: Aftermath,
): Promise<PageAnswer> {
  const now = call.trail.receivedAt;
  const view = viewOf(call, context, found);
  const standing = standingOf(found, view, context.policy, visitor, now);
  const token = formToken(call.gate.keys.sealing, {
    sessionId: visitor.sessionId,
    tenant: visitor.tenant,
    act: "decide",
    proposal: { id: view.id, digest: view.approvalDigest },
  });
  const form: FormState = {
    token,
    comment: aftermath.comment ?? "",
    confirmError: aftermath.confirmError ?? null,
    commentError: aftermath.commentError ?? null,
    signInAgain: await signInAgain(call, visitor, view, standing),
  };
  const notice = aftermath.notice ?? recordedNotice(call, view, standing, found.standing !== null);
  const storedEvidence = await storedEvidenceOf(call, found, visitor);
  return {
    kind: "page",
    title: titleOf(view, found.standing),
    body: proposalBody({ view, lasting: found.standing, storedEvidence, standing, form, notice, now }),
    visitor,
    ...(aftermath.refusal === undefined ? {} : { refusal: aftermath.refusal }),
  };
}

/** Where the visitor signs in anew, null where nothing asks for it or their tenant has no provider. */
async function signInAgain(
  { gate }: PageCall,
  visitor: Visitor,
  view: ProposalView,
  { signIn }: Standing,
): Promise<string | null> {
  if (signIn === "fresh" || view.state !== "pending") return null;
  const settings = await readSignInSettings(gate, visitor.tenant);
  return settings.ok && (settings.value?.oidc ?? null) !== null
    ? startPath(visitor.tenant, proposalPath(view.id), true)
    : null;
}

const RECORDED = {
  approve: "Your approval is recorded",
  deny: "Your denial is recorded",
  "break-glass": "You broke the glass",
} as const;

/** After a decision the browser comes back with its name. Only what the ledger has says that it was made. */
function recordedNotice({ query }: PageCall, view: ProposalView, { mine }: Standing, lasting: boolean): Notice | null {
  if (mine === null || query.get("recorded") !== mine.decision) return null;
  const waits = `${view.given} of ${view.needed} approvals are given.`;
  const text = {
    pending: `${waits} The request runs only when all are.`,
    approved: lasting
      ? `It has all it needs. ${LASTING_STATE_MEANS.approved}`
      : "The proposal has all it needs: exactly this request may now run, once.",
    denied: "It will not run. Its money is no longer held.",
  };
  const state = view.state === "pending" || view.state === "approved" || view.state === "denied" ? view.state : null;
  return { tone: "good", title: RECORDED[mine.decision], text: state === null ? [] : [text[state]] };
}
