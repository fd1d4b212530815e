import { readApprovalKey, type ApprovalKey } from "../approval/approval-key.ts";
import type { Config } from "../config.ts";
import { equalBytes, readSecretKey, type SecretKey } from "../identity/secret-key.ts";
import { readSigningKey, type SigningKey } from "../identity/signing-key.ts";
import { err, ok, type Result } from "../platform/result.ts";

/** The deployment's secrets, judged. One purpose each: none signs, seals or hashes for another. */
export type Keys = {
  readonly credential: SecretKey;
  readonly pepper: SecretKey;
  readonly sealing: SecretKey;
  readonly upstreamSigning: SecretKey;
  readonly redaction: SecretKey;
  readonly approval: ApprovalKey;
  /** Signs checkpoints of audit logs. */
  readonly checkpoint: SigningKey;
};

/** Judges every secret; names all that are missing or weak at once, never their values. */
export async function readKeys(config: Config): Promise<Result<Keys, readonly string[]>> {
  const credential = readSecretKey("CREDENTIAL_KEY", config.credentialKey);
  const pepper = readSecretKey("RECORD_PEPPER", config.recordPepper);
  const sealing = readSecretKey("SEALING_KEY", config.sealingKey);
  const upstreamSigning = readSecretKey("UPSTREAM_SIGNING_KEY", config.upstreamSigningKey);
  const redaction = readSecretKey("REDACTION_KEY", config.redactionKey);
  const approval = await readApprovalKey(config.approvalKey);
  const signing = await readSigningKey("CHECKPOINT_KEY", config.checkpointKey);
  const checkpoint = signing.ok && approval.ok ? notTheSame(signing.value, approval.value) : signing;
  if (credential.ok && pepper.ok && sealing.ok && upstreamSigning.ok && redaction.ok && approval.ok && checkpoint.ok) {
    return ok({
      credential: credential.value,
      pepper: pepper.value,
      sealing: sealing.value,
      upstreamSigning: upstreamSigning.value,
      redaction: redaction.value,
      approval: approval.value,
      checkpoint: checkpoint.value,
    });
  }
  return err(
    [credential, pepper, sealing, upstreamSigning, redaction, approval, checkpoint].flatMap((read) =>
      read.ok ? [] : [read.error],
    ),
  );
}

/** What one of them signs must never pass for a signature of the other's. */
const notTheSame = (checkpoint: SigningKey, approval: ApprovalKey): Result<SigningKey, string> =>
  equalBytes(checkpoint.rawPublicKey, approval.rawPublicKey)
    ? err("CHECKPOINT_KEY must be another key than APPROVAL_KEY")
    : ok(checkpoint);
