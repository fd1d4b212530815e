import { integerOf, textOf } from "../../platform/sql-row.ts";
import type { Aggregate } from "../../policy/types.ts";
import type { EpochMs } from "../../vocabulary.ts";
import { fillMeasures } from "./aggregate-fill.ts";
import { oldestBucket } from "./aggregate-parts.ts";

/** Most scopes of one aggregate that are listed: those that have most. */
export const SCOPES_LISTED_MAX = 100;

/** How much one scope has. */
export type ScopeCount = { readonly scope: string; readonly current: number };

/** What is counted of each aggregate now, the largest first. `own`: of principals only this one; null: all of them. */
export function aggregateReport(
  sql: SqlStorage,
  aggregates: readonly Aggregate[],
  own: string | null,
  now: EpochMs,
): readonly (readonly ScopeCount[])[] {
  const known = new Set(
    sql
      .exec("SELECT measure FROM aggregate_measures")
      .toArray()
      .map((row) => textOf(row, "measure")),
  );
  const unknown = aggregates.filter(({ key }) => !known.has(key));
  if (unknown.length > 0) fillMeasures(sql, new Map(unknown.map(({ key, measure }) => [key, measure])), now);
  return aggregates.map(({ key, measure: { of, per, within } }) => {
    const counted = of === "resources" && within !== "running" ? "count(DISTINCT thing)" : "sum(amount)";
    const rows = sql.exec(
      `SELECT scope, ${counted} AS current FROM aggregate_counts
       WHERE measure = ?1 AND bucket >= ?2 AND amount > 0 AND (?3 IS NULL OR scope = ?3)
       GROUP BY scope ORDER BY current DESC, scope LIMIT ?4`,
      key,
      oldestBucket(within, now),
      per === "principal" && own !== null ? `principal:${own}` : null,
      SCOPES_LISTED_MAX,
    );
    return rows.toArray().map((row) => ({ scope: textOf(row, "scope"), current: integerOf(row, "current") }));
  });
}
