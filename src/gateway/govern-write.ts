import { freezeRefusal } from "../ledger/authority.ts";
import type { AdmissionRequest, Conclusion, StoredOutcome } from "../ledger/contract.ts";
import { ledgerOf } from "../ledger/ledger-port.ts";
import { operationUrl } from "../ledger/replay.ts";
import { ok } from "../platform/result.ts";
import type { Refusal } from "../refusal.ts";
import { readAnswer } from "../upstream/read-answer.ts";
import { send } from "../upstream/send.ts";
import { admissionRequest } from "./admission-request.ts";
import { noteTally } from "./aggregated.ts";
import { askLedger, neverSent, reportConclusion } from "./ask-ledger.ts";
import { inlineDryRun, planWrite } from "./dry-run.ts";
import type { Ended } from "./ended.ts";
import { judge, type Judgement } from "./judge.ts";
import { sealCall, sealProposed } from "./sealed-request.ts";
import { withNearest } from "./nearest-affordable.ts";
import { observe, UNOBSERVED } from "./observe.ts";
import { presentTokens } from "./present-tokens.ts";
import { jsonResponse, showBudget, storedResponse } from "./respond.ts";
import type { TenantContext } from "./tenant-context.ts";
import type { Trail } from "./trail.ts";
import type { Write } from "./write.ts";

/**
 * Governs a request of tier 2 and above, or one that asks for a dry run: judge, admit in ONE ledger call, dispatch, answer,
 * conclude. When the ledger says that the judgement rests on documents no longer in force, it is judged once more.
 */
export async function governWrite(write: Write, context: TenantContext): Promise<Ended | "stale"> {
  const { gate, trail, operation } = write;
  const judged = await judge(trail, operation, context, gate.prices);
  const early = judged.ok ? (earlyRefusal(write, judged.value, context) ?? upstreamDown(write, context)) : judged.error;
  const judgement = judged.ok ? judged.value : null;
  const costMicros = judgement?.cost.kind === "priced" ? judgement.cost.ceilingMicros : 0;
  const frozen = freezeRefusal(context.snapshot.freezes, write.principal, operation.action, costMicros);
  // What is refused already needs no look at what it would affect.
  const asked = judgement !== null && early === null && frozen === null;
  const observed = asked ? await observe(write, context, judgement) : ok(UNOBSERVED);
  const observation = observed.ok ? observed.value : UNOBSERVED;
  const refusal = observed.ok ? early : observed.error;
  // Scope and prohibition come before replay and freeze, and nothing that the ledger knows changes them.
  if (refusal?.kind === "out-of-scope" || refusal?.kind === "prohibited") return { kind: "refused", refusal };
  // Only a request that may have been answered before can be a replay: the rest need not ask.
  if ((refusal !== null || frozen !== null) && !mayRepeat(trail, judgement, context))
    return { kind: "refused", refusal: frozen ?? refusal ?? NEVER };
  const tokens = await presentTokens(write, context, confirmation(write, judgement, context));
  const request = admissionRequest(gate, trail, write.principal, operation, context, write.digest, {
    judgement,
    // Also a freeze that was lifted meanwhile: this request went without its inline dry run.
    refusal: frozen ?? refusal,
    observation,
    tokens,
    kept: await sealKept(write, judgement, context),
  });
  if (trail.gate?.dryRun === true) {
    return judgement === null
      ? { kind: "refused", refusal: refusal ?? NEVER }
      : planWrite(write, context, judgement, request, observation);
  }
  if (refusal === null && frozen === null) {
    const inline = await inlineDryRun(write, context, request);
    if (inline !== null) return inline;
  }
  const outcome = await askLedger(
    () => ledgerOf(gate.env.LEDGER, context.tenant).admit(request),
    // Should it admit after all: nothing was sent and nothing will be, so what it holds is free again.
    () =>
      write.waitUntil(
        reportConclusion(gate, context.tenant, neverSent(trail.requestId, "the ledger answered too late")),
      ),
  );
  if (outcome.kind === "stale") return "stale";
  if (outcome.kind !== "replay") noteTally(trail, outcome);
  if (outcome.kind === "refused") {
    showBudget(trail, outcome.budget);
    return { kind: "refused", refusal: withNearest(outcome.refusal, operation, judgement, context, trail.receivedAt) };
  }
  showBudget(trail, outcome.budget);
  if (outcome.kind === "replay") return replay(write, outcome.outcome);
  return dispatch(write, context);
}

/**
 * What the ledger keeps of the request, sealed: for the look-up of its outcome, and (where the policy says so) for the gate
 * to run it once people have approved. A dry run keeps nothing.
 */
async function sealKept(
  { gate, trail, principal, operation }: Write,
  judgement: Judgement | null,
  { policy }: TenantContext,
): Promise<Pick<AdmissionRequest, "sent" | "stored">> {
  if (judgement === null || trail.gate?.dryRun === true) return { sent: null, stored: null };
  const { sealing } = gate.keys;
  const runs = asksPeople(judgement) && policy.execute === "stored";
  return {
    sent: operation.outcome.lookUp === null ? null : await sealCall(operation.call, principal.tenant, sealing),
    stored: runs ? await sealProposed(operation.call, principal, sealing) : null,
  };
}

/** Whether people decide about the request, or may have to. */
const asksPeople = ({ tier, missingIfLifted }: Judgement): boolean => tier >= 3 || missingIfLifted !== null;

/** `refusal` is set wherever this is used; the union cannot say so. */
const NEVER: Refusal = { kind: "unavailable", dependency: "gate", cause: "no refusal to report" };

/** Refusals that follow a successful judgement and come before the ledger's own. */
function earlyRefusal(write: Write, judgement: Judgement, context: TenantContext): Refusal | null {
  const { gate: headers } = write.trail;
  if (headers?.dryRun === true) return null;
  if (context.policy.idempotency === "required" && (headers?.idempotencyKey ?? null) === null)
    return { kind: "idempotency-key-required" };
  // From tier 3 missing context opens a draft instead, and what may be lifted to it is the ledger's to refuse.
  if (judgement.tier === 2 && judgement.missingIfLifted === null && judgement.missingContext.length > 0)
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
  return judgement !== null && (asksPeople(judgement) || policy.idempotency === "derived");
}

/** What approvers have to type where the policy asks for it, as on the proposal; null where a click is enough. */
function confirmation({ operation }: Write, judgement: Judgement | null, context: TenantContext): string | null {
  if (judgement === null) return null;
  const { action } = operation;
  const asked = context.policy.confirms(
    asksPeople(judgement) && judgement.tier < 3 ? 3 : judgement.tier,
    context.catalogue.actions.get(action)?.blastRadius ?? null,
  );
  return asked ? (judgement.facts.resource ?? action) : null;
}

/** Sends the admitted write, once. Whatever happens from here on is reported to the ledger or found out by it. */
async function dispatch(write: Write, context: TenantContext): Promise<Ended> {
  const { gate, trail, operation, passed } = write;
  const conclude = (conclusion: Omit<Conclusion, "requestId">): void =>
    write.waitUntil(reportConclusion(gate, context.tenant, { ...conclusion, requestId: trail.requestId }));
  const unknown = (cause: string, status: number | null): Ended => {
    conclude({
      outcome: "unknown",
      upstreamStatus: status,
      resource: null,
      actualMicros: null,
      response: null,
      detail: cause,
    });
    return { kind: "dispatched", refusal: { kind: "outcome-unknown", operation_url: operationUrl(trail.requestId) } };
  };
  const sent = await send(context.upstream, operation.dispatch(trail.requestId), passed, trail.requestId, Date.now());
  if (sent.kind === "not-sent") {
    conclude(neverSent(trail.requestId, sent.cause));
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
    // Of what was refused nothing is owed, whatever the answer says beside it.
    actualMicros: outcome === "succeeded" ? operation.outcome.actualMicros(answer.json) : null,
    response,
    detail: null,
  });
  return { kind: "dispatched", response: storedResponse(trail, response, false, Date.now()) };
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
