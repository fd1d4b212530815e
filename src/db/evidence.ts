import { and, eq } from "drizzle-orm";
import { describeError } from "../platform/describe-error.ts";
import { digestOf } from "../platform/digest.ts";
import { err, ok, type Result } from "../platform/result.ts";
import type { Digest } from "../vocabulary.ts";
import { openDatabase } from "./client.ts";
import { evidence } from "./schema.ts";

/**
 * Stores a tenant's evidence text (already redacted) and returns its digest. Storing the same text again changes nothing but when
 * retention counts from.
 */
export async function storeEvidence(
  d1: D1Database,
  tenant: string,
  body: string,
  createdBy: string,
  now: number,
): Promise<Digest> {
  const digest = digestOf("portcullis/evidence/v1", body);
  await openDatabase(d1)
    .insert(evidence)
    .values({
      tenant,
      digest,
      body,
      createdBy,
      createdAt: new Date(now).toISOString(),
      namedAt: new Date(now).toISOString(),
    })
    .onConflictDoUpdate({ target: [evidence.tenant, evidence.digest], set: { namedAt: new Date(now).toISOString() } });
  return digest;
}

/**
 * Whether the tenant's evidence under this digest is stored; it counts as named `now`, and retention keeps it from then on as long as
 * the record that names it. The error is for a store that could not be asked.
 */
export async function nameEvidence(
  d1: D1Database,
  tenant: string,
  digest: string,
  now: number,
): Promise<Result<boolean, string>> {
  try {
    const named = await openDatabase(d1)
      .update(evidence)
      .set({ namedAt: new Date(now).toISOString() })
      .where(and(eq(evidence.tenant, tenant), eq(evidence.digest, digest)))
      .returning({ digest: evidence.digest });
    return ok(named.length > 0);
  } catch (error) {
    return err(describeError(error));
  }
}

/** The tenant's evidence under this digest, null where there is none. The error is for a store that could not be asked. */
export async function readEvidence(
  d1: D1Database,
  tenant: string,
  digest: string,
): Promise<Result<string | null, string>> {
  try {
    const rows = await openDatabase(d1)
      .select({ body: evidence.body })
      .from(evidence)
      .where(and(eq(evidence.tenant, tenant), eq(evidence.digest, digest)))
      .limit(1);
    return ok(rows[0]?.body ?? null);
  } catch (error) {
    return err(describeError(error));
  }
}
