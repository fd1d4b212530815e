import { and, eq, gt, lte } from "drizzle-orm";
import { describeError } from "../platform/describe-error.ts";
import { err, ok, type Result } from "../platform/result.ts";
import type { EpochMs } from "../vocabulary.ts";
import { openDatabase } from "./client.ts";
import { signIns } from "./schema.ts";

/**
 * A way into the approval page: a session, or a link that makes one. A positive record: what is not stored here is not valid,
 * so a lost table signs everybody out. Nothing in a row is authority by itself: a session also needs its sealed cookie, a
 * link its MAC, so edit rights on the table can only bring back what its holder has already.
 */
export type SignInRow = {
  readonly id: string;
  readonly kind: "session" | "link";
  readonly tenant: string;
  readonly subject: string;
  readonly expiresAt: EpochMs;
};

/** Stores one, and forgets those whose time is over. The error is for a store that could not be asked. */
export const addSignIn = (d1: D1Database, row: SignInRow, now: EpochMs): Promise<Result<null, string>> =>
  asked(async () => {
    const database = openDatabase(d1);
    await database.batch([
      database.delete(signIns).where(lte(signIns.expiresAt, now)),
      database.insert(signIns).values(row),
    ]);
    return null;
  });

/** The row with this id, null where there is none or its time is over. */
export const readSignIn = (
  d1: D1Database,
  kind: SignInRow["kind"],
  id: string,
  now: EpochMs,
): Promise<Result<SignInRow | null, string>> =>
  asked(async () => {
    const [row] = await openDatabase(d1)
      .select()
      .from(signIns)
      .where(live(kind, id, now))
      .limit(1);
    return row ?? null;
  });

/** Takes it away, and returns it: of any number of calls at once, one gets it. Null where there is none or its time is over. */
export const takeSignIn = (
  d1: D1Database,
  kind: SignInRow["kind"],
  id: string,
  now: EpochMs,
): Promise<Result<SignInRow | null, string>> =>
  asked(async () => {
    const [row] = await openDatabase(d1)
      .delete(signIns)
      .where(live(kind, id, now))
      .returning();
    return row ?? null;
  });

/** Ends every session and link of a tenant's people: who they are is not known any more. */
export const endSignInsOfTenant = (d1: D1Database, tenant: string): Promise<Result<null, string>> =>
  asked(async () => {
    await openDatabase(d1).delete(signIns).where(eq(signIns.tenant, tenant));
    return null;
  });

/** Ends every session and link of this person, and says how many there were. */
export const endSignInsOf = (d1: D1Database, tenant: string, subject: string): Promise<Result<number, string>> =>
  asked(async () => {
    const ended = await openDatabase(d1)
      .delete(signIns)
      .where(and(eq(signIns.tenant, tenant), eq(signIns.subject, subject)))
      .returning({ id: signIns.id });
    return ended.length;
  });

const live = (kind: SignInRow["kind"], id: string, now: EpochMs) =>
  and(eq(signIns.id, id), eq(signIns.kind, kind), gt(signIns.expiresAt, now));

async function asked<T>(query: () => Promise<T>): Promise<Result<T, string>> {
  try {
    return ok(await query());
  } catch (error) {
    return err(describeError(error));
  }
}
