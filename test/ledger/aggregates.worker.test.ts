import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { LedgerPort } from "../../src/ledger/ledger-port.ts";
import { newId } from "../../src/platform/ids.ts";
import { ask, counted, gpus, gpusPerHour, HOUR, madeBy, type Limit } from "./aggregate-fixture.ts";
import { BUDGET, MINUTE, newTenant, OPERATOR, rowsOf, runAlarm, START, verdict, versionTerms } from "./fixture.ts";
import { checkInvariants } from "./check-invariants.ts";
import { FIONA, report, reportOne } from "./money-fixture.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["Date"], now: START }));
afterEach(() => void vi.useRealTimers());

const later = (ms: number): void => void vi.setSystemTime(Date.now() + ms);

/** Ends what was committed to the resource of `requestId`, as the control plane reported it. */
const end = (ledger: LedgerPort, requestId: string): Promise<unknown> =>
  ledger.settleByStatus({ requestId, verdict: "ended", actualMicros: null, ranMs: null });

/** Puts another version in force: what it says is in the requests that follow. */
async function activate(ledger: LedgerPort, version: number): Promise<void> {
  await ledger.addVersion(OPERATOR, newId("req"), versionTerms, "changed", null);
  const outcome = await ledger.activate(
    { ...OPERATOR, subject: "person:sam", roles: ["security"] },
    newId("req"),
    version,
    { reason: null, replaces: null },
  );
  expect(outcome).toEqual({ kind: "done" });
}

describe("128 GPUs as 32 × 4 meet the limit of 64", () => {
  it("by five credentials at once: exactly 16 are admitted", async () => {
    const { tenant, ledger } = await newTenant();
    const names = ["trainer", "tuner", "pruner"];
    const limits = [gpusPerHour(64)];
    const said = await Promise.all(
      Array.from({ length: 32 }, (_, i) => ask(ledger, gpus(limits, 4, { who: names[i % 3] ?? "" }), null)),
    );
    expect(said.filter((one) => one === "admitted")).toHaveLength(16);
    expect(said.filter((one) => one === "aggregate-exceeded")).toHaveLength(16);
    expect(await counted(tenant)).toEqual({ tenant: 64 });
    await checkInvariants(tenant, { daily: BUDGET.dailyCapMicros, monthly: BUDGET.monthlyCapMicros });
  });

  it("200 at once, of every size: what is admitted together never passes it", async () => {
    const { tenant, ledger } = await newTenant();
    const asked = Array.from({ length: 200 }, (_, i) => gpus([gpusPerHour(64)], 1 + (i % 7)));
    const said = await Promise.all(asked.map((one) => ask(ledger, one, null)));
    const sum = asked.reduce((all, { facts }, i) => all + (said[i] === "admitted" ? Number(facts["gpus"]) : 0), 0);
    expect(sum).toBe(64);
    expect(await counted(tenant)).toEqual({ tenant: 64 });
  });

  it("by growing afterwards, whether it is an hour or what runs that is limited", async () => {
    for (const within of ["hour", "day", "running"] as const) {
      const { tenant, ledger } = await newTenant();
      const limits = [gpusPerHour(64, { within })];
      const submitted = gpus(limits, 4);
      const other = gpus(limits, 4);
      expect(await ask(ledger, submitted)).toBe("admitted");
      expect(await ask(ledger, other)).toBe("admitted");
      expect(await ask(ledger, gpus(limits, 60, { resource: madeBy(submitted) }))).toBe("admitted");
      expect(await counted(tenant, within)).toEqual({ tenant: 64 });
      expect(await ledger.admit(gpus(limits, 64, { resource: madeBy(other) }))).toMatchObject({
        refusal: { kind: "aggregate-exceeded", limit: 64, current: 64, requested: 60 },
      });
    }
  });

  it("by another agent's growing what one agent submitted", async () => {
    const { tenant, ledger } = await newTenant();
    const limits = [gpusPerHour(16, { per: "principal", within: "running" })];
    const submitted = gpus(limits, 4);
    expect(await ask(ledger, submitted)).toBe("admitted");
    expect(await ask(ledger, gpus(limits, 17, { who: "tuner", resource: madeBy(submitted) }))).toBe(
      "aggregate-exceeded",
    );
    expect(await ask(ledger, gpus(limits, 16, { who: "tuner", resource: madeBy(submitted) }))).toBe("admitted");
    expect(await counted(tenant, "running")).toEqual({ "principal:agent:tuner": 16 });
  });
});

const of = (project: string): { facts: { project: string } } => ({ facts: { project } });

describe("what is refused says which limit, how much of it is used and how much was asked for", () => {
  it("in the order of the policy, and what is refused counts nothing", async () => {
    const { tenant, ledger } = await newTenant();
    const limits: Limit[] = [gpusPerHour(10, { within: "day", name: "first" }), gpusPerHour(8)];
    expect(await ask(ledger, gpus(limits, 6))).toBe("admitted");
    expect(await ledger.admit(gpus(limits, 6))).toMatchObject({
      kind: "refused",
      refusal: {
        kind: "aggregate-exceeded",
        aggregate: "first",
        of: "gpus",
        scope: "tenant",
        within: "day",
        limit: 10,
        current: 6,
        requested: 6,
      },
    });
    expect(await ledger.admit(gpus(limits, 3))).toMatchObject({ refusal: { aggregate: "gpus-hour", current: 6 } });
    expect(await counted(tenant)).toEqual({ tenant: 6 });
    expect(await ledger.plan(gpus(limits, 3), false)).toMatchObject({ refusal: { aggregate: "gpus-hour" } });
    expect(await ledger.plan(gpus(limits, 2), false)).toMatchObject({ kind: "planned" });
    expect(await counted(tenant)).toEqual({ tenant: 6 });
  });

  it("by scope: tenant, principal and label, those without one together", async () => {
    const { tenant, ledger } = await newTenant();
    const limits: Limit[] = [gpusPerHour(8, { per: { fact: "project" } })];
    expect(await ask(ledger, gpus(limits, 8, of("red")))).toBe("admitted");
    expect(await ask(ledger, gpus(limits, 1, { ...of("red"), who: "tuner" }))).toBe("aggregate-exceeded");
    expect(await ask(ledger, gpus(limits, 8, of("blue")))).toBe("admitted");
    expect(await ask(ledger, gpus(limits, 8, of("none")))).toBe("admitted");
    expect(await ask(ledger, gpus(limits, 8))).toBe("admitted");
    expect(await ask(ledger, gpus(limits, 1, { who: "tuner" }))).toBe("aggregate-exceeded");
    expect(await counted(tenant)).toEqual({ "project:red": 8, "project:blue": 8, "project:none": 8, none: 8 });
  });

  it("a change without a label counts under the one that its resource has", async () => {
    const { tenant, ledger } = await newTenant();
    const limits: Limit[] = [gpusPerHour(8, { per: { fact: "project" }, within: "running" })];
    const red = gpus(limits, 4, { facts: { project: "red" } });
    expect(await ask(ledger, red)).toBe("admitted");
    expect(await ask(ledger, gpus(limits, 9, { resource: madeBy(red) }))).toBe("aggregate-exceeded");
    expect(await ask(ledger, gpus(limits, 8, { resource: madeBy(red) }))).toBe("admitted");
    expect(await counted(tenant, "running")).toEqual({ "project:red": 8 });
  });
});

describe("an hour and a day slide", () => {
  it.each([
    ["hour", MINUTE, HOUR],
    ["day", HOUR, 24 * HOUR],
  ] as const)("%s: what began stays until its whole bucket is out of reach", async (within, bucketMs, windowMs) => {
    const { ledger } = await newTenant();
    const limits = [gpusPerHour(4, { within })];
    later(bucketMs - 1);
    expect(await ask(ledger, gpus(limits, 4))).toBe("admitted");
    later(windowMs);
    expect(await ask(ledger, gpus(limits, 1))).toBe("aggregate-exceeded");
    later(1);
    expect(await ask(ledger, gpus(limits, 4))).toBe("admitted");
  });

  it("an ended job gives nothing of its hour back, and all of what runs", async () => {
    const { tenant, ledger } = await newTenant();
    const limits = [gpusPerHour(8), gpusPerHour(8, { within: "running" })];
    const job = gpus(limits, 8);
    expect(await ask(ledger, job)).toBe("admitted");
    await end(ledger, job.requestId);
    expect([await counted(tenant), await counted(tenant, "running")]).toEqual([{ tenant: 8 }, {}]);
    expect(await ask(ledger, gpus(limits, 1))).toBe("aggregate-exceeded");
    expect(await ask(ledger, gpus(limits.slice(1), 8))).toBe("admitted");
    expect(await rowsOf(tenant, "SELECT count(*) AS parts FROM aggregate_parts")).toEqual([{ parts: 1 }]);
  });

  it("old buckets are pruned, and no count that still matters", async () => {
    const { tenant, ledger } = await newTenant();
    const limits = [gpusPerHour(64), gpusPerHour(64, { within: "day" }), gpusPerHour(64, { within: "running" })];
    expect(await ask(ledger, gpus(limits, 4))).toBe("admitted");
    later(2 * HOUR);
    await runAlarm(tenant);
    expect(await counted(tenant)).toEqual({});
    expect(await counted(tenant, "running")).toEqual({ tenant: 4 });
  });
});

const all = async (tenant: string) => [
  (await counted(tenant))["tenant"] ?? 0,
  (await counted(tenant, "running"))["tenant"] ?? 0,
];

describe("what comes of a request", () => {
  const both = [gpusPerHour(64), gpusPerHour(64, { within: "running" })];
  it.each([
    ["failed", [0, 0]],
    ["not-sent", [0, 0]],
    ["unknown", [4, 4]],
    ["succeeded", [4, 4]],
  ] as const)("%s: counted in the hour and of what runs %j", async (outcome, expected) => {
    const { tenant, ledger } = await newTenant();
    expect(await ask(ledger, gpus(both, 4), outcome)).toBe("admitted");
    expect(await all(tenant)).toEqual(expected);
  });

  it.each([
    ["happened", [4, 4]],
    ["absent", [0, 0]],
  ] as const)("found out later to have %s", async (found, expected) => {
    const { tenant, ledger } = await newTenant();
    const request = gpus(both, 4);
    await ask(ledger, request, "unknown");
    const finding = { requestId: request.requestId, verdict: found, resource: "job" } as const;
    await ledger.reconcile(finding);
    later(HOUR / 2);
    await ledger.reconcile(finding);
    expect(await all(tenant)).toEqual(expected);
  });

  it.each([
    ["failed", 4],
    ["unknown", 64],
    ["succeeded", 64],
    [null, 64],
  ] as const)("a growth from 4 to 64 that is %s leaves %i", async (outcome, expected) => {
    const { tenant, ledger } = await newTenant();
    const submitted = gpus(both, 4);
    await ask(ledger, submitted);
    expect(await ask(ledger, gpus(both, 64, { resource: madeBy(submitted) }), outcome)).toBe("admitted");
    expect(await all(tenant)).toEqual([expected, expected]);
  });

  it.each([
    ["failed", 64],
    ["unknown", 64],
    ["succeeded", 4],
    [null, 64],
  ] as const)(
    "a shrinking from 64 to 4 that is %s leaves %i running, and the hour as it was",
    async (outcome, expected) => {
      const { tenant, ledger } = await newTenant();
      const submitted = gpus(both, 64);
      await ask(ledger, submitted);
      expect(await ask(ledger, gpus(both, 4, { resource: madeBy(submitted) }), outcome)).toBe("admitted");
      expect(await all(tenant)).toEqual([64, expected]);
    },
  );

  it("what adds nothing passes although the limit has become lower", async () => {
    const { ledger } = await newTenant();
    const submitted = gpus([gpusPerHour(64, { within: "running" })], 64);
    await ask(ledger, submitted);
    const lower = [gpusPerHour(16, { within: "running" })];
    expect(await ask(ledger, gpus(lower, 1))).toBe("aggregate-exceeded");
    expect(await ask(ledger, gpus(lower, 32, { resource: madeBy(submitted) }))).toBe("admitted");
    expect(await ask(ledger, gpus(lower, 33, { resource: madeBy(submitted) }))).toBe("aggregate-exceeded");
  });

  it("a resource has what it has until all that was committed to it is over", async () => {
    const { tenant, ledger } = await newTenant();
    const running = [gpusPerHour(64, { within: "running" })];
    const submitted = gpus(running, 4);
    await ask(ledger, submitted);
    const grown = gpus(running, 64, { resource: madeBy(submitted) });
    await ask(ledger, grown);
    expect((await reportOne(ledger, FIONA, report(submitted.requestId, 10_000))).state).toBe("settled");
    expect(await counted(tenant, "running")).toEqual({ tenant: 64 });
    await end(ledger, grown.requestId);
    expect(await counted(tenant, "running")).toEqual({});
  });

  it("what costs nothing is over when it is done", async () => {
    const { tenant, ledger } = await newTenant();
    const limits = [gpusPerHour(64, { within: "running" }), gpusPerHour(9, { of: "submissions", within: "running" })];
    const free = gpus(limits, 4, { over: { cost: { kind: "none" } } });
    expect(await ask(ledger, free, null)).toBe("admitted");
    expect(await counted(tenant, "running")).toEqual({ tenant: 5 });
    const again = await newTenant();
    expect(await ask(again.ledger, gpus(limits, 4, { over: { cost: { kind: "none" } } }))).toBe("admitted");
    expect(await counted(again.tenant, "running")).toEqual({});
  });
});

describe("submissions and resources", () => {
  it("submissions count every request, resources every different thing once", async () => {
    const { ledger } = await newTenant();
    const limits: Limit[] = [{ of: "resources", max: 2 }];
    const first = gpus(limits, 1);
    expect(await ask(ledger, first)).toBe("admitted");
    expect(await ask(ledger, gpus(limits, 2, { resource: madeBy(first) }))).toBe("admitted");
    expect(await ask(ledger, gpus(limits, 2, { resource: "b" }))).toBe("admitted");
    expect(await ask(ledger, gpus(limits, 3, { resource: "b" }))).toBe("admitted");
    expect(await ledger.admit(gpus(limits, 2, { resource: "c" }))).toMatchObject({
      refusal: { aggregate: "resources-hour", limit: 2, current: 2, requested: 1 },
    });
    const submissions: Limit[] = [{ of: "submissions", max: 2 }];
    for (const expected of ["admitted", "admitted", "aggregate-exceeded"] as const) {
      // The four before count as well: a measure is counted from the books.
      const fresh = expected === "aggregate-exceeded" ? submissions : [{ of: "submissions", max: 6 }];
      expect(await ask(ledger, gpus(fresh, 1))).toBe(expected);
    }
  });

  it("a change that failed touched nothing, one before it in the same minute did", async () => {
    const { tenant, ledger } = await newTenant();
    const limits: Limit[] = [{ of: "resources", max: 9 }];
    await ask(ledger, gpus(limits, 1, { resource: "a" }));
    await ask(ledger, gpus(limits, 1, { resource: "a" }), "failed");
    await ask(ledger, gpus(limits, 1, { resource: "b" }), "failed");
    const rows = await rowsOf(tenant, "SELECT thing, amount FROM aggregate_counts ORDER BY thing");
    expect(rows).toEqual([
      { thing: "a", amount: 1 },
      { thing: "b", amount: 0 },
    ]);
  });
});

describe("a new version of the policy gives nothing afresh", () => {
  it("whatever becomes of the limit: `max` changes, the count stays", async () => {
    const { tenant, ledger } = await newTenant();
    expect(await ask(ledger, gpus([gpusPerHour(64)], 40))).toBe("admitted");
    await activate(ledger, 2);
    expect(await ask(ledger, gpus([gpusPerHour(32)], 1))).toBe("aggregate-exceeded");
    expect(await ask(ledger, gpus([gpusPerHour(48)], 8))).toBe("admitted");
    expect(await counted(tenant)).toEqual({ tenant: 48 });
  });

  it("a measure that is new is counted from what was admitted before, but for what failed", async () => {
    const { tenant, ledger } = await newTenant();
    const job = gpus([], 8);
    const ended = gpus([], 16);
    await ask(ledger, job);
    await ask(ledger, ended);
    await end(ledger, ended.requestId);
    await ask(ledger, gpus([], 32), "failed");
    await ask(ledger, gpus([], 2, { who: "tuner" }), "unknown");
    await ask(ledger, gpus([], 24, { resource: madeBy(job) }));
    await activate(ledger, 2);
    later(HOUR / 2);
    const limits = [
      gpusPerHour(100),
      gpusPerHour(100, { within: "running" }),
      gpusPerHour(100, { within: "running", per: "principal", name: "own" }),
    ];
    expect(await ask(ledger, gpus(limits, 1, { who: "pruner" }))).toBe("admitted");
    expect(await counted(tenant)).toEqual({ tenant: 8 + 16 + 2 + 16 + 1 });
    expect(await counted(tenant, "running")).toEqual({
      tenant: 24 + 2 + 1,
      "principal:agent:trainer": 24,
      "principal:agent:tuner": 2,
      "principal:agent:pruner": 1,
    });
    await end(ledger, job.requestId);
    expect((await counted(tenant, "running"))["tenant"]).toBe(3);
  });

  it("what was admitted while no policy limited it counts when one does again", async () => {
    const { tenant, ledger } = await newTenant();
    await ask(ledger, gpus([gpusPerHour(64)], 4));
    await activate(ledger, 2);
    await ask(ledger, gpus([], 40));
    await activate(ledger, 3);
    expect(await ask(ledger, gpus([gpusPerHour(64)], 21))).toBe("aggregate-exceeded");
    expect(await ask(ledger, gpus([gpusPerHour(64)], 20))).toBe("admitted");
    expect(await counted(tenant)).toEqual({ tenant: 64 });
  });

  it("a growth that cost nothing more is remembered", async () => {
    const { tenant, ledger } = await newTenant();
    const running = [gpusPerHour(64, { within: "running" })];
    const job = gpus(running, 4);
    await ask(ledger, job);
    await ask(ledger, gpus(running, 64, { resource: madeBy(job), over: { cost: { kind: "none" } } }));
    expect(await counted(tenant, "running")).toEqual({ tenant: 64 });
    await activate(ledger, 2);
    expect(await ask(ledger, gpus(running, 1))).toBe("aggregate-exceeded");
    expect(await counted(tenant, "running")).toEqual({ tenant: 64 });
  });
});

it("an aggregate in shadow refuses nothing, is on record, and counts", async () => {
  const { tenant, ledger } = await newTenant();
  const limits = [
    gpusPerHour(4, { isShadow: true }),
    gpusPerHour(4, { within: "day", isShadow: true, over: "approve" }),
  ];
  await ask(ledger, gpus(limits, 4));
  const outcome = await ledger.admit(gpus(limits, 4));
  const shadow = [
    { rule: "aggregate gpus-hour", verdict: "aggregate-exceeded" },
    { rule: "aggregate gpus-day", verdict: "tier 3" },
  ];
  expect(outcome).toMatchObject({ kind: "admitted", tally: { lifted: null, shadow } });
  const rows = await rowsOf(tenant, "SELECT entry FROM operations ORDER BY rowid");
  expect(rows.map(({ entry }) => JSON.parse(String(entry)).shadow)).toEqual([[], shadow]);
  expect(await counted(tenant)).toEqual({ tenant: 8 });
  expect(verdict(outcome)).toBe("admitted");
});
