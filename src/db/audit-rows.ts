import { and, desc, eq, gt, gte, lt, sql, type SQL } from "drizzle-orm";
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

/** Records in order, and where the next page begins: null where there are no more. */
export type AuditPage = { readonly rows: readonly AuditRow[]; readonly next: AuditPlace | null };

/** Entries of the list's index that one answer looks at: `near` at first, then the rest of `all`. */
export type ScanBound = { readonly near: number; readonly all: number };

/**
 * What people ask for is mostly among the first ten thousand. A quarter of a million take about a tenth of a second: however many records
 * a tenant has, an answer takes no longer; one that found less than it might says where to go on.
 */
const SCAN_BOUND: ScanBound = { near: 10_000, all: 250_000 };

/**
 * The tenant's records that pass `filters`, newest first, from behind `after` on, at most `limit`, and at most those among the next
 * `scan.all` records. Throws where D1 cannot be asked.
 */
export async function auditPage(
  d1: D1Database,
  tenant: string,
  filters: AuditFilters,
  after: AuditPlace | null,
  limit: number,
  { near, all }: ScanBound = SCAN_BOUND,
): Promise<AuditPage> {
  const { rows, next } = await lookAt(d1, tenant, filters, after, limit, near);
  if (next === null || rows.length === limit || near >= all) return { rows, next };
  const more = await lookAt(d1, tenant, filters, next, limit - rows.length, all - near);
  return { rows: [...rows, ...more.rows], next: more.next };
}

async function lookAt(
  d1: D1Database,
  tenant: string,
  filters: AuditFilters,
  after: AuditPlace | null,
  limit: number,
  scan: number,
): Promise<AuditPage> {
  const index = indexFor(filters);
  const inRange = and(
    eq(audit.tenant, tenant),
    // What retention has deleted has no time, and no place in a list; the other indexes do not have it.
    filters.since !== null
      ? gte(audit.time, filters.since)
      : index === "audit_by_time" && after === null
        ? gte(audit.time, "")
        : undefined,
    filters.until === null ? undefined : lt(audit.time, filters.until),
    after === null ? undefined : sql`${PLACE} < ${placeOf(after)}`,
  );
  const narrowing = conditionsOf(filters);
  const db = openDatabase(d1);
  // Only where most of what is looked at may not pass: an index of its own holds nothing else, or little.
  const [end] =
    index === "audit_by_time" && narrowing.length > 0
      ? await db
          .select({
            time: sql<string>`${audit.time}`,
            log: sql<string>`${audit.log}`,
            sequence: sql<number>`${audit.sequence}`,
          })
          .from(using(index))
          .where(inRange)
          .orderBy(...NEWEST_FIRST)
          .limit(1)
          .offset(scan - 1)
      : [];
  const rows = await db
    .select({
      record: sql<string>`${audit.record}`,
      time: sql<string>`${audit.time}`,
      log: sql<string>`${audit.log}`,
      sequence: sql<number>`${audit.sequence}`,
    })
    .from(using(index))
    .where(and(inRange, end === undefined ? undefined : sql`${PLACE} >= ${placeOf(end)}`, ...narrowing))
    .orderBy(...NEWEST_FIRST)
    .limit(limit);
  const last = rows.length === limit ? rows.at(-1) : end;
  return { rows, next: last === undefined ? null : { time: last.time, log: last.log, sequence: last.sequence } };
}

const NEWEST_FIRST = [desc(audit.time), desc(audit.log), desc(audit.sequence)] as const;
const PLACE = sql`(${audit.time}, ${audit.log}, ${audit.sequence})`;
const placeOf = ({ time, log, sequence }: AuditPlace): SQL => sql`(${time}, ${log}, ${sequence})`;

/** The table through one index. SQLite refuses the query where the index does not serve it. */
const using = (index: AuditIndex): SQL => sql`${audit} INDEXED BY ${sql.identifier(index)}`;

type AuditIndex =
  | "audit_by_time"
  | "audit_by_request"
  | "audit_by_approval"
  | "audit_by_incident"
  | "audit_by_rare_kind";

/** The index that leaves the least to look at. */
function indexFor({ equal }: AuditFilters): AuditIndex {
  if (equal.request_id !== undefined) return "audit_by_request";
  if (equal.approval_id !== undefined) return "audit_by_approval";
  if (equal.incident !== undefined) return "audit_by_incident";
  return isRare(equal.kind) ? "audit_by_rare_kind" : "audit_by_time";
}

const isRare = (kind: string | undefined): boolean => RARE_KINDS.some((rare) => rare === kind);

/** What filters ask for besides times. Every value is a bound parameter. */
function conditionsOf({ equal, tier, approver, text }: AuditFilters): readonly SQL[] {
  return [
    ...EQUAL_FILTERS.flatMap((name) => (equal[name] === undefined ? [] : [eq(EQUAL[name], equal[name])])),
    // What the rare kinds' own index is for.
    ...(isRare(equal.kind) ? [IS_RARE_KIND] : []),
    ...(tier === null ? [] : [eq(audit.tier, tier)]),
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
function contains(text: string): readonly SQL[] {
  const within = (name: string): SQL => sql`instr(lower(json_extract(record, ${`$.${name}`})), lower(${text})) > 0`;
  return [
    eq(audit.hasText, 1),
    sql`${audit.record} LIKE ${roughPattern(text)} ESCAPE '!'`,
    sql`(${sql.join(TEXTS.map(within), sql` OR `)})`,
  ];
}

/** Members that free text is looked for in. */
const TEXTS = ["reason", "evidence", "detail"] as const;

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
