import * as fc from "fast-check";
import { DISPATCH_DEADLINE_MS, GRACE_MS, MINUTE, USD } from "./fixture.ts";
import type { Wish } from "./model.ts";

/** Room for a few wishes a day, and for less than three days of them a month. */
export const CAPS = { daily: 160 * USD, monthly: 450 * USD };
/** What the agents of a random run want: each kind of requirement, with and without money, run time and resource. */
export const WISHES: readonly Wish[] = [
  { micros: 30 * USD, runsMs: null, resource: null, needs: "nothing" },
  { micros: 25 * USD, runsMs: 20 * MINUTE, resource: "c", needs: "nothing" },
  { micros: 45 * USD, runsMs: null, resource: "a", needs: "receipt" },
  { micros: 0, runsMs: null, resource: "a", needs: "receipt" },
  { micros: 60 * USD, runsMs: 45 * MINUTE, resource: "b", needs: 2 },
  { micros: 35 * USD, runsMs: null, resource: null, needs: 1 },
  { micros: 20 * USD, runsMs: null, resource: null, needs: "draft" },
];

const who = fc.constantFrom("trainer", "tuner");
const what = fc.nat(WISHES.length - 1);
const nth = fc.nat(1_000);
const fromRecent = fc.nat(3);

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
  | { readonly do: "conclude"; readonly nth: number; readonly outcome: "succeeded" | "failed" | "unknown" | "not-sent" }
  | { readonly do: "reconcile"; readonly nth: number; readonly verdict: "happened" | "absent" | "unknown" }
  | { readonly do: "clock"; readonly ms: number }
  | { readonly do: "alarm" }
  | { readonly do: "evict" };

/** Acts in proportions that let runs get far: most find something to act on, some do what nobody should. */
export const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant("submit" as const),
      who,
      what,
      key: fc.option(fc.constantFrom("k1", "k2", "k3"), { freq: 2 }),
      receipt: fc.option(nth, { freq: 3 }),
      other: fc.oneof({ weight: 6, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("retry" as const), nth: fromRecent }) },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("use" as const),
      grant: fc.boolean(),
      key: fc.option(fc.constantFrom("k4", "k5", "k6"), { freq: 2 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("plan" as const), who, what: fc.constantFrom(2, 3, 4) }) },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant("decide" as const),
      recent: fromRecent,
      person: fc.constantFrom("alice", "alice", "bob", "bob", "carol", "dana", "olga", "mallory"),
      decision: fc.constantFrom("approve" as const, "approve" as const, "approve" as const, "deny" as const),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("withdraw" as const), recent: fromRecent, who }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("complete" as const), recent: fromRecent }) },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant("conclude" as const),
      nth,
      outcome: fc.constantFrom("succeeded" as const, "failed" as const, "unknown" as const, "not-sent" as const),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("reconcile" as const),
      nth,
      verdict: fc.constantFrom("happened" as const, "absent" as const, "unknown" as const),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("clock" as const),
      ms: fc.constantFrom(
        -2_000,
        1,
        1_000,
        DISPATCH_DEADLINE_MS,
        GRACE_MS,
        1_000,
        MINUTE,
        MINUTE,
        5 * MINUTE,
        10 * MINUTE,
        31 * MINUTE,
        13 * 60 * MINUTE,
        50 * 60 * MINUTE,
      ),
    }),
  },
  { weight: 4, arbitrary: fc.constant({ do: "alarm" as const }) },
  { weight: 1, arbitrary: fc.constant({ do: "evict" as const }) },
);
