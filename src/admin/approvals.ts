import { z } from "zod";
import { decideProposal } from "../approval/decide-proposal.ts";
import { grantToken, proposalJson } from "../approval/proposal-json.ts";
import { proposalView, tierOf } from "../approval/proposal-view.ts";
import { INCIDENT } from "../gateway/gate-headers.ts";
import { areShownLines, isShownLine } from "../gateway/shown-text.ts";
import type { ApprovalWithDecisions } from "../ledger/approvals/approval-with-decisions.ts";
import type { Decider } from "../ledger/approvals/decisions.ts";
import type { JsonObject } from "../platform/json.ts";
import { requiredContext } from "../policy/incidents.ts";
import { err, ok, type Result } from "../platform/result.ts";
import type { Refusal } from "../refusal.ts";
import { decideChange, isBudgetChangeId, showChange, withdrawChange } from "./budget-changes.ts";
import { queryInteger, queryValue, readBody, unknownQuery } from "./body.ts";
import { json, malformed, refuse, type AdminAnswer, type AdminCall, type AdminRoute } from "./call.ts";
import { longPoll } from "./long-poll.ts";
import { ownSignInFault } from "./own-sign-in.ts";

/** Longest wait of a long poll. */
export const APPROVAL_WAIT_MAX_S = 30;

export const APPROVAL_LIST_MAX = 200;
export const APPROVAL_STATES: readonly string[] = [
  "draft",
  "pending",
  "approved",
  "denied",
  "expired",
  "withdrawn",
  "invalidated",
  "consumed",
];

const UNSHOWABLE = "text that is not blank, without control characters or direction overrides";

const lines = (max: number): z.ZodOptional<z.ZodString> =>
  z.string().min(1).max(max).refine(areShownLines, UNSHOWABLE).optional();

const decisionBody = z.strictObject({
  decision: z.enum(["approve", "deny", "break-glass"]),
  comment: lines(1_024),
  confirm: z.string().min(1).max(256).optional(),
});

const reviewBody = z.strictObject({ comment: z.string().min(1).max(1_024).refine(areShownLines, UNSHOWABLE) });

/** The same rules as the headers have: approvers read this text, and must see what is there. */
const contextBody = z.strictObject({
  reason: z.string().min(1).max(1_024).refine(isShownLine, UNSHOWABLE).optional(),
  evidence: lines(8_192),
  back_out: lines(2_048),
  incident: z.string().regex(INCIDENT).optional(),
});

/** Proposals, changes of finance's caps (ids `bud_…`), and their decisions (wire contract, section 7). */
export const approvalRoutes: readonly AdminRoute[] = [
  { method: "GET", path: "/_gate/v1/approvals", roles: null, handle: list },
  { method: "GET", path: "/_gate/v1/approvals/:id", roles: null, handle: show },
  { method: "DELETE", path: "/_gate/v1/approvals/:id", roles: null, handle: withdraw },
  { method: "POST", path: "/_gate/v1/approvals/:id/decisions", roles: null, body: decisionBody, handle: decide },
  { method: "POST", path: "/_gate/v1/approvals/:id/review", roles: null, body: reviewBody, handle: reviewGlass },
  { method: "PUT", path: "/_gate/v1/approvals/:id/context", roles: null, body: contextBody, handle: complete },
];

async function list(call: AdminCall): Promise<AdminAnswer> {
  const query = listQuery(call);
  if (!query.ok) return refuse(query.error);
  const found = await call.ledger.approvals(query.value.state, APPROVAL_LIST_MAX);
  const visible = found.filter((one) => maySee(call, one)).slice(0, query.value.limit);
  return json({ records: visible.map((one) => view(call, one)), next_cursor: null });
}

/** The query of a list of approvals, standing ones included: one state or all, and how many. */
export function listQuery({
  strict,
}: AdminCall): Result<{ readonly state: string | null; readonly limit: number }, Refusal> {
  const unknown = unknownQuery(strict, ["state", "limit"]);
  if (unknown !== null) return err(unknown);
  const state = queryValue(strict, "state");
  if (state !== null && !APPROVAL_STATES.includes(state))
    return err({ kind: "malformed-request", reason: `query: state is one of ${APPROVAL_STATES.join(", ")}` });
  const limit = queryInteger(strict, "limit", 50, APPROVAL_LIST_MAX);
  return limit === null
    ? err({ kind: "malformed-request", reason: `query: limit is a number up to ${APPROVAL_LIST_MAX}` })
    : ok({ state, limit });
}

async function show(call: AdminCall): Promise<AdminAnswer> {
  const unknown = unknownQuery(call.strict, ["wait"]);
  if (unknown !== null) return refuse(unknown);
  const waitS = queryInteger(call.strict, "wait", 0, APPROVAL_WAIT_MAX_S);
  if (waitS === null) return malformed(`query: wait is a number of seconds up to ${APPROVAL_WAIT_MAX_S}`);
  if (isBudgetChangeId(call.param("id"))) return showChange(call, waitS);
  const found = await longPoll(
    call.principal,
    waitS,
    () => call.ledger.approval(call.param("id")),
    (one) => one !== null && maySee(call, one) && isOpen(one),
  );
  if (found === null || !maySee(call, found)) return refuse({ kind: "not-found" });
  return json(await withToken(call, found));
}

async function decide(call: AdminCall): Promise<AdminAnswer> {
  const body = readBody(call.strict, decisionBody);
  if (!body.ok) return refuse(body.error);
  if (isBudgetChangeId(call.param("id"))) return decideChange(call, body.value);
  const { principal, trail } = call;
  const outcome = await decideProposal(
    call,
    {
      subject: principal.subject,
      class: principal.class,
      credentialId: principal.credentialId,
      demo: principal.demo,
      channel: "api",
      authenticatedAt: principal.authenticatedAt,
      fault: ownSignInFault(principal),
    },
    {
      requestId: trail.requestId,
      approvalId: call.param("id"),
      decision: body.value.decision,
      comment: body.value.comment ?? null,
      confirm: body.value.confirm ?? null,
    },
    trail.receivedAt,
  );
  return outcome.kind === "refused" ? refuse(outcome.refusal) : json(view(call, outcome));
}

/** What the review of a broken glass found: said by somebody else who may decide, or by security. */
async function reviewGlass(call: AdminCall): Promise<AdminAnswer> {
  const body = readBody(call.strict, reviewBody);
  if (!body.ok) return refuse(body.error);
  const found = await call.ledger.approval(call.param("id"));
  if (found === null || !maySee(call, found)) return refuse({ kind: "not-found" });
  const { principal, context, gate } = call;
  const approvers = context.policy.approvers(tierOf(found.approval.tier)).people;
  const security = principal.roles.includes("security") ? [{ handle: "", subject: principal.subject }] : [];
  const outcome = await call.ledger.review({
    requestId: call.trail.requestId,
    approvalId: found.approval.id,
    by: byOf(call),
    comment: gate.redactor.text(body.value.comment) ?? "",
    reviewers: [...approvers, ...security],
  });
  return outcome.kind === "refused" ? refuse(outcome.refusal) : json(view(call, outcome));
}

async function withdraw(call: AdminCall): Promise<AdminAnswer> {
  if (isBudgetChangeId(call.param("id"))) return withdrawChange(call);
  const outcome = await call.ledger.withdraw({
    requestId: call.trail.requestId,
    approvalId: call.param("id"),
    by: byOf(call),
  });
  return outcome.kind === "refused" ? refuse(outcome.refusal) : json(view(call, outcome));
}

async function complete(call: AdminCall): Promise<AdminAnswer> {
  const body = readBody(call.strict, contextBody);
  if (!body.ok) return refuse(body.error);
  const found = await call.ledger.approval(call.param("id"));
  if (found === null || !maySee(call, found)) return refuse({ kind: "not-found" });
  const { policy, snapshot } = call.context;
  const { redactor } = call.gate;
  const outcome = await call.ledger.completeDraft(snapshot.authority, {
    requestId: call.trail.requestId,
    approvalId: found.approval.id,
    by: byOf(call),
    context: {
      reason: redactor.text(body.value.reason ?? null),
      evidence: redactor.text(body.value.evidence ?? null),
      evidenceRef: null,
      backOut: redactor.text(body.value.back_out ?? null),
      incident: redactor.text(body.value.incident ?? null),
    },
    required: requiredContext(policy, tierOf(found.approval.tier), found.approval.action),
    budget: {
      timezone: policy.timezone,
      ...policy.budget,
      ...policy.spending({ subject: found.approval.principal, owner: found.approval.owner }, found.approval.action),
    },
    bounds: policy.proposalBounds,
    claimMs: policy.incidents.claimMs,
  });
  if (outcome.kind === "stale")
    return refuse({ kind: "unavailable", dependency: "policy", cause: "the policy changed meanwhile" });
  return outcome.kind === "refused" ? refuse(outcome.refusal) : json(view(call, outcome));
}

const byOf = ({ principal: { subject, class: principalClass, credentialId, demo } }: AdminCall): Decider => ({
  subject,
  class: principalClass,
  credentialId,
  demo,
});

const isOpen = ({ approval }: ApprovalWithDecisions): boolean =>
  approval.state === "draft" || approval.state === "pending";

/** The requester, the owner of its credential, whoever may decide it or break its glass, and security. Everybody else: not found. */
export function maySee(call: AdminCall, { approval }: ApprovalWithDecisions): boolean {
  const { principal } = call;
  if (principal.subject === approval.principal || principal.subject === approval.owner) return true;
  if (principal.class !== "person") return false;
  if (principal.roles.includes("security") || principal.roles.includes("operator")) return true;
  const { policy } = call.context;
  if (policy.breakGlass.includes(principal.subject)) return true;
  return policy.approvers(tierOf(approval.tier)).people.some((p) => p.subject === principal.subject);
}

/** The proposal as it stands now. */
export function view({ context, gate }: AdminCall, found: ApprovalWithDecisions): JsonObject {
  const { policy, people, tenant } = context;
  return proposalJson(found, proposalView(found, { tenant, policy, people, publicUrl: gate.config.publicUrl }));
}

/** The view, with the approval token for the requester once there is a grant. */
async function withToken(call: AdminCall, found: ApprovalWithDecisions): Promise<JsonObject> {
  const { gate, principal } = call;
  const shown = view(call, found);
  if (found.approval.principal !== principal.subject) return shown;
  const token = await grantToken(found, principal.tenant, gate.keys.approval);
  return token === null ? shown : { ...shown, token };
}
