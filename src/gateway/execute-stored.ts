import { ledgerOf } from "../ledger/ledger-port.ts";
import { newId } from "../platform/ids.ts";
import type { Delivery } from "../notify/delivery.ts";
import type { Gate } from "./gate.ts";
import { gateKeep } from "./judge.ts";
import { governWrite } from "./govern-write.ts";
import { recordEnding } from "./record-ending.ts";
import { requestDigest } from "./request-digest.ts";
import { openProposed, requestOf } from "./sealed-request.ts";
import { storedTrail } from "./trail.ts";

type WaitUntil = (work: Promise<unknown>) => void;

/**
 * What became of the try, and the problem slug where something said no. `frozenScope`: of the freeze that said it; the approval
 * stands, and the ledger has to try again when that freeze is lifted.
 */
export type StoredExecution = {
  readonly delivery: Delivery;
  readonly requestId: string;
  readonly refused: string | null;
  readonly frozenScope: string | null;
};

/**
 * Runs the request of an approved proposal that the gate has kept (`execute: stored`). It is judged from the beginning, as if
 * its requester had sent it at this moment: credential, policy, freeze, price and budget all have their say, and the grant is
 * consumed in the admission. Run twice, the second finds the grant spent and sends nothing. What is refused is not tried again, but
 * for a freeze.
 */
export async function executeStored(
  gate: Gate,
  tenant: string,
  approvalId: string,
  waitUntil: WaitUntil,
): Promise<StoredExecution> {
  const requestId = newId("req");
  const ended = (
    delivery: Delivery,
    refused: string | null = null,
    frozenScope: string | null = null,
  ): StoredExecution => ({ delivery, requestId, refused, frozenScope });
  const sealed = await ledgerOf(gate.env.LEDGER, tenant).storedRequest(approvalId);
  // Used, ended, or run before.
  if (sealed === null) return ended({ kind: "done" });
  const kept = await openProposed(sealed, tenant, gate.keys.sealing);
  if (!kept.ok) return ended({ kind: "failed", reason: kept.error }, "unavailable");
  const { call, principal } = kept.value;
  // Twice at most: the second time under the documents that the ledger says are in force.
  for (let attempt = 1; attempt <= 2; attempt++) {
    const now = Date.now();
    gate.tenants.forget(tenant);
    const context = await gate.tenants.get(tenant, now, waitUntil);
    if (!context.ok) return ended({ kind: "retry", afterMs: null, reason: context.error.kind });
    const matched = context.value.catalogue.match(requestOf(call));
    const trail = storedTrail(requestId, call, principal, now);
    if (!matched.ok) {
      recordEnding(gate, trail, { kind: "refused", refusal: matched.error }, waitUntil);
      return ended({ kind: "failed", reason: matched.error.kind }, matched.error.kind);
    }
    const operation = matched.value;
    trail.operation = operation;
    trail.tier = operation.minimumTier;
    const digest = requestDigest(tenant, principal.subject, operation.action, operation.call);
    trail.requestDigest = digest;
    const barred = gateKeep(trail, operation, context.value);
    const outcome =
      barred === null
        ? await governWrite({ gate, trail, principal, operation, digest, passed: {}, waitUntil }, context.value)
        : ({ kind: "refused", refusal: barred } as const);
    if (outcome === "stale") continue;
    recordEnding(gate, trail, outcome, waitUntil);
    const refusal = "refusal" in outcome ? outcome.refusal : null;
    // What was dispatched is reported by its own conclusion.
    if (outcome.kind !== "refused" || refusal === null) return ended({ kind: "done" });
    return refusal.kind === "unavailable"
      ? ended({ kind: "retry", afterMs: null, reason: `${refusal.dependency} is unavailable` })
      : ended({ kind: "done" }, refusal.kind, refusal.kind === "frozen" ? refusal.scope : null);
  }
  return ended({ kind: "retry", afterMs: null, reason: "the policy changed twice" });
}
