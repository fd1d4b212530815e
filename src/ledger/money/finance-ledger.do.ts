import { budgetReport, booksOf, budgetHolds, unresolvedHolds, windowUse } from "./finance-views.ts";
import { withdrawBudgetChange } from "./budget-change-endings.ts";
import { budgetChange } from "./budget-change-record.ts";
import { changeBudget, decideBudgetChange } from "./budget-changes.ts";
import { changesOf } from "./budget-change-rows.ts";
import { readEntries } from "./entries.ts";
import type {
  BooksReport,
  BudgetChange,
  BudgetPeriod,
  BudgetReport,
  ChangeAsk,
  ChangeOutcome,
  EntryRow,
  FinancePort,
  HoldRow,
  MoneyActor,
  Resolution,
  ResolutionOutcome,
  ScopeCap,
  StatusFinding,
  TenantTerms,
  UsageReport,
  UsageResult,
  WindowUse,
} from "./finance-port.ts";
import { LedgerObject } from "../ledger-object.do.ts";
import { resolveOperation } from "./resolutions.ts";
import { settleByStatus } from "./status-polls.ts";
import { reportUsage } from "./usage.ts";

/** Finance's part of a tenant's ledger: a thin RPC surface, each method one synchronous transaction. */
export abstract class FinanceLedger extends LedgerObject implements FinancePort {
  async budgetReport(terms: TenantTerms, caps: readonly ScopeCap[]): Promise<BudgetReport> {
    return this.transact(({ sql, windows, now }) => budgetReport(sql, windows, terms, caps, now), terms.timezone);
  }

  async changeBudget(actor: MoneyActor, terms: TenantTerms, ask: ChangeAsk): Promise<ChangeOutcome> {
    return this.transact((scope) => changeBudget(scope, actor, terms, ask));
  }

  async decideBudgetChange(
    actor: MoneyActor,
    decision: Parameters<FinancePort["decideBudgetChange"]>[1],
  ): Promise<ChangeOutcome> {
    return this.transact((scope) => decideBudgetChange(scope, actor, decision));
  }

  async withdrawBudgetChange(actor: MoneyActor, requestId: string, id: string): Promise<ChangeOutcome> {
    return this.transact((scope) => withdrawBudgetChange(scope, actor, requestId, id));
  }

  async budgetChange(id: string): Promise<BudgetChange | null> {
    return budgetChange(this.ctx.storage.sql, id);
  }

  async budgetChanges(state: BudgetChange["state"] | null, limit: number): Promise<readonly BudgetChange[]> {
    const { sql } = this.ctx.storage;
    return changesOf(sql, state, limit).flatMap(({ id }) => budgetChange(sql, id) ?? []);
  }

  async budgetHolds(window: string | null, limit: number): Promise<readonly HoldRow[]> {
    return budgetHolds(this.ctx.storage.sql, window, limit);
  }

  async unresolvedHolds(limit: number): Promise<readonly HoldRow[]> {
    return unresolvedHolds(this.ctx.storage.sql, limit);
  }

  async budgetEntries(month: string, after: number, limit: number): Promise<readonly EntryRow[]> {
    return readEntries(this.ctx.storage.sql, month, after, limit);
  }

  async windowUse(period: BudgetPeriod, limit: number): Promise<readonly WindowUse[]> {
    return windowUse(this.ctx.storage.sql, period, limit);
  }

  async reportUsage(
    actor: MoneyActor,
    requestId: string,
    reports: readonly UsageReport[],
  ): Promise<readonly UsageResult[]> {
    return this.transact(({ sql, place, now }) =>
      reports.map((report, index) => reportUsage(sql, place, actor, report, `${requestId}/${index}`, now)),
    );
  }

  async resolveOperation(actor: MoneyActor, resolution: Resolution): Promise<ResolutionOutcome> {
    return this.transact((scope) => resolveOperation(scope, actor, resolution, this.timings));
  }

  async settleByStatus(finding: StatusFinding): Promise<void> {
    this.transact(({ sql, place, now }) => settleByStatus(sql, place, finding, now));
  }

  async booksOf(month: string): Promise<BooksReport> {
    return booksOf(this.ctx.storage.sql, month);
  }
}
