import { z } from "zod";
import { ANSWER, count, listOf, micros, named, text, textOrNull, time, timeOrNull, usd } from "./openapi-answers.ts";

const usdOrNull = usd.nullable();
const microsOrNull = micros.nullable();
const period = z.enum(["daily", "monthly"]);
const cap = { cap_usd: usd, cap_micros: micros };
const settled = { settled_usd: usd, settled_micros: micros };
const settledOrNull = { settled_usd: usdOrNull, settled_micros: microsOrNull };
const held = { held_usd: usd, held_micros: micros };

const window = z.object({
  scope: text.meta({ description: "tenant, gross, principal:<subject>, team:<name> or action:<action>." }),
  period,
  window: text.meta({ description: "The day or month in the tenant's time zone: 2026-11-20, 2026-11." }),
  resets_at: time,
  ...cap,
  ...settled,
  ...held,
  remaining_usd: usd,
  remaining_micros: micros,
});
const windowOfScope = named("BudgetWindow", window);

const windowOfTenant = named(
  "TenantBudgetWindow",
  window.extend({
    policy_cap_usd: usd,
    policy_cap_micros: micros,
    finance_cap_usd: usdOrNull,
    finance_cap_micros: microsOrNull.meta({
      description: "Null where finance has set none; the lower cap is in force.",
    }),
    held_by_state: z.object({
      ...held,
      dispatching_usd: usd,
      dispatching_micros: micros,
      committed_usd: usd,
      committed_micros: micros,
      unknown_usd: usd,
      unknown_micros: micros,
    }),
  }),
);

const change = named(
  "BudgetChange",
  z.object({
    id: text.meta({ pattern: "^bud_[0-9a-z]{26}$" }),
    url: text,
    kind: z.enum(["lower", "raise", "request"]),
    state: z.enum(["pending", "approved", "denied", "withdrawn", "expired"]),
    period,
    ...cap,
    from_usd: usd.meta({ description: "The cap in force when it was asked for." }),
    from_micros: micros,
    asked_by: text,
    reason: text,
    incident: textOrNull,
    effective_at: time,
    ends_at: timeOrNull.meta({ description: "When a temporary cap ends; null for a lasting one." }),
    asked_at: time,
    expires_at: time.meta({ description: "When a pending one expires." }),
    needed: count,
    given: count,
    decisions: z.array(
      z.object({ subject: text, decision: z.enum(["approve", "deny"]), comment: textOrNull, decided_at: time }),
    ),
  }),
);

const budget = named(
  "Budget",
  z.object({
    timezone: text,
    daily: windowOfTenant,
    monthly: windowOfTenant,
    gross: windowOfScope.meta({ description: "What was submitted today, ended or not, as held." }),
    scopes: z.array(windowOfScope),
    pending: z.array(change),
    spending_frozen: z.object({ by: text, reason: text, since: time }).nullable(),
  }),
);

const hold = z.object({
  id: text,
  state: text,
  principal: text,
  team: textOrNull,
  action: text,
  resource: textOrNull,
  daily_window: text,
  monthly_window: text,
  ceiling_usd: usd,
  ceiling_micros: micros,
  ...settledOrNull,
  price_version: textOrNull,
  basis: textOrNull,
  since: time,
  until: timeOrNull.meta({ description: "When a running one settles at its ceiling if nothing is heard." }),
});

const entry = named(
  "BudgetEntry",
  z.object({
    month: text,
    number: count,
    day: text,
    time,
    reservation: text,
    kind: z.enum(["hold", "release", "settle", "adjust"]),
    principal: text,
    team: textOrNull,
    action: text,
    ...held,
    ...settled,
    basis: text,
    price_version: textOrNull,
  }),
);

const use = z.object({ window: text, ...settled, ...held, gross_usd: usd, gross_micros: micros });

const forecast = named(
  "WindowForecast",
  z.object({
    period,
    window: text,
    resets_at: time,
    ...cap,
    used_usd: usd,
    used_micros: micros,
    rate_usd_per_day: usdOrNull,
    rate_micros_per_day: microsOrNull.meta({
      description: "Use per 24 hours; null where there is too little history.",
    }),
    projected_usd: usdOrNull,
    projected_micros: microsOrNull,
    cap_reached_at: timeOrNull.meta({ description: "Null where that is not before the window ends." }),
    basis: text,
  }),
);

const sums = z.object({ ...held, ...settled });

/** Answers of the routes about money, under the names that the OpenAPI document gives them. */
const aggregates = named(
  "Aggregates",
  z.object({
    aggregates: z.array(
      z.object({
        name: text,
        of: text.meta({ description: "A number among the facts; submissions; or resources: different things." }),
        per: z.union([z.enum(["tenant", "principal"]), z.object({ fact: text })]),
        within: z.enum(["hour", "day", "running"]),
        actions: z.array(text).nullable().meta({ description: "Null: every write that has what is counted." }),
        max: count,
        over: z.enum(["refuse", "approve"]),
        mode: z.enum(["enforce", "shadow"]),
        scopes: z
          .array(z.object({ scope: text, current: count, left: count }))
          .meta({ description: "Those that have something, the largest first, at most 100." }),
      }),
    ),
  }),
);

export const MONEY_ANSWER = {
  aggregates,
  budget,
  change,
  /** What stands at /approvals/{id}: a proposal, or with an id `bud_…` a change of a cap. */
  decidable: named("Decidable", z.union([ANSWER.approval, change])),
  changes: listOf("BudgetChanges", change),
  capsSet: named(
    "CapsSet",
    z.object({
      daily: change.nullable(),
      monthly: change.nullable(),
      refused: z
        .object({ period, problem: z.looseObject({ slug: text, status: count, detail: text }) })
        .nullable()
        .meta({ description: "The second of two changes, where only it was refused: the first one stands." }),
      budget,
    }),
  ),
  history: named(
    "BudgetHistory",
    z.object({ changes: z.array(change), windows: z.object({ daily: z.array(use), monthly: z.array(use) }) }),
  ),
  holds: listOf("Holds", named("Hold", hold)),
  entries: named("BudgetEntries", z.object({ month: text, records: z.array(entry), next_cursor: textOrNull })),
  book: named("BudgetBook", z.object({ month: text, entries: z.array(entry) })),
  forecast: named("Forecast", z.object({ timezone: text, as_of: time, daily: forecast, monthly: forecast })),
  reconciliation: named(
    "Reconciliation",
    z.object({
      month: text,
      as_of: time,
      books: z.object({
        windows: sums,
        reservations: sums,
        entries: sums,
        usage: z.object({ reports: count, reported_usd: usd, reported_micros: micros, ...settled }),
        unresolved: z.object({ count, ...settled }),
        overrun_usd: usd,
        overrun_micros: micros,
      }),
      audit: z.object({ reservations: count, ...settled, newest_record_at: timeOrNull }),
      drift: z
        .object({
          reservations_held_micros: micros,
          reservations_settled_micros: micros,
          entries_held_micros: micros,
          entries_settled_micros: micros,
          usage_micros: micros,
          audit_settled_micros: micros,
        })
        .meta({ description: "Differences; 0 is what is expected of each." }),
      explanation: text,
    }),
  ),
  usage: named(
    "UsageReported",
    z.object({
      results: z.array(
        z.object({
          request_id: text,
          evidence: text,
          state: z.enum(["settled", "waiting", "overrun", "duplicate", "rejected"]),
          reason: textOrNull,
          held_usd: usdOrNull,
          held_micros: microsOrNull,
          ...settledOrNull,
        }),
      ),
      counts: z.object({ settled: count, waiting: count, overrun: count, duplicate: count, rejected: count }),
    }),
  ),
  resolution: named(
    "Resolution",
    z.object({ request_id: text, state: z.enum(["pending", "resolved"]), given: z.array(text) }),
  ),
} as const;
