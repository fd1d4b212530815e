import { asc, eq, gt, sql } from "drizzle-orm";
import type { DeploymentFreeze } from "../ledger/contract.ts";
import type { EpochMs } from "../vocabulary.ts";
import { openDatabase } from "./client.ts";
import { deploymentFreeze, tenants } from "./schema.ts";

const ONLY = 1;

/** What the deployment's owner says about all tenants; null where nothing was ever said. */
export async function readDeploymentFreeze(d1: D1Database): Promise<DeploymentFreeze | null> {
  const [row] = await openDatabase(d1).select().from(deploymentFreeze).where(eq(deploymentFreeze.only, ONLY)).limit(1);
  if (row === undefined) return null;
  const { generation, frozen, reason, since } = row;
  return { generation, frozen, reason, since };
}

/**
 * Higher than every one before it, also where this row was lost or an older state of the database was restored: ledgers follow the
 * highest that they have heard, and would not hear of one that begins anew.
 */
const nextGeneration = (now: EpochMs) => sql<number>`max(${deploymentFreeze.generation} + 1, ${now})`;

/**
 * Says that all tenants are frozen, in one statement. The same again (with the same reason) stays the same order, so that a call that
 * failed half-way can be repeated; another reason is a new one.
 */
export async function orderFreeze(d1: D1Database, reason: string, now: EpochMs): Promise<void> {
  await openDatabase(d1)
    .insert(deploymentFreeze)
    .values({ only: ONLY, generation: now, frozen: true, reason, since: now })
    .onConflictDoUpdate({
      target: deploymentFreeze.only,
      set: {
        generation: nextGeneration(now),
        frozen: true,
        reason,
        since: sql`CASE WHEN ${deploymentFreeze.frozen} THEN ${deploymentFreeze.since} ELSE ${now} END`,
      },
      setWhere: sql`${deploymentFreeze.frozen} = 0 OR ${deploymentFreeze.reason} <> ${reason}`,
    });
}

/** Says that they are not any more; the same again changes nothing. */
export async function orderLift(d1: D1Database, now: EpochMs): Promise<void> {
  await openDatabase(d1)
    .insert(deploymentFreeze)
    // Nothing is on record: ledgers may have heard of a freeze all the same.
    .values({ only: ONLY, generation: now, frozen: false, reason: "", since: now })
    .onConflictDoUpdate({
      target: deploymentFreeze.only,
      set: { generation: nextGeneration(now), frozen: false, since: now },
      setWhere: eq(deploymentFreeze.frozen, true),
    });
}

/** Ids of tenants after `after`, in order, at most `limit`: also of those whose bootstrap was never finished. */
export async function tenantsAfter(d1: D1Database, after: string, limit: number): Promise<readonly string[]> {
  const rows = await openDatabase(d1)
    .select({ id: tenants.id })
    .from(tenants)
    .where(gt(tenants.id, after))
    .orderBy(asc(tenants.id))
    .limit(limit);
  return rows.map(({ id }) => id);
}
