import { eq } from "drizzle-orm";
import { checkRecord, sealRecord } from "../identity/record-mac.ts";
import type { SecretKey } from "../identity/secret-key.ts";
import { describeError } from "../platform/describe-error.ts";
import { err, ok, type Result } from "../platform/result.ts";
import { openDatabase } from "./client.ts";
import { documents, tenants } from "./schema.ts";

export type StoredDocument = {
  readonly digest: string;
  readonly kind: "policy" | "people" | "catalogue" | "prices";
  readonly body: string;
};

/** The tenant's sealed upstream credential. A row whose MAC does not hold is an error, as is a missing one. */
export async function readUpstreamCredential(
  d1: D1Database,
  tenant: string,
  pepper: SecretKey,
): Promise<Result<string, string>> {
  let row: typeof tenants.$inferSelect | undefined;
  try {
    [row] = await openDatabase(d1).select().from(tenants).where(eq(tenants.id, tenant)).limit(1);
  } catch (error) {
    return err(describeError(error));
  }
  if (row === undefined) return err("the tenant has no row");
  const { mac, ...fields } = row;
  return checkRecord("tenant", fields, mac, pepper)
    ? ok(row.upstreamCredential)
    : err("the tenant's row fails its MAC");
}

/** Stores a tenant's sealed upstream credential, replacing an earlier one. */
export async function writeUpstreamCredential(
  d1: D1Database,
  tenant: string,
  sealed: string,
  pepper: SecretKey,
  now: number,
): Promise<void> {
  const row = { id: tenant, upstreamCredential: sealed, createdAt: new Date(now).toISOString() };
  const values = { ...row, mac: sealRecord("tenant", row, pepper) };
  await openDatabase(d1).insert(tenants).values(values).onConflictDoUpdate({ target: tenants.id, set: values });
}

/** Stores documents by digest. They are immutable: one that is there already stays as it is. */
export async function writeDocuments(d1: D1Database, rows: readonly StoredDocument[], now: number): Promise<void> {
  const createdAt = new Date(now).toISOString();
  await openDatabase(d1)
    .insert(documents)
    .values(rows.map((row) => ({ ...row, createdAt })))
    .onConflictDoNothing();
}
