import type { AdmissionRequest, PlanOutcome } from "../ledger/contract.ts";
import { ledgerOf } from "../ledger/ledger-port.ts";
import { usd } from "../platform/money.ts";
import { readAnswer, type Answer } from "../upstream/read-answer.ts";
import { send } from "../upstream/send.ts";
import { liftOf, requirementOf } from "./admission-request.ts";
import { noteTally } from "./aggregated.ts";
import { askLedger } from "./ask-ledger.ts";
import type { Ended } from "./ended.ts";
import type { Judgement } from "./judge.ts";
import { withNearest } from "./nearest-affordable.ts";
import { shownReach, type Observation } from "./observe.ts";
import { jsonResponse, showBudget, storedResponse } from "./respond.ts";
import type { TenantContext } from "./tenant-context.ts";
import type { Write } from "./write.ts";

/** `dry_run: inline`: the gate runs upstream's own dry run right before admission; one that fails ends the request. */
export async function inlineDryRun(
  write: Write,
  context: TenantContext,
  request: AdmissionRequest,
): Promise<Ended | null> {
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
export async function planWrite(
  write: Write,
  context: TenantContext,
  judgement: Judgement,
  request: AdmissionRequest,
  observation: Observation,
): Promise<Ended | "stale"> {
  const { gate, trail, operation, digest } = write;
  const ledger = ledgerOf(gate.env.LEDGER, context.tenant);
  // Checked before upstream hears of it: a plan that the gate would refuse is the refusal itself.
  const checked = await askLedger<PlanOutcome>(() => ledger.plan(request, false));
  if (checked.kind === "stale") return "stale";
  if (checked.kind === "refused") {
    noteTally(trail, checked);
    showBudget(trail, checked.budget);
    return { kind: "refused", refusal: withNearest(checked.refusal, operation, judgement, context, trail.receivedAt) };
  }
  const answer = operation.dryRun === null ? null : await runDryRun(write, context);
  if (typeof answer === "string")
    return {
      kind: "refused",
      refusal: { kind: "upstream-failed", reason: `The control plane's dry run failed: ${answer}.` },
    };
  const upstreamAgrees = answer === null || operation.dryRun?.successStatuses.has(answer.status) === true;
  const earnsReceipt = judgement.tier === 2 && checked.tally.lifted === null && upstreamAgrees;
  const planned = earnsReceipt ? await askLedger<PlanOutcome>(() => ledger.plan(request, true)) : checked;
  if (planned.kind === "stale") return "stale";
  noteTally(trail, planned);
  if (planned.kind === "refused")
    return { kind: "refused", refusal: withNearest(planned.refusal, operation, judgement, context, trail.receivedAt) };
  showBudget(trail, planned.before);
  const lift = planned.tally.lifted === null ? null : liftOf(judgement, context, operation.action);
  const requirement = lift?.requirement ?? requirementOf(judgement, context, operation.action);
  const body = {
    decision: "plan",
    action: operation.action,
    tier: planned.tally.lifted?.tier ?? judgement.tier,
    rule: planned.tally.lifted?.rule ?? judgement.rule,
    facts: judgement.facts.facts,
    cost:
      judgement.cost.kind === "priced"
        ? {
            ceiling_usd: usd(judgement.cost.ceilingMicros),
            ceiling_micros: judgement.cost.ceilingMicros,
            adds_usd: usd(planned.addsMicros),
            adds_micros: planned.addsMicros,
            price_version: judgement.cost.priceVersion,
            price_as_of: judgement.pricesAskedAt === null ? null : new Date(judgement.pricesAskedAt).toISOString(),
          }
        : { ceiling_usd: 0, ceiling_micros: 0, adds_usd: 0, adds_micros: 0, price_version: null, price_as_of: null },
    budget: { before: planned.before, after: planned.after },
    approvals: { needed: requirement.kind === "approval" ? requirement.needed : 0, eligible: planned.eligible },
    missing: requirement.kind === "approval" ? requirement.missingContext : judgement.missingContext,
    ...shownReach(context, operation.action, observation),
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
