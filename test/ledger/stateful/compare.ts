import { expect } from "vitest";
import type { AdmissionOutcome, PlanOutcome } from "../../../src/ledger/contract.ts";
import type { DecisionOutcome } from "../../../src/ledger/approvals/decisions.ts";
import type { WindowShortage } from "../../../src/refusal.ts";
import { text, type Tables } from "../invariants/tables.ts";
import type { LedgerDriver } from "./driver.ts";
import type { Model } from "./model.ts";
import { tenantTerms } from "./requests.ts";
import { innerCaps, WISHES } from "./scene.ts";

/** The ledger is in the state that its model is in: every hold, sum, operation, proposal, change of a cap and usage report. */
export function compare(tables: Tables, model: Model): void {
  const { operations, approvals, books, settlement } = model;
  same(
    "reservation",
    tables.reservations.map((row) => [
      text(row, "id"),
      [
        row["state"],
        row["ceiling_micros"],
        row["settled_micros"],
        row["settled_by"],
        row["daily_window"],
        row["monthly_window"],
      ],
    ]),
    books.holds.map((h) => [h.id, [h.state, h.ceiling, h.settled, h.by, h.day, h.month]]),
  );
  same(
    "window",
    tables.windows
      .filter((row) => !text(row, "window").includes(" "))
      .map((row) => [text(row, "window"), [row["held_micros"], row["settled_micros"], row["gross_micros"]]] as const)
      .filter(([, sums]) => sums.some((micros) => micros !== 0)),
    Object.entries(model.books.sums()),
  );
  same(
    "operation",
    tables.operations.map((row) => [text(row, "request_id"), [row["state"]]]),
    operations.map((o) => [o.id, [o.state]]),
  );
  same(
    "approval",
    tables.approvals.map((row) => [text(row, "id"), [row["state"]]]),
    approvals.all.map((a) => [a.id, [a.state]]),
  );
  same(
    "change",
    tables.budget_changes.map((row) => [text(row, "id"), [row["state"], row["effective_at"]]]),
    books.caps.changes.map((c) => [c.id, [c.state, c.from]]),
  );
  same(
    "report",
    tables.usage_reports.map((row) => [`${text(row, "request_id")} ${text(row, "evidence")}`, [row["state"]]]),
    settlement.reports.map((r) => [`${r.operation.id} ${r.evidence}`, [r.state]]),
  );
}

/** A refusal for want of room names every cap that has none, and by how much. */
export function compareShort(windows: readonly WindowShortage[] | null, model: Model): void {
  // Shares of proposals that wait have tests of their own, and bound nothing here that a cap does not.
  const caps = windows?.filter(({ scope }) => !scope.startsWith("pending-of-"));
  const said = caps?.map(({ window, scope, cap_micros: cap, short_micros: short, ...sums }) =>
    [window, scope, cap, sums.settled_micros + sums.held_micros, short].join(" "),
  );
  expect(said, "what has no room").toEqual(model.books.short);
}

/** What finance is shown, and the month's books three times over. */
export async function compareReport({ ledger }: LedgerDriver, model: Model): Promise<void> {
  const { books, now } = model;
  const { policy } = books;
  const agents = Object.keys(policy.teams);
  const actions = [...new Set(WISHES.map(({ action }) => action))];
  const caps = policy.inner.filter((cap) =>
    agents.some((agent) => actions.some((action) => innerCaps(policy, agent, action).includes(cap))),
  );
  const shown = await ledger.budgetReport(tenantTerms(policy), caps);
  const { day, month } = books.open(now);
  for (const [view, period, window] of [
    [shown.daily, "daily", day],
    [shown.monthly, "monthly", month],
  ] as const) {
    expect(
      [view.window, view.cap_micros, view.settled_micros + view.held_micros, view.financeCapMicros],
      "what finance is shown",
    ).toEqual([window, books.cap(period, now), books.used(window, null), finite(books.caps.allowed(period, now))]);
  }
  expect([shown.gross.cap_micros, shown.gross.held_micros]).toEqual([books.grossCap(now), books.submitted(day)]);
  for (const view of shown.scopes)
    expect(view.settled_micros + view.held_micros, `${view.scope} in ${view.window}`).toBe(
      books.used(view.window, view.scope),
    );
  const books3 = await ledger.booksOf(month);
  expect([books3.windows, books3.entries]).toEqual([books3.reservations, books3.reservations]);
  const inside = books.holds.filter((hold) => hold.month === month && hold.settled !== null);
  const over = inside.reduce((sum, hold) => sum + Math.max(0, (hold.settled ?? 0) - hold.ceiling), 0);
  expect(books3.overrunMicros, "overruns").toBe(over);
}

const finite = (cap: number): number | null => (cap === Number.POSITIVE_INFINITY ? null : cap);

type Outcome = AdmissionOutcome | PlanOutcome | DecisionOutcome | { readonly kind: "stale" };

/** What came of it, in one word. */
export const verdict = (outcome: Outcome): string => (outcome.kind === "refused" ? outcome.refusal.kind : outcome.kind);

/** What had no room, null where that is not why. */
export const shortOf = (outcome: Outcome): readonly WindowShortage[] | null =>
  outcome.kind === "refused" && outcome.refusal.kind === "budget-exceeded" ? outcome.refusal.windows : null;

type Named = readonly (readonly [string, readonly (string | number | null | undefined)[]])[];

/** The same things in the same states. Compared as text: `expect` is asked only to show a difference. */
function same(what: string, ledger: Named, model: Named): void {
  const expected = new Map(model.map(([id, state]) => [id, state.join()]));
  const isSame = ledger.length === model.length && ledger.every(([id, state]) => expected.get(id) === state.join());
  if (!isSame) expect(Object.fromEntries(ledger), `${what}: ledger, then model`).toEqual(Object.fromEntries(model));
}
