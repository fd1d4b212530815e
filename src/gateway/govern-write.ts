import { verifyApprovalToken } from "../approval/approval-token.ts";
import type { MatchedOperation } from "../catalogue/types.ts";
import type { Principal } from "../identity/principal.ts";
import type { AdmissionOutcome, AdmissionRequest, Conclusion, PlanOutcome, StoredOutcome } from "../ledger/contract.ts";
import { ledgerOf } from "../ledger/ledger-port.ts";
import { operationUrl } from "../ledger/replay.ts";
import { freezeRefusal } from "../ledger/authority.ts";
import { describeError } from "../platform/describe-error.ts";
import { log } from "../platform/log.ts";
import { usd } from "../platform/money.ts";
import type { Refusal } from "../refusal.ts";
import { readAnswer, type Answer } from "../upstream/read-answer.ts";
import { send } from "../upstream/send.ts";
import type { Digest } from "../vocabulary.ts";
import { admissionRequest, requirementOf, type Tokens } from "./admission-request.ts";
import type { Gate } from "./gate.ts";
import { judge, type Judgement } from "./judge.ts";
import type { Ended } from "./ended.ts";
import { jsonResponse, showBudget, storedResponse } from "./respond.ts";
import type { TenantContext } from "./tenant-context.ts";
import type { Trail } from "./trail.ts";

/** Longest wait for the ledger's answer; after it the gate answers 503 and dispatches nothing. */
const LEDGER_WAIT_MS = 10_000;

/** Attempts to report a conclusion before the ledger's own deadline takes over. */
const CONCLUDE_ATTEMPTS = 3;

export type Write = {
  readonly gate: Gate;
  readonly trail: Trail;
  readonly principal: Principal;
  readonly operation: MatchedOperation;
  readonly digest: Digest;
  readonly passed: Readonly<Record<string, string>>;
  readonly waitUntil: (work: Promise<unknown>) => void;
};

/**
 * Governs a request of tier 2 and above, or one that asks for a dry run: judge, admit in ONE ledger call, dispatch, answer,
 * conclude. When the ledger says that the judgement rests on documents no longer in force, it is judged once more.
 */
export async function governWrite(write: Write, context: TenantContext): Promise<Ended | "stale"> {
  const { gate, trail, operation } = write;
  const judged = await judge(trail, operation, context);
  const refusal = judged.ok
    ? (earlyRefusal(write, judged.value, context) ?? upstreamDown(write, context))
    : judged.error;
  const judgement = judged.ok ? judged.value : null;
  const frozen = freezeRefusal(context.snapshot.freezes, write.principal.subject, operation.action);
  // Scope and prohibition come before replay and freeze, and nothing that the ledger knows changes them.
  if (refusal?.kind === "out-of-scope" || refusal?.kind === "prohibited") return { kind: "refused", refusal };
  // Only a request that may have been answered before can be a replay: the rest need not ask.
  if ((refusal !== null || frozen !== null) && !mayRepeat(trail, judgement, context))
    return { kind: "refused", refusal: frozen ?? refusal ?? NEVER };
  const tokens = await verifyTokens(write);
  const nearest = null;
  const request = admissionRequest(gate, trail, write.principal, operation, context, write.digest, {
    judgement,
    // Also a freeze that was lifted meanwhile: this request went without its inline dry run.
    refusal: frozen ?? refusal,
    tokens,
    nearest,
  });
  if (trail.gate?.dryRun === true) {
    return judgement === null
      ? { kind: "refused", refusal: refusal ?? NEVER }
      : planWrite(write, context, judgement, request);
  }
  if (refusal === null && frozen === null) {
    const inline = await inlineDryRun(write, context, request);
    if (inline !== null) return inline;
  }
  const outcome = await askLedger(() => ledgerOf(gate.env.LEDGER, context.tenant).admit(request));
  if (outcome.kind === "stale") return "stale";
  if (outcome.kind === "refused") {
    showBudget(trail, outcome.budget);
    return { kind: "refused", refusal: outcome.refusal };
  }
  showBudget(trail, outcome.budget);
  if (outcome.kind === "replay") return replay(write, outcome.outcome);
  return dispatch(write, context);
}

/** `refusal` is set wherever this is used; the union cannot say so. */
const NEVER: Refusal = { kind: "unavailable", dependency: "gate", cause: "no refusal to report" };

/** Refusals that follow a successful judgement and come before the ledger's own. */
function earlyRefusal(write: Write, judgement: Judgement, context: TenantContext): Refusal | null {
  const { gate: headers } = write.trail;
  if (headers?.dryRun === true) return null;
  if (context.policy.idempotency === "required" && (headers?.idempotencyKey ?? null) === null)
    return { kind: "idempotency-key-required" };
  // From tier 3 missing context opens a draft instead.
  if (judgement.tier === 2 && judgement.missingContext.length > 0)
    return { kind: "reason-required", missing: judgement.missingContext };
  return null;
}

/** While the control plane is known to be down nothing is admitted: an outage must not eat the budget in unknown holds. */
const upstreamDown = ({ trail }: Write, { upstream }: TenantContext): Refusal | null =>
  trail.gate?.dryRun === true || upstream.breaker.allows(trail.receivedAt)
    ? null
    : { kind: "unavailable", dependency: "upstream", cause: "circuit breaker is open" };

/** Whether the request may repeat one that was dispatched: it names that one, or its digest alone can find it. */
function mayRepeat({ gate }: Trail, judgement: Judgement | null, { policy }: TenantContext): boolean {
  if (gate?.dryRun === true) return false;
  if (gate !== null && (gate.idempotencyKey !== null || gate.plan !== null || gate.approvals.length > 0)) return true;
  return judgement !== null && (judgement.tier > 2 || policy.idempotency === "derived");
}

async function verifyTokens({ gate, trail, principal }: Write): Promise<Tokens> {
  const tokens = [];
  for (const token of trail.gate?.approvals ?? []) {
    const verified = await verifyApprovalToken(token, principal.tenant, gate.keys.approval, trail.receivedAt);
    if (!verified.ok) return { tokens, tokenFault: verified.error };
    const { jti, approvalId, approvalDigest, principalSubject } = verified.value;
    if (principalSubject !== principal.subject) {
      return {
        tokens,
        tokenFault: { kind: "approval-invalid", reason: "The approval was given to another principal." },
      };
    }
    tokens.push({ jti, approvalId, approvalDigest });
  }
  return { tokens, tokenFault: null };
}

/** `dry_run: inline`: the gate runs upstream's own dry run right before admission; one that fails ends the request. */
async function inlineDryRun(write: Write, context: TenantContext, request: AdmissionRequest): Promise<Ended | null> {
  const { operation, trail } = write;
  if (context.policy.dryRun !== "inline" || request.tier !== 2 || operation.dryRun === null) return null;
  const answer = await runDryRun(write, context);
  if (typeof answer === "string")
    return { kind: "refused", refusal: { kind: "unavailable", dependency: "upstream", cause: answer } };
  if (operation.dryRun.successStatuses.has(answer.status)) return null;
  const response = storedResponse(
    trail,
    { status: answer.status, contentType: answer.contentType, body: answer.text },
    false,
    Date.now(),
  );
  return { kind: "answered", response, code: "dry-run-failed", upstreamStatus: answer.status };
}

async function runDryRun({ operation, trail, passed }: Write, context: TenantContext): Promise<Answer | string> {
  if (operation.dryRun === null) return "no dry run";
  const sent = await send(context.upstream, operation.dryRun.call, passed, `${trail.requestId}-dry-run`, Date.now());
  if (sent.kind !== "answered") return sent.cause;
  const read = await readAnswer(sent.response, context.upstream.deadlineMs);
  return read.kind === "complete" ? read.answer : read.cause;
}

/** The plan of a dry run: nothing is dispatched as a mutation, nothing is held; tier 2 earns a receipt. */
async function planWrite(
  write: Write,
  context: TenantContext,
  judgement: Judgement,
  request: AdmissionRequest,
): Promise<Ended | "stale"> {
  const { gate, trail, operation, digest } = write;
  const ledger = ledgerOf(gate.env.LEDGER, context.tenant);
  // Checked before upstream hears of it: a plan that the gate would refuse is the refusal itself.
  const checked = await askLedger<PlanOutcome>(() => ledger.plan(request, false));
  if (checked.kind === "stale") return "stale";
  if (checked.kind === "refused") {
    showBudget(trail, checked.budget);
    return { kind: "refused", refusal: checked.refusal };
  }
  const answer = operation.dryRun === null ? null : await runDryRun(write, context);
  if (typeof answer === "string")
    return {
      kind: "refused",
      refusal: { kind: "upstream-failed", reason: `The control plane's dry run failed: ${answer}.` },
    };
  const upstreamAgrees = answer === null || operation.dryRun?.successStatuses.has(answer.status) === true;
  const earnsReceipt = judgement.tier === 2 && upstreamAgrees;
  const planned = earnsReceipt ? await askLedger<PlanOutcome>(() => ledger.plan(request, true)) : checked;
  if (planned.kind === "stale") return "stale";
  if (planned.kind === "refused") return { kind: "refused", refusal: planned.refusal };
  showBudget(trail, planned.before);
  const requirement = requirementOf(judgement, context, operation.action);
  const body = {
    decision: "plan",
    action: operation.action,
    tier: judgement.tier,
    rule: judgement.rule,
    facts: judgement.facts.facts,
    cost:
      judgement.cost.kind === "priced"
        ? {
            ceiling_usd: usd(judgement.cost.ceilingMicros),
            ceiling_micros: judgement.cost.ceilingMicros,
            price_version: judgement.cost.priceVersion,
          }
        : { ceiling_usd: 0, ceiling_micros: 0, price_version: null },
    budget: { before: planned.before, after: planned.after },
    approvals: { needed: requirement.kind === "approval" ? requirement.needed : 0, eligible: planned.eligible },
    missing: judgement.missingContext,
    upstream: answer === null ? null : { status: answer.status, body: answer.json ?? answer.text },
    request_digest: digest,
    receipt: planned.receipt?.receipt ?? null,
    receipt_expires_at: planned.receipt === null ? null : new Date(planned.receipt.expiresAt).toISOString(),
  };
  return {
    kind: "planned",
    response: jsonResponse(trail, "plan", body, Date.now()),
    upstreamStatus: answer?.status ?? null,
  };
}

/** Sends the admitted write, once. Whatever happens from here on is reported to the ledger or found out by it. */
async function dispatch(write: Write, context: TenantContext): Promise<Ended> {
  const { gate, trail, operation, passed } = write;
  const conclude = (conclusion: Omit<Conclusion, "requestId">): void =>
    write.waitUntil(reportConclusion(gate, context.tenant, { requestId: trail.requestId, ...conclusion }));
  const unknown = (cause: string, status: number | null): Ended => {
    conclude({ outcome: "unknown", upstreamStatus: status, resource: null, response: null, detail: cause });
    return { kind: "dispatched", refusal: { kind: "outcome-unknown", operation_url: operationUrl(trail.requestId) } };
  };
  const sent = await send(context.upstream, operation.dispatch(trail.requestId), passed, trail.requestId, Date.now());
  if (sent.kind === "not-sent") {
    conclude({ outcome: "not-sent", upstreamStatus: null, resource: null, response: null, detail: sent.cause });
    return { kind: "dispatched", refusal: { kind: "upstream-failed", reason: "Nothing was sent, nothing is held." } };
  }
  if (sent.kind === "no-answer") return unknown(sent.cause, null);
  const read = await readAnswer(sent.response, context.upstream.deadlineMs);
  if (read.kind === "incomplete") return unknown(read.cause, sent.response.status);
  const { answer } = read;
  const outcome = operation.outcome.judge(answer.status, answer.json);
  if (outcome === "unknown") return unknown(`status ${answer.status}`, answer.status);
  const response = { status: answer.status, contentType: answer.contentType, body: answer.text };
  conclude({
    outcome,
    upstreamStatus: answer.status,
    resource: operation.outcome.resource(answer.json),
    response,
    detail: null,
  });
  return { kind: "dispatched", response: storedResponse(trail, response, false, Date.now()) };
}

/** Reports how a dispatch ended. When the ledger cannot be reached it finds out by itself: see `dispatchDeadline`. */
async function reportConclusion(gate: Gate, tenant: string, conclusion: Conclusion): Promise<void> {
  for (let attempt = 1; attempt <= CONCLUDE_ATTEMPTS; attempt++) {
    try {
      return await ledgerOf(gate.env.LEDGER, tenant).conclude(conclusion);
    } catch (error) {
      log("warn", "conclude", { tenant, requestId: conclusion.requestId, attempt, cause: describeError(error) });
    }
  }
}

/** A stored outcome answered again: the same status and body, nothing dispatched. */
function replay({ trail }: Write, stored: StoredOutcome): Ended {
  if (stored.state === "unknown") {
    trail.headers["idempotency-replayed"] = "?1";
    return { kind: "refused", refusal: { kind: "outcome-unknown", operation_url: operationUrl(stored.requestId) } };
  }
  if (stored.response !== null) {
    return {
      kind: "replayed",
      response: storedResponse(trail, stored.response, true, Date.now()),
      of: stored.requestId,
    };
  }
  // Found out by look-up: there is no answer of upstream's to repeat, only what became of it.
  const body = { outcome: stored.state, operation_url: operationUrl(stored.requestId) };
  trail.headers["idempotency-replayed"] = "?1";
  return { kind: "replayed", response: jsonResponse(trail, "allow", body, Date.now()), of: stored.requestId };
}

/** Asks the ledger within a bound. No answer is `unavailable`: should it have admitted after all, it knows that nothing was reported. */
async function askLedger<T extends AdmissionOutcome | PlanOutcome>(
  ask: () => Promise<T>,
): Promise<T | { kind: "refused"; refusal: Refusal; budget: null }> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<{ kind: "refused"; refusal: Refusal; budget: null }>((resolve) => {
    timer = setTimeout(() => resolve(noLedger("no answer in time")), LEDGER_WAIT_MS);
  });
  try {
    return await Promise.race([ask(), late]);
  } catch (error) {
    return noLedger(describeError(error));
  } finally {
    clearTimeout(timer);
  }
}

const noLedger = (cause: string): { kind: "refused"; refusal: Refusal; budget: null } => ({
  kind: "refused",
  refusal: { kind: "unavailable", dependency: "ledger", cause },
  budget: null,
});
