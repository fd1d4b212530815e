import { z } from "zod";
import { open, seal } from "../../identity/sealed.ts";
import type { SecretKey } from "../../identity/secret-key.ts";
import { TENANT_ID, type EpochMs } from "../../vocabulary.ts";

/** From pressing "sign in" to coming back: time for a password, a second factor, and a call to the help desk. */
export const TRANSACTION_MAX_MS = 10 * 60_000;

const CONTEXT = "page-sign-in-transaction";

const form = z.strictObject({
  state: z.string(),
  nonce: z.string(),
  verifier: z.string(),
  tenant: z.string().regex(TENANT_ID),
  /** Where to go on to (`readReturnPath`). */
  to: z.string(),
  /** Whether the person must sign in again although the provider knows them. */
  again: z.boolean(),
  /** The session that this sign-in replaces; its cookie does not come back from another site. */
  replaces: z.string().nullable(),
  started_at: z.int(),
});

/** One sign-in under way, kept by the browser that began it: what comes back to another browser finds none. */
export type Transaction = z.infer<typeof form>;

/** The value of the transaction's cookie. */
export const sealTransaction = (transaction: Transaction, key: SecretKey): Promise<string> =>
  seal(transaction, key, CONTEXT);

/** The transaction of a cookie; null where it is none, another key's, or over. */
export async function openTransaction(cookie: string, key: SecretKey, now: EpochMs): Promise<Transaction | null> {
  const opened = await open(cookie, key, CONTEXT);
  const read = form.safeParse(opened.ok ? opened.value : null);
  if (!read.success) return null;
  const age = now - read.data.started_at;
  return age >= 0 && age <= TRANSACTION_MAX_MS ? read.data : null;
}
