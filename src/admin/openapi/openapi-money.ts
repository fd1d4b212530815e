import { z } from "zod";
import { BOOKS_LIST_MAX, MONTH, WINDOW } from "../budget-books.ts";
import { CHANGE_LIST_MAX, CHANGE_STATES } from "../budget-changes.ts";
import { EXPORT_FORMATS } from "../budget-export.ts";
import { MONEY_ANSWER } from "./openapi-money-answers.ts";
import type { RouteDescription } from "./openapi-routes.ts";

const month = z.string().regex(MONTH).meta({ description: "A month of the tenant; the current one when absent." });
const limit = z.int().min(1).max(BOOKS_LIST_MAX);
const CHANGED = ["not-found", "not-eligible", "already-decided"] as const;

/** What the OpenAPI document says of the routes about money, by `METHOD path`. */
export const MONEY_ROUTES: Readonly<Record<string, RouteDescription>> = {
  "GET /_gate/v1/budget": {
    operationId: "getBudget",
    summary:
      "Cap, settled, held and remaining of the current day and month; of the caps inside them and the pending changes: the caller's own, for people with a role all",
    answer: MONEY_ANSWER.budget,
  },
  "PUT /_gate/v1/budget": {
    operationId: "setCaps",
    summary:
      "Sets finance's caps: a lower one is in force with the answer (200), a higher one waits for a second person of finance (202)",
    answer: MONEY_ANSWER.capsSet,
    also: 202,
    refusals: ["not-eligible", "already-decided"],
  },
  "GET /_gate/v1/aggregates": {
    operationId: "getAggregates",
    summary:
      "The policy's limits over many requests, and how much of each is used: of the tenant and of labels, and of principals the caller's own, for people with a role all",
    answer: MONEY_ANSWER.aggregates,
  },
  "POST /_gate/v1/budget/requests": {
    operationId: "requestBudget",
    summary: "Asks finance for a higher cap; decided at /approvals/{id}/decisions",
    answer: MONEY_ANSWER.change,
    status: 201,
    refusals: ["not-eligible", "rate-limited"],
  },
  "GET /_gate/v1/budget/requests": {
    operationId: "listBudgetRequests",
    summary: "Raises and requests, newest first: the caller's own, for people with a role all",
    answer: MONEY_ANSWER.changes,
    query: { state: z.enum(CHANGE_STATES), limit: z.int().min(0).max(CHANGE_LIST_MAX) },
  },
  "DELETE /_gate/v1/budget/requests/:id": {
    operationId: "withdrawBudgetRequest",
    summary: "Takes a change back, or ends a temporary cap at once: whoever asked for it, or finance",
    answer: MONEY_ANSWER.change,
    refusals: CHANGED,
  },
  "GET /_gate/v1/budget/history": {
    operationId: "getBudgetHistory",
    summary: "Changes of caps, and what each day and month took, newest first",
    answer: MONEY_ANSWER.history,
    query: { limit },
  },
  "GET /_gate/v1/budget/holds": {
    operationId: "listHolds",
    summary: "Every hold that makes up the number, largest first",
    answer: MONEY_ANSWER.holds,
    query: { window: z.string().regex(WINDOW), limit },
  },
  "GET /_gate/v1/budget/unresolved": {
    operationId: "listUnresolved",
    summary: "What settled at its ceiling with nothing heard, and outcomes that are still unknown, oldest first",
    answer: MONEY_ANSWER.holds,
    query: { limit },
  },
  "GET /_gate/v1/budget/entries": {
    operationId: "listBudgetEntries",
    summary: "Lines of one month's book, in order",
    answer: MONEY_ANSWER.entries,
    query: {
      month,
      after: z.int().min(0).meta({ description: "The next_cursor of an earlier answer." }),
      limit,
    },
  },
  "GET /_gate/v1/budget/export": {
    operationId: "exportBudget",
    summary: "One month's whole book as a file: CSV for spreadsheets (formula-safe), or JSON",
    answer: MONEY_ANSWER.book,
    text: "text/csv",
    query: { month, format: z.enum(EXPORT_FORMATS) },
  },
  "GET /_gate/v1/budget/forecast": {
    operationId: "forecastBudget",
    summary: "Burn-down of the day and the month, the date each cap is reached, and on what basis",
    answer: MONEY_ANSWER.forecast,
  },
  "GET /_gate/v1/budget/reconciliation": {
    operationId: "reconcileBudget",
    summary: "Ledger against usage reports against audit records of one month, with every difference",
    answer: MONEY_ANSWER.reconciliation,
    query: { month },
  },
  "POST /_gate/v1/usage": {
    operationId: "reportUsage",
    summary:
      "Reports real costs, idempotent by request id and evidence; role billing does this and nothing else. CSV: header row request_id,actual_usd,ended_at,evidence",
    answer: MONEY_ANSWER.usage,
  },
  "POST /_gate/v1/operations/:id/resolve": {
    operationId: "resolveOperation",
    summary: "Settles an unknown outcome, once an operator and a person of finance have said the same",
    answer: MONEY_ANSWER.resolution,
    refusals: [...CHANGED, "malformed-request"],
  },
};
