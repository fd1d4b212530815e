import { and, count, eq, min, sum } from "drizzle-orm";
import { openDatabase } from "./client.ts";
import { lateCopies } from "./schema.ts";

type LogName = { readonly tenant: string; readonly log: string };

/** The second copies that are late: of how many logs, how many records wait, since when the first of them does (milliseconds). */
export type LateCopies = { readonly logs: number; readonly records: number; readonly since: number | null };

/** Says that a log's second copy is late, with how many records wait; since `now`, unless it was late already. */
export async function noteLateCopy(
  d1: D1Database,
  { tenant, log }: LogName,
  records: number,
  now: number,
): Promise<void> {
  await openDatabase(d1)
    .insert(lateCopies)
    .values({ tenant, log, records, since: now })
    .onConflictDoUpdate({ target: [lateCopies.tenant, lateCopies.log], set: { records } });
}

/** Says that a log's second copy is in time. */
export async function forgetLateCopy(d1: D1Database, { tenant, log }: LogName): Promise<void> {
  await openDatabase(d1)
    .delete(lateCopies)
    .where(and(eq(lateCopies.tenant, tenant), eq(lateCopies.log, log)));
}

/** All that are late, in sum: nobody learns from it who is a tenant. */
export async function readLateCopies(d1: D1Database): Promise<LateCopies> {
  const [found] = await openDatabase(d1)
    .select({ logs: count(), records: sum(lateCopies.records), since: min(lateCopies.since) })
    .from(lateCopies);
  return { logs: found?.logs ?? 0, records: Number(found?.records ?? 0), since: found?.since ?? null };
}
