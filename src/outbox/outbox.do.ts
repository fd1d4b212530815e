import { DurableObject } from "cloudflare:workers";
import type { Env } from "../env.ts";
import { openGate } from "../gateway/gate.ts";
import { ledgerOf } from "../ledger/ledger-port.ts";
import { describeError } from "../platform/describe-error.ts";
import { newId } from "../platform/ids.ts";
import { log } from "../platform/log.ts";
import { migrate } from "../platform/sqlite-migrations.ts";
import { lookUpOutcome } from "./look-up.ts";
import type { LookUpJob, OutboxPort } from "./port.ts";
import { textOf } from "../platform/sql-row.ts";

const SCHEMA: readonly string[] = [
  `CREATE TABLE jobs (request_id TEXT PRIMARY KEY, queued_at INTEGER NOT NULL, job TEXT NOT NULL);`,
];

/** Look-ups per alarm: with a deadline each, an alarm stays below its fifteen minutes even when upstream hangs. */
const JOBS_PER_ALARM = 20;

/**
 * A tenant's outbox: whatever must talk to the outside without a request waiting for it. An object of its own, so that a
 * hanging control plane delays neither admissions nor the projection of the audit journal.
 *
 * A job is struck off before its look-up runs: the ledger plans the next one by itself, so a crash in between costs one
 * look-up, never a reservation.
 */
export class Outbox extends DurableObject<Env> implements OutboxPort {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    void ctx.blockConcurrencyWhile(async () => migrate(ctx.storage, SCHEMA));
  }

  async lookUp(job: LookUpJob): Promise<void> {
    const { storage } = this.ctx;
    storage.transactionSync(() => {
      storage.sql.exec(
        "INSERT OR REPLACE INTO jobs (request_id, queued_at, job) VALUES (?, ?, ?)",
        job.requestId,
        Date.now(),
        JSON.stringify(job),
      );
      void storage.setAlarm(Date.now());
    });
  }

  /** Runs queued look-ups. Catches everything: an alarm that throws six times is never called again. */
  override async alarm(): Promise<void> {
    const { storage } = this.ctx;
    const rows = storage.sql
      .exec("SELECT request_id, job FROM jobs ORDER BY queued_at LIMIT ?", JOBS_PER_ALARM)
      .toArray();
    for (const row of rows) {
      const requestId = textOf(row, "request_id");
      storage.sql.exec("DELETE FROM jobs WHERE request_id = ?", requestId);
      try {
        const job: LookUpJob = JSON.parse(textOf(row, "job"));
        await this.#run(job);
      } catch (error) {
        log("error", "look-up", { requestId, cause: describeError(error) });
      }
    }
    if (rows.length === JOBS_PER_ALARM) await storage.setAlarm(Date.now());
  }

  async #run(job: LookUpJob): Promise<void> {
    const gate = await openGate(this.env);
    if (!gate.ok) return log("error", "look-up", { requestId: job.requestId, cause: gate.error.join("; ") });
    const background = (work: Promise<unknown>): void => this.ctx.waitUntil(work);
    const context = await gate.value.tenants.get(job.tenant, Date.now(), background);
    const catalogue = await gate.value.documents.catalogue(job.catalogue);
    if (!context.ok || !catalogue.ok)
      return log("warn", "look-up", { requestId: job.requestId, cause: "tenant or catalogue unavailable" });
    const verdict = await lookUpOutcome(job, catalogue.value, context.value.upstream, newId("lku"));
    log("info", "look-up", { tenant: job.tenant, requestId: job.requestId, verdict });
    await ledgerOf(this.env.LEDGER, job.tenant).reconcile({ requestId: job.requestId, verdict, resource: null });
  }
}
