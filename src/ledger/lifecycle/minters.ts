import { textOf } from "../../platform/sql-row.ts";

/** How far back minters are followed. Nobody needs more names than that, and a ring of keys has an end. */
const NAMES_MAX = 200;

/**
 * A person and everybody who minted keys with one of these roles for them, for those who did, and so on. A role is handed out by its
 * holders only, so two people whose keys of different roles lead to one and the same person may be names of that person. Keys that
 * are over count: what was done with them stands. A sign-in is nobody's to mint.
 */
export function mintersOf(sql: SqlStorage, subject: string, roles: readonly string[]): ReadonlySet<string> {
  const rows = sql
    .exec(
      `WITH RECURSIVE names (subject) AS (
         SELECT ?1
         UNION
         SELECT record ->> '$.issuer' FROM names JOIN credentials ON credentials.subject = names.subject
         WHERE record ->> '$.issuer' IS NOT NULL AND EXISTS (
           SELECT 1 FROM json_each(record, '$.roles') AS held WHERE held.value IN (SELECT value FROM json_each(?2)))
         LIMIT ?3)
       SELECT subject FROM names`,
      subject,
      JSON.stringify(roles),
      NAMES_MAX,
    )
    .toArray();
  return new Set(rows.map((row) => textOf(row, "subject")));
}
