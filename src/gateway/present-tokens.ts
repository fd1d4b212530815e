import { isOwnToken, verifyApprovalToken } from "../approval/approval-token.ts";
import { verifySignedDecision } from "../approval/signed-decision.ts";
import type { PresentedToken, SignedDecision } from "../ledger/contract.ts";
import { err, ok, type Result } from "../platform/result.ts";
import type { Refusal } from "../refusal.ts";
import type { EpochMs } from "../vocabulary.ts";
import type { Gate } from "./gate.ts";
import type { TenantContext } from "./tenant-context.ts";
import type { Write } from "./write.ts";

/** Tokens whose signature and dates held, and the first fault among those that did not. */
export type Tokens = {
  readonly tokens: readonly PresentedToken[];
  readonly signed: readonly SignedDecision[];
  readonly tokenFault: Refusal | null;
};

/**
 * Verifies what came in `Gate-Approval`: the gate's own tokens, and decisions that the tenant's approval authorities signed.
 * One bad token spoils the list, but for an expired one of the gate's own beside one that was given for exactly this request:
 * a client may send what it has. `confirm`: what approvers have to type where the policy asks for it.
 */
export async function presentTokens(
  { gate, trail, principal, digest }: Write,
  context: TenantContext,
  confirm: string | null,
): Promise<Tokens> {
  const tokens: PresentedToken[] = [];
  const signed: SignedDecision[] = [];
  let expired: Refusal | null = null;
  const faulty = (tokenFault: Refusal): Tokens => ({ tokens, signed, tokenFault });
  for (const token of trail.gate?.approvals ?? []) {
    if (!isOwnToken(token)) {
      const decision = await signedDecision(gate, context, token, confirm, trail.receivedAt);
      if (!decision.ok) return faulty(decision.error);
      signed.push(decision.value);
      continue;
    }
    const verified = await verifyApprovalToken(token, principal.tenant, gate.keys.approval, trail.receivedAt);
    if (!verified.ok && verified.error.kind === "approval-expired") {
      expired ??= verified.error;
      continue;
    }
    if (!verified.ok) return faulty(verified.error);
    const { jti, approvalId, approvalDigest, requestDigest, principalSubject } = verified.value;
    if (principalSubject !== principal.subject) {
      return faulty({ kind: "approval-invalid", reason: "The approval was given to another principal." });
    }
    tokens.push({ jti, approvalId, approvalDigest, requestDigest });
  }
  const fits = tokens.some((token) => token.requestDigest === digest);
  return { tokens, signed, tokenFault: fits ? null : expired };
}

/**
 * A token of an approval authority as the ledger takes it: genuine, of one of the tenant's people, and with the confirmation that
 * the policy asks for.
 */
export async function signedDecision(
  gate: Gate,
  { tenant, people }: TenantContext,
  token: string,
  confirm: string | null,
  now: EpochMs,
): Promise<Result<SignedDecision, Refusal>> {
  const sources = { issuers: gate.approvalIssuers, jwks: gate.jwks };
  const verified = await verifySignedDecision(token, tenant, sources, now);
  if (!verified.ok) return verified;
  const { confirm: typed, ...decision } = verified.value;
  if (people.bySubject(decision.subject) === null) {
    return err({ kind: "approval-invalid", reason: `The people document knows no ${decision.subject}.` });
  }
  if (confirm !== null && typed !== confirm) {
    return err({ kind: "approval-invalid", reason: `The token must confirm by name: claim confirm is ${confirm}.` });
  }
  return ok(decision);
}
