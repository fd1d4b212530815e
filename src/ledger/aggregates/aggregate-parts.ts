import { integerOf, textOf, textOrNull, type SqlRow } from "../../platform/sql-row.ts";
import type { Measure } from "../../policy/types.ts";
import type { EpochMs } from "../../vocabulary.ts";
import type { AskedAggregate } from "../contract.ts";

/**
 * What aggregates are counted in. `aggregate_counts`: sums per bucket of time (0: of what runs); `thing` tells resources apart
 * where different ones are counted, and is empty elsewhere. `aggregate_parts`: what each operation that is in flight or runs has
 * in those sums. `aggregate_measures`: what is counted since the active version came in force; whatever is not listed is counted
 * from the books before it is used (aggregate-fill.ts).
 */
export const AGGREGATE_SCHEMA = `
  CREATE TABLE aggregate_measures (measure TEXT PRIMARY KEY) WITHOUT ROWID;
  CREATE TABLE aggregate_counts (
    measure TEXT NOT NULL, scope TEXT NOT NULL, bucket INTEGER NOT NULL, thing TEXT NOT NULL,
    amount INTEGER NOT NULL CHECK (amount >= 0), PRIMARY KEY (measure, scope, bucket, thing)
  ) WITHOUT ROWID;
  CREATE TABLE aggregate_parts (
    request_id TEXT PRIMARY KEY, resource TEXT, done INTEGER NOT NULL DEFAULT 0 CHECK (done IN (0, 1)), parts TEXT NOT NULL
  ) WITHOUT ROWID;
  CREATE INDEX aggregate_parts_of ON aggregate_parts (resource) WHERE resource IS NOT NULL;
  CREATE INDEX operations_of ON operations (resource) WHERE resource IS NOT NULL;
`;

/** Bucket of what runs. */
export const RUNNING_BUCKET = 0;

/** Window and bucket of each sliding count: 61 rows are summed for an hour, 25 for a day. */
const WINDOWS = {
  hour: { windowMs: 3_600_000, bucketMs: 60_000 },
  day: { windowMs: 24 * 3_600_000, bucketMs: 3_600_000 },
} as const;

/** The bucket that something at `at` counts in, by the beginning of the bucket. */
export const bucketOf = (within: Measure["within"], at: EpochMs): number =>
  within === "running" ? RUNNING_BUCKET : at - (at % WINDOWS[within].bucketMs);

/**
 * The first bucket that still counts at `now`. It counts whole, so what is counted is never less than what the last hour (day)
 * began, and at most what the last 61 minutes (25 hours) did.
 */
export const oldestBucket = (within: Measure["within"], now: EpochMs): number =>
  within === "running" ? RUNNING_BUCKET : bucketOf(within, now - WINDOWS[within].windowMs);

/** What one operation has in the sums of one measure. */
export type Part = {
  readonly measure: string;
  readonly scope: string;
  readonly bucket: number;
  readonly thing: string;
  /** What the operation's resource has as a whole, once it is done. */
  readonly has: number;
  /** What is counted for it. */
  readonly charged: number;
  /** Whether it is the resource that has it, until nothing of it runs; else the operation by itself. */
  readonly ofResource: boolean;
};

/** The parts of one operation. `done`: it succeeded. */
export type PartsRow = {
  readonly requestId: string;
  readonly resource: string | null;
  readonly done: boolean;
  readonly parts: readonly Part[];
};

/** A row of `aggregate_parts`. */
export const partsRowOf = (row: SqlRow): PartsRow => ({
  requestId: textOf(row, "request_id"),
  resource: textOrNull(row, "resource"),
  done: integerOf(row, "done") === 1,
  // Serialised by `keepParts`.
  parts: JSON.parse(textOf(row, "parts")),
});

/** What is known of everything that was done to one resource and still counts. */
export const partsOfResource = (sql: SqlStorage, resource: string): readonly PartsRow[] =>
  sql.exec("SELECT * FROM aggregate_parts WHERE resource = ?", resource).toArray().map(partsRowOf);

/** Keeps what an operation has in the sums; nothing is kept of one that has nothing there. */
export function keepParts(sql: SqlStorage, { requestId, resource, done, parts }: PartsRow): void {
  if (parts.length === 0) return void sql.exec("DELETE FROM aggregate_parts WHERE request_id = ?", requestId);
  sql.exec(
    `INSERT INTO aggregate_parts (request_id, resource, done, parts) VALUES (?, ?, ?, ?)
     ON CONFLICT (request_id) DO UPDATE SET resource = excluded.resource, done = excluded.done, parts = excluded.parts`,
    requestId,
    resource,
    done ? 1 : 0,
    JSON.stringify(parts),
  );
}

/** One row of the sums, and by how much it changes. */
export type Change = Pick<Part, "measure" | "scope" | "bucket" | "thing"> & { readonly amount: number };

/** Adds to the sums. */
export function add(sql: SqlStorage, changes: readonly Change[]): void {
  if (changes.length === 0) return;
  sql.exec(
    `INSERT INTO aggregate_counts (measure, scope, bucket, thing, amount)
       SELECT value ->> 'measure', value ->> 'scope', value ->> 'bucket', value ->> 'thing', value ->> 'amount'
       FROM json_each(?) WHERE true
     ON CONFLICT (measure, scope, bucket, thing) DO UPDATE SET amount = amount + excluded.amount`,
    JSON.stringify(changes),
  );
}

/** Takes from the sums what is counted there; a bucket that is too old to be there any more needs nothing taken. */
export function takeAway(sql: SqlStorage, changes: readonly Change[]): void {
  for (const { measure, scope, bucket, thing, amount } of changes)
    if (amount > 0)
      sql.exec(
        "UPDATE aggregate_counts SET amount = amount - ? WHERE measure = ? AND scope = ? AND bucket = ? AND thing = ?",
        amount,
        measure,
        scope,
        bucket,
        thing,
      );
}

/** What is counted for these parts. */
export const chargedBy = (parts: readonly Part[]): readonly Change[] =>
  parts.map(({ measure, scope, bucket, thing, charged: amount }) => ({ measure, scope, bucket, thing, amount }));

/** Scope of a label that a request does not have. No label's own: those have a colon. */
const NO_LABEL = "none";

/**
 * What a request would have in the sums of a measure. `before`: what its resource has there. `thing`: what it changes or will have
 * made. Of an hour or a day a change counts what it adds to the resource, whoever it belonged to; of what runs it counts what it
 * adds to what the scope already has of it, so that one scope's growth never stands in another's place.
 */
export function partOf(
  {
    key: measure,
    measure: { of, within },
    scope: given,
    amount,
  }: Pick<AskedAggregate, "key" | "measure" | "scope" | "amount">,
  before: Part | null,
  thing: string,
  at: EpochMs,
): Part {
  const scope = given ?? before?.scope ?? NO_LABEL;
  const bucket = bucketOf(within, at);
  const base = { measure, scope, bucket, has: amount };
  if (of === "submissions") return { ...base, thing: "", charged: 1, ofResource: false };
  if (of === "resources" && within !== "running") return { ...base, thing, charged: 1, ofResource: false };
  const had = bucket !== RUNNING_BUCKET ? (before?.has ?? 0) : before?.scope === scope ? before.charged : 0;
  return { ...base, thing: "", charged: Math.max(0, amount - had), ofResource: true };
}

/** What `of` and `per` mean for one request. `label`: its value of the fact; null where it has none. */
export const scopeOf = (per: Measure["per"], principal: string, label: string | null): string | null =>
  per === "tenant"
    ? "tenant"
    : per === "principal"
      ? `principal:${principal}`
      : label === null
        ? null
        : `${per.fact}:${label}`;

/** Drops buckets that no window reaches any more, and sums of what has ended. */
export function pruneCounts(sql: SqlStorage, now: EpochMs): void {
  sql.exec(
    `DELETE FROM aggregate_counts WHERE amount = 0 OR (bucket <> ? AND bucket <
       CASE WHEN measure ->> '$.within' = 'hour' THEN ? ELSE ? END)`,
    RUNNING_BUCKET,
    oldestBucket("hour", now),
    oldestBucket("day", now),
  );
}
