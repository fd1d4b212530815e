import { newId } from "../platform/ids.ts";
import type { Refusal } from "../refusal.ts";
import type { Digest, EpochMs } from "../vocabulary.ts";
import { integerOf } from "../platform/sql-row.ts";

/** A dry-run receipt lives ten minutes (wire contract, section 9). */
export const RECEIPT_LIFETIME_MS = 10 * 60_000;

const HOW = "Send the identical request with `Gate-Dry-Run: ?1`, then again with `Gate-Plan: <receipt>`.";

/** Issues a single-use receipt for exactly this request by this principal: a positive record, so lost state denies. */
export function issueReceipt(
  sql: SqlStorage,
  principal: string,
  requestDigest: Digest,
  now: EpochMs,
): { receipt: string; expiresAt: EpochMs } {
  const receipt = newId("rcp");
  const expiresAt = now + RECEIPT_LIFETIME_MS;
  sql.exec(
    "INSERT INTO receipts (receipt, principal, request_digest, expires_at) VALUES (?, ?, ?, ?)",
    receipt,
    principal,
    requestDigest,
    expiresAt,
  );
  return { receipt, expiresAt };
}

/** Why the presented receipt does not admit this request, or null when it does. Spent receipts were dealt with by replay. */
export function receiptRefusal(
  sql: SqlStorage,
  receipt: string | null,
  principal: string,
  requestDigest: Digest,
  now: EpochMs,
): Refusal | null {
  if (receipt === null) return required("This tier executes only what was dry-run before.");
  const row = sql
    .exec("SELECT principal, request_digest, expires_at FROM receipts WHERE receipt = ?", receipt)
    .toArray()[0];
  if (row === undefined || row["principal"] !== principal) return required("The receipt is not known.");
  if (row["request_digest"] !== requestDigest) return required("The receipt was given for a different request.");
  if (integerOf(row, "expires_at") <= now) return required("The receipt has expired.");
  return null;
}

const required = (reason: string): Refusal => ({ kind: "dry-run-required", how: HOW, reason });

/** Spends a receipt that `receiptRefusal` has just passed in the same transaction. */
export function consumeReceipt(sql: SqlStorage, receipt: string, requestId: string): void {
  sql.exec("UPDATE receipts SET consumed_by = ? WHERE receipt = ? AND consumed_by IS NULL", requestId, receipt);
}
