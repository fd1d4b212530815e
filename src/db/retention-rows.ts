import { and, asc, eq, inArray, lt, sql } from "drizzle-orm";
import { openDatabase } from "./client.ts";
import { audit, evidence } from "./schema.ts";

/**
 * Takes the texts of neighbouring records of one log away, from sequence `first` on as many as there are `leaves`; each row keeps its
 * place, its hash and its leaf. What is taken away already stays as it is. Returns how many of them are left with a text: 0, unless
 * D1 did not do it. Throws where D1 does.
 */
export async function deleteTexts(
  d1: D1Database,
  { tenant, log }: { readonly tenant: string; readonly log: string },
  first: number,
  leaves: readonly string[],
  now: number,
): Promise<number> {
  const db = openDatabase(d1);
  const last = first + leaves.length - 1;
  // One parameter for all leaves: D1 allows 100 bound parameters a statement.
  await db.run(sql`UPDATE audit SET record = '{}', leaf_hash = leaf.value, deleted_at = ${new Date(now).toISOString()}
    FROM json_each(${JSON.stringify(leaves)}) AS leaf
    WHERE audit.tenant = ${tenant} AND audit.log = ${log} AND audit.sequence = ${first} + leaf.key AND audit.deleted_at IS NULL`);
  const [left] = await db
    .select({ rows: sql<number>`count(*)` })
    .from(audit)
    .where(
      and(
        eq(audit.tenant, tenant),
        eq(audit.log, log),
        sql`${audit.sequence} BETWEEN ${first} AND ${last}`,
        sql`${audit.deletedAt} IS NULL`,
      ),
    );
  return left?.rows ?? 0;
}

/** Digests of the tenant's uploaded evidence that no request has named since `before`, the oldest first, at most `limit`. */
export async function unnamedEvidence(
  d1: D1Database,
  tenant: string,
  before: number,
  limit: number,
): Promise<readonly string[]> {
  const rows = await openDatabase(d1)
    .select({ digest: evidence.digest })
    .from(evidence)
    .where(and(eq(evidence.tenant, tenant), lt(evidence.namedAt, new Date(before).toISOString())))
    .orderBy(asc(evidence.namedAt))
    .limit(limit);
  return rows.map(({ digest }) => digest);
}

/** Deletes these uploads, but for one that has been named since `before` after all. At most 90 of them: D1's bound of parameters. */
export async function deleteEvidence(
  d1: D1Database,
  tenant: string,
  digests: readonly string[],
  before: number,
): Promise<void> {
  await openDatabase(d1)
    .delete(evidence)
    .where(
      and(
        eq(evidence.tenant, tenant),
        inArray(evidence.digest, [...digests]),
        lt(evidence.namedAt, new Date(before).toISOString()),
      ),
    );
}
