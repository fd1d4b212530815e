import type { StatusCheck } from "../ledger/money/finance-port.ts";
import type { HandOver } from "../ledger/notices.ts";
import type { AlertNotice, Notice } from "../notify/notice.ts";
import { integerOf, textOf } from "../platform/sql-row.ts";
import type { EpochMs } from "../vocabulary.ts";
import type { LookUpJob } from "./port.ts";

export const OUTBOX_SCHEMA: readonly string[] = [
  `
  CREATE TABLE jobs (
    id TEXT PRIMARY KEY, lane TEXT NOT NULL, due_at INTEGER NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, job TEXT NOT NULL
  ) WITHOUT ROWID;
  CREATE INDEX jobs_by_due ON jobs (due_at);
  CREATE TABLE accepted (id TEXT PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID;
  CREATE TABLE postings (approval_id TEXT PRIMARY KEY, posting TEXT NOT NULL) WITHOUT ROWID;
  `,
];

/** One thing to do outside. */
export type Job =
  | ({ readonly kind: "look-up" } & LookUpJob)
  | ({ readonly kind: "status"; readonly tenant: string } & StatusCheck)
  | { readonly kind: "notice"; readonly tenant: string; readonly channel: string; readonly notice: Notice }
  | { readonly kind: "alert"; readonly tenant: string; readonly channel: string; readonly notice: AlertNotice }
  | { readonly kind: "execute"; readonly tenant: string; readonly approvalId: string };

/** What the ledger itself plans again: a try that failed is neither repeated here nor given up. */
export type Asking = Extract<Job, { readonly kind: "look-up" | "status" }>;

export const isAsking = (job: Job): job is Asking => job.kind === "look-up" || job.kind === "status";

export type QueuedJob = { readonly id: string; readonly lane: string; readonly attempts: number; readonly job: Job };

/** Waits after a failed try. Together a little over two hours: longer than any proposal that people wait for by default. */
const BACK_OFF_S = [5, 15, 60, 120, 300, 600, 1_200, 2_400, 3_600];

/** How long the ids of hand-overs are remembered: the ledger repeats an unconfirmed one every half minute. */
const ACCEPTED_RETENTION_MS = 24 * 3_600_000;

/** Channels that machines read: they get every checkpoint. People get one message an hour, with all logs in it. */
const EVERY_CHECKPOINT: ReadonlySet<string> = new Set(["webhook"]);

const ANCHOR_EVERY_MS = 3_600_000;

/** The wait after this many failed tries, null when it is time to give up. */
export const backOffMs = (attempts: number): number | null => {
  const seconds = BACK_OFF_S[attempts - 1];
  return seconds === undefined ? null : seconds * 1_000;
};

/** Queues a job; one with the same id is there already and stays as it is. Jobs of one lane run one after the other. */
export function enqueue(sql: SqlStorage, id: string, lane: string, job: Job, now: EpochMs): void {
  sql.exec(
    "INSERT OR IGNORE INTO jobs (id, lane, due_at, job) VALUES (?, ?, ?, ?)",
    id,
    lane,
    now,
    JSON.stringify(job),
  );
}

/** Takes over what the ledger hands over, once per id: one job per notice or alert and channel, one per request to run. */
export function acceptAll(
  sql: SqlStorage,
  tenant: string,
  handedOver: readonly HandOver[],
  channels: readonly string[],
  now: EpochMs,
): void {
  sql.exec("DELETE FROM accepted WHERE at < ?", now - ACCEPTED_RETENTION_MS);
  for (const one of handedOver) {
    const isNew =
      sql.exec("INSERT OR IGNORE INTO accepted (id, at) VALUES (?, ?) RETURNING 1", one.id, now).toArray().length === 1;
    if (!isNew) continue;
    if (one.kind === "execute") {
      enqueue(sql, one.id, "execute", { kind: "execute", tenant, approvalId: one.approvalId }, now);
    } else if (one.kind === "alert") {
      const { kind, ...notice } = one;
      for (const channel of channels) {
        if (notice.alert.kind === "audit-checkpoint") enqueueAnchor(sql, tenant, notice, channel, now);
        else enqueue(sql, `${channel}/${notice.id}`, channel, { kind, tenant, channel, notice }, now);
      }
    } else {
      enqueueNotice(sql, tenant, { ...one, kind: one.kind, detail: null }, channels, now);
    }
  }
}

/**
 * Queues a checkpoint for a channel. In a lane of its own: a minute's checkpoints of five logs must not delay what people wait
 * for while the other side hangs.
 *
 * A checkpoint says all that the earlier ones of its log say, so it takes the place of those that could not be delivered: a
 * webhook that is down collects one per log, not one per minute.
 */
function enqueueAnchor(sql: SqlStorage, tenant: string, notice: AlertNotice, channel: string, now: EpochMs): void {
  const lane = `${channel}/audit`;
  if (!EVERY_CHECKPOINT.has(channel)) return enqueueSummary(sql, tenant, channel, lane, now);
  const id = `${channel}/${notice.id}`;
  // `/` and `0` are neighbours: every id that goes on after the last slash.
  const log = id.slice(0, id.lastIndexOf("/"));
  sql.exec("DELETE FROM jobs WHERE id > ? AND id < ? AND attempts > 0", `${log}/`, `${log}0`);
  enqueue(sql, id, lane, { kind: "alert", tenant, channel, notice }, now);
}

/** One message an hour: due when the last one is an hour old, and only one waits. What it says is looked up when it is told. */
function enqueueSummary(sql: SqlStorage, tenant: string, channel: string, lane: string, now: EpochMs): void {
  const id = `${channel}/audit-anchor`;
  if (sql.exec("SELECT 1 FROM jobs WHERE id = ?", id).toArray().length > 0) return;
  const last = sql.exec("SELECT at FROM accepted WHERE id = ?", id).toArray()[0];
  // The clock may have stepped back since: an hour is the longest wait.
  const due =
    last === undefined ? now : Math.min(now + ANCHOR_EVERY_MS, Math.max(now, integerOf(last, "at") + ANCHOR_EVERY_MS));
  const notice: AlertNotice = { id: `audit-anchor/${due}`, at: due, alert: { kind: "audit-anchor" } };
  enqueue(sql, id, lane, { kind: "alert", tenant, channel, notice }, due);
  sql.exec("INSERT INTO accepted (id, at) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET at = excluded.at", id, due);
}

/** One job per channel. */
export function enqueueNotice(
  sql: SqlStorage,
  tenant: string,
  notice: Notice,
  channels: readonly string[],
  now: EpochMs,
): void {
  for (const channel of channels)
    enqueue(sql, `${channel}/${notice.id}`, channel, { kind: "notice", tenant, channel, notice }, now);
}

/**
 * Takes due jobs, earliest first, of every lane but those that are `busy`: up to `perLane` of each, so that no lane's backlog
 * stands in another's way. Each is put off by its next wait before it is tried: a crash during the try leaves a job that comes
 * again, and one that crashes the object every time gives up like any other.
 */
export function takeDue(sql: SqlStorage, now: EpochMs, perLane: number, busy: readonly string[]): readonly QueuedJob[] {
  const rows = sql
    .exec(
      `SELECT * FROM (
         SELECT *, row_number() OVER (PARTITION BY lane ORDER BY due_at, id) AS place FROM jobs
         WHERE due_at <= ? AND lane NOT IN (SELECT value FROM json_each(?))
       ) WHERE place <= ? ORDER BY due_at, id`,
      now,
      JSON.stringify(busy),
      perLane,
    )
    .toArray();
  return rows.flatMap((row) => {
    const id = textOf(row, "id");
    const attempts = integerOf(row, "attempts") + 1;
    sql.exec("UPDATE jobs SET attempts = ?, due_at = ? WHERE id = ?", attempts, now + (backOffMs(attempts) ?? 0), id);
    const job = readJob(textOf(row, "job"));
    if (job !== null) return [{ id, lane: textOf(row, "lane"), attempts, job }];
    strikeOff(sql, id);
    return [];
  });
}

/** Serialised by this module; a job that cannot be read is a bug's or a stranger's, and would stand in the way for ever. */
function readJob(text: string): Job | null {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

export const strikeOff = (sql: SqlStorage, id: string): void => void sql.exec("DELETE FROM jobs WHERE id = ?", id);

export const putOff = (sql: SqlStorage, id: string, until: EpochMs): void =>
  void sql.exec("UPDATE jobs SET due_at = ? WHERE id = ?", until, id);

/** When the next job of any lane but the `busy` ones is due, null when none waits. */
export function nextJobAt(sql: SqlStorage, busy: readonly string[]): EpochMs | null {
  const row = sql
    .exec(
      "SELECT due_at FROM jobs WHERE lane NOT IN (SELECT value FROM json_each(?)) ORDER BY due_at LIMIT 1",
      JSON.stringify(busy),
    )
    .toArray()[0];
  return row === undefined ? null : integerOf(row, "due_at");
}
