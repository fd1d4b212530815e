import { appendEntry } from "../audit/journal.ts";
import { blankEntry, type AuditEntry } from "../audit/record.ts";
import { retain, RETENTION_EVERY_MS } from "../audit/retention.ts";
import { auditTreeOf } from "../audit/tree-port.ts";
import { outboxOf, type LookUpJob } from "../outbox/port.ts";
import { textOf, integerOf, textOrNull, integerOrNull } from "../platform/sql-row.ts";
import { takeBatch, tellActivity, type ActivityBatch } from "./activity.ts";
import type { Aggregate } from "../policy/types.ts";
import { admit } from "./admission.ts";
import { aggregateReport, type ScopeCount } from "./aggregates/aggregate-report.ts";
import { approvalById, listApprovals, listStandingApprovals, storedRequest } from "./approvals/approval-rows.ts";
import { withDecisions, type ApprovalWithDecisions } from "./approvals/approval-with-decisions.ts";
import { askStandingApproval, endStandingApproval } from "./approvals/ask-standing-approval.ts";
import { activeVersion, addCredential, credentialFault, revokeCredential, snapshot, standing } from "./authority.ts";
import { expireBudgetChange } from "./money/budget-change-endings.ts";
import type {
  AdmissionOutcome,
  AdmissionRequest,
  Authority,
  Conclusion,
  DeploymentFreeze,
  LedgerSnapshot,
  PlanOutcome,
} from "./contract.ts";
import { decide, type DecisionOutcome } from "./approvals/decisions.ts";
import { completeDraft } from "./approvals/drafts.ts";
import { done, plan, type DueRow } from "./due.ts";
import { expireApproval, withdraw } from "./approvals/endings.ts";
import type { StatusCheck } from "./money/finance-port.ts";
import { awaitLift, followDeployment, freezingRole, liftFreeze, setFreeze, type Followed } from "./freezes.ts";
import { expireIncident } from "./incidents/incident-endings.ts";
import { IncidentLedger } from "./incidents/incident-ledger.do.ts";
import { LOG } from "./ledger-object.do.ts";
import type { Actor, CredentialRow, LedgerPort, OperationView, Refused, Stale } from "./ledger-port.ts";
import { confirmHandOver, takeNotices } from "./notices.ts";
import { openOperations, tellUnknown, type OpenOperations } from "./open-operations.ts";
import {
  conclude,
  dispatchDeadline,
  planNextLookUp,
  reconcile,
  settleAtCeiling,
  unknownOperation,
} from "./operations.ts";
import { planRequest } from "./plan-request.ts";
import { remind } from "./approvals/proposals.ts";
import { prune, PRUNE_EVERY_MS } from "./prune.ts";
import { findReservation } from "./money/reservations.ts";
import { review } from "./approvals/review-glass.ts";
import { runSchedule } from "./lifecycle/schedules.ts";
import { takeReport, type LogReport } from "./signals.ts";
import { decideSigned } from "./approvals/signed-decisions.ts";
import { statusCheck } from "./money/status-polls.ts";
import { addVersion, putFirstVersionInForce } from "./lifecycle/versions.ts";

/**
 * One tenant's ledger: the thin RPC surface over the pages of this folder. Every method is one synchronous transaction;
 * the object's own clock is the authority for windows and expiry. The alarm does local work and D1 only: whatever must
 * talk to the outside goes through the outbox.
 */
export class TenantLedger extends IncidentLedger implements LedgerPort {
  async snapshot(): Promise<LedgerSnapshot | null> {
    return snapshot(this.ctx.storage.sql, Date.now());
  }

  async admit(request: AdmissionRequest): Promise<AdmissionOutcome> {
    return this.transact((scope) => admit(scope, request), request.budget.timezone);
  }

  async plan(request: AdmissionRequest, issue: boolean): Promise<PlanOutcome> {
    return this.transact((scope) => planRequest(scope, request, issue), request.budget.timezone);
  }

  async conclude(conclusion: Conclusion): Promise<void> {
    this.transact(({ sql, place, now }) => conclude(sql, place, conclusion, this.timings, now));
  }

  async reconcile(finding: {
    requestId: string;
    verdict: "happened" | "absent" | "unknown";
    resource: string | null;
  }): Promise<void> {
    this.transact(({ sql, place, now }) => reconcile(sql, place, finding, this.timings, now));
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
    return this.transact((scope) => (this.#isCurrent(authority) ? decide(scope, request) : STALE));
  }

  async review(request: Parameters<LedgerPort["review"]>[0]): Promise<DecisionOutcome> {
    return this.transact((scope) => review(scope, request));
  }

  async decideSigned(
    authority: Authority,
    { requestId, decision, ...rules }: Parameters<LedgerPort["decideSigned"]>[1],
  ): Promise<DecisionOutcome | Stale> {
    return this.transact((scope) =>
      this.#isCurrent(authority) ? decideSigned(scope, requestId, decision, rules) : STALE,
    );
  }

  async askStandingApproval(
    authority: Authority,
    ask: Parameters<LedgerPort["askStandingApproval"]>[1],
  ): Promise<DecisionOutcome | Stale> {
    return this.transact((scope) => (this.#isCurrent(authority) ? askStandingApproval(scope, ask) : STALE));
  }

  async standingApprovals(state: string | null, limit: number): Promise<readonly ApprovalWithDecisions[]> {
    const { sql } = this.ctx.storage;
    return listStandingApprovals(sql, state, limit).map((approval) => withDecisions(sql, approval));
  }

  async endStandingApproval(request: Parameters<LedgerPort["endStandingApproval"]>[0]): Promise<DecisionOutcome> {
    return this.transact((scope) => endStandingApproval(scope, request));
  }

  async withdraw(request: Parameters<LedgerPort["withdraw"]>[0]): Promise<DecisionOutcome> {
    return this.transact((scope) => withdraw(scope, request));
  }

  async completeDraft(
    authority: Authority,
    request: Parameters<LedgerPort["completeDraft"]>[1],
  ): Promise<DecisionOutcome | Stale> {
    return this.transact(
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
    this.transactAt(place, (scope) => {
      const { sql, now } = scope;
      const version = addVersion(sql, request.terms, by, now);
      putFirstVersionInForce(sql, request.tenant, version, by.author, now);
      for (const founder of request.founders) addCredential(sql, founder, now);
      plan(sql, "prune", "all", now + PRUNE_EVERY_MS);
      plan(sql, "audit-retention", "all", now + RETENTION_EVERY_MS);
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
      const { deployment = null } = request;
      if (deployment !== null) followDeployment(scope, deployment.actor, request.requestId, deployment.order);
    });
    return { kind: "done" };
  }

  async addCredential(
    actor: Actor,
    requestId: string,
    credential: Parameters<LedgerPort["addCredential"]>[2],
  ): Promise<void> {
    this.administer(
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
    return this.administer(actor, requestId, "credential-revoked", credentialId, ({ sql, now }) =>
      revokeCredential(sql, credentialId, actor.subject, null, now),
    );
  }

  async freeze(actor: Actor, requestId: string, freeze: Parameters<LedgerPort["freeze"]>[2]): Promise<void> {
    this.administer(actor, requestId, "frozen", `${freeze.scope}: ${freeze.reason}`, ({ sql, now }) =>
      setFreeze(sql, { ...freeze, frozenBy: actor.subject, role: freezingRole(freeze.scope, actor.roles), since: now }),
    );
  }

  async unfreeze(actor: Actor, requestId: string, scope: string): Promise<{ kind: "done" } | Refused> {
    return this.administer(actor, requestId, "unfrozen", scope, ({ sql, now }) => liftFreeze(sql, scope, actor, now));
  }

  async followDeployment(actor: Actor, requestId: string, order: DeploymentFreeze): Promise<Followed> {
    return this.transact((scope) => followDeployment(scope, actor, requestId, order));
  }

  async awaitLift(approvalId: string, scope: string): Promise<void> {
    this.transact(({ sql, now }) => awaitLift(sql, approvalId, scope, now));
  }

  async recordAct(actor: Actor, requestId: string, code: string, detail: string): Promise<void> {
    this.administer(actor, requestId, code, detail, () => undefined);
  }

  async noteLog(report: LogReport, activity: ActivityBatch | null = null): Promise<void> {
    // A log without a tenant: nobody to tell.
    if (activeVersion(this.ctx.storage.sql) === null) return;
    this.transact(({ sql, now }) => {
      takeReport(sql, report, now);
      if (activity !== null) takeBatch(sql, report.log, activity, now);
    });
  }

  async aggregateReport(
    aggregates: readonly Aggregate[],
    own: string | null,
  ): Promise<readonly (readonly ScopeCount[])[]> {
    return this.transact(({ sql, now }) => aggregateReport(sql, aggregates, own, now));
  }

  async openOperations(limit: number): Promise<OpenOperations> {
    return openOperations(this.ctx.storage.sql, limit, Date.now());
  }

  protected override async run(row: DueRow): Promise<void> {
    const { graceMs } = this.timings;
    if (row.job === "notices") return this.#handOver(row);
    if (row.job === "audit-retention") return this.#retain(row);
    const ask = this.transact((scope): Ask | null => {
      const { sql, place, now } = scope;
      done(sql, row);
      if (row.job === "dispatch-deadline") dispatchDeadline(sql, place, row.ref, this.timings, now);
      if (row.job === "outcome-unknown") tellUnknown(sql, row.ref, now);
      if (row.job === "ceiling") settleAtCeiling(sql, place, row.ref, now);
      if (row.job === "activation") runSchedule(scope, row.ref);
      if (row.job === "budget-change-expiry") expireBudgetChange(scope, row.ref);
      if (row.job === "approval-expiry") expireApproval(scope, row.ref);
      if (row.job === "approval-reminder") remind(scope, row.ref);
      if (row.job === "incident-expiry") expireIncident(sql, place, row.ref, now);
      if (row.job === "activity") tellActivity(sql, now);
      if (row.job === "prune") {
        prune(sql, now);
        plan(sql, "prune", "all", now + PRUNE_EVERY_MS);
      }
      if (row.job === "status-poll" || row.job === "status-check") {
        const check = statusCheck(sql, row.job, row.ref, now);
        return check === null ? null : { kind: "status", tenant: place.tenant, check };
      }
      if (row.job !== "reconcile") return null;
      const operation = unknownOperation(sql, row.ref);
      if (operation === null) return null;
      planNextLookUp(sql, row.ref, graceMs, now);
      return { kind: "look-up", job: { tenant: place.tenant, requestId: row.ref, ...operation } };
    });
    if (ask === null) return;
    // Handing over to the outbox only queues; a lost hand-over is made good by the next one planned above.
    if (ask.kind === "look-up") await outboxOf(this.env.OUTBOX, ask.job.tenant).lookUp(ask.job);
    else await outboxOf(this.env.OUTBOX, ask.tenant).checkStatus(ask.tenant, ask.check);
  }

  /** Notices go to the outbox: rows leave when it has them, and until then a later job stands by. */
  async #handOver(row: DueRow): Promise<void> {
    const { tenant, notices } = this.transact(({ sql, place, now }) => {
      done(sql, row);
      return { tenant: place.tenant, notices: takeNotices(sql, now) };
    });
    if (notices.length === 0) return;
    await outboxOf(this.env.OUTBOX, tenant).accept(tenant, notices);
    this.transact(({ sql, now }) => confirmHandOver(sql, notices, now));
  }

  /** One bounded run; then the next one, soon where there is more to do. A crash leaves the job due. */
  async #retain(row: DueRow): Promise<void> {
    const { sql } = this.ctx.storage;
    const { tenant } = this.place();
    const nextInMs = await retain({
      d1: this.env.DB,
      tenant,
      sql,
      leavesOf: (log) => (log === LOG ? this : auditTreeOf(this.env, tenant, log)),
      policy: () => {
        const active = activeVersion(sql);
        return active === null ? null : { digest: active.policy, retention: active.retention };
      },
      transact: (work) => this.transact(({ place, now }) => work(place, now)),
    });
    this.transact(({ now }) => {
      done(sql, row);
      plan(sql, "audit-retention", "all", now + nextInMs);
    });
  }

  #isCurrent(authority: Authority): boolean {
    return standing(this.ctx.storage.sql, authority) === "current";
  }
}

/** What a job has the outbox ask the control plane. */
type Ask =
  | { readonly kind: "look-up"; readonly job: LookUpJob }
  | { readonly kind: "status"; readonly tenant: string; readonly check: StatusCheck };

const STALE: Stale = { kind: "stale" };
