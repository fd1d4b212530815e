import type { SqlRow } from "../../platform/sql-row.ts";
import type { Conclusion } from "../contract.ts";
import {
  add,
  chargedBy,
  keepParts,
  partsOfResource,
  partsRowOf,
  RUNNING_BUCKET,
  takeAway,
  type Part,
  type PartsRow,
} from "./aggregate-parts.ts";

/**
 * What a conclusion means for what was counted. A definite failure, and what was never sent, give all of it back: nothing was begun.
 * An unknown outcome keeps it. A success of a change makes what it results in all that its resource has.
 */
export function concludeCounted(
  sql: SqlStorage,
  { requestId, outcome, resource: made }: Pick<Conclusion, "requestId" | "outcome" | "resource">,
): void {
  if (outcome === "unknown") return;
  const row = rowOf(sql, requestId);
  if (row === null) return;
  if (outcome !== "succeeded") {
    takeAway(sql, chargedBy(row.parts));
    return keepParts(sql, { ...row, parts: [] });
  }
  const resource = row.resource ?? made;
  if (resource !== null && row.parts.some(({ ofResource }) => ofResource)) replaceOthers(sql, resource, row);
  const parts = row.parts.map((part) => settled(sql, part, resource));
  keepParts(sql, { requestId, resource, done: true, parts });
}

/** What was done to the resource before is no more: the newest success says what it has. */
function replaceOthers(sql: SqlStorage, resource: string, by: PartsRow): void {
  const replaced = new Set(by.parts.filter(({ ofResource }) => ofResource).map(({ measure }) => measure));
  for (const row of partsOfResource(sql, resource)) {
    const gone = row.parts.filter(({ ofResource, measure }) => ofResource && replaced.has(measure));
    if (row.requestId === by.requestId || !row.done || gone.length === 0) continue;
    takeAway(sql, chargedBy(gone.filter(runs)));
    keepParts(sql, { ...row, parts: row.parts.filter((part) => !gone.includes(part)) });
  }
}

/** A part of something that is done: of what runs, the whole is counted; a thing is known by its name from now on. */
function settled(sql: SqlStorage, part: Part, resource: string | null): Part {
  if (part.thing !== "" && resource !== null && part.thing !== resource) {
    const named = { ...part, thing: resource };
    takeAway(sql, chargedBy([part]));
    add(sql, chargedBy([named]));
    return named;
  }
  if (!part.ofResource || !runs(part) || part.has === part.charged) return part;
  const whole = { ...part, charged: part.has };
  takeAway(sql, chargedBy([part]));
  add(sql, chargedBy([whole]));
  return whole;
}

/**
 * What runs has ended: called for each reservation that is settled or released. What the operation has by itself is free; what its
 * resource has is free once nothing that was admitted for the resource runs on. `resource`: what ran, where it is known.
 */
export function endCounted(sql: SqlStorage, requestId: string, resource: string | null): void {
  const own = rowOf(sql, requestId);
  const of = own?.resource ?? resource;
  if (of !== null && runsOn(sql, of)) {
    if (own === null || !own.done) return;
    free(sql, { ...own, parts: own.parts.filter(({ ofResource }) => !ofResource) });
    return keepParts(sql, { ...own, parts: own.parts.filter(({ ofResource }) => ofResource) });
  }
  const ended = of === null ? (own === null ? [] : [own]) : partsOfResource(sql, of);
  // A change in flight is not over: its conclusion says what comes of it.
  for (const row of ended.filter(({ done }) => done)) {
    free(sql, row);
    keepParts(sql, { ...row, parts: [] });
  }
}

/** What began in an hour began in it, whenever it ends: only what is counted as running is free again. */
const free = (sql: SqlStorage, { parts }: PartsRow): void => takeAway(sql, chargedBy(parts.filter(runs)));

const runs = ({ bucket }: Part): boolean => bucket === RUNNING_BUCKET;

const runsOn = (sql: SqlStorage, resource: string): boolean =>
  sql.exec("SELECT 1 FROM reservations WHERE resource = ? AND state = 'committed' LIMIT 1", resource).toArray().length >
  0;

function rowOf(sql: SqlStorage, requestId: string): PartsRow | null {
  const row: SqlRow | undefined = sql
    .exec("SELECT * FROM aggregate_parts WHERE request_id = ?", requestId)
    .toArray()[0];
  return row === undefined ? null : partsRowOf(row);
}
