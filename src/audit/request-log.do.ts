import { DurableObject } from "cloudflare:workers";
import type { Env } from "../env.ts";
import { describeError } from "../platform/describe-error.ts";
import { log } from "../platform/log.ts";
import { dropOldest } from "../platform/drop-oldest.ts";
import { migrate } from "../platform/sqlite-migrations.ts";
import type { EpochMs } from "../vocabulary.ts";
import { countServed, LOG_ACTIVITY_SCHEMA } from "./activity-reports.ts";
import { SINK_SCHEMA, switchCopy } from "./copy-cursor.ts";
import type { AuditCopyPort } from "./copy-port.ts";
import { deletableLeaves } from "./deletable-leaves.ts";
import { appendOpenEntries, backlog, JOURNAL_SCHEMA, sealEntries, type Place } from "./journal.ts";
import type { SignedCheckpoint } from "./checkpoints.ts";
import { TREE_SCHEMA } from "./log-tree.ts";
import { BACKLOG_LIMIT_ROWS, PROJECTION_DELAY_MS, projectJournal } from "./projection.ts";
import type { Ending } from "./record.ts";
import type { AppendOutcome, RequestLogPort, SubmittedEnding } from "./request-log-port.ts";
import {
  countDenials,
  createLogReporter,
  DENIALS_SCHEMA,
  newestChained,
  standingOf,
  type LogReporter,
} from "./log-reports.ts";
import { auditBucket } from "./r2-copy.ts";
import { createSecondCopy, type SecondCopy } from "./second-copy.ts";
import { createTreeKeeper, type TreeKeeper } from "./tree-keeper.ts";
import type { AuditTreePort, ConsistencyProof, InclusionProof, LogLeavesPort, TreeAnswer } from "./tree-port.ts";
import { textOf } from "../platform/sql-row.ts";

const SCHEMA: readonly string[] = [
  `CREATE TABLE place (only INTEGER PRIMARY KEY CHECK (only = 1), tenant TEXT NOT NULL, log TEXT NOT NULL);
   ${JOURNAL_SCHEMA}`,
  TREE_SCHEMA,
  DENIALS_SCHEMA,
  SINK_SCHEMA,
  LOG_ACTIVITY_SCHEMA,
];

/** How long a read's record waits for its ending before it is chained without one. */
const ENDING_WAIT_MS = 5_000;

/** Entries chained per alarm: ≈ 15 µs each, so a few milliseconds. */
const SEAL_ROWS = 500;

/** Endings kept in memory: far more than can come while an alarm waits; without the bound a stuck alarm would fill it. */
const ENDINGS_MAX = 50_000;

/** After an unexpected failure the alarm comes again by itself; the platform would give up after six. */
const ALARM_RETRY_MS = 2_000;

/**
 * One shard of a tenant's log of reads and refusals, with a chain of its own: requests that change nothing must not queue
 * behind writes, nor fill the journal that writes depend on.
 *
 * A read's entry is stored while upstream is still answering, so that the response waits for no extra hop; its ending
 * arrives with a later batch and stays in memory until the alarm chains entry and ending together, a quarter of a second
 * later. A crash in between leaves an open entry that is durable and is chained, ending `not-seen`, once it has waited
 * long enough.
 */
export class RequestLog
  extends DurableObject<Env>
  implements RequestLogPort, AuditTreePort, LogLeavesPort, AuditCopyPort
{
  readonly #tree: TreeKeeper;
  readonly #reporter: LogReporter;
  readonly #copy: SecondCopy;
  #alarmAt: EpochMs | null = null;
  #projectAt: EpochMs | null = null;
  /** For its tree, for what it has to report, or for its second copy. */
  #treeAt: EpochMs | null = null;
  #failures = 0;
  /** Endings of open entries, by entry id, until the alarm chains them. */
  readonly #endings = new Map<string, Ending>();

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#tree = createTreeKeeper(ctx.storage, env, () => this.#place());
    this.#copy = createSecondCopy(
      ctx.storage,
      () => this.env,
      () => this.#place(),
      () => this.#armForTree(),
    );
    this.#reporter = createLogReporter(
      ctx.storage,
      env,
      () => this.#place(),
      (now) => standingOf(this.#tree, this.#copy, now),
    );
    void ctx.blockConcurrencyWhile(async () => {
      migrate(ctx.storage, SCHEMA);
      this.#alarmAt = await ctx.storage.getAlarm();
      if (backlog(ctx.storage.sql).rows > 0) this.#projectAt = Date.now() + PROJECTION_DELAY_MS;
      this.#armForTree();
    });
  }

  async append(place: Place, entries: string | null, endings: string | null): Promise<AppendOutcome> {
    const { storage } = this.ctx;
    const { rows, halted } = backlog(storage.sql);
    if (halted !== null) return { kind: "refused", cause: halted };
    if (rows >= BACKLOG_LIMIT_ROWS) return { kind: "refused", cause: `${rows} audit rows wait for D1` };
    const now = Date.now();
    if (entries !== null) {
      storage.transactionSync(() => {
        if (rows === 0)
          storage.sql.exec("INSERT OR IGNORE INTO place (only, tenant, log) VALUES (1, ?, ?)", place.tenant, place.log);
        appendOpenEntries(storage.sql, entries, now);
      });
    }
    if (endings !== null) {
      // Written by this build's own recorder.
      const submitted: readonly SubmittedEnding[] = JSON.parse(endings);
      for (const { entryId, ending } of submitted) this.#endings.set(entryId, ending);
      dropOldest(this.#endings, ENDINGS_MAX);
    }
    this.#projectAt ??= now + PROJECTION_DELAY_MS;
    this.#arm();
    return { kind: "appended" };
  }

  async checkpoint(): Promise<TreeAnswer<SignedCheckpoint>> {
    return this.#signed(await this.#tree.checkpoint());
  }

  async latestCheckpoint(): Promise<SignedCheckpoint | null> {
    return this.#tree.latestCheckpoint();
  }

  async checkpointUpTo(size: number): Promise<SignedCheckpoint | null> {
    return this.#tree.checkpointUpTo(size);
  }

  async inclusion(sequence: number, size: number | null): Promise<TreeAnswer<InclusionProof>> {
    return this.#signed(await this.#tree.inclusion(sequence, size));
  }

  async consistency(from: number, to: number | null): Promise<TreeAnswer<ConsistencyProof>> {
    return this.#signed(await this.#tree.consistency(from, to));
  }

  async deletableLeaves(after: number, limit: number): Promise<readonly string[]> {
    return deletableLeaves(this.ctx.storage.sql, auditBucket(this.env) !== null, after, limit);
  }

  async switchWebhookCopy(isOn: boolean): Promise<void> {
    switchCopy(this.ctx.storage.sql, "webhook", isOn, Date.now());
    this.#armForTree();
  }

  /** A checkpoint that was signed for this answer has to leave the object. */
  #signed<T>(answer: T): T {
    this.#armForTree();
    return answer;
  }

  /**
   * Chains what has ended, projects to D1, sees to the tree; the second copy beside them, waited for by none. Catches everything:
   * an alarm that throws six times is never called again.
   */
  override async alarm(): Promise<void> {
    this.#alarmAt = null;
    const place = this.#place();
    if (place === null) return;
    try {
      this.#copy.start(Date.now());
      // Woken for the tree's sake while D1 is to be left alone for longer.
      const isPutOff = this.#projectAt !== null && this.#projectAt > Date.now() && isDue(this.#treeAt);
      if (!isPutOff) await this.#project(place);
      await this.#tree.run(Date.now());
      await this.#reporter.run(Date.now());
    } catch (error) {
      log("error", "request-log-alarm", { ...place, cause: describeError(error) });
      this.#projectAt = Date.now() + ALARM_RETRY_MS;
    }
    this.#armForTree();
  }

  async #project(place: Place): Promise<void> {
    const { storage } = this.ctx;
    this.#projectAt = null;
    const stillOpen = storage.transactionSync(() => {
      const before = newestChained(storage.sql);
      const open = sealEntries(storage.sql, place, this.#endings, Date.now() - ENDING_WAIT_MS, SEAL_ROWS);
      countDenials(storage.sql, before);
      countServed(storage.sql, before);
      return open;
    });
    const { keepFrom } = this.#copy;
    const outcome = await projectJournal(storage, this.env.DB, place, this.#failures, Date.now(), keepFrom);
    this.#failures = outcome.failure === null ? 0 : this.#failures + 1;
    if (outcome.failure !== null) log("warn", "projection", { ...place, cause: outcome.failure });
    const nextInMs = outcome.nextInMs ?? (stillOpen > 0 && outcome.failure === null ? PROJECTION_DELAY_MS : null);
    // What was appended meanwhile has set its own time; D1's trouble is the longer one.
    if (nextInMs !== null) this.#projectAt = Date.now() + nextInMs;
  }

  /** Null before the first append. */
  #place(): Place | null {
    const row = this.ctx.storage.sql.exec("SELECT tenant, log FROM place").toArray()[0];
    return row === undefined ? null : { tenant: textOf(row, "tenant"), log: textOf(row, "log") };
  }

  #armForTree(): void {
    const now = Date.now();
    const times = [this.#tree.nextAt(now), this.#reporter.nextAt(now), this.#copy.nextAt(now)].filter(
      (at) => at !== null,
    );
    this.#treeAt = times.length === 0 ? null : Math.min(...times);
    this.#arm();
  }

  /** Sets the alarm for what comes first, unless it comes earlier anyway. */
  #arm(): void {
    const times = [this.#projectAt, this.#treeAt].filter((at) => at !== null);
    if (times.length === 0) return;
    const at = Math.min(...times);
    if (this.#alarmAt !== null && this.#alarmAt <= at) return;
    this.#alarmAt = at;
    void this.ctx.storage.setAlarm(at);
  }
}

const isDue = (at: EpochMs | null): boolean => at !== null && at <= Date.now();
