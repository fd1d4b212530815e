import { admit, type AdmissionScope } from "../../../src/ledger/admission.ts";
import { addCredential, standing } from "../../../src/ledger/authority.ts";
import { changeBudget, decideBudgetChange } from "../../../src/ledger/money/budget-changes.ts";
import { expireBudgetChange, withdrawBudgetChange } from "../../../src/ledger/money/budget-change-endings.ts";
import { budgetCalendar } from "../../../src/ledger/money/calendar.ts";
import type { Authority } from "../../../src/ledger/contract.ts";
import { decide } from "../../../src/ledger/approvals/decisions.ts";
import { completeDraft } from "../../../src/ledger/approvals/drafts.ts";
import { done, dueAt, plan, type DueRow } from "../../../src/ledger/due.ts";
import { expireApproval, withdraw } from "../../../src/ledger/approvals/endings.ts";
import { booksOf, budgetReport } from "../../../src/ledger/money/finance-views.ts";
import { confirmHandOver, takeNotices } from "../../../src/ledger/notices.ts";
import {
  conclude,
  dispatchDeadline,
  planNextLookUp,
  reconcile,
  settleAtCeiling,
  unknownOperation,
  type Timings,
} from "../../../src/ledger/operations.ts";
import { planRequest } from "../../../src/ledger/plan-request.ts";
import { remind } from "../../../src/ledger/approvals/proposals.ts";
import { prune, PRUNE_EVERY_MS } from "../../../src/ledger/prune.ts";
import { resolveOperation } from "../../../src/ledger/money/resolutions.ts";
import { LEDGER_SCHEMA } from "../../../src/ledger/schema.ts";
import { settleByStatus, statusCheck } from "../../../src/ledger/money/status-polls.ts";
import { reportUsage } from "../../../src/ledger/money/usage.ts";
import { addVersion, putFirstVersionInForce } from "../../../src/ledger/lifecycle/versions.ts";
import { migrate } from "../../../src/platform/sqlite-migrations.ts";
import { readTables, type Row } from "../invariants/tables.ts";
import type { LedgerDriver, LedgerUnderTest } from "./driver.ts";
import { AUTHORITY, digest } from "./requests.ts";
import { HOUR, MINUTE, POLICY, START } from "./scene.ts";
import { sqliteStorage } from "./sqlite-storage.ts";

/** As the Durable Object has it (`ledger-object.do.ts`). */
const JOBS_PER_ALARM = 200;

const PLACE = { tenant: "bare", log: "ledger" };
const YEAR_MS = 366 * 24 * HOUR;

/** The ledger's clocks here: not the configured ones, so that a figure taken from the wrong one shows. */
export const BARE_TIMINGS: Timings = { dispatchDeadlineMs: 2 * MINUTE, graceMs: 30_000 };

/**
 * The ledger's pages on a SQLite of this process, called as the three `*.do.ts` call them: one synchronous transaction each.
 * A hundred times faster than the object itself, which `workerd-driver.ts` drives through the same runs.
 */
export function bareDriver(): LedgerDriver {
  const storage = sqliteStorage();
  const { sql } = storage;
  const timings = BARE_TIMINGS;
  let now = START;
  let calendar = budgetCalendar();
  const transact = <T>(work: (scope: AdmissionScope) => T, timezone: string | null = null): T => {
    const at = now;
    const opened = calendar;
    try {
      return storage.transactionSync(() =>
        work({
          sql,
          place: PLACE,
          now: at,
          dispatchDeadlineMs: timings.dispatchDeadlineMs,
          get windows() {
            return opened.at(sql, at, timezone);
          },
        }),
      );
    } catch (error) {
      opened.forget();
      throw error;
    }
  };
  migrate(storage, LEDGER_SCHEMA);
  transact(bootstrap);
  return {
    ledger: ledgerOn(sql, timings, transact),
    timings,
    setClock: (to) => {
      now = to;
    },
    alarm: async () => {
      for (const row of dueAt(sql, now, JOBS_PER_ALARM)) transact((scope) => runJob(scope, row, timings));
    },
    restart: async () => {
      migrate(storage, LEDGER_SCHEMA);
      calendar = budgetCalendar();
    },
    crash: async (request) => {
      try {
        transact((scope) => {
          admit(scope, request);
          throw new Crash();
        }, request.budget.timezone);
      } catch (error) {
        if (!(error instanceof Crash)) throw error;
      }
    },
    tables: async (after) =>
      readTables((text, ...bindings) => sql.exec<Row>(text, ...bindings).toArray(), after, undefined),
    finish: async () => undefined,
  };
}

class Crash extends Error {}

function bootstrap({ sql, now }: AdmissionScope): void {
  const { policy, people, catalogue, prices } = AUTHORITY;
  const version = addVersion(
    sql,
    {
      policy,
      people,
      catalogue,
      prices,
      dailyCapMicros: POLICY.daily,
      monthlyCapMicros: POLICY.monthly,
      moneyDigest: digest("money"),
      signals: null,
      retention: null,
    },
    { author: "person:olga", reason: "bootstrap", gitCommit: null },
    now,
  );
  putFirstVersionInForce(sql, PLACE.tenant, version, "person:olga", now);
  for (const name of ["trainer", "tuner"])
    addCredential(
      sql,
      { credentialId: `key_${name}`, subject: `agent:${name}`, record: "{}", expiresAt: now + YEAR_MS },
      now,
    );
  plan(sql, "prune", "all", now + PRUNE_EVERY_MS);
}

type Transact = <T>(work: (scope: AdmissionScope) => T, timezone?: string | null) => T;

function ledgerOn(sql: SqlStorage, timings: Timings, transact: Transact): LedgerUnderTest {
  const ifCurrent = <T>(authority: Authority, work: () => T): T | { readonly kind: "stale" } =>
    standing(sql, authority) === "current" ? work() : { kind: "stale" };
  return {
    admit: async (request) => transact((scope) => admit(scope, request), request.budget.timezone),
    plan: async (request, issue) => transact((scope) => planRequest(scope, request, issue), request.budget.timezone),
    conclude: async (conclusion) => transact(({ place, now }) => conclude(sql, place, conclusion, timings, now)),
    reconcile: async (finding) => transact(({ place, now }) => reconcile(sql, place, finding, timings, now)),
    decide: async (authority, request) => transact((scope) => ifCurrent(authority, () => decide(scope, request))),
    withdraw: async (request) => transact((scope) => withdraw(scope, request)),
    completeDraft: async (authority, request) =>
      transact((scope) => ifCurrent(authority, () => completeDraft(scope, request)), request.budget.timezone),
    budgetReport: async (terms, caps) =>
      transact(({ windows, now }) => budgetReport(sql, windows, terms, caps, now), terms.timezone),
    booksOf: async (month) => booksOf(sql, month),
    changeBudget: async (actor, terms, ask) => transact((scope) => changeBudget(scope, actor, terms, ask)),
    decideBudgetChange: async (actor, decision) => transact((scope) => decideBudgetChange(scope, actor, decision)),
    withdrawBudgetChange: async (actor, requestId, id) =>
      transact((scope) => withdrawBudgetChange(scope, actor, requestId, id)),
    reportUsage: async (actor, requestId, reports) =>
      transact(({ place, now }) =>
        reports.map((report, index) => reportUsage(sql, place, actor, report, `${requestId}/${index}`, now)),
      ),
    resolveOperation: async (actor, resolution) =>
      transact((scope) => resolveOperation(scope, actor, resolution, timings)),
    settleByStatus: async (finding) => transact(({ place, now }) => settleByStatus(sql, place, finding, now)),
  };
}

/** One job, as `TenantLedger.run` does it; what it would ask of the outbox goes nowhere, what it hands over arrives. */
function runJob(scope: AdmissionScope, row: DueRow, timings: Timings): void {
  const { sql, place, now } = scope;
  done(sql, row);
  switch (row.job) {
    case "dispatch-deadline":
      return dispatchDeadline(sql, place, row.ref, timings, now);
    case "ceiling":
      return settleAtCeiling(sql, place, row.ref, now);
    case "budget-change-expiry":
      return expireBudgetChange(scope, row.ref);
    case "approval-expiry":
      return expireApproval(scope, row.ref);
    case "approval-reminder":
      return remind(scope, row.ref);
    case "prune":
      prune(sql, now);
      return plan(sql, "prune", "all", now + PRUNE_EVERY_MS);
    case "notices":
      return confirmHandOver(sql, takeNotices(sql, now), now);
    case "status-poll":
    case "status-check":
      return void statusCheck(sql, row.job, row.ref, now);
    case "reconcile":
      if (unknownOperation(sql, row.ref) !== null) planNextLookUp(sql, row.ref, timings.graceMs, now);
  }
}
