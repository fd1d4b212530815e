import { DurableObject } from "cloudflare:workers";
import { appendEntry, backlog, type Place } from "../audit/journal.ts";
import { switchCopy } from "../audit/copy-cursor.ts";
import type { AuditCopyPort } from "../audit/copy-port.ts";
import { deletableLeaves } from "../audit/deletable-leaves.ts";
import { isTroubled, QUIET_BACKLOG_ROWS, standingOf } from "../audit/log-reports.ts";
import { PROJECTION_DELAY_MS, projectJournal } from "../audit/projection.ts";
import { blankEntry } from "../audit/record.ts";
import { auditBucket } from "../audit/r2-copy.ts";
import { createSecondCopy, type SecondCopy } from "../audit/second-copy.ts";
import type { SignedCheckpoint } from "../audit/checkpoints.ts";
import { createTreeKeeper, type TreeKeeper } from "../audit/tree-keeper.ts";
import {
  LEDGER_LOG,
  type AuditTreePort,
  type ConsistencyProof,
  type InclusionProof,
  type LogLeavesPort,
  type TreeAnswer,
} from "../audit/tree-port.ts";
import { ledgerTimings } from "../config.ts";
import type { Env } from "../env.ts";
import { describeError } from "../platform/describe-error.ts";
import { log } from "../platform/log.ts";
import { migrate } from "../platform/sqlite-migrations.ts";
import type { EpochMs } from "../vocabulary.ts";
import type { AdmissionScope } from "./admission.ts";
import { activeVersion } from "./authority.ts";
import { budgetCalendar } from "./money/calendar.ts";
import { dueAt, nextDue, postpone, type DueRow } from "./due.ts";
import type { Actor } from "./ledger-port.ts";
import type { Timings } from "./operations.ts";
import { LEDGER_SCHEMA } from "./schema.ts";
import { tellLogState } from "./signals.ts";

/** Jobs per transaction and per alarm: an alarm stays far below its time limit and comes again at once when more wait. */
const JOBS_PER_ALARM = 200;

/** After an unexpected failure the alarm comes again by itself; the platform would give up after six. */
const ALARM_RETRY_MS = 2_000;

/** The log's name in audit records and in D1. */
export const LOG = LEDGER_LOG;

/**
 * What a tenant's ledger stands on: its SQLite and their steps, synchronous transactions, the one alarm, the projection of
 * its journal to D1, and the tree of its log. The object's own clock is the authority for windows and expiry.
 */
export abstract class LedgerObject extends DurableObject<Env> implements AuditTreePort, LogLeavesPort, AuditCopyPort {
  protected readonly timings: Timings;
  readonly #calendar = budgetCalendar();
  readonly #tree: TreeKeeper;
  readonly #copy: SecondCopy;
  #tenant: string | null = null;
  #alarmAt: EpochMs | null = null;
  #projectAt: EpochMs | null = null;
  #treeAt: EpochMs | null = null;
  #copyAt: EpochMs | null = null;
  #projectionFailures = 0;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.timings = ledgerTimings(env);
    const place = (): Place | null => (this.place().tenant === "" ? null : this.place());
    this.#tree = createTreeKeeper(ctx.storage, env, place);
    this.#copy = createSecondCopy(
      ctx.storage,
      () => this.env,
      place,
      () => this.#armForCopy(),
    );
    void ctx.blockConcurrencyWhile(async () => {
      migrate(ctx.storage, LEDGER_SCHEMA);
      this.#alarmAt = await ctx.storage.getAlarm();
      if (backlog(ctx.storage.sql).rows > 0) this.#projectAt = Date.now() + PROJECTION_DELAY_MS;
      this.#treeAt = this.#tree.nextAt(Date.now());
      this.#armForCopy();
    });
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
    this.#armForCopy();
  }

  /** A checkpoint that was signed for this answer has to leave the object. */
  #signed<T>(answer: T): T {
    this.#treeAt = this.#tree.nextAt(Date.now());
    this.#arm();
    return answer;
  }

  /** Does one job that is due. Does nothing when what it is about has moved on. */
  protected abstract run(row: DueRow): Promise<void>;

  /**
   * Due work, then D1, then the tree; the second copy beside them, waited for by none. Catches everything: an alarm that throws
   * six times is never called again.
   */
  override async alarm(): Promise<void> {
    this.#alarmAt = null;
    let notBefore = 0;
    try {
      this.#copy.start(Date.now());
      for (const row of dueAt(this.ctx.storage.sql, Date.now(), JOBS_PER_ALARM)) await this.#attempt(row);
      if (this.#projectAt !== null && this.#projectAt <= Date.now()) await this.#project();
      this.#tellOfLog();
      await this.#tree.run(Date.now());
    } catch (error) {
      log("error", "ledger-alarm", { cause: describeError(error) });
      notBefore = Date.now() + ALARM_RETRY_MS;
      this.#projectAt ??= notBefore;
    }
    this.#treeAt = this.#tree.nextAt(Date.now());
    this.#copyAt = this.#copy.nextAt(Date.now());
    // Transactions in between have armed for what was due then: what counts is what is due now.
    this.#alarmAt = null;
    this.#arm(notBefore);
  }

  /** Has people told where the log has halted, is not signed, or its backlog or a copy's grows; not by `transact`, which would wake a halted log again. */
  #tellOfLog(): void {
    const { storage } = this.ctx;
    const { rows, halted } = backlog(storage.sql);
    const standing = standingOf(this.#tree, this.#copy, Date.now());
    if (halted === null && rows < QUIET_BACKLOG_ROWS && !isTroubled(standing)) return;
    const state = { log: LOG, waitingRows: rows, halted, ...standing };
    storage.transactionSync(() => tellLogState(storage.sql, state, Date.now()));
  }

  /** One job that fails holds up neither the others nor the projection: it is put off until later. */
  async #attempt(row: DueRow): Promise<void> {
    try {
      await this.run(row);
    } catch (error) {
      log("error", "ledger-job", { job: row.job, ref: row.ref, cause: describeError(error) });
      this.transact(({ sql, now }) => postpone(sql, row, now + ALARM_RETRY_MS));
    }
  }

  async #project(): Promise<void> {
    const place = this.place();
    const { keepFrom } = this.#copy;
    const failures = this.#projectionFailures;
    const outcome = await projectJournal(this.ctx.storage, this.env.DB, place, failures, Date.now(), keepFrom);
    this.#projectionFailures = outcome.failure === null ? 0 : this.#projectionFailures + 1;
    if (outcome.failure !== null) log("warn", "projection", { ...place, cause: outcome.failure });
    this.#projectAt = outcome.nextInMs === null ? null : Date.now() + outcome.nextInMs;
  }

  /** Runs an administrative act and journals it, refused or not, in one transaction. */
  protected administer<T>(
    actor: Actor,
    requestId: string,
    code: string,
    detail: string,
    act: (scope: AdmissionScope) => T,
  ): T {
    return this.transact((scope) => {
      const result = act(scope);
      const refused =
        result === false ||
        (typeof result === "object" && result !== null && "kind" in result && result.kind === "refused");
      appendEntry(
        scope.sql,
        scope.place,
        `${requestId}/${code}`,
        {
          ...blankEntry("admin", requestId, scope.now),
          principal: actor.subject,
          principal_class: actor.class,
          credential_id: actor.credentialId,
          demo: actor.demo,
          decision: refused ? "refuse" : "allow",
          reason_code: code,
          detail,
        },
        scope.now,
      );
      return result;
    });
  }

  protected place(): Place {
    // Once there is a tenant it never changes.
    this.#tenant ??= activeVersion(this.ctx.storage.sql)?.tenant ?? null;
    return { tenant: this.#tenant ?? "", log: LOG };
  }

  /** Runs `work` as one transaction. `timezone`: the policy's, where its windows matter; else the zone they were opened in. */
  protected transact<T>(work: (scope: AdmissionScope) => T, timezone: string | null = null): T {
    return this.transactAt(this.place(), work, timezone);
  }

  /** Runs `work` as one synchronous SQLite transaction; the alarm that its rows need is set inside it. */
  protected transactAt<T>(place: Place, work: (scope: AdmissionScope) => T, timezone: string | null = null): T {
    const { sql } = this.ctx.storage;
    const now = Date.now();
    try {
      return this.ctx.storage.transactionSync(() => {
        const calendar = this.#calendar;
        const { dispatchDeadlineMs } = this.timings;
        const result = work({
          sql,
          place,
          now,
          dispatchDeadlineMs,
          // Opened by whoever counts money first: that one knows the policy's zone.
          get windows() {
            return calendar.at(sql, now, timezone);
          },
        });
        if (this.#projectAt === null && backlog(sql).rows > 0) this.#projectAt = now + PROJECTION_DELAY_MS;
        this.#arm();
        return result;
      });
    } catch (error) {
      // What this instance believed about the alarm and the calendar was rolled back with the rest.
      this.#alarmAt = null;
      this.#calendar.forget();
      throw error;
    }
  }

  #armForCopy(): void {
    this.#copyAt = this.#copy.nextAt(Date.now());
    this.#arm();
  }

  #arm(notBefore: EpochMs = 0): void {
    const wanted = [nextDue(this.ctx.storage.sql), this.#projectAt, this.#treeAt, this.#copyAt].filter(
      (at) => at !== null,
    );
    if (wanted.length === 0) return;
    const at = Math.max(notBefore, Math.min(...wanted));
    if (this.#alarmAt !== null && this.#alarmAt <= at) return;
    this.#alarmAt = at;
    void this.ctx.storage.setAlarm(at);
  }
}
