import { appendEntry } from "../../audit/journal.ts";
import { assert } from "../../platform/assert.ts";
import { newId } from "../../platform/ids.ts";
import { integerOf, integerOrNull, textOf, textOrNull, type SqlRow } from "../../platform/sql-row.ts";
import type { Refusal } from "../../refusal.ts";
import type { EpochMs } from "../../vocabulary.ts";
import type { AdmissionScope } from "../admission.ts";
import type { Escalation, EscalationAsk, EscalationResult } from "./incident-port.ts";
import { actedBy } from "./incident-record.ts";
import type { Actor } from "../ledger-port.ts";
import { noteAlert } from "../notices.ts";

/** Of one principal within an hour: far above what one diagnosis after another takes, and what people can read. */
const ENTRIES_PER_HOUR = 20;
const HOUR_MS = 3_600_000;

/** Of one escalation: whoever opens it has all of them before them. At 14 KiB each below the 1.4 MB that one answer may have. */
const ENTRIES_MAX = 100;

/** The same of one principal: its words alone never leave another without a place. */
const ENTRIES_OF_PRINCIPAL_MAX = 25;

type Scope = Pick<AdmissionScope, "sql" | "place" | "now">;

/**
 * Puts what nobody could diagnose before people, once per incident: while one is open for the same key, the new words are added
 * to it, whoever says them, and nobody is told again. Journaled each time.
 */
export function escalate({ sql, place, now }: Scope, actor: Actor, ask: EscalationAsk): EscalationResult {
  const busy = tooMany(sql, actor.subject, now);
  if (busy !== null) return refused(busy);
  const open = ask.incident === null ? null : openFor(sql, ask.incident);
  const full = open === null ? null : fullFor(open, actor.subject);
  if (full !== null) return refused(full);
  const id = open?.id ?? newId("esc");
  if (open === null) {
    sql.exec(
      "INSERT INTO escalations (id, incident, state, opened_at) VALUES (?, ?, 'open', ?)",
      id,
      ask.incident,
      now,
    );
  }
  sql.exec(
    `INSERT INTO escalation_entries (escalation_id, number, principal, hypothesis, evidence, tried, at)
     VALUES (?, ?, ?, ?, ?, ?, ?)`,
    id,
    (open?.entries.length ?? 0) + 1,
    actor.subject,
    ask.hypothesis,
    ask.evidence,
    ask.tried,
    now,
  );
  const entry = {
    ...actedBy(actor, ask.requestId, now),
    reason_code: open === null ? "escalation-opened" : "escalation-added",
    detail: `${id}; tried: ${ask.tried}`,
    reason: ask.hypothesis,
    evidence: ask.evidence,
    incident: ask.incident,
  };
  appendEntry(sql, place, `${id}/${ask.requestId}`, entry, now);
  if (open === null) tell(sql, id, "opened", actor.subject, now);
  return done(sql, id, actor.class === "person" ? null : actor.subject);
}

/** Somebody has taken it up, or it is over. The next one for the same incident is a new one. */
export function closeEscalation(
  { sql, place, now }: Scope,
  actor: Actor,
  { requestId, id, note }: { readonly requestId: string; readonly id: string; readonly note: string },
): EscalationResult {
  const found = findEscalation(sql, id);
  if (found === null) return refused({ kind: "not-found" });
  if (found.state === "closed") {
    const decidedBy = found.closedBy === null ? [] : [found.closedBy];
    return refused({ kind: "already-decided", state: found.state, decided_by: decidedBy });
  }
  sql.exec(
    "UPDATE escalations SET state = 'closed', closed_by = ?, closed_at = ?, note = ? WHERE id = ?",
    actor.subject,
    now,
    note,
    id,
  );
  const entry = {
    ...actedBy(actor, requestId, now),
    reason_code: "escalation-closed",
    detail: `${id}: ${note}`,
    incident: found.incident,
  };
  appendEntry(sql, place, `${id}/closed`, entry, now);
  tell(sql, id, "closed", actor.subject, now);
  return done(sql, id, null);
}

/** One escalation. `of`: only what this principal has said, null where that is nothing. */
export function findEscalation(sql: SqlStorage, id: string, of: string | null = null): Escalation | null {
  const row = sql.exec("SELECT * FROM escalations WHERE id = ?", id).toArray()[0];
  const found = row === undefined ? null : fromRow(sql, row, of);
  return found === null || found.entries.length === 0 ? null : found;
}

/**
 * Escalations in one state (or all), newest first, at most `limit`, each with the first that was said in it: 200 are 2.8 MB then,
 * and would be 280 MB with all of it. `of`: those in which this principal has said something.
 */
export function listEscalations(
  sql: SqlStorage,
  state: string | null,
  limit: number,
  of: string | null,
): readonly Escalation[] {
  return sql
    .exec(
      `SELECT * FROM escalations WHERE (?1 IS NULL OR state = ?1) AND (?2 IS NULL OR EXISTS (
         SELECT 1 FROM escalation_entries AS e WHERE e.escalation_id = escalations.id AND e.principal = ?2))
       ORDER BY opened_at DESC, rowid DESC LIMIT ?3`,
      state,
      of,
      limit,
    )
    .toArray()
    .map((row) => fromRow(sql, row, of, 1));
}

function openFor(sql: SqlStorage, incident: string): Escalation | null {
  const row = sql.exec("SELECT * FROM escalations WHERE incident = ? AND state = 'open'", incident).toArray()[0];
  return row === undefined ? null : fromRow(sql, row);
}

/** Why this principal adds nothing more to an escalation that is open: people have enough to read until they close it. */
function fullFor({ entries }: Escalation, principal: string): Refusal | null {
  const own = entries.filter((entry) => entry.principal === principal).length;
  const limit =
    own >= ENTRIES_OF_PRINCIPAL_MAX
      ? `${ENTRIES_OF_PRINCIPAL_MAX} entries of one principal in one escalation`
      : entries.length >= ENTRIES_MAX
        ? `${ENTRIES_MAX} entries of one escalation`
        : null;
  return limit === null ? null : { kind: "rate-limited", limit, retry_after_s: HOUR_MS / 1_000 };
}

function tooMany(sql: SqlStorage, principal: string, now: EpochMs): Refusal | null {
  const row = sql
    .exec(
      "SELECT count(*) AS count, min(at) AS first FROM escalation_entries WHERE principal = ? AND at > ?",
      principal,
      now - HOUR_MS,
    )
    .one();
  if (integerOf(row, "count") < ENTRIES_PER_HOUR) return null;
  const leftMs = (integerOrNull(row, "first") ?? now) + HOUR_MS - now;
  return {
    kind: "rate-limited",
    limit: `${ENTRIES_PER_HOUR} escalations of one principal per hour`,
    retry_after_s: Math.min(HOUR_MS / 1_000, Math.max(1, Math.ceil(leftMs / 1_000))),
  };
}

function tell(sql: SqlStorage, id: string, event: "opened" | "closed", by: string, now: EpochMs): void {
  const found = findEscalation(sql, id);
  const first = found?.entries[0];
  assert(found !== null && first !== undefined, "an escalation has an entry");
  const { incident, note } = found;
  const { hypothesis, evidence, tried } = first;
  noteAlert(sql, { kind: "escalation", event, id, incident, by, hypothesis, evidence, tried, note, at: now }, now);
}

function done(sql: SqlStorage, id: string, of: string | null): EscalationResult {
  const escalation = findEscalation(sql, id, of);
  assert(escalation !== null, "an escalation that was just written exists");
  return { kind: "done", escalation };
}

function fromRow(sql: SqlStorage, row: SqlRow, of: string | null = null, most = ENTRIES_MAX): Escalation {
  const id = textOf(row, "id");
  return {
    id,
    incident: textOrNull(row, "incident"),
    state: row["state"] === "closed" ? "closed" : "open",
    openedAt: integerOf(row, "opened_at"),
    closedBy: textOrNull(row, "closed_by"),
    closedAt: integerOrNull(row, "closed_at"),
    note: textOrNull(row, "note"),
    entries: sql
      .exec(
        `SELECT * FROM escalation_entries WHERE escalation_id = ?1 AND (?2 IS NULL OR principal = ?2)
         ORDER BY number LIMIT ?3`,
        id,
        of,
        most,
      )
      .toArray()
      .map((entry) => ({
        number: integerOf(entry, "number"),
        principal: textOf(entry, "principal"),
        hypothesis: textOf(entry, "hypothesis"),
        evidence: textOf(entry, "evidence"),
        tried: textOf(entry, "tried"),
        at: integerOf(entry, "at"),
      })),
  };
}

const refused = (refusal: Refusal): EscalationResult => ({ kind: "refused", refusal });
