import { z } from "zod";
import { proposalView, tierOf } from "../approval/proposal-view.ts";
import { signedDecision } from "../gateway/present-tokens.ts";
import { COMPACT_JWS, MAX_TOKEN_CHARS } from "../identity/compact-jws.ts";
import { maySee, view } from "./approvals.ts";
import { readBody } from "./body.ts";
import { json, refuse, type AdminAnswer, type AdminCall, type AdminRoute } from "./call.ts";

const tokenBody = z.strictObject({ token: z.string().max(MAX_TOKEN_CHARS).regex(COMPACT_JWS) });

/** Decisions that an approval authority of the tenant has signed. Whoever may see the proposal may hand them in. */
export const signedDecisionRoutes: readonly AdminRoute[] = [
  { method: "POST", path: "/_gate/v1/approvals/:id/tokens", roles: null, body: tokenBody, handle: handIn },
];

/** The bearer decides nothing: the token's subject does, and is judged like anybody who decides. */
async function handIn(call: AdminCall): Promise<AdminAnswer> {
  const body = readBody(call.strict, tokenBody);
  if (!body.ok) return refuse(body.error);
  const { context, gate, ledger, trail } = call;
  const found = await ledger.approval(call.param("id"));
  if (found === null || !maySee(call, found)) return refuse({ kind: "not-found" });
  const { policy, people, tenant, snapshot } = context;
  const { confirm } = proposalView(found, { tenant, policy, people, publicUrl: gate.config.publicUrl });
  const decision = await signedDecision(gate, context, body.value.token, confirm, trail.receivedAt);
  if (!decision.ok) return refuse(decision.error);
  if (decision.value.approvalId !== found.approval.id)
    return refuse({ kind: "approval-invalid", reason: "The signed decision is about another proposal." });
  const rule = policy.approvers(tierOf(found.approval.tier));
  const outcome = await ledger.decideSigned(snapshot.authority, {
    requestId: trail.requestId,
    decision: decision.value,
    approvers: rule.people,
    groups: rule.groups,
  });
  if (outcome.kind === "stale")
    return refuse({ kind: "unavailable", dependency: "policy", cause: "the policy changed meanwhile" });
  return outcome.kind === "refused" ? refuse(outcome.refusal) : json(view(call, outcome));
}
