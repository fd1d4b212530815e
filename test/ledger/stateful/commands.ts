import type { ScopeCap } from "../../../src/ledger/money/finance-port.ts";

/** One act of a random run. `recent` counts back from the latest, `nth` picks among what there is. */
export type Command =
  | {
      readonly do: "submit";
      readonly who: string;
      readonly what: number;
      readonly key: string | null;
      readonly receipt: number | null;
      readonly other: boolean;
    }
  | { readonly do: "retry"; readonly nth: number }
  | { readonly do: "use"; readonly grant: boolean; readonly key: string | null }
  | { readonly do: "plan"; readonly who: string; readonly what: number }
  | { readonly do: "decide"; readonly recent: number; readonly person: string; readonly decision: "approve" | "deny" }
  | { readonly do: "withdraw"; readonly recent: number; readonly who: string }
  | { readonly do: "complete"; readonly recent: number }
  | {
      readonly do: "conclude";
      readonly nth: number;
      readonly outcome: "succeeded" | "failed" | "unknown" | "not-sent";
      readonly says: Amount | null;
    }
  | { readonly do: "reconcile"; readonly nth: number; readonly verdict: "happened" | "absent" | "unknown" }
  | { readonly do: "clock"; readonly ms: number }
  /** The next one in UTC, when it is yesterday still in one of the zones and tomorrow in another. */
  | { readonly do: "half past ten" }
  | { readonly do: "alarm" }
  | { readonly do: "restart" }
  | { readonly do: "crash"; readonly who: string; readonly what: number }
  | { readonly do: "report" }
  | MoneyCommand;

/** An amount beside what was held: nothing of it, a third, all, or more. */
export type Amount = "none" | "low" | "equal" | "high";

/** What concerns money alone. Times are whole periods of six hours after the one of now. */
export type MoneyCommand =
  | {
      readonly do: "policy";
      readonly zone: string | null;
      readonly caps: { readonly daily: number; readonly monthly: number; readonly gross: number | null } | null;
      readonly team: { readonly of: string; readonly is: string | null } | null;
      readonly inner: readonly ScopeCap[] | null;
    }
  | {
      readonly do: "status";
      readonly nth: number;
      readonly verdict: "ended" | "running" | "unknown";
      readonly says: Amount | null;
      readonly ranMs: number | null;
    }
  | {
      readonly do: "usage";
      readonly nth: number;
      readonly by: string;
      readonly amount: Amount;
      readonly evidence: string;
    }
  | { readonly do: "confirm"; readonly recent: number; readonly by: string; readonly same: boolean }
  | {
      readonly do: "resolve";
      readonly nth: number;
      readonly by: string;
      readonly outcome: "succeeded" | "failed";
      readonly says: Amount | null;
    }
  | { readonly do: "agree"; readonly nth: number; readonly by: string }
  | {
      readonly do: "ask";
      readonly by: string;
      readonly period: "daily" | "monthly";
      readonly cap: number;
      readonly from: number | null;
      readonly until: number | null;
    }
  | { readonly do: "ask again"; readonly recent: number; readonly by: string }
  | { readonly do: "decide cap"; readonly recent: number; readonly by: string; readonly word: "approve" | "deny" }
  | { readonly do: "withdraw cap"; readonly recent: number; readonly by: string };
