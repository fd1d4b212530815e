import { readSigningKey, type SigningKey } from "../identity/signing-key.ts";
import type { Result } from "../platform/result.ts";

/** The key pair that signs approval tokens and nothing else. */
export type ApprovalKey = SigningKey;

/** Reads APPROVAL_KEY. */
export const readApprovalKey = (text: string): Promise<Result<ApprovalKey, string>> =>
  readSigningKey("APPROVAL_KEY", text);
