import { DurableObject } from "cloudflare:workers";
import { listChannelRows } from "../db/channel-rows.ts";
import type { Env } from "../env.ts";
import type { StatusCheck } from "../ledger/money/finance-port.ts";
import type { HandOver } from "../ledger/notices.ts";
import type { Delivery, PostingStore } from "../notify/delivery.ts";
import { describeError } from "../platform/describe-error.ts";
import type { JsonObject } from "../platform/json.ts";
import { log } from "../platform/log.ts";
import { migrate } from "../platform/sqlite-migrations.ts";
import { textOf } from "../platform/sql-row.ts";
import { withDeadline } from "../quota/with-deadline.ts";
import {
  acceptAll,
  backOffMs,
  enqueue,
  enqueueNotice,
  isAsking,
  nextJobAt,
  OUTBOX_SCHEMA,
  putOff,
  strikeOff,
  takeDue,
  type QueuedJob,
} from "./jobs.ts";
import type { LookUpJob, OutboxPort } from "./port.ts";
import { CHANNELS, giveUp, runJob } from "./run-job.ts";
import type { EpochMs } from "../vocabulary.ts";

/** Jobs of one lane per alarm: with a deadline each, a lane stays far below an alarm's fifteen minutes even when all hang. */
const JOBS_PER_LANE = 20;

/** Longest wait for the list of a tenant's channels: the ledger waits for its hand-over. */
const CHANNELS_WAIT_MS = 1_000;

/** How often a lane that runs is looked at: should it have died with its object, its jobs are in the table. */
const WATCH_MS = 60_000;

/** A lane that has run for longer hangs in something without a deadline. As long as the platform lets an alarm run. */
const LANE_MAX_MS = 15 * 60_000;

/**
 * A tenant's outbox: whatever must talk to the outside without a request waiting for it. An object of its own, so that a
 * hanging control plane, Slack or webhook delays neither admissions nor the projection of the audit journal. Lanes (look-ups,
 * status reads, executions, each channel) run side by side, so that none waits for another's other side; within a lane one after the other.
 */
export class Outbox extends DurableObject<Env> implements OutboxPort {
  /** Lanes that run, and since when. */
  readonly #running = new Map<string, EpochMs>();
  /** Alarms that wait for lanes: each looks around when something has changed. */
  readonly #waiting = new Set<() => void>();

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    void ctx.blockConcurrencyWhile(async () => migrate(ctx.storage, OUTBOX_SCHEMA));
  }

  async lookUp(job: LookUpJob): Promise<void> {
    const { storage } = this.ctx;
    storage.transactionSync(() => {
      enqueue(storage.sql, `look-up/${job.requestId}`, "look-up", { kind: "look-up", ...job }, Date.now());
      void storage.setAlarm(Date.now());
    });
    this.#wake();
  }

  async checkStatus(tenant: string, check: StatusCheck): Promise<void> {
    const { storage } = this.ctx;
    storage.transactionSync(() => {
      enqueue(storage.sql, `status/${check.requestId}`, "status", { kind: "status", tenant, ...check }, Date.now());
      void storage.setAlarm(Date.now());
    });
    this.#wake();
  }

  async accept(tenant: string, handedOver: readonly HandOver[]): Promise<void> {
    const { storage } = this.ctx;
    const channels = await this.#channelsOf(tenant);
    storage.transactionSync(() => {
      acceptAll(storage.sql, tenant, handedOver, channels, Date.now());
      void storage.setAlarm(Date.now());
    });
    this.#wake();
  }

  async posting(approvalId: string): Promise<JsonObject | null> {
    return this.#postings.get(approvalId);
  }

  /**
   * Channels that the tenant has set up: for the others nothing is queued, because each job costs a look at the ledger and at
   * D1 to find that out. All there are while D1 cannot say: then the jobs wait and find out themselves.
   */
  async #channelsOf(tenant: string): Promise<readonly string[]> {
    try {
      const rows = await withDeadline(listChannelRows(this.env.DB, tenant), CHANNELS_WAIT_MS);
      return CHANNELS.filter((name) => rows.some((row) => row.name === name));
    } catch (error) {
      log("warn", "outbox-channels", { tenant, cause: describeError(error) });
      return CHANNELS;
    }
  }

  /**
   * Runs due jobs. Catches everything: an alarm that throws six times is never called again. While it waits for one lane the
   * platform calls no other alarm, so it stops waiting as soon as another lane has something to do; the lane runs on.
   */
  override async alarm(): Promise<void> {
    const { storage } = this.ctx;
    const now = Date.now();
    const due = storage.transactionSync(() => takeDue(storage.sql, now, JOBS_PER_LANE, this.#busy(now)));
    for (const [lane, jobs] of Map.groupBy(due, ({ lane: name }) => name)) {
      this.#running.set(lane, now);
      this.ctx.waitUntil(this.#runLane(lane, jobs));
    }
    await this.#lanesEndOrOthersAreDue();
    await this.#planAlarm();
  }

  async #lanesEndOrOthersAreDue(): Promise<void> {
    for (;;) {
      const now = Date.now();
      const busy = this.#busy(now);
      const next = nextJobAt(this.ctx.storage.sql, busy);
      if (busy.length === 0 || (next !== null && next <= now)) return;
      const woken = Promise.withResolvers<void>();
      this.#waiting.add(woken.resolve);
      const timer = setTimeout(woken.resolve, Math.min(WATCH_MS, next === null ? WATCH_MS : next - now));
      await woken.promise;
      clearTimeout(timer);
      this.#waiting.delete(woken.resolve);
    }
  }

  async #planAlarm(): Promise<void> {
    const now = Date.now();
    const busy = this.#busy(now);
    const next = nextJobAt(this.ctx.storage.sql, busy);
    const watch = busy.length === 0 ? null : now + WATCH_MS;
    const at = next === null ? watch : Math.min(next, watch ?? next);
    if (at !== null) await this.ctx.storage.setAlarm(Math.max(at, now));
  }

  #wake(): void {
    for (const look of this.#waiting) look();
  }

  #busy(now: EpochMs): readonly string[] {
    return [...this.#running].flatMap(([lane, since]) => (now - since < LANE_MAX_MS ? [lane] : []));
  }

  async #runLane(lane: string, jobs: readonly QueuedJob[]): Promise<void> {
    for (const job of jobs) this.#conclude(job, await this.#try(job));
    this.#running.delete(lane);
    this.#wake();
    // For when its alarm has stopped waiting.
    await this.#planAlarm();
  }

  async #try({ id, job }: QueuedJob): Promise<Delivery> {
    const background = (work: Promise<unknown>): void => this.ctx.waitUntil(work);
    try {
      const outcome = await runJob(job, this.env, this.#postings, background);
      if (outcome.notice !== null && job.kind === "execute")
        enqueueNotice(this.ctx.storage.sql, job.tenant, outcome.notice, CHANNELS, Date.now());
      return outcome.delivery;
    } catch (error) {
      log("error", "outbox-job", { id, cause: describeError(error) });
      return { kind: "retry", afterMs: null, reason: "unexpected" };
    }
  }

  #conclude({ id, job, attempts }: QueuedJob, delivery: Delivery): void {
    const { sql } = this.ctx.storage;
    const wait = delivery.kind === "retry" ? backOffMs(attempts) : null;
    if (delivery.kind === "retry" && wait !== null && !isAsking(job))
      return putOff(sql, id, Date.now() + Math.max(wait, delivery.afterMs ?? 0));
    strikeOff(sql, id);
    if (delivery.kind === "done" || isAsking(job)) return;
    log("error", "outbox-gave-up", { id, attempts, cause: delivery.reason });
    this.ctx.waitUntil(giveUp(job, this.env, delivery.reason));
  }

  readonly #postings: PostingStore = {
    get: (approvalId) => {
      const row = this.ctx.storage.sql
        .exec("SELECT posting FROM postings WHERE approval_id = ?", approvalId)
        .toArray()[0];
      // Serialised below.
      return row === undefined ? null : JSON.parse(textOf(row, "posting"));
    },
    put: (approvalId, posting) => {
      this.ctx.storage.sql.exec(
        "INSERT OR REPLACE INTO postings (approval_id, posting) VALUES (?, ?)",
        approvalId,
        JSON.stringify(posting),
      );
    },
  };
}
