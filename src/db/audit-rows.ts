import { and, asc, between, desc, eq, gt, gte, lt, or, sql, type SQL } from "drizzle-orm";
import type { AnySQLiteColumn } from "drizzle-orm/sqlite-core";
import { openDatabase } from "./client.ts";
import { audit, IS_RARE_KIND, RARE_KINDS } from "./schema.ts";

/** What a list of audit records may be narrowed by; null: not. Times are ISO 8601, UTC, milliseconds. */
export type AuditFilters = {
  readonly since: string | null;
  readonly until: string | null;
  readonly equal: Readonly<Partial<Record<EqualFilter, string>>>;
  readonly tier: number | null;
  readonly approver: string | null;
  /** Literal text within reason, evidence or detail; letters A to Z count as a to z. */
  readonly text: string | null;
};

/** Columns that a list is narrowed by on equality, under the names of the wire. */
const EQUAL = {
  action: audit.action,
  kind: audit.kind,
  decision: audit.decision,
  reason_code: audit.reasonCode,
  outcome: audit.outcome,
  principal: audit.principal,
  owner: audit.owner,
  credential_id: audit.credentialId,
  approval_id: audit.approvalId,
  incident: audit.incident,
  request_id: audit.requestId,
} as const satisfies Readonly<Record<string, AnySQLiteColumn>>;
export type EqualFilter = keyof typeof EQUAL;
// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the keys of the constant above
export const EQUAL_FILTERS = Object.keys(EQUAL) as readonly EqualFilter[];

/** Where a record stands in a list. */
export type AuditPlace = { readonly time: string; readonly log: string; readonly sequence: number };

/** A record's exact text and its place. */
export type AuditRow = AuditPlace & { readonly record: string };

/** The tenant's records that pass `filters`, newest first, from behind `after` on, at most `limit`. Throws where D1 cannot be asked. */
export async function auditPage(
  d1: D1Database,
  tenant: string,
  filters: AuditFilters,
  after: AuditPlace | null,
  limit: number,
): Promise<readonly AuditRow[]> {
  const rows = await openDatabase(d1)
    .select({ record: audit.record, time: audit.time, log: audit.log, sequence: audit.sequence })
    .from(audit)
    .where(and(eq(audit.tenant, tenant), ...conditionsOf(filters), after === null ? undefined : isBefore(after)))
    .orderBy(desc(audit.time), desc(audit.log), desc(audit.sequence))
    .limit(limit);
  return rows.map((row) => ({ ...row, time: row.time ?? "" }));
}

const isBefore = ({ time, log, sequence }: AuditPlace): SQL =>
  sql`(${audit.time}, ${audit.log}, ${audit.sequence}) < (${time}, ${log}, ${sequence})`;

/** Every value is a bound parameter. */
function conditionsOf({ since, until, equal, tier, approver, text }: AuditFilters): readonly (SQL | undefined)[] {
  const { kind } = equal;
  return [
    since === null ? undefined : gte(audit.time, since),
    until === null ? undefined : lt(audit.time, until),
    ...EQUAL_FILTERS.map((name) => (equal[name] === undefined ? undefined : eq(EQUAL[name], equal[name]))),
    // What the rare kinds' own index is for.
    RARE_KINDS.some((rare) => rare === kind) ? IS_RARE_KIND : undefined,
    tier === null ? undefined : eq(audit.tier, tier),
    ...(approver === null ? [] : approvedBy(approver)),
    ...(text === null ? [] : contains(text)),
  ];
}

const approvedBy = (approver: string): readonly SQL[] => [
  gt(audit.approverCount, 0),
  sql`EXISTS (SELECT 1 FROM json_each(${audit.approvers}) WHERE value = ${approver})`,
];

/** D1 takes no LIKE pattern beyond 50 bytes; the two `%` are part of it. */
const PATTERN_BYTES = 48;

/**
 * Passed over without reading the record: what has no text. Then, without taking the record's JSON apart: what does not have
 * the beginning of `text` anywhere. What is left is looked at properly.
 */
function contains(text: string): readonly (SQL | undefined)[] {
  const within = (column: AnySQLiteColumn): SQL => sql`instr(lower(${column}), lower(${text})) > 0`;
  return [
    eq(audit.hasText, 1),
    sql`${audit.record} LIKE ${roughPattern(text)} ESCAPE '!'`,
    or(
      within(audit.reason),
      within(audit.evidence),
      sql`instr(lower(json_extract(record, '$.detail')), lower(${text})) > 0`,
    ),
  ];
}

/** A LIKE pattern for as much of `text`, as it stands in a record's JSON, as D1 takes. LIKE, too, takes A to Z for a to z. */
function roughPattern(text: string): string {
  let pattern = "";
  let bytes = 0;
  for (const character of JSON.stringify(text).slice(1, -1)) {
    const escaped = /[%_!]/.test(character) ? `!${character}` : character;
    bytes += UTF8.encode(escaped).length;
    if (bytes > PATTERN_BYTES) break;
    pattern += escaped;
  }
  return `%${pattern}%`;
}

const UTF8 = new TextEncoder();

/** An unbroken run of one log, by sequence. */
export type LogRun = { readonly log: string; readonly first: number; readonly last: number };

/** A run as a manifest states it: how many of its records there are, and what it begins and ends with. */
export type LogSummary = LogRun & {
  readonly count: number;
  readonly firstPreviousHash: string;
  readonly lastHash: string;
};

/**
 * The runs that an export of these times consists of, logs in ascending order: each from the first to the last record of its log
 * whose time is in the range. Records between them belong to the run whatever their time, so that its chain can be verified.
 */
export async function auditRuns(
  d1: D1Database,
  tenant: string,
  { since, until, log }: { readonly since: string | null; readonly until: string; readonly log: string | null },
): Promise<readonly LogRun[]> {
  const logs = log === null ? await logsOf(d1, tenant) : [log];
  const runs: LogRun[] = [];
  for (const one of logs) {
    const inRange = and(
      eq(audit.tenant, tenant),
      since === null ? undefined : gte(audit.time, since),
      lt(audit.time, until),
      eq(audit.log, one),
    );
    const [found] = await openDatabase(d1)
      .select({ first: sql<number | null>`min(${audit.sequence})`, last: sql<number | null>`max(${audit.sequence})` })
      .from(audit)
      .where(inRange);
    if (found !== undefined && found.first !== null && found.last !== null)
      runs.push({ log: one, first: found.first, last: found.last });
  }
  return runs;
}

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
  const inLog = and(eq(audit.tenant, tenant), eq(audit.log, run.log));
  const [counted] = await db
    .select({ count: sql<number>`count(*)` })
    .from(audit)
    .where(and(inLog, between(audit.sequence, run.first, run.last)));
  const [first] = await db
    .select({ hash: audit.previousHash })
    .from(audit)
    .where(and(inLog, eq(audit.sequence, run.first)));
  const [last] = await db
    .select({ hash: audit.hash })
    .from(audit)
    .where(and(inLog, eq(audit.sequence, run.last)));
  return { ...run, count: counted?.count ?? 0, firstPreviousHash: first?.hash ?? "", lastHash: last?.hash ?? "" };
}

/** The exact texts of a run's records behind `after`, in order, at most `limit`. */
export const auditRunPage = (
  d1: D1Database,
  tenant: string,
  { log, last }: Pick<LogRun, "log" | "last">,
  after: number,
  limit: number,
): Promise<readonly { readonly sequence: number; readonly record: string }[]> =>
  openDatabase(d1)
    .select({ sequence: audit.sequence, record: audit.record })
    .from(audit)
    .where(and(eq(audit.tenant, tenant), eq(audit.log, log), between(audit.sequence, after + 1, last)))
    .orderBy(asc(audit.sequence))
    .limit(limit);
