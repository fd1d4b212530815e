import { assert } from "../../platform/assert.ts";
import { integerOf } from "../../platform/sql-row.ts";
import type { Refusal } from "../../refusal.ts";
import type { EpochMs } from "../../vocabulary.ts";
import { fillMeasures } from "./aggregate-fill.ts";
import { add, chargedBy, keepParts, oldestBucket, partOf, partsOfResource, type Part } from "./aggregate-parts.ts";
import type { AdmissionRequest, AskedAggregate, Tally } from "../contract.ts";

/** A limit that the request would pass, with numbers: `current + requested > max`. */
export type Exceeded = {
  readonly aggregate: AskedAggregate;
  readonly scope: string;
  readonly current: number;
  readonly requested: number;
};

/** What the limits say to a request, and what is counted for it once it is admitted. */
export type Counting = Tally & {
  /** One per measure, however many limits it has. */
  readonly parts: readonly Part[];
  readonly exceeded: readonly Exceeded[];
  readonly refusal: Refusal | null;
};

const NOTHING: Counting = { parts: [], exceeded: [], refusal: null, lifted: null, shadow: [] };

/**
 * Holds a request against every limit that counts it: one statement for all of them, and one more for a change of a resource.
 * What is not counted yet, because the version in force is new, is counted from the books first. Otherwise reads only. A limit with
 * `over: approve` lifts what nobody has to approve to tier 3; where people decide anyway they decide about this, too.
 */
export function countingOf(sql: SqlStorage, request: AdmissionRequest, now: EpochMs): Counting {
  const { aggregates, resource, requestId } = request;
  if (aggregates.length === 0) return NOTHING;
  let readings = readAll(sql, aggregates, resource, requestId, now);
  const unknown = new Map(
    readings.filter(({ known }) => !known).map(({ aggregate: { key, measure } }) => [key, measure]),
  );
  if (unknown.size > 0) {
    fillMeasures(sql, unknown, now);
    readings = readAll(sql, aggregates, resource, requestId, now);
  }
  const parts = new Map(readings.map(({ part }) => [part.measure, part]));
  const exceeded = readings.flatMap(({ aggregate, part: { scope }, current, requested }): readonly Exceeded[] =>
    // What adds nothing is let through, however low the limit has become: it may be the way back below it.
    requested > 0 && current + requested > aggregate.max ? [{ aggregate, scope, current, requested }] : [],
  );
  const enforced = exceeded.filter(({ aggregate }) => !aggregate.isShadow);
  const decided = request.requirement.kind === "approval";
  const refusing = enforced.find(({ aggregate }) => aggregate.over === "refuse" || (!decided && request.lift === null));
  const lifting = decided ? undefined : enforced.find(({ aggregate }) => aggregate.over === "approve");
  return {
    parts: [...parts.values()],
    exceeded: enforced,
    refusal: refusing === undefined ? null : refusalOf(refusing),
    lifted: refusing !== undefined || lifting === undefined ? null : { tier: 3, rule: ruleOf(lifting.aggregate) },
    shadow: exceeded
      .filter(({ aggregate }) => aggregate.isShadow)
      .map(({ aggregate }) => ({
        rule: ruleOf(aggregate),
        verdict: aggregate.over === "approve" ? "tier 3" : "aggregate-exceeded",
      })),
  };
}

/** How records and proposals name a limit. */
export const ruleOf = ({ name }: { readonly name: string }): string => `aggregate ${name}`;

/** Counts an admitted request. Two statements; none where nothing counts it. */
export function countIn(sql: SqlStorage, { requestId, resource }: AdmissionRequest, parts: readonly Part[]): void {
  if (parts.length === 0) return;
  add(sql, chargedBy(parts));
  keepParts(sql, { requestId, resource, done: false, parts });
}

type Reading = {
  readonly aggregate: AskedAggregate;
  readonly known: boolean;
  readonly part: Part;
  readonly current: number;
  readonly requested: number;
};

function readAll(
  sql: SqlStorage,
  aggregates: readonly AskedAggregate[],
  resource: string | null,
  requestId: string,
  now: EpochMs,
): readonly Reading[] {
  const had = resource === null ? [] : partsOfResource(sql, resource).filter(({ done }) => done);
  const asked = aggregates.map((aggregate) => {
    const before = had.flatMap(({ parts }) => parts).find((part) => part.measure === aggregate.key && part.ofResource);
    return { aggregate, part: partOf(aggregate, before ?? null, resource ?? requestId, now) };
  });
  const rows = sql
    .exec(
      `SELECT asked.key AS at,
         EXISTS (SELECT 1 FROM aggregate_measures AS m WHERE m.measure = asked.value ->> 'measure') AS known,
         (SELECT CASE WHEN asked.value ->> 'thing' = '' THEN coalesce(sum(c.amount), 0) ELSE count(DISTINCT c.thing) END
            FROM aggregate_counts AS c WHERE c.measure = asked.value ->> 'measure' AND c.scope = asked.value ->> 'scope'
              AND c.bucket >= asked.value ->> 'from' AND c.amount > 0) AS current,
         EXISTS (SELECT 1 FROM aggregate_counts AS c WHERE c.measure = asked.value ->> 'measure'
            AND c.scope = asked.value ->> 'scope' AND c.bucket >= asked.value ->> 'from'
            AND c.thing = asked.value ->> 'thing' AND c.amount > 0) AS present
       FROM json_each(?) AS asked ORDER BY asked.key`,
      JSON.stringify(
        asked.map(({ aggregate, part: { measure, scope, thing } }) => ({
          measure,
          scope,
          thing,
          from: oldestBucket(aggregate.measure.within, now),
        })),
      ),
    )
    .toArray();
  return rows.map((row) => {
    const one = asked[integerOf(row, "at")];
    assert(one !== undefined, "a row per limit that was asked for");
    const isThere = one.part.thing !== "" && row["present"] === 1;
    return {
      ...one,
      known: row["known"] === 1,
      current: integerOf(row, "current"),
      requested: isThere ? 0 : one.part.charged,
    };
  });
}

const refusalOf = ({ aggregate, scope, current, requested }: Exceeded): Refusal => ({
  kind: "aggregate-exceeded",
  aggregate: aggregate.name,
  of: aggregate.measure.of,
  scope,
  within: aggregate.measure.within,
  limit: aggregate.max,
  current,
  requested,
  nearest: null,
});
