/**
 * Answers about money as the gate sends them. `test/cli/budget.test.ts` holds them against the forms that the OpenAPI
 * document states, so that no command is tested with an answer that no gate gives.
 */

const money = (name: string, micros: number | null): object => ({
  [`${name}_usd`]: micros === null ? null : micros / 1_000_000,
  [`${name}_micros`]: micros,
});

type Amounts = { readonly cap: number; readonly settled: number; readonly held: number; readonly remaining: number };

const window = ({ cap, settled, held, remaining }: Amounts, changes: object): object => ({
  scope: "tenant",
  period: "daily",
  window: "2026-11-20",
  ...money("cap", cap),
  ...money("settled", settled),
  ...money("held", held),
  ...money("remaining", remaining),
  resets_at: "2026-11-21T00:00:00.000Z",
  ...changes,
});

const HELD = {
  ...money("held", 40_000_000),
  ...money("dispatching", 0),
  ...money("committed", 180_000_000),
  ...money("unknown", 40_000_000),
};

/** A change of finance's caps; a raise by default. */
export const change = (changes: object = {}): object => ({
  id: "bud_1",
  kind: "raise",
  state: "pending",
  period: "daily",
  ...money("cap", 700_000_000),
  ...money("from", 500_000_000),
  asked_by: "person:fay",
  reason: "the review is on Friday",
  incident: null,
  effective_at: "2026-11-20T08:00:00.000Z",
  ends_at: null,
  asked_at: "2026-11-20T08:00:00.000Z",
  expires_at: "2026-11-21T08:00:00.000Z",
  needed: 1,
  given: 0,
  decisions: [],
  url: "/_gate/v1/approvals/bud_1",
  ...changes,
});

/** A change that lowers the daily cap, in force since it was asked for. */
export const lowered = (changes: object = {}): object =>
  change({
    id: "bud_2",
    kind: "lower",
    state: "approved",
    ...money("cap", 300_000_000),
    needed: 0,
    reason: "the quarter ends",
    ...changes,
  });

const DAY = { cap: 300_000_000, settled: 12_500_000, held: 260_000_000, remaining: 27_500_000 };
const MONTH = { cap: 8_000_000_000, settled: 812_000_000, held: 260_000_000, remaining: 6_928_000_000 };

/** The tenant's day, with finance's own cap where it is not 300. */
export const day = (financeCapMicros = 300_000_000): object =>
  window(DAY, {
    ...money("policy_cap", 500_000_000),
    ...money("finance_cap", financeCapMicros),
    held_by_state: HELD,
  });

/** `GET /_gate/v1/budget`. */
export const budget = (changes: object = {}): object => ({
  timezone: "Europe/Berlin",
  daily: day(),
  monthly: window(MONTH, {
    period: "monthly",
    window: "2026-11",
    resets_at: "2026-12-01T00:00:00.000Z",
    ...money("policy_cap", 8_000_000_000),
    ...money("finance_cap", null),
    held_by_state: HELD,
  }),
  gross: window({ cap: 600_000_000, settled: 0, held: 420_000_000, remaining: 180_000_000 }, { scope: "gross" }),
  scopes: [
    window(
      { cap: 100_000_000, settled: 12_500_000, held: 80_000_000, remaining: 7_500_000 },
      { scope: "principal:agent:trainer" },
    ),
  ],
  pending: [change()],
  spending_frozen: null,
  ...changes,
});

const use = (name: string, settled: number, gross: number): object => ({
  window: name,
  ...money("settled", settled),
  ...money("held", 260_000_000),
  ...money("gross", gross),
});

/** `GET /_gate/v1/budget/history`. */
export const history = (): object => ({
  changes: [change(), lowered()],
  windows: {
    daily: [use("2026-11-20", 12_500_000, 420_000_000)],
    monthly: [use("2026-11", 812_000_000, 999_000_000)],
  },
});

/** One line of `GET /_gate/v1/budget/holds` or `…/unresolved`. */
export const hold = (changes: object = {}): object => ({
  id: "req_0hc6axkb9dnzyvnvs1hqxxaj89",
  state: "committed",
  principal: "agent:trainer",
  team: "research",
  action: "workloads.submit",
  daily_window: "2026-11-20",
  monthly_window: "2026-11",
  ...money("ceiling", 180_000_000),
  ...money("settled", null),
  price_version: "2026-11",
  basis: null,
  since: "2026-11-20T06:00:00.000Z",
  until: "2026-11-20T18:00:00.000Z",
  resource: "wl-1001",
  ...changes,
});

/** A list of such lines, or of changes. */
export const listOf = (...records: readonly object[]): object => ({ records, next_cursor: null });

const outlook = (changes: object): object => ({
  period: "daily",
  window: "2026-11-20",
  resets_at: "2026-11-21T00:00:00.000Z",
  ...money("cap", 300_000_000),
  ...money("used", 272_500_000),
  rate_usd_per_day: 799.999999,
  rate_micros_per_day: 799_999_999,
  ...money("projected", 811_111_111),
  cap_reached_at: "2026-11-20T09:00:00.000Z",
  basis: "pace since the window began",
  ...changes,
});

/** `GET /_gate/v1/budget/forecast`. */
export const forecast = (): object => ({
  timezone: "Europe/Berlin",
  as_of: "2026-11-20T08:10:00.000Z",
  daily: outlook({}),
  monthly: outlook({
    period: "monthly",
    window: "2026-11",
    resets_at: "2026-12-01T00:00:00.000Z",
    ...money("cap", 8_000_000_000),
    ...money("used", 1_072_000_000),
    rate_usd_per_day: null,
    rate_micros_per_day: null,
    ...money("projected", null),
    cap_reached_at: null,
    basis: "too little to go by",
  }),
});

const sums = { ...money("held", 260_000_000), ...money("settled", 812_000_000) };

/** `GET /_gate/v1/budget/reconciliation`. */
export const reconciliation = (drift: object = {}): object => ({
  month: "2026-11",
  as_of: "2026-11-20T08:10:00.000Z",
  books: {
    windows: sums,
    reservations: sums,
    entries: sums,
    usage: { reports: 3, ...money("reported", 60_000_000), ...money("settled", 61_000_000) },
    unresolved: { count: 1, ...money("settled", 40_000_000) },
    ...money("overrun", 2_000_000),
  },
  audit: { reservations: 9, ...money("settled", 812_000_000), newest_record_at: "2026-11-20T08:09:59.000Z" },
  drift: {
    reservations_held_micros: 0,
    reservations_settled_micros: 0,
    entries_held_micros: 0,
    entries_settled_micros: 0,
    usage_micros: 0,
    audit_settled_micros: 0,
    ...drift,
  },
  explanation: "Every drift is expected to be 0.",
});

/** One result of `POST /_gate/v1/usage`. */
export const usageResult = (changes: object = {}): object => ({
  request_id: "req_0hc6axkb9dnzyvnvs1hqxxaj89",
  evidence: "invoice-7/1",
  state: "settled",
  reason: null,
  ...money("held", 40_000_000),
  ...money("settled", 31_250_000),
  ...changes,
});

/** `POST /_gate/v1/usage`. */
export const reported = (...results: readonly object[]): object => ({
  results,
  counts: { settled: results.length, waiting: 0, overrun: 0, duplicate: 0, rejected: 0 },
});
