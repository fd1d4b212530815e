import type { Env } from "../env.ts";
import { ledgerOf } from "../ledger/ledger-port.ts";
import { DENIALS_PERIOD_MS, type DenialCount, type LogState } from "../ledger/signals.ts";
import { describeError } from "../platform/describe-error.ts";
import { log } from "../platform/log.ts";
import { integerOf, textOf } from "../platform/sql-row.ts";
import type { EpochMs } from "../vocabulary.ts";
import { dropBatch, hasActivity, nextBatch } from "./activity-reports.ts";
import { backlog, type Place } from "./journal.ts";
import { NO_TENANT } from "./recorder.ts";
import type { SecondCopy } from "./second-copy.ts";
import type { TreeKeeper } from "./tree-keeper.ts";

/**
 * Refusals that a log of requests has chained, per principal and minute, and how many of them its tenant's ledger knows; part of
 * the object's schema steps.
 */
export const DENIALS_SCHEMA = `
  CREATE TABLE denials (
    minute INTEGER NOT NULL, principal TEXT NOT NULL, count INTEGER NOT NULL, reported INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (minute, principal)
  ) WITHOUT ROWID;
  CREATE INDEX denials_unreported ON denials (count) WHERE count > reported;
`;

/**
 * How often a log reports at most: four logs are less than one small call to the ledger every two seconds, and only while something
 * is refused or waits.
 */
export const REPORT_EVERY_MS = 10_000;

/** How often a log says again that it is not signed, or that a copy is behind, while that lasts. */
const STATE_EVERY_MS = 10 * 60_000;

/** A copy that writes something every few minutes is none that people have to hear of, whatever their bound. */
const BEHIND_MINUTES = 5;

/** Principals and minutes per report, the most refused first; the next report takes the rest. */
const COUNTS_PER_REPORT = 200;

/** Waiting records that are no news: what comes in while D1 answers. */
export const QUIET_BACKLOG_ROWS = 100;

/** The newest record that is chained; all before it are, too. */
export function newestChained(sql: SqlStorage): number {
  const row = sql
    .exec("SELECT sequence FROM journal WHERE hash IS NOT NULL ORDER BY sequence DESC LIMIT 1")
    .toArray()[0];
  return row === undefined ? 0 : integerOf(row, "sequence");
}

/**
 * Counts the refusals among the records chained since `after`; those for want of rate are the limiter's work, not a sign of
 * anything. Joins the transaction that chained them, so each is counted once. A summary counts for all that it stands for.
 */
export function countDenials(sql: SqlStorage, after: number): void {
  sql.exec(
    `INSERT INTO denials (minute, principal, count)
     SELECT CAST(strftime('%s', record ->> 'time') AS INTEGER) / 60 * 60000 AS minute, record ->> 'principal' AS principal,
       sum(record ->> 'count')
     FROM journal WHERE sequence > ? AND hash IS NOT NULL AND record ->> 'decision' = 'refuse'
       AND record ->> 'reason_code' IS NOT 'rate-limited' AND record ->> 'principal' IS NOT NULL
     GROUP BY 1, 2
     ON CONFLICT (minute, principal) DO UPDATE SET count = count + excluded.count`,
    after,
  );
}

/** How a log's tree and its copies stand. */
export type LogStanding = Pick<LogState, "unsigned" | "behind">;

const UNTROUBLED: LogStanding = { unsigned: null, behind: [] };

/** What people may have to hear of how a log stands. */
export const standingOf = (
  tree: Pick<TreeKeeper, "trouble">,
  copy: Pick<SecondCopy, "behind">,
  now: EpochMs,
): LogStanding => ({
  unsigned: tree.trouble(now),
  behind: copy.behind(now).filter(({ minutes }) => minutes >= BEHIND_MINUTES),
});

/** Whether there is anything in it that is not as it should be. */
export const isTroubled = ({ unsigned, behind }: LogStanding): boolean => unsigned !== null || behind.length > 0;

/** What a log of requests tells its tenant's ledger, from its alarm and so in nobody's way. */
export type LogReporter = {
  /** When there is something to report, null for never; asked after each run and each projection. */
  readonly nextAt: (now: EpochMs) => EpochMs | null;
  /** Reports what is due. Never throws. */
  readonly run: (now: EpochMs) => Promise<void>;
};

/**
 * The reporter of one log. A report that is lost, or whose answer is, is sent again: it says how many refusals there are, not how
 * many more, and activity under the same id. `place`: null while the log is empty.
 */
export function createLogReporter(
  storage: DurableObjectStorage,
  env: Env,
  place: () => Place | null,
  standing: (now: EpochMs) => LogStanding = () => UNTROUBLED,
): LogReporter {
  const { sql } = storage;
  let notBefore: EpochMs = 0;
  let toldHalt: string | null = null;
  let stateNotBefore: EpochMs = 0;

  const isNews = (now: EpochMs): boolean => {
    if (stateNotBefore <= now && isTroubled(standing(now))) return true;
    const { rows, halted } = backlog(sql);
    return (
      (halted === null ? rows >= QUIET_BACKLOG_ROWS : halted !== toldHalt) ||
      unreported(sql, 1).length > 0 ||
      hasActivity(sql)
    );
  };

  return {
    nextAt: (now) => {
      const at = place();
      if (at === null || at.tenant === NO_TENANT || !isNews(now)) return null;
      // The clock may have stepped back since.
      return Math.min(Math.max(now, notBefore), now + REPORT_EVERY_MS);
    },
    run: async (now) => {
      const at = place();
      if (at === null || at.tenant === NO_TENANT || notBefore > now || !isNews(now)) return;
      notBefore = now + REPORT_EVERY_MS;
      const denials = unreported(sql, COUNTS_PER_REPORT);
      const { rows, halted } = backlog(sql);
      const state = standing(now);
      const activity = storage.transactionSync(() => nextBatch(sql));
      try {
        await ledgerOf(env.LEDGER, at.tenant).noteLog(
          { log: at.log, denials, waitingRows: rows, halted, ...state },
          activity,
        );
        toldHalt = halted;
        if (isTroubled(state)) stateNotBefore = now + STATE_EVERY_MS;
        storage.transactionSync(() => {
          markReported(sql, denials, now);
          if (activity !== null) dropBatch(sql);
        });
      } catch (error) {
        log("warn", "log-report", { ...at, cause: describeError(error) });
      }
    },
  };
}

const unreported = (sql: SqlStorage, limit: number): readonly DenialCount[] =>
  sql
    .exec("SELECT minute, principal, count FROM denials WHERE count > reported ORDER BY count DESC LIMIT ?", limit)
    .toArray()
    .map((row) => ({
      principal: textOf(row, "principal"),
      minute: integerOf(row, "minute"),
      count: integerOf(row, "count"),
    }));

function markReported(sql: SqlStorage, denials: readonly DenialCount[], now: EpochMs): void {
  for (const { minute, principal, count } of denials)
    sql.exec("UPDATE denials SET reported = ? WHERE minute = ? AND principal = ?", count, minute, principal);
  // No window reaches these any more, reported or not. Later refusals of such a minute begin anew and are few.
  sql.exec("DELETE FROM denials WHERE minute < ?", now - 2 * DENIALS_PERIOD_MS);
}
