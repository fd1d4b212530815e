import { and, asc, between, desc, eq, gte, isNotNull, lt, or, sql, type SQL } from "drizzle-orm";
import { openDatabase } from "./client.ts";
import type { LogRow } from "./log-rows.ts";
import { audit } from "./schema.ts";

/** What the first record of a log names as the hash before it. */
const GENESIS = `sha256:${"0".repeat(64)}`;

/** An unbroken run of one log, by sequence. */
export type LogRun = { readonly log: string; readonly first: number; readonly last: number };

/** A run as a manifest states it: how many of its records there are, and what it begins and ends with. */
export type LogSummary = LogRun & {
  readonly count: number;
  /** How many of them retention has deleted: the first ones. */
  readonly deleted: number;
  /** Null where it is not known any more. */
  readonly firstPreviousHash: string | null;
  readonly lastHash: string;
};

/**
 * Records that a step of the clock, or endings that came late, may have put out of the order of time: so many places are looked at on
 * either side of a bound.
 */
const DISORDER_PLACES = 1_000;

/**
 * The runs that an export of these times consists of, logs in ascending order: each from the first to the last record of its log whose
 * time is in the range. Records between them belong to the run whatever their time, so that its chain can be verified. A handful of rows is
 * read, however long the logs are.
 */
export async function auditRuns(
  d1: D1Database,
  tenant: string,
  { since, until, log }: { readonly since: string | null; readonly until: string; readonly log: string | null },
): Promise<readonly LogRun[]> {
  const logs = log === null ? await logsOf(d1, tenant) : [log];
  const runs = await Promise.all(
    logs.map(async (one): Promise<readonly LogRun[]> => {
      const ends = await endsOf(d1, tenant, one);
      return ends === null ? [] : runWithin(d1, tenant, ends, since, until);
    }),
  );
  return runs.flat();
}

async function runWithin(
  d1: D1Database,
  tenant: string,
  ends: LogRun,
  since: string | null,
  until: string,
): Promise<readonly LogRun[]> {
  const from = since === null ? ends.first : (await boundary(d1, tenant, ends, since)) - DISORDER_PLACES;
  const to = (await boundary(d1, tenant, ends, until)) + DISORDER_PLACES;
  const outermost = async (order: typeof asc): Promise<number | null> => {
    const [found] = await openDatabase(d1)
      .select({ sequence: audit.sequence })
      .from(audit)
      .where(
        and(
          inLog(tenant, ends.log),
          between(audit.sequence, from, to),
          // What retention has deleted has no time any more: it comes before whatever has one.
          since === null ? or(lt(audit.time, until), isNotNull(audit.deletedAt)) : within(since, until),
        ),
      )
      .orderBy(order(audit.sequence))
      .limit(1);
    return found?.sequence ?? null;
  };
  const [first, last] = [await outermost(asc), await outermost(desc)];
  return first === null || last === null ? [] : [{ log: ends.log, first, last }];
}

async function endsOf(d1: D1Database, tenant: string, log: string): Promise<LogRun | null> {
  const place = (order: SQL): SQL =>
    sql`(SELECT sequence FROM audit WHERE tenant = ${tenant} AND log = ${log} ORDER BY sequence ${order} LIMIT 1)`;
  const [found] = await openDatabase(d1).all<{ readonly first: number | null; readonly last: number | null }>(
    sql`SELECT ${place(sql`ASC`)} AS first, ${place(sql`DESC`)} AS last`,
  );
  return found === undefined || found.first === null || found.last === null
    ? null
    : { log, first: found.first, last: found.last };
}

/**
 * About where the times of a log pass `time`. A record that retention has deleted comes before every time.
 */
const boundary = (d1: D1Database, tenant: string, run: LogRun, time: string): Promise<number> =>
  halved(d1, tenant, run, sql`coalesce(time, '') < ${time}`);

/**
 * Where a log's records stop being `before`, by halving: some twenty are looked at, of a million. A record that is not there any more
 * counts as the next that is. D1 binds every number as a fraction: halves have to be whole.
 */
async function halved(d1: D1Database, tenant: string, { log, first, last }: LogRun, before: SQL): Promise<number> {
  const isBefore = sql`(SELECT ${before} FROM audit WHERE tenant = ${tenant} AND log = ${log} AND sequence >= (low + high) / 2
    ORDER BY sequence LIMIT 1)`;
  const [found] = await openDatabase(d1).all<{ readonly place: number }>(sql`
    WITH RECURSIVE halves (low, high) AS (
      SELECT CAST(${first} AS INTEGER), CAST(${last + 1} AS INTEGER)
      UNION ALL
      SELECT iif(${isBefore}, (low + high) / 2 + 1, low), iif(${isBefore}, high, (low + high) / 2) FROM halves WHERE low < high
    )
    SELECT low AS place FROM halves WHERE low >= high`);
  return found?.place ?? last;
}

const within = (since: string, until: string): SQL | undefined => and(gte(audit.time, since), lt(audit.time, until));

const inLog = (tenant: string, log: string): SQL | undefined => and(eq(audit.tenant, tenant), eq(audit.log, log));

/** The logs that the tenant has records of, one step in the index each, however long they are. */
async function logsOf(d1: D1Database, tenant: string): Promise<readonly string[]> {
  const rows = await openDatabase(d1).all<{ readonly log: string }>(sql`
    WITH RECURSIVE logs (log) AS (
      SELECT min(log) FROM audit WHERE tenant = ${tenant}
      UNION ALL
      SELECT (SELECT min(log) FROM audit WHERE tenant = ${tenant} AND log > logs.log) FROM logs WHERE logs.log IS NOT NULL
    )
    SELECT log FROM logs WHERE log IS NOT NULL`);
  return rows.map(({ log }) => log);
}

/** What a manifest says of a run, as D1 holds it now. */
export async function auditSummary(d1: D1Database, tenant: string, run: LogRun): Promise<LogSummary> {
  const db = openDatabase(d1);
  const own = inLog(tenant, run.log);
  const [counted] = await db
    .select({ count: sql<number>`count(*)` })
    .from(audit)
    .where(and(own, between(audit.sequence, run.first, run.last)));
  const [first] = await db
    .select({ hash: audit.previousHash })
    .from(audit)
    .where(and(own, eq(audit.sequence, run.first)));
  const [last] = await db
    .select({ hash: audit.hash })
    .from(audit)
    .where(and(own, eq(audit.sequence, run.last)));
  // Retention deletes a log from its beginning on.
  const firstKept = await halved(d1, tenant, run, sql`deleted_at IS NOT NULL`);
  return {
    ...run,
    count: counted?.count ?? 0,
    deleted: firstKept - run.first,
    firstPreviousHash: first?.hash ?? (run.first === 1 ? GENESIS : null),
    lastHash: last?.hash ?? "",
  };
}

/** A run's records behind `after`, in order, at most `limit`: their exact texts, or what retention has left of them. */
export const auditRunPage = (
  d1: D1Database,
  tenant: string,
  { log, last }: Pick<LogRun, "log" | "last">,
  after: number,
  limit: number,
): Promise<readonly LogRow[]> =>
  openDatabase(d1)
    .select({ sequence: audit.sequence, hash: audit.hash, record: audit.record, leafHash: audit.leafHash })
    .from(audit)
    .where(and(eq(audit.tenant, tenant), eq(audit.log, log), between(audit.sequence, after + 1, last)))
    .orderBy(asc(audit.sequence))
    .limit(limit);
