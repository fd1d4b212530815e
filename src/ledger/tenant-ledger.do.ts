import { DurableObject } from "cloudflare:workers";
import { appendEntry, backlog, type Place } from "../audit/journal.ts";
import { PROJECTION_DELAY_MS, projectJournal } from "../audit/projection.ts";
import { blankEntry, type AuditEntry } from "../audit/record.ts";
import { ledgerTimings } from "../config.ts";
import type { Env } from "../env.ts";
import { describeError } from "../platform/describe-error.ts";
import { log } from "../platform/log.ts";
import { migrate } from "../platform/sqlite-migrations.ts";
import type { EpochMs } from "../vocabulary.ts";
import { outboxOf } from "../outbox/port.ts";
import { admit, type AdmissionScope } from "./admission.ts";
import { approvalById, listApprovals, listStandingApprovals, storedRequest } from "./approval-rows.ts";
import { askStandingApproval, endStandingApproval } from "./ask-standing-approval.ts";
import {
  activeVersion,
  addCredential,
  credentialFault,
  revokeCredential,
  snapshot,
  standing,
  type VersionTerms,
} from "./authority.ts";
import { budgetView, findReservation } from "./budget.ts";
import { windowClock } from "./budget-windows.ts";
import type {
  AdmissionOutcome,
  AdmissionRequest,
  Authority,
  BudgetTerms,
  BudgetView,
  Conclusion,
  LedgerSnapshot,
  PlanOutcome,
} from "./contract.ts";
import { withDecisions, type ApprovalWithDecisions } from "./approval-with-decisions.ts";
import { decide, type DecisionOutcome } from "./decisions.ts";
import { completeDraft } from "./drafts.ts";
import { done, dueAt, nextDue, plan, postpone, type DueRow } from "./due.ts";
import { expireApproval, withdraw } from "./endings.ts";
import { liftFreeze, setFreeze } from "./freezes.ts";
import type { Actor, CredentialRow, LedgerPort, OperationView, Refused, Stale } from "./ledger-port.ts";
import { confirmHandOver, takeNotices } from "./notices.ts";
import {
  conclude,
  dispatchDeadline,
  planNextLookUp,
  reconcile,
  settleAtCeiling,
  unknownOperation,
} from "./operations.ts";
import { planRequest } from "./plan-request.ts";
import { remind } from "./proposals.ts";
import { review } from "./review-glass.ts";
import { prune, PRUNE_EVERY_MS } from "./prune.ts";
import { decideSigned } from "./signed-decisions.ts";
import { LEDGER_SCHEMA } from "./schema.ts";
import { activateVersion, addVersion, listVersions, putFirstVersionInForce, type PolicyVersion } from "./versions.ts";
import { textOf, integerOf, textOrNull, integerOrNull } from "../platform/sql-row.ts";

/** Jobs per transaction and per alarm: an alarm stays far below its time limit and comes again at once when more wait. */
const JOBS_PER_ALARM = 200;

/** After an unexpected failure the alarm comes again by itself; the platform would give up after six. */
const ALARM_RETRY_MS = 2_000;

/** The log's name in audit records and in D1. */
const LOG = "ledger";

/**
 * One tenant's ledger: the thin RPC surface over the pages of this folder. Every method is one synchronous transaction;
 * the object's own clock is the authority for windows and expiry. The alarm does local work and D1 only: whatever must
 * talk to the outside goes through the outbox.
 */
export class TenantLedger extends DurableObject<Env> implements LedgerPort {
  readonly #windows = windowClock();
  readonly #timings;
  #tenant: string | null = null;
  #alarmAt: EpochMs | null = null;
  #projectAt: EpochMs | null = null;
  #projectionFailures = 0;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#timings = ledgerTimings(env);
    void ctx.blockConcurrencyWhile(async () => {
      migrate(ctx.storage, LEDGER_SCHEMA);
      this.#alarmAt = await ctx.storage.getAlarm();
      if (backlog(ctx.storage.sql).rows > 0) this.#projectAt = Date.now() + PROJECTION_DELAY_MS;
      this.#arm();
    });
  }

  async snapshot(): Promise<LedgerSnapshot | null> {
    return snapshot(this.ctx.storage.sql, Date.now());
  }

  async admit(request: AdmissionRequest): Promise<AdmissionOutcome> {
    return this.#transact((scope) => admit(scope, request), request.budget.timezone);
  }

  async plan(request: AdmissionRequest, issue: boolean): Promise<PlanOutcome> {
    return this.#transact((scope) => planRequest(scope, request, issue), request.budget.timezone);
  }

  async conclude(conclusion: Conclusion): Promise<void> {
    this.#transact(({ sql, place, now }) => conclude(sql, place, conclusion, this.#timings, now));
  }

  async reconcile(finding: {
    requestId: string;
    verdict: "happened" | "absent" | "unknown";
    resource: string | null;
  }): Promise<void> {
    this.#transact(({ sql, place, now }) => reconcile(sql, place, finding, this.#timings, now));
  }

  async budget(terms: BudgetTerms): Promise<BudgetView> {
    return budgetView(this.ctx.storage.sql, this.#windows(Date.now(), terms.timezone), terms);
  }

  async operation(requestId: string): Promise<OperationView | null> {
    const { sql } = this.ctx.storage;
    const row = sql.exec("SELECT * FROM operations WHERE request_id = ?", requestId).toArray()[0];
    if (row === undefined) return null;
    const reservation = findReservation(sql, requestId);
    const entry: AuditEntry = JSON.parse(textOf(row, "entry"));
    return {
      requestId,
      principal: textOf(row, "principal"),
      action: entry.action,
      state: textOf(row, "state"),
      resource: textOrNull(row, "resource"),
      reservation:
        reservation === null
          ? null
          : {
              state: reservation.state,
              ceilingMicros: reservation.ceilingMicros,
              settledMicros: reservation.settledMicros,
            },
      admittedAt: integerOf(row, "admitted_at"),
      completedAt: integerOrNull(row, "completed_at"),
      upstreamStatus: integerOrNull(row, "upstream_status"),
    };
  }

  async approvals(state: string | null, limit: number): Promise<readonly ApprovalWithDecisions[]> {
    const { sql } = this.ctx.storage;
    return listApprovals(sql, state, limit).map((approval) => withDecisions(sql, approval));
  }

  async approval(id: string): Promise<ApprovalWithDecisions | null> {
    const { sql } = this.ctx.storage;
    const approval = approvalById(sql, id);
    return approval === null ? null : withDecisions(sql, approval);
  }

  async storedRequest(id: string): Promise<string | null> {
    return storedRequest(this.ctx.storage.sql, id);
  }

  async decide(authority: Authority, request: Parameters<LedgerPort["decide"]>[1]): Promise<DecisionOutcome | Stale> {
    return this.#transact((scope) => (this.#isCurrent(authority) ? decide(scope, request) : STALE));
  }

  async review(request: Parameters<LedgerPort["review"]>[0]): Promise<DecisionOutcome> {
    return this.#transact((scope) => review(scope, request));
  }

  async decideSigned(
    authority: Authority,
    { requestId, decision, ...rules }: Parameters<LedgerPort["decideSigned"]>[1],
  ): Promise<DecisionOutcome | Stale> {
    return this.#transact((scope) =>
      this.#isCurrent(authority) ? decideSigned(scope, requestId, decision, rules) : STALE,
    );
  }

  async askStandingApproval(
    authority: Authority,
    ask: Parameters<LedgerPort["askStandingApproval"]>[1],
  ): Promise<DecisionOutcome | Stale> {
    return this.#transact((scope) => (this.#isCurrent(authority) ? askStandingApproval(scope, ask) : STALE));
  }

  async standingApprovals(state: string | null, limit: number): Promise<readonly ApprovalWithDecisions[]> {
    const { sql } = this.ctx.storage;
    return listStandingApprovals(sql, state, limit).map((approval) => withDecisions(sql, approval));
  }

  async endStandingApproval(request: Parameters<LedgerPort["endStandingApproval"]>[0]): Promise<DecisionOutcome> {
    return this.#transact((scope) => endStandingApproval(scope, request));
  }

  async withdraw(request: Parameters<LedgerPort["withdraw"]>[0]): Promise<DecisionOutcome> {
    return this.#transact((scope) => withdraw(scope, request));
  }

  async completeDraft(
    authority: Authority,
    request: Parameters<LedgerPort["completeDraft"]>[1],
  ): Promise<DecisionOutcome | Stale> {
    return this.#transact(
      (scope) => (this.#isCurrent(authority) ? completeDraft(scope, request) : STALE),
      request.budget.timezone,
    );
  }

  async bootstrap(request: Parameters<LedgerPort["bootstrap"]>[0]): Promise<{ kind: "done" } | Refused> {
    if (activeVersion(this.ctx.storage.sql) !== null) {
      return { kind: "refused", refusal: { kind: "already-decided", state: "bootstrapped", decided_by: [] } };
    }
    const founders = request.founders.map((founder) => founder.subject);
    const by = { author: founders[0] ?? "", reason: "bootstrap", gitCommit: null };
    const place = { tenant: request.tenant, log: LOG };
    this.#transactAt(place, ({ sql, now }) => {
      const version = addVersion(sql, request.terms, by, now);
      putFirstVersionInForce(sql, request.tenant, version, by.author, now);
      for (const founder of request.founders) addCredential(sql, founder, now);
      plan(sql, "prune", "all", now + PRUNE_EVERY_MS);
      appendEntry(
        sql,
        place,
        `${request.requestId}/bootstrap`,
        {
          ...blankEntry("admin", request.requestId, now),
          reason_code: "bootstrap",
          detail: `founders ${founders.join(", ")}`,
        },
        now,
      );
    });
    return { kind: "done" };
  }

  async addCredential(
    actor: Actor,
    requestId: string,
    credential: Parameters<LedgerPort["addCredential"]>[2],
  ): Promise<void> {
    this.#administer(
      actor,
      requestId,
      "credential-created",
      `${credential.credentialId} for ${credential.subject}`,
      ({ sql, now }) => addCredential(sql, credential, now),
    );
  }

  async credentials(): Promise<readonly CredentialRow[]> {
    return this.ctx.storage.sql
      .exec("SELECT * FROM credentials ORDER BY created_at DESC LIMIT 1000")
      .toArray()
      .map((row) => ({
        credentialId: textOf(row, "credential_id"),
        subject: textOf(row, "subject"),
        record: textOf(row, "record"),
        createdAt: integerOf(row, "created_at"),
        expiresAt: integerOf(row, "expires_at"),
        revokedAt: integerOrNull(row, "revoked_at"),
      }));
  }

  async credentialFault(credential: Parameters<LedgerPort["credentialFault"]>[0]): Promise<string | null> {
    return credentialFault(this.ctx.storage.sql, credential, Date.now());
  }

  async revokeCredential(actor: Actor, requestId: string, credentialId: string): Promise<boolean> {
    return this.#administer(actor, requestId, "credential-revoked", credentialId, ({ sql, now }) =>
      revokeCredential(sql, credentialId, actor.subject, null, now),
    );
  }

  async addVersion(
    actor: Actor,
    requestId: string,
    terms: VersionTerms,
    reason: string,
    gitCommit: string | null,
  ): Promise<number> {
    return this.#administer(
      actor,
      requestId,
      "policy-version-created",
      `policy ${terms.policy}: ${reason}`,
      ({ sql, now }) => addVersion(sql, terms, { author: actor.subject, reason, gitCommit }, now),
    );
  }

  async versions(): Promise<readonly PolicyVersion[]> {
    return listVersions(this.ctx.storage.sql);
  }

  async activate(actor: Actor, requestId: string, version: number): Promise<{ kind: "done" } | Refused> {
    return this.#administer(actor, requestId, "policy-activation", `version ${version}`, ({ sql, now }) => {
      const refusal = activateVersion(sql, version, actor, now);
      return refusal === null ? { kind: "done" } : { kind: "refused", refusal };
    });
  }

  async freeze(actor: Actor, requestId: string, freeze: Parameters<LedgerPort["freeze"]>[2]): Promise<void> {
    this.#administer(actor, requestId, "frozen", `${freeze.scope}: ${freeze.reason}`, ({ sql, now }) =>
      setFreeze(sql, { ...freeze, frozenBy: actor.subject, role: actor.roles[0] ?? "operator", since: now }),
    );
  }

  async unfreeze(actor: Actor, requestId: string, scope: string): Promise<{ kind: "done" } | Refused> {
    return this.#administer(actor, requestId, "unfrozen", scope, ({ sql }) => liftFreeze(sql, scope, actor.roles));
  }

  async recordAct(actor: Actor, requestId: string, code: string, detail: string): Promise<void> {
    this.#administer(actor, requestId, code, detail, () => undefined);
  }

  /** Due work, then D1. Catches everything: an alarm that throws six times is never called again. */
  override async alarm(): Promise<void> {
    this.#alarmAt = null;
    let notBefore = 0;
    try {
      for (const row of dueAt(this.ctx.storage.sql, Date.now(), JOBS_PER_ALARM)) await this.#attempt(row);
      if (this.#projectAt !== null && this.#projectAt <= Date.now()) await this.#project();
    } catch (error) {
      log("error", "ledger-alarm", { cause: describeError(error) });
      notBefore = Date.now() + ALARM_RETRY_MS;
      this.#projectAt ??= notBefore;
    }
    // Transactions in between have armed for what was due then: what counts is what is due now.
    this.#alarmAt = null;
    this.#arm(notBefore);
  }

  /** One job that fails holds up neither the others nor the projection: it is put off until later. */
  async #attempt(row: DueRow): Promise<void> {
    try {
      await this.#run(row);
    } catch (error) {
      log("error", "ledger-job", { job: row.job, ref: row.ref, cause: describeError(error) });
      this.#transact(({ sql, now }) => postpone(sql, row, now + ALARM_RETRY_MS));
    }
  }

  async #run(row: DueRow): Promise<void> {
    const { graceMs } = this.#timings;
    if (row.job === "notices") return this.#handOver(row);
    const lookUp = this.#transact((scope) => {
      const { sql, place, now } = scope;
      done(sql, row);
      if (row.job === "dispatch-deadline") dispatchDeadline(sql, place, row.ref, this.#timings, now);
      if (row.job === "ceiling") settleAtCeiling(sql, place, row.ref, now);
      if (row.job === "approval-expiry") expireApproval(scope, row.ref);
      if (row.job === "approval-reminder") remind(scope, row.ref);
      if (row.job === "prune") {
        prune(sql, now);
        plan(sql, "prune", "all", now + PRUNE_EVERY_MS);
      }
      if (row.job !== "reconcile") return null;
      const operation = unknownOperation(sql, row.ref);
      if (operation === null) return null;
      planNextLookUp(sql, row.ref, graceMs, now);
      return { tenant: place.tenant, requestId: row.ref, ...operation };
    });
    // Handing over to the outbox only queues; a lost hand-over is made good by the look-up planned above.
    if (lookUp !== null) await outboxOf(this.env.OUTBOX, lookUp.tenant).lookUp(lookUp);
  }

  /** Notices go to the outbox: rows leave when it has them, and until then a later job stands by. */
  async #handOver(row: DueRow): Promise<void> {
    const { tenant, notices } = this.#transact(({ sql, place, now }) => {
      done(sql, row);
      return { tenant: place.tenant, notices: takeNotices(sql, now) };
    });
    if (notices.length === 0) return;
    await outboxOf(this.env.OUTBOX, tenant).accept(tenant, notices);
    this.#transact(({ sql, now }) => confirmHandOver(sql, notices, now));
  }

  async #project(): Promise<void> {
    const place = this.#place();
    const outcome = await projectJournal(this.ctx.storage, this.env.DB, place, this.#projectionFailures, Date.now());
    this.#projectionFailures = outcome.failure === null ? 0 : this.#projectionFailures + 1;
    if (outcome.failure !== null) log("warn", "projection", { ...place, cause: outcome.failure });
    this.#projectAt = outcome.nextInMs === null ? null : Date.now() + outcome.nextInMs;
  }

  #administer<T>(actor: Actor, requestId: string, code: string, detail: string, act: (scope: AdmissionScope) => T): T {
    return this.#transact((scope) => {
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

  #isCurrent(authority: Authority): boolean {
    return standing(this.ctx.storage.sql, authority) === "current";
  }

  #place(): Place {
    // Once there is a tenant it never changes.
    this.#tenant ??= activeVersion(this.ctx.storage.sql)?.tenant ?? null;
    return { tenant: this.#tenant ?? "", log: LOG };
  }

  #transact<T>(work: (scope: AdmissionScope) => T, timezone = "UTC"): T {
    return this.#transactAt(this.#place(), work, timezone);
  }

  /** Runs `work` as one synchronous SQLite transaction; the alarm that its rows need is set inside it. */
  #transactAt<T>(place: Place, work: (scope: AdmissionScope) => T, timezone = "UTC"): T {
    const { sql } = this.ctx.storage;
    const now = Date.now();
    const scope = {
      sql,
      place,
      now,
      windows: this.#windows(now, timezone),
      dispatchDeadlineMs: this.#timings.dispatchDeadlineMs,
    };
    try {
      return this.ctx.storage.transactionSync(() => {
        const result = work(scope);
        if (this.#projectAt === null && backlog(sql).rows > 0) this.#projectAt = now + PROJECTION_DELAY_MS;
        this.#arm();
        return result;
      });
    } catch (error) {
      // The alarm was rolled back with the rest: forget what this instance believed about it.
      this.#alarmAt = null;
      throw error;
    }
  }

  #arm(notBefore: EpochMs = 0): void {
    const wanted = [nextDue(this.ctx.storage.sql), this.#projectAt].filter((at) => at !== null);
    if (wanted.length === 0) return;
    const at = Math.max(notBefore, Math.min(...wanted));
    if (this.#alarmAt !== null && this.#alarmAt <= at) return;
    this.#alarmAt = at;
    void this.ctx.storage.setAlarm(at);
  }
}

const STALE: Stale = { kind: "stale" };
