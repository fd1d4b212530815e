import type { BudgetChange, MoneyAlert } from "../../src/ledger/money/finance-port.ts";
import type { ShownAlert } from "../../src/notify/delivery.ts";
import type { WindowShortage } from "../../src/refusal.ts";

/** 2026-11-20 14:02 UTC. */
export const AT = Date.UTC(2026, 10, 20, 14, 2);

type Of<Kind extends MoneyAlert["kind"]> = Extract<MoneyAlert, { kind: Kind }>;

export const THRESHOLD: Of<"budget-threshold"> = {
  kind: "budget-threshold",
  window: "2026-11-20",
  percent: 80,
  usedMicros: 412_500_000,
  capMicros: 500_000_000,
};

/** `settled + held + requested - cap = short`, as every shortage adds up. */
export const SHORT_DAY: WindowShortage = {
  window: "2026-11-20",
  period: "daily",
  scope: "window",
  cap_usd: 500,
  settled_usd: 120,
  held_usd: 350,
  requested_usd: 96,
  short_usd: 66,
  resets_at: "2026-11-21T05:00:00.000Z",
  cap_micros: 500_000_000,
  settled_micros: 120_000_000,
  held_micros: 350_000_000,
  requested_micros: 96_000_000,
  short_micros: 66_000_000,
};

export const SHORT_MONTH: WindowShortage = {
  ...SHORT_DAY,
  window: "2026-11",
  period: "monthly",
  scope: "team:research",
  resets_at: "2026-12-01T05:00:00.000Z",
};

export const REFUSED: Of<"budget-refused"> = {
  kind: "budget-refused",
  principal: "agent:trainer",
  action: "workloads.submit",
  windows: [SHORT_DAY],
};

export const OVERRUN: Of<"budget-overrun"> = {
  kind: "budget-overrun",
  requestId: "req_40f939kdt7585newgytnb2684h",
  heldMicros: 96_000_000,
  actualMicros: 130_250_000,
};

export const CHANGE: BudgetChange = {
  id: "bud_0123456789abcdefghjkmnpqrs",
  kind: "request",
  state: "pending",
  period: "daily",
  capMicros: 800_000_000,
  fromMicros: 500_000_000,
  askedBy: "agent:trainer",
  reason: "The evaluation of release 7 needs 60 H100 hours more today.",
  incident: "INC-2041",
  effectiveAt: AT,
  endsAt: Date.UTC(2026, 10, 22),
  askedAt: AT,
  expiresAt: AT + 24 * 3_600_000,
  needed: 2,
  decisions: [],
};

type Event = Of<"budget-change">["event"];

/** An event of a change, told when the change has come to its end state unless `over` says otherwise. */
export const changed = (event: Event, over: Partial<BudgetChange> = {}): ShownAlert => ({
  kind: "budget-change",
  event,
  change: { ...CHANGE, state: event === "asked" ? "pending" : event === "lowered" ? "approved" : event, ...over },
});

export const EVENTS = ["asked", "approved", "denied", "withdrawn", "expired", "lowered"] as const satisfies Event[];
