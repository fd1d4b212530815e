import * as fc from "fast-check";
import type { Timings } from "../../../src/ledger/operations.ts";
import type { Amount, Command } from "./commands.ts";
import { ACTORS, HOUR, MINUTE, USD, WISHES } from "./scene.ts";

const who = fc.constantFrom("trainer", "tuner");
/** What the last six want is about one thing that runs: it has to be there for the others to find it. */
const what = fc.oneof(
  { weight: 3, arbitrary: fc.nat(WISHES.length - 1) },
  { weight: 1, arbitrary: fc.constantFrom(4, 5, 6) },
  { weight: 2, arbitrary: fc.integer({ min: WISHES.length - 6, max: WISHES.length - 1 }) },
);
const nth = fc.nat(1_000);
const recent = fc.nat(3);
const by = fc.constantFrom(...Object.keys(ACTORS));
const finance = fc.oneof(
  { weight: 5, arbitrary: fc.constantFrom("fay", "finn", "ida", "max") },
  { weight: 2, arbitrary: by },
);
const speaker = fc.constantFrom(
  "olga",
  "olga",
  "fay",
  "finn",
  "max",
  "key of max",
  "key of finn",
  "billing",
  "trainer",
);
const amount = fc.constantFrom<Amount[]>("none", "low", "low", "equal", "high");
const says = fc.option(amount, { freq: 2 });
/** Two of them are 25 hours apart, and come more often. */
const zone = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom("UTC", "America/New_York", "Asia/Kathmandu", "Pacific/Apia") },
  { weight: 2, arbitrary: fc.constantFrom("Pacific/Kiritimati", "Pacific/Pago_Pago") },
);
const period = fc.constantFrom("daily" as const, "monthly" as const);

/** Caps that bind, some of them lower than what is in use, some higher than what the policy allows. */
const cap = fc.tuple(period, fc.constantFrom(0, 90, 120, 120, 160, 160, 200, 200, 300, 450, 500)).map(([of, usd]) => ({
  period: of,
  cap: (of === "daily" ? usd : usd + 100) * USD,
}));
/** They travel to the object: RPC takes no object without a prototype. */
const PLAIN = { noNullPrototype: true };
const inner = fc.uniqueArray(
  fc.record(
    {
      scope: fc.constantFrom(
        "principal:agent:trainer",
        "principal:agent:tuner",
        "team:research",
        "team:ops",
        "action:workloads.update",
        "action:workloads.submit",
      ),
      dailyCapMicros: fc.option(fc.constantFrom(40 * USD, 75 * USD, 120 * USD), { freq: 3 }),
      monthlyCapMicros: fc.option(fc.constantFrom(80 * USD, 200 * USD), { freq: 2 }),
    },
    PLAIN,
  ),
  { selector: ({ scope }) => scope, maxLength: 3 },
);
const nothingOr = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | null> => fc.option(arbitrary, { freq: 2 });

/** Acts in proportions that let runs get far: most find something to act on, some do what nobody should. */
export const commandsOf = ({ dispatchDeadlineMs, graceMs }: Timings): fc.Arbitrary<Command> =>
  fc.oneof(
    {
      weight: 16,
      arbitrary: fc.record({
        do: fc.constant("submit" as const),
        who,
        what,
        key: fc.option(fc.constantFrom("k1", "k2", "k3"), { freq: 2 }),
        receipt: fc.option(nth, { freq: 3 }),
        other: fc.oneof({ weight: 6, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
      }),
    },
    { weight: 3, arbitrary: fc.record({ do: fc.constant("retry" as const), nth: recent }) },
    {
      weight: 6,
      arbitrary: fc.record({
        do: fc.constant("use" as const),
        grant: fc.boolean(),
        key: fc.option(fc.constantFrom("k4", "k5", "k6"), { freq: 2 }),
      }),
    },
    { weight: 3, arbitrary: fc.record({ do: fc.constant("plan" as const), who, what: fc.constantFrom(2, 3, 4, 11) }) },
    {
      weight: 8,
      arbitrary: fc.record({
        do: fc.constant("decide" as const),
        recent,
        person: fc.constantFrom("alice", "alice", "bob", "bob", "carol", "carol", "olga", "mallory"),
        decision: fc.constantFrom("approve" as const, "approve" as const, "approve" as const, "deny" as const),
      }),
    },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("withdraw" as const), recent, who }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant("complete" as const), recent }) },
    {
      weight: 12,
      arbitrary: fc.record({
        do: fc.constant("conclude" as const),
        nth,
        outcome: fc.constantFrom<("succeeded" | "failed" | "unknown" | "not-sent")[]>(
          "succeeded",
          "succeeded",
          "succeeded",
          "failed",
          "unknown",
          "unknown",
          "not-sent",
        ),
        says,
      }),
    },
    {
      weight: 3,
      arbitrary: fc.record({
        do: fc.constant("reconcile" as const),
        nth,
        verdict: fc.constantFrom("happened" as const, "absent" as const, "unknown" as const),
      }),
    },
    {
      weight: 6,
      arbitrary: fc.record({
        do: fc.constant("clock" as const),
        ms: fc.constantFrom(
          -2_000,
          -MINUTE,
          -90 * MINUTE,
          1,
          1_000,
          dispatchDeadlineMs,
          dispatchDeadlineMs,
          graceMs,
          MINUTE,
          MINUTE,
          MINUTE,
          5 * MINUTE,
          5 * MINUTE,
          10 * MINUTE,
          31 * MINUTE,
          2 * HOUR,
          6 * HOUR,
          13 * HOUR,
          50 * HOUR,
          8 * 24 * HOUR,
        ),
      }),
    },
    { weight: 1, arbitrary: fc.constant({ do: "half past ten" as const }) },
    { weight: 5, arbitrary: fc.constant({ do: "alarm" as const }) },
    { weight: 1, arbitrary: fc.constant({ do: "restart" as const }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("crash" as const), who, what }) },
    { weight: 2, arbitrary: fc.constant({ do: "report" as const }) },
    {
      weight: 3,
      arbitrary: fc.record({
        do: fc.constant("policy" as const),
        zone: nothingOr(zone),
        caps: nothingOr(
          fc.record({
            daily: fc.constantFrom(160 * USD, 120 * USD, 220 * USD),
            monthly: fc.constantFrom(450 * USD, 300 * USD, 900 * USD),
            gross: fc.constantFrom(null, 100 * USD, 240 * USD, Number.MAX_SAFE_INTEGER),
          }),
        ),
        team: nothingOr(fc.record({ of: who, is: fc.constantFrom("research", "ops", null) })),
        inner: nothingOr(inner),
      }),
    },
    {
      weight: 4,
      arbitrary: fc.record({
        do: fc.constant("status" as const),
        nth,
        verdict: fc.constantFrom("ended" as const, "ended" as const, "running" as const, "unknown" as const),
        says,
        ranMs: fc.option(fc.constantFrom(0, 1, 7 * MINUTE, 90 * MINUTE), { freq: 2 }),
      }),
    },
    {
      weight: 7,
      arbitrary: fc.record({
        do: fc.constant("usage" as const),
        nth,
        by: fc.constantFrom("billing", "billing", "fay", "finn"),
        amount,
        evidence: fc.constantFrom("e1", "e1", "e2", "e3"),
      }),
    },
    {
      weight: 3,
      arbitrary: fc.record({ do: fc.constant("confirm" as const), recent, by: finance, same: fc.boolean() }),
    },
    {
      weight: 4,
      arbitrary: fc.record({
        do: fc.constant("resolve" as const),
        nth: fc.nat(1),
        by: speaker,
        outcome: fc.constantFrom("succeeded" as const, "succeeded" as const, "failed" as const),
        says: fc.constantFrom(null, null, "low" as const, "high" as const),
      }),
    },
    { weight: 4, arbitrary: fc.record({ do: fc.constant("agree" as const), nth: fc.nat(1), by: speaker }) },
    {
      weight: 3,
      arbitrary: fc
        .record({
          by: fc.oneof({ weight: 3, arbitrary: finance }, { weight: 1, arbitrary: fc.constantFrom("trainer", "olga") }),
          cap,
          from: fc.option(fc.integer({ min: -1, max: 12 }), { freq: 2 }),
          until: fc.option(fc.integer({ min: 0, max: 20 }), { freq: 2 }),
        })
        .map(({ cap: wanted, ...rest }) => ({ do: "ask" as const, ...wanted, ...rest })),
    },
    { weight: 3, arbitrary: fc.record({ do: fc.constant("ask again" as const), recent, by: finance }) },
    {
      weight: 5,
      arbitrary: fc.record({
        do: fc.constant("decide cap" as const),
        recent,
        by: finance,
        word: fc.constantFrom("approve" as const, "approve" as const, "approve" as const, "deny" as const),
      }),
    },
    { weight: 3, arbitrary: fc.record({ do: fc.constant("withdraw cap" as const), recent, by: finance }) },
  );
