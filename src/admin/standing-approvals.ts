import { z } from "zod";
import { pinsJson } from "../approval/proposal-json.ts";
import { tierOf } from "../approval/proposal-view.ts";
import type { ActionSpec } from "../catalogue/types.ts";
import { standingRules } from "../gateway/admission-request.ts";
import { confirmable } from "../gateway/identify.ts";
import { isShownLine } from "../gateway/shown-text.ts";
import { entryOf } from "../gateway/trail.ts";
import type { ApprovalWithDecisions } from "../ledger/approvals/approval-with-decisions.ts";
import type { StandingAsk } from "../ledger/approvals/ask-standing-approval.ts";
import type { StandingRules } from "../ledger/contract.ts";
import { canonicalJson } from "../platform/canonical-json.ts";
import { digestOf } from "../platform/digest.ts";
import { formatUsd, parseUsd } from "../platform/money.ts";
import { err, ok, type Result } from "../platform/result.ts";
import { PINS_MAX, pinMistake } from "../policy/pins.ts";
import type { Refusal } from "../refusal.ts";
import { ACTION, type EpochMs, type Micros } from "../vocabulary.ts";
import { APPROVAL_LIST_MAX, listQuery, maySee, view } from "./approvals.ts";
import { readBody } from "./body.ts";
import { json, refuse, type AdminAnswer, type AdminCall, type AdminRoute } from "./call.ts";

/** A standing approval ends within a month: longer than that nobody remembers what was seen. */
const MAX_LIFETIME_MS = 30 * 86_400_000;
/** More than a run each half hour for two weeks. */
const MAX_USES = 1_000;

const UNSHOWABLE = "text that is not blank, without control characters or direction overrides";
const line = (max: number): z.ZodString => z.string().min(1).max(max).refine(isShownLine, UNSHOWABLE);
const pin = z.union([z.number(), z.boolean(), line(200), z.array(line(200)).min(1).max(PINS_MAX)]);

const askBody = z.strictObject({
  action: z.string().regex(ACTION),
  /** Over the facts that the catalogue extracts, in the grammar of a policy's constraints. */
  pins: z.record(z.string().max(80), pin),
  uses: z.int().min(1).max(MAX_USES),
  /** All uses together, at their ceilings. */
  cap_usd: z.number().min(0),
  expires_at: z.iso.datetime({ offset: true }),
  reason: line(1_024),
});
type Ask = z.infer<typeof askBody>;

/** Narrowing approvals for requests that come again and again (wire contract, section 7). */
export const standingApprovalRoutes: readonly AdminRoute[] = [
  { method: "POST", path: "/_gate/v1/standing-approvals", roles: null, body: askBody, handle: ask },
  { method: "GET", path: "/_gate/v1/standing-approvals", roles: null, handle: list },
  { method: "GET", path: "/_gate/v1/standing-approvals/:id", roles: null, handle: show },
  { method: "DELETE", path: "/_gate/v1/standing-approvals/:id", roles: null, handle: end },
];

async function ask(call: AdminCall): Promise<AdminAnswer> {
  const body = readBody(call.strict, askBody);
  if (!body.ok) return refuse(body.error);
  // Whose credentials may use it is read from who asks: an agent owns none.
  if (call.principal.class !== "person") return refuse({ kind: "out-of-scope", required_scope: "a person" });
  const checked = checkAsk(call, body.value);
  if (!checked.ok) return refuse(checked.error);
  const asked = standingAsk(call, body.value, checked.value);
  const outcome = await call.ledger.askStandingApproval(call.context.snapshot.authority, asked);
  if (outcome.kind === "stale")
    return refuse({ kind: "unavailable", dependency: "policy", cause: "the policy changed meanwhile" });
  return outcome.kind === "refused" ? refuse(outcome.refusal) : json(view(call, outcome), 201);
}

type Checked = {
  readonly rules: StandingRules;
  readonly spec: ActionSpec;
  readonly capMicros: Micros;
  readonly endsAt: EpochMs;
};

/** Whether catalogue, policy, caps and calendar have nothing against the ask. */
function checkAsk({ context, gate, trail }: AdminCall, { action, pins, ...terms }: Ask): Result<Checked, Refusal> {
  const { policy, catalogue } = context;
  const ban = policy.prohibits(action);
  if (ban !== null) return err({ kind: "prohibited", rule: ban });
  const spec = catalogue.actions.get(action);
  if (spec === undefined || !policy.names(action))
    return err({ kind: "not-allowed", rule: `The policy names no rule for ${action}` });
  const rules = standingRules(policy, action);
  if (rules === null)
    return wrong("action", "nobody approves requests of it, so there is nothing to approve beforehand");
  const mistake = pinMistake(pins, spec);
  if (mistake !== null) return wrong("pins", mistake);
  const texts = Object.values(pins).flatMap((limit) => (typeof limit === "object" ? limit : [limit]));
  if (texts.some((text) => typeof text === "string" && gate.redactor.text(text) !== text))
    return wrong("pins", "a pin looks like a secret");
  const capMicros = parseUsd(String(terms.cap_usd));
  if (capMicros === null) return wrong("cap_usd", "is an amount in USD with at most six decimals");
  const most = policy.budget.monthlyCapMicros;
  if (capMicros > most) return wrong("cap_usd", `the month's cap is ${formatUsd(most)} USD`);
  const endsAt = Date.parse(terms.expires_at);
  if (endsAt <= trail.receivedAt || endsAt > trail.receivedAt + MAX_LIFETIME_MS)
    return wrong("expires_at", "lies within the next 30 days");
  return ok({ rules, spec, capMicros, endsAt });
}

const wrong = (place: string, reason: string) =>
  err({ kind: "malformed-request", reason: `body /${place}: ${reason}` } as const);

/** The ask as the ledger takes it: with its digest, its record, and what approvers see. */
function standingAsk({ context, gate, principal, trail }: AdminCall, body: Ask, checked: Checked): StandingAsk {
  const { policy } = context;
  const { action, pins, uses } = body;
  const { rules, spec, capMicros, endsAt } = checked;
  const until = new Date(endsAt).toISOString();
  const asked = { action, pins: pinsJson(pins), uses, cap_usd: body.cap_usd, expires_at: until };
  const requestDigest = digestOf(
    "portcullis/standing-approval/v1",
    canonicalJson({ tenant: principal.tenant, asker: principal.subject, ...asked }),
  );
  const reason = gate.redactor.text(body.reason) ?? "";
  const { class: principalClass, owner, issuer, delegation } = principal;
  return {
    asker: { ...confirmable(principal), class: principalClass, owner, issuer, delegation: [...delegation] },
    action,
    pins,
    uses,
    capMicros,
    endsAt,
    reason,
    requestDigest,
    rules,
    timeoutMs: policy.approvalTimeoutMs,
    bounds: policy.proposalBounds,
    entry: {
      ...entryOf(trail, gate.redactor, "proposal", trail.receivedAt),
      action,
      tier: rules.tier,
      policy_digest: policy.digest,
      facts: pins,
      cost_micros: capMicros,
      request_digest: requestDigest,
      reason,
      detail: `standing approval: ${uses} uses, ${formatUsd(capMicros)} USD, until ${until}`,
    },
    // The ask itself stands where a request would, and its pins where a request has its facts.
    shown: {
      action,
      tier: rules.tier,
      rule: null,
      facts: pinsJson(pins),
      resource: null,
      request: { method: "POST", path: "/_gate/v1/standing-approvals", query: {}, body: asked },
      affected: null,
      blast_radius: spec.blastRadius,
      elevated: spec.elevated,
      reversible: spec.reversible,
    },
  };
}

async function list(call: AdminCall): Promise<AdminAnswer> {
  const query = listQuery(call);
  if (!query.ok) return refuse(query.error);
  const found = await call.ledger.standingApprovals(query.value.state, APPROVAL_LIST_MAX);
  const visible = found.filter((one) => isConcerned(call, one)).slice(0, query.value.limit);
  return json({ records: visible.map((one) => view(call, one)), next_cursor: null });
}

async function show(call: AdminCall): Promise<AdminAnswer> {
  const found = await call.ledger.approval(call.param("id"));
  if (found === null || found.standing === null || !isConcerned(call, found)) return refuse({ kind: "not-found" });
  return json(view(call, found));
}

async function end(call: AdminCall): Promise<AdminAnswer> {
  const { context, ledger, principal, trail } = call;
  const found = await ledger.approval(call.param("id"));
  if (found === null || principal.class !== "person") return refuse({ kind: "not-found" });
  const { subject, class: principalClass, credentialId, demo, roles } = principal;
  const outcome = await ledger.endStandingApproval({
    requestId: trail.requestId,
    approvalId: found.approval.id,
    by: { subject, class: principalClass, credentialId, demo },
    approvers: context.policy.approvers(tierOf(found.approval.tier)).people,
    isSecurity: roles.includes("security"),
  });
  return outcome.kind === "refused" ? refuse(outcome.refusal) : json(view(call, outcome));
}

/** Whoever may see a proposal, and the credentials that may use it: they have to know what fits. */
const isConcerned = (call: AdminCall, found: ApprovalWithDecisions): boolean =>
  maySee(call, found) || call.principal.owner === found.approval.principal;
