import { integerOf, textOf, textOrNull, type SqlRow } from "../../platform/sql-row.ts";
import { MOST_COUNTED } from "../../policy/aggregates.ts";
import type { Measure } from "../../policy/types.ts";
import type { EpochMs } from "../../vocabulary.ts";
import {
  add,
  chargedBy,
  keepParts,
  oldestBucket,
  partOf,
  partsRowOf,
  RUNNING_BUCKET,
  scopeOf,
  type Change,
  type Part,
  type PartsRow,
} from "./aggregate-parts.ts";

/** Clocks step back: whatever was admitted so much earlier than its neighbours is still found. */
const CLOCK_SLACK_MS = 3_600_000;

/** An operation as the books have it: what a measure needs of it, read out of the record of its intent. */
type Booked = {
  readonly requestId: string;
  readonly principal: string;
  readonly resource: string | null;
  readonly action: string;
  readonly amount: number | null;
  readonly label: string | null;
  readonly admittedAt: EpochMs;
  readonly inFlight: boolean;
  /** Whether its own hold is open, and whether anything that was admitted for its resource runs. */
  readonly runs: boolean;
  readonly resourceRuns: boolean;
};

/**
 * Counts measures from the books, as if they had been counted all along: a new version of the policy gives nothing afresh. Whatever
 * was counted of them before is dropped. Of a day it reads at most what 26 hours admitted and what runs.
 */
export function fillMeasures(sql: SqlStorage, measures: ReadonlyMap<string, Measure>, now: EpochMs): void {
  const rows = new Map<string, PartsRow>(
    sql
      .exec("SELECT * FROM aggregate_parts")
      .toArray()
      .map(partsRowOf)
      .map((row) => [row.requestId, { ...row, parts: row.parts.filter(({ measure }) => !measures.has(measure)) }]),
  );
  for (const [key, measure] of measures) {
    sql.exec("DELETE FROM aggregate_counts WHERE measure = ?", key);
    const { counts, kept } = replay(key, measure, booked(sql, measure, now), now);
    add(sql, counts);
    for (const row of kept) {
      const parts = [...(rows.get(row.requestId)?.parts ?? []), ...row.parts];
      rows.set(row.requestId, { ...row, parts });
    }
    sql.exec("INSERT OR IGNORE INTO aggregate_measures (measure) VALUES (?)", key);
  }
  for (const row of rows.values()) keepParts(sql, row);
}

/** What a measure counts of these operations, in the order in which they were admitted. */
function replay(
  key: string,
  measure: Measure,
  operations: Iterable<Booked>,
  now: EpochMs,
): { readonly counts: readonly Change[]; readonly kept: readonly PartsRow[] } {
  // Summed as they come: a day's buckets fit where a day's operations would not.
  const counts = new Map<string, Change>();
  const count = (change: Change): void => {
    const at = JSON.stringify([change.scope, change.bucket, change.thing]);
    counts.set(at, { ...change, amount: (counts.get(at)?.amount ?? 0) + change.amount });
  };
  const rows = new Map<string, PartsRow>();
  const last = new Map<string, { readonly requestId: string; readonly part: Part }>();
  const oldest = oldestBucket(measure.within, now);
  for (const operation of operations) {
    const { requestId, resource, principal, label, amount, admittedAt, inFlight } = operation;
    if (amount === null || (measure.actions !== null && !measure.actions.includes(operation.action))) continue;
    const scope = scopeOf(measure.per, principal, label);
    const before = resource === null ? undefined : last.get(resource);
    // What has ended since has nothing any more; its label is still the one that it had.
    const had = before === undefined || operation.resourceRuns ? before?.part : { ...before.part, has: 0, charged: 0 };
    const part = partOf({ key, measure, scope, amount }, had ?? null, resource ?? requestId, admittedAt);
    if (part.bucket !== RUNNING_BUCKET && part.bucket >= oldest) chargedBy([part]).forEach(count);
    const whole =
      !inFlight && part.ofResource && part.bucket === RUNNING_BUCKET ? { ...part, charged: part.has } : part;
    if (!inFlight && part.ofResource && resource !== null) {
      if (before !== undefined) rows.delete(before.requestId);
      last.set(resource, { requestId, part: whole });
    }
    const stays = inFlight || operation.runs || (part.ofResource && operation.resourceRuns);
    if (stays) rows.set(requestId, { requestId, resource, done: !inFlight, parts: [whole] });
  }
  const kept = [...rows.values()];
  const running = chargedBy(kept.flatMap(({ parts }) => parts).filter(({ bucket }) => bucket === RUNNING_BUCKET));
  return { counts: [...counts.values(), ...running], kept };
}

const COLUMNS = `operations.rowid AS number, request_id, operations.principal AS principal, operations.resource AS resource,
  operations.state AS state, admitted_at, entry ->> '$.action' AS action, json_extract(entry, ?) AS amount,
  json_type(entry, ?) AS type, json_extract(entry, ?) AS label,
  EXISTS (SELECT 1 FROM reservations WHERE reservations.id = request_id AND reservations.state IN ('dispatching','committed','unknown')) AS runs,
  EXISTS (SELECT 1 FROM reservations WHERE reservations.resource = operations.resource AND reservations.state = 'committed') AS resource_runs`;
const BEGUN = "operations.state NOT IN ('failed','not-sent')";

/**
 * Everything that the measure may count: what its window began, and what was done to whatever still runs. Oldest first, which is the
 * order of rows. One at a time: a day of a busy tenant has more operations than an object has memory.
 */
function* booked(sql: SqlStorage, measure: Measure, now: EpochMs): Generator<Booked> {
  const fact = pathOf(measure.of);
  const paths = [fact, fact, pathOf(typeof measure.per === "string" ? "" : measure.per.fact)];
  const found = new Map<number, Booked>();
  const keep = (row: SqlRow): void => void found.set(integerOf(row, "number"), bookedOf(row, measure));
  const open = [
    "SELECT id FROM reservations INDEXED BY reservations_open WHERE state IN ('held','dispatching','committed','unknown')",
    "SELECT resource FROM reservations INDEXED BY reservations_running WHERE state = 'committed' AND resource IS NOT NULL",
  ] as const;
  for (const [column, of] of [
    ["request_id", open[0]],
    ["resource", open[1]],
  ] as const)
    for (const row of sql.exec(
      `SELECT ${COLUMNS} FROM operations WHERE operations.${column} IN (${of}) AND ${BEGUN}`,
      ...paths,
    ))
      keep(row);
  const running = [...found].toSorted(([a], [b]) => a - b);
  let place = 0;
  const runningBefore = function* (number: number): Generator<Booked> {
    for (let one = running[place]; one !== undefined && one[0] < number; one = running[++place]) yield one[1];
  };
  if (measure.within !== "running") {
    const from = oldestBucket(measure.within, now);
    const rows = sql.exec(
      `SELECT ${COLUMNS} FROM operations WHERE operations.rowid >= ? AND admitted_at >= ? AND ${BEGUN} ORDER BY operations.rowid`,
      ...paths,
      firstSince(sql, from - CLOCK_SLACK_MS),
      from,
    );
    for (const row of rows) {
      const number = integerOf(row, "number");
      yield* runningBefore(number);
      if (!found.has(number)) yield bookedOf(row, measure);
    }
  }
  yield* runningBefore(Infinity);
}

/** The first row of those that were admitted since then, looked for from the end: there is no index by time. */
function firstSince(sql: SqlStorage, since: EpochMs): number {
  let first = Infinity;
  for (const row of sql.exec("SELECT rowid AS number, admitted_at FROM operations ORDER BY rowid DESC")) {
    if (integerOf(row, "admitted_at") < since) break;
    first = integerOf(row, "number");
  }
  return Number.isFinite(first) ? first : 0;
}

/** Names of facts are words of the catalogue's grammar: nothing in them ends the quotes. */
const pathOf = (fact: string): string => `$.facts."${fact}"`;

/** As the admission counts it: books hold whatever a request stated while nothing limited it. */
const countable = (amount: number): number => Math.min(Math.max(0, amount), MOST_COUNTED);

function bookedOf(row: SqlRow, { of }: Measure): Booked {
  const countsOne = of === "submissions" || of === "resources";
  return {
    requestId: textOf(row, "request_id"),
    principal: textOf(row, "principal"),
    resource: textOrNull(row, "resource"),
    action: textOf(row, "action"),
    amount: countsOne ? 1 : row["type"] === "integer" ? countable(integerOf(row, "amount")) : null,
    label: typeof row["label"] === "string" ? row["label"] : null,
    admittedAt: integerOf(row, "admitted_at"),
    inFlight: row["state"] === "dispatching" || row["state"] === "unknown",
    runs: row["runs"] === 1,
    resourceRuns: row["resource_runs"] === 1,
  };
}

/** Every measure is counted from the books anew before it is used: called whenever a version comes in force. */
export const forgetMeasures = (sql: SqlStorage): void => void sql.exec("DELETE FROM aggregate_measures");
