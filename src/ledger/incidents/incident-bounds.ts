import { integerOf, integerOrNull } from "../../platform/sql-row.ts";
import type { Refusal } from "../../refusal.ts";
import type { EpochMs } from "../../vocabulary.ts";
import { CATALOGUE_INCIDENT } from "../../catalogue/incident-key.ts";

/**
 * Claims by keys of its own choosing that one principal may hold, and as many again that others gave to it. As many as it may have
 * open before people: far above what one works on at a time, and far below what would name every incident of a team. Keys that
 * the catalogue derives do not count: each ends with the work that it stands for.
 */
export const CLAIMS_MAX = 50;

/** Why this principal takes no further incident of its own naming, null where it may. Reads only. */
export function crowdedClaims(sql: SqlStorage, subject: string, now: EpochMs): Refusal | null {
  const { made, freeAt } = claimsOf(sql, subject, now);
  return made < CLAIMS_MAX ? null : crowded(`${CLAIMS_MAX} incidents that one principal has claimed`, freeAt, now);
}

/** Why nobody gives this principal a further one. What was given to it keeps it from claiming nothing itself. Reads only. */
export function crowdedGifts(sql: SqlStorage, subject: string, now: EpochMs): Refusal | null {
  const { given, freeAt } = claimsOf(sql, subject, now);
  return given < CLAIMS_MAX ? null : crowded(`${CLAIMS_MAX} incidents that were given to one principal`, freeAt, now);
}

/** What a principal holds, by whose request each was claimed; and when the next of it may be free. */
function claimsOf(
  sql: SqlStorage,
  subject: string,
  now: EpochMs,
): { readonly made: number; readonly given: number; readonly freeAt: EpochMs } {
  const row = sql
    .exec(
      `SELECT count(*) FILTER (WHERE own) AS made, count(*) FILTER (WHERE NOT own) AS given,
         min(expires_at) FILTER (WHERE NOT busy) AS free_at
       FROM (SELECT expires_at,
           EXISTS (SELECT 1 FROM incident_work WHERE incident_work.key = incidents.key) AS busy,
           EXISTS (SELECT 1 FROM approvals WHERE id = approval_id AND principal = incidents.owner)
             OR EXISTS (SELECT 1 FROM operations WHERE operations.request_id = incidents.request_id
                  AND operations.principal = incidents.owner) AS own
         FROM incidents INDEXED BY incidents_by_owner
         WHERE owner = ? AND state = 'claimed' AND substr(key, 1, ?) <> ?)
       WHERE busy OR expires_at > ?`,
      subject,
      CATALOGUE_INCIDENT.length,
      CATALOGUE_INCIDENT,
      now,
    )
    .one();
  return {
    made: integerOf(row, "made"),
    given: integerOf(row, "given"),
    freeAt: integerOrNull(row, "free_at") ?? now,
  };
}

const crowded = (limit: string, freeAt: EpochMs, now: EpochMs): Refusal => ({
  kind: "rate-limited",
  limit,
  retry_after_s: Math.max(1, Math.ceil((freeAt - now) / 1_000)),
});
