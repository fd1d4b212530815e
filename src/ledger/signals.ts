import type { LateCopy } from "../audit/copy.ts";
import type { Signal } from "../notify/signal.ts";
import { DEFAULT_SIGNALS, type SignalBounds } from "../policy/signals.ts";
import { integerOf, textOrNull } from "../platform/sql-row.ts";
import type { EpochMs } from "../vocabulary.ts";
import { ALERT_RETENTION_MS, noteAlert } from "./notices.ts";

/**
 * What signals are counted in; a step of the ledger's schema. `source`: who counted: a log of requests, or the ledger itself.
 * `stands_until`: up to when the figure is known to be at its bound.
 */
export const SIGNAL_SCHEMA = `
  ALTER TABLE authority ADD COLUMN signals TEXT;
  ALTER TABLE versions ADD COLUMN signals TEXT;
  CREATE TABLE signal_counts (
    signal TEXT NOT NULL, subject TEXT NOT NULL, minute INTEGER NOT NULL, source TEXT NOT NULL, count INTEGER NOT NULL,
    PRIMARY KEY (signal, subject, minute, source)
  ) WITHOUT ROWID;
  CREATE TABLE signal_episodes (id TEXT PRIMARY KEY, stands_until INTEGER NOT NULL) WITHOUT ROWID;
  CREATE INDEX operations_unknown ON operations (admitted_at) WHERE state = 'unknown';
`;

/** Counts are kept by whole minutes: so many rows at most per window, principal and source, whatever comes. */
const MINUTE_MS = 60_000;
export const DENIALS_PERIOD_MS = 10 * MINUTE_MS;
const INELIGIBLE_PERIOD_MS = 60 * MINUTE_MS;
/** A backlog that was below its bound for so long and is there again is another one. */
const BACKLOG_PERIOD_MS = 60 * MINUTE_MS;
/** The same for what a log reports again and again while it lasts: a tree that is not signed, a copy that is late. */
const TROUBLE_PERIOD_MS = 60 * MINUTE_MS;

const minuteOf = (at: EpochMs): EpochMs => at - (at % MINUTE_MS);

/** Refusals of one principal in one minute (its start), as many as one log has recorded by now. */
export type DenialCount = { readonly principal: string; readonly minute: EpochMs; readonly count: number };

/**
 * How a log stands: records that wait for D1, why it has halted, why its tree is not signed, and the further copies for which
 * records wait.
 */
export type LogState = {
  readonly log: string;
  readonly waitingRows: number;
  readonly halted: string | null;
  readonly unsigned: string | null;
  readonly behind: readonly LateCopy[];
};

/** What a log of requests says of itself, with the refusals that it has counted. */
export type LogReport = LogState & { readonly denials: readonly DenialCount[] };

/**
 * Takes in what a log of requests reports. Counts are the log's sums so far, so the same report again counts nothing twice. Run
 * inside `transactionSync`.
 */
export function takeReport(sql: SqlStorage, report: LogReport, now: EpochMs): void {
  const { log, denials } = report;
  const bounds = signalBounds(sql);
  for (const { principal, minute, count } of denials) {
    sql.exec(
      `INSERT INTO signal_counts (signal, subject, minute, source, count) VALUES ('denials', ?, ?, ?, ?)
       ON CONFLICT (signal, subject, minute, source) DO UPDATE SET count = max(count, excluded.count)`,
      principal,
      minute,
      log,
      count,
    );
  }
  for (const principal of new Set(denials.map((one) => one.principal)))
    judge(sql, "denials", principal, { bound: bounds.denialsPer10Minutes, periodMs: DENIALS_PERIOD_MS }, now);
  tellLogState(sql, report, now);
}

/** Tells of a log that has halted or is not signed, or whose backlog or copy is past its bound. Run inside `transactionSync`. */
export function tellLogState(
  sql: SqlStorage,
  { log, waitingRows, halted, unsigned, behind }: LogState,
  now: EpochMs,
): void {
  const { auditBacklogRows, auditCopyLateMinutes } = signalBounds(sql);
  if (
    auditBacklogRows > 0 &&
    waitingRows >= auditBacklogRows &&
    begins(sql, `backlog/${log}`, now, BACKLOG_PERIOD_MS, now)
  )
    tell(sql, { signal: "audit-backlog", log, rows: waitingRows, since: now }, now);
  // Ends only when somebody mends it: as long as alerts are remembered, the same cause is the same episode.
  if (halted !== null && begins(sql, `halted/${log}/${halted}`, now, ALERT_RETENTION_MS, now))
    tell(sql, { signal: "audit-halted", log, cause: halted, since: now }, now);
  if (unsigned !== null && begins(sql, `unsigned/${log}`, now, TROUBLE_PERIOD_MS, now))
    tell(sql, { signal: "audit-unsigned", log, cause: unsigned, since: now }, now);
  for (const { copy, rows, minutes } of behind) {
    const isLate = auditCopyLateMinutes > 0 && minutes >= auditCopyLateMinutes;
    if (isLate && begins(sql, `copy/${log}/${copy}`, now, TROUBLE_PERIOD_MS, now))
      tell(sql, { signal: "audit-copy-late", log, copy, rows, minutes, since: now }, now);
  }
}

/** Counts one try to decide by somebody whose word does not count. Joins the decision's transaction. */
export function countIneligible(sql: SqlStorage, person: string, now: EpochMs): void {
  const bound = signalBounds(sql).ineligibleApprovalsPerHour;
  sql.exec(
    `INSERT INTO signal_counts (signal, subject, minute, source, count) VALUES ('ineligible-approvals', ?, ?, 'ledger', 1)
     ON CONFLICT (signal, subject, minute, source) DO UPDATE SET count = count + 1`,
    person,
    minuteOf(now),
  );
  judge(sql, "ineligible-approvals", person, { bound, periodMs: INELIGIBLE_PERIOD_MS }, now);
}

/** Has people told. Joins the transaction of the event. */
export const tell = (sql: SqlStorage, signal: Signal, now: EpochMs): void =>
  void noteAlert(sql, { kind: "audit-signal", ...signal }, now);

/** Drops counts that no window reaches any more, and episodes that nobody remembers. */
export function pruneSignals(sql: SqlStorage, now: EpochMs): void {
  sql.exec("DELETE FROM signal_counts WHERE minute < ?", now - INELIGIBLE_PERIOD_MS);
  sql.exec("DELETE FROM signal_episodes WHERE stands_until < ?", now - ALERT_RETENTION_MS);
}

/** The bounds of the version in force; the defaults for one that was stored before they were kept. */
function signalBounds(sql: SqlStorage): SignalBounds {
  const row = sql.exec("SELECT signals FROM authority").toArray()[0];
  const text = row === undefined ? null : textOrNull(row, "signals");
  // Serialised by versions.ts.
  const bounds: Partial<SignalBounds> = text === null ? {} : JSON.parse(text);
  // A version that was stored by an earlier build lacks what has come since.
  return { ...DEFAULT_SIGNALS, ...bounds };
}

function judge(
  sql: SqlStorage,
  signal: "denials" | "ineligible-approvals",
  subject: string,
  { bound, periodMs }: { readonly bound: number; readonly periodMs: number },
  now: EpochMs,
): void {
  if (bound === 0) return;
  const minutes = sql
    .exec(
      `SELECT minute, sum(count) AS count FROM signal_counts WHERE signal = ? AND subject = ? AND minute > ?
       GROUP BY minute ORDER BY minute DESC`,
      signal,
      subject,
      now - periodMs,
    )
    .toArray()
    .map((row) => ({ minute: integerOf(row, "minute"), count: integerOf(row, "count") }));
  const count = minutes.reduce((sum, one) => sum + one.count, 0);
  // The youngest minute that is still needed to reach the bound: until it leaves the window the figure stands by itself.
  let newer = 0;
  const needed = minutes.find((one) => (newer += one.count) >= bound);
  if (needed === undefined) return;
  if (!begins(sql, `${signal}/${subject}`, needed.minute + periodMs, periodMs, now)) return;
  const figures = { count, minutes: periodMs / MINUTE_MS, since: now };
  if (signal === "denials") tell(sql, { signal, principal: subject, ...figures }, now);
  else tell(sql, { signal, person: subject, ...figures }, now);
}

/**
 * Whether an episode begins now, its figure being at its bound at least until `standsUntil`. It does not if the last one has not
 * ended yet: it ends when the figure was below for `periodMs`.
 */
function begins(sql: SqlStorage, id: string, standsUntil: EpochMs, periodMs: number, now: EpochMs): boolean {
  const last = sql.exec("SELECT stands_until FROM signal_episodes WHERE id = ?", id).toArray()[0];
  sql.exec(
    `INSERT INTO signal_episodes (id, stands_until) VALUES (?, ?)
     ON CONFLICT (id) DO UPDATE SET stands_until = max(stands_until, excluded.stands_until)`,
    id,
    standsUntil,
  );
  return last === undefined || now >= integerOf(last, "stands_until") + periodMs;
}
