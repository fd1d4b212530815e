import { proposalView, type ProposalView } from "../approval/proposal-view.ts";
import { readEvidence } from "../db/evidence.ts";
import type { TenantContext } from "../gateway/tenant-context.ts";
import type { ApprovalWithDecisions } from "../ledger/approvals/approval-with-decisions.ts";
import { ledgerOf, type LedgerPort } from "../ledger/ledger-port.ts";
import { err, ok, type Result } from "../platform/result.ts";
import type { Refusal } from "../refusal.ts";
import type { PageCall } from "./call.ts";
import type { StoredEvidence } from "./statements.ts";
import type { Visitor } from "./session.ts";
import { maySee } from "./standing.ts";

/** What the visitor's tenant is judged by now, and its ledger. */
export type Place = { readonly context: TenantContext; readonly ledger: LedgerPort };

/** The tenant is the sign-in's. Judged by the ledger as it is now, not by a cached snapshot: the page is no hot path. */
export async function placeOf(
  { gate, trail, waitUntil }: Pick<PageCall, "gate" | "trail" | "waitUntil">,
  { tenant }: Visitor,
): Promise<Result<Place, Refusal>> {
  gate.tenants.forget(tenant);
  const context = await gate.tenants.get(tenant, trail.receivedAt, waitUntil);
  return context.ok ? ok({ context: context.value, ledger: ledgerOf(gate.env.LEDGER, tenant) }) : context;
}

/** How people see a proposal of this tenant now. */
export function viewOf(
  { gate }: Pick<PageCall, "gate">,
  { policy, people, tenant }: TenantContext,
  found: ApprovalWithDecisions,
): ProposalView {
  return proposalView(found, { tenant, policy, people, publicUrl: gate.config.publicUrl });
}

/** The proposal of this id, if it is the visitor's to see. */
export async function findProposal(
  { context, ledger }: Place,
  visitor: Visitor,
  id: string,
): Promise<Result<ApprovalWithDecisions, Refusal>> {
  const found = await ledger.approval(id);
  return found !== null && maySee(found, context.policy, visitor) ? ok(found) : err({ kind: "not-found" });
}

/** Evidence that was uploaded before, as text; null where the proposal names none. */
export async function storedEvidenceOf(
  { gate }: Pick<PageCall, "gate">,
  { approval: { terms } }: ApprovalWithDecisions,
  { tenant }: Visitor,
): Promise<StoredEvidence | null> {
  const reference = terms.evidenceRef;
  if (reference === null) return null;
  const read = await readEvidence(gate.env.DB, tenant, reference);
  return { reference, text: read.ok ? read.value : null };
}
