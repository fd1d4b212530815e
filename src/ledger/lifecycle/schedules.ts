import { appendEntry } from "../../audit/journal.ts";
import { blankEntry } from "../../audit/record.ts";
import { assert } from "../../platform/assert.ts";
import { integerOf, textOf, textOrNull, type SqlRow } from "../../platform/sql-row.ts";
import type { Refusal } from "../../refusal.ts";
import type { EpochMs } from "../../vocabulary.ts";
import type { AdmissionScope } from "../admission.ts";
import { activeVersion, type ActiveVersion } from "../authority.ts";
import { plan } from "../due.ts";
import type { Actor } from "../ledger-port.ts";
import { tell } from "../signals.ts";
import { activationFault, findVersion, putInForce, type PolicyVersion } from "./versions.ts";

/** Furthest ahead that a version may be put in force: a quarter. What it is judged by is further away with each day. */
export const SCHEDULE_AHEAD_MAX_MS = 90 * 86_400_000;

/** A version that is to come in force by itself. */
export type Schedule = {
  readonly version: number;
  readonly at: EpochMs;
  readonly by: string;
  readonly reason: string | null;
  readonly madeAt: EpochMs;
};

/** The same with what is asked again when its time has come. */
type StoredSchedule = Schedule & {
  readonly class: string;
  readonly credentialId: string;
  readonly demo: boolean;
  readonly roles: readonly string[];
  /** Digest of the people document in force when it was made. */
  readonly people: string;
  readonly requestId: string;
};

type ScheduleAsk = { readonly version: number; readonly at: EpochMs; readonly reason: string | null };

/**
 * Has a version come in force at `at`: for whoever might put it in force now. One schedule per version. People are told. Returns why
 * not, or null. Run inside `transactionSync`.
 */
export function scheduleActivation(
  { sql, now }: Pick<AdmissionScope, "sql" | "now">,
  actor: Actor,
  requestId: string,
  { version, at, reason }: ScheduleAsk,
): Refusal | null {
  if (at <= now) return { kind: "malformed-request", reason: "body /at: is not in the future; leave it out for now" };
  if (at > now + SCHEDULE_AHEAD_MAX_MS)
    return { kind: "malformed-request", reason: "body /at: is more than 90 days ahead" };
  const candidate = findVersion(sql, version);
  const active = activeVersion(sql);
  if (candidate === null || active === null) return { kind: "not-found" };
  const waiting = findSchedule(sql, version);
  if (waiting !== null) {
    const state = `version ${version} is scheduled for ${new Date(waiting.at).toISOString()}`;
    return { kind: "already-decided", state, decided_by: [waiting.by] };
  }
  const reasonAgainst = activationFault(sql, candidate, active, actor);
  if (reasonAgainst !== null) return { kind: "not-eligible", reason: reasonAgainst };
  sql.exec(
    `INSERT INTO schedules (version, at, subject, class, credential_id, demo, roles, people, reason, made_at, request_id)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    version,
    at,
    actor.subject,
    actor.class,
    actor.credentialId,
    actor.demo ? 1 : 0,
    JSON.stringify(actor.roles),
    active.people,
    reason,
    now,
    requestId,
  );
  plan(sql, "activation", String(version), at);
  tell(sql, { signal: "policy-scheduled", version, by: actor.subject, reason, at, since: now }, now);
  return null;
}

/** What is to come in force by itself, soonest first. */
export const listSchedules = (sql: SqlStorage): readonly Schedule[] =>
  sql.exec("SELECT * FROM schedules ORDER BY at, version LIMIT 200").toArray().map(fromRow);

/** Takes a schedule back. Returns why not, or null. */
export function cancelSchedule(sql: SqlStorage, version: number): Refusal | null {
  const rows = sql.exec("DELETE FROM schedules WHERE version = ? RETURNING version", version).toArray();
  return rows.length === 0 ? { kind: "not-found" } : null;
}

/**
 * The job of a schedule: puts its version in force if whoever made it could do so now, judged against what is in force now, and
 * records and tells it either way. Does nothing where the schedule is gone or stands at another time. Run inside `transactionSync`.
 */
export function runSchedule({ sql, place, now }: Pick<AdmissionScope, "sql" | "place" | "now">, ref: string): void {
  const schedule = findSchedule(sql, Number(ref));
  const active = activeVersion(sql);
  if (schedule === null || active === null || schedule.at > now) return;
  sql.exec("DELETE FROM schedules WHERE version = ?", schedule.version);
  const { version, by, reason } = schedule;
  const candidate = findVersion(sql, version);
  assert(candidate !== null, "a scheduled version exists");
  const fault = faultNow(sql, schedule, candidate, active, now);
  if (fault === null) putInForce(sql, candidate, { previous: active.version, by, at: now, how: "scheduled", reason });
  else tell(sql, { signal: "policy-not-activated", version, by, cause: fault, since: now }, now);
  const said = fault === null ? (reason ?? "") : fault;
  appendEntry(
    sql,
    place,
    `${schedule.requestId}/scheduled-activation`,
    {
      ...blankEntry("admin", schedule.requestId, now),
      principal: by,
      principal_class: schedule.class,
      credential_id: schedule.credentialId,
      demo: schedule.demo,
      decision: fault === null ? "allow" : "refuse",
      reason_code: "policy-activation",
      detail: `version ${version} after ${active.version}, as scheduled${said === "" ? "" : `: ${said}`}`,
    },
    now,
  );
}

/** Why whoever made the schedule could not put its version in force now, null where they could. */
function faultNow(
  sql: SqlStorage,
  schedule: StoredSchedule,
  candidate: PolicyVersion,
  active: ActiveVersion,
  now: EpochMs,
): string | null {
  const roles = rolesNow(sql, schedule, active, now);
  if (!roles.some((role) => role === "security" || role === "finance")) {
    return `${schedule.by} no longer holds role security or finance, or the credential that made the schedule is revoked.`;
  }
  const fault = activationFault(sql, candidate, active, { subject: schedule.by, roles });
  return fault ?? overtakenBy(sql, schedule);
}

/**
 * Why a version that was judged against another one is not put in force, null where it was not overtaken. Whoever put one in force
 * by hand since then may have done so in a hurry, to take away what the scheduled one would give back: nobody has looked at that.
 */
function overtakenBy(sql: SqlStorage, { madeAt }: StoredSchedule): string | null {
  const since = sql
    .exec("SELECT version, by FROM activations WHERE how = 'at-once' AND at > ? ORDER BY number DESC LIMIT 1", madeAt)
    .toArray()[0];
  return since === undefined
    ? null
    : `Version ${integerOf(since, "version")} was put in force by ${textOf(since, "by")} after this was scheduled: schedule it again.`;
}

/**
 * Roles of whoever made the schedule, as of now. Keys: those of every key of theirs that stands. A sign-in has its role from the people
 * document: it counts as long as that is the one it was made under. Nobody's once the credential that made it is revoked.
 */
function rolesNow(
  sql: SqlStorage,
  { by, credentialId, roles, people }: StoredSchedule,
  active: ActiveVersion,
  now: EpochMs,
): readonly string[] {
  const revoked = sql
    .exec("SELECT 1 FROM credentials WHERE credential_id = ? AND revoked_at IS NOT NULL", credentialId)
    .toArray();
  if (revoked.length > 0) return [];
  if (credentialId.startsWith("jwt:")) return active.people === people ? roles : [];
  return sql
    .exec("SELECT record FROM credentials WHERE subject = ? AND revoked_at IS NULL AND expires_at > ?", by, now)
    .toArray()
    .flatMap((row) => {
      // Serialised by whoever minted the key (identity/api-key.ts).
      const record: { readonly roles?: readonly string[] } = JSON.parse(textOf(row, "record"));
      return record.roles ?? [];
    });
}

function findSchedule(sql: SqlStorage, version: number): StoredSchedule | null {
  const row = sql.exec("SELECT * FROM schedules WHERE version = ?", version).toArray()[0];
  return row === undefined ? null : storedFromRow(row);
}

const fromRow = (row: SqlRow): Schedule => ({
  version: integerOf(row, "version"),
  at: integerOf(row, "at"),
  by: textOf(row, "subject"),
  reason: textOrNull(row, "reason"),
  madeAt: integerOf(row, "made_at"),
});

const storedFromRow = (row: SqlRow): StoredSchedule => ({
  ...fromRow(row),
  class: textOf(row, "class"),
  credentialId: textOf(row, "credential_id"),
  demo: integerOf(row, "demo") === 1,
  // Serialised above.
  roles: JSON.parse(textOf(row, "roles")),
  people: textOf(row, "people"),
  requestId: textOf(row, "request_id"),
});
