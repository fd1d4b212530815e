import { evictDurableObject } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { testEnv } from "../support/test-env.ts";
import { checkInvariants } from "./check-invariants.ts";
import { BUDGET, ended, hold, newTenant, priced, runAlarm, USD, verdict, windows } from "./fixture.ts";
import { caps, HOUR, report, reportOne, BILLING, run, spend } from "./money-fixture.ts";

const CAPS = { daily: BUDGET.dailyCapMicros, monthly: BUDGET.monthlyCapMicros };

const at = (iso: string): void => void vi.setSystemTime(Date.parse(iso));
beforeEach(() => void vi.useFakeTimers({ toFake: ["Date"], now: Date.parse("2031-11-20T12:00:00Z") }));
afterEach(() => void vi.useRealTimers());

const inZone = (timezone: string) => caps(100, 1_000, { timezone });

describe("a reservation resolves in the windows that it was admitted in", () => {
  it.each([
    ["the next day", "UTC", "2031-11-21T12:00:00Z"],
    ["the next month", "UTC", "2031-12-02T12:00:00Z"],
    ["after a change of zone to the east", "Asia/Kathmandu", "2031-11-21T20:00:00Z"],
    ["after a change of zone to the west", "Pacific/Niue", "2031-11-22T20:00:00Z"],
    ["after the clock stepped back", "UTC", "2031-11-19T12:00:00Z"],
  ])("%s: settled, given back, adjusted", async (_, timezone, later) => {
    const { tenant, ledger } = await newTenant();
    const budget = inZone("UTC");
    const settled = await run(ledger, 10 * USD, "job-1", 100 * HOUR, { budget });
    const billed = await run(ledger, 10 * USD, "job-2", 100 * HOUR, { budget });
    const failed = spend(10 * USD, { budget });
    await ledger.admit(failed);
    at(later);
    await ledger.budgetReport(inZone(timezone), []);
    await ledger.settleByStatus({ requestId: settled, verdict: "ended", actualMicros: USD, ranMs: null });
    await reportOne(ledger, BILLING, report(billed, 12 * USD));
    await ledger.conclude(ended(failed.requestId, "failed"));
    expect(await windows(tenant)).toEqual({ "2031-11-20": [0, 13 * USD], "2031-11": [0, 13 * USD] });
    expect((await ledger.budgetEntries("2031-11", 0, 100)).map(({ dailyWindow }) => dailyWindow)).toEqual(
      Array(6).fill("2031-11-20"),
    );
    await checkInvariants(tenant, CAPS);
  });
});

describe("no cap is had twice", () => {
  it.each([
    ["the clock steps back over midnight", "UTC", "2031-11-21T00:00:01Z", "UTC", "2031-11-20T23:00:00Z"],
    ["the zone moves west at midnight", "UTC", "2031-11-20T23:59:59Z", "Pacific/Niue", "2031-11-21T00:00:00Z"],
    [
      "the zone moves west in the midst of a day",
      "UTC",
      "2031-11-20T12:00:00Z",
      "Pacific/Niue",
      "2031-11-20T12:00:01Z",
    ],
    [
      "the zone moves east in the midst of a day",
      "UTC",
      "2031-11-20T12:00:00Z",
      "Pacific/Kiritimati",
      "2031-11-20T12:00:01Z",
    ],
    ["the zone moves west at the month's end", "UTC", "2031-11-30T23:59:59Z", "Pacific/Niue", "2031-12-01T00:00:00Z"],
  ])("when %s, also after a restart", async (_, zone, first, next, then) => {
    const { tenant, ledger } = await newTenant();
    at(first);
    expect(verdict(await ledger.admit(spend(100 * USD, { budget: inZone(zone) })))).toBe("admitted");
    at(then);
    expect(verdict(await ledger.admit(spend(1, { budget: inZone(next) })))).toBe("budget-exceeded");
    await evictDurableObject(testEnv.LEDGER.getByName(tenant));
    expect(verdict(await ledger.admit(spend(1, { budget: inZone(next) })))).toBe("budget-exceeded");
    await checkInvariants(tenant, CAPS);
  });

  it("in a day of 25 hours, and there is none less in one of 23", async () => {
    const { ledger } = await newTenant();
    const budget = inZone("America/New_York");
    // 2031-11-02 has 25 hours there, 2032-03-14 has 23.
    for (const [first, last, next] of [
      ["2031-11-02T04:00:00Z", "2031-11-03T04:59:59.999Z", "2031-11-03T05:00:00Z"],
      ["2032-03-14T05:00:00Z", "2032-03-15T03:59:59.999Z", "2032-03-15T04:00:00Z"],
    ] as const) {
      at(first);
      expect(verdict(await ledger.admit(spend(100 * USD, { budget })))).toBe("admitted");
      at(last);
      expect(verdict(await ledger.admit(spend(1, { budget })))).toBe("budget-exceeded");
      at(next);
      expect(verdict(await ledger.admit(spend(100 * USD, { budget })))).toBe("admitted");
    }
  });
});

it("a request that fails in the midst opens no window in its zone", async () => {
  const { ledger } = await newTenant();
  const broken = spend(0, { cost: priced(0.5), budget: inZone("Pacific/Kiritimati") });
  expect(await ledger.admit(broken).then(verdict, () => "threw")).toBe("threw");
  expect((await ledger.budgetReport(inZone("UTC"), [])).daily.window).toBe("2031-11-20");
});

it("a request judged under another policy opens no window in its zone", async () => {
  const { ledger } = await newTenant();
  const stale = spend(USD, { budget: inZone("Pacific/Kiritimati") });
  expect(verdict(await ledger.admit({ ...stale, authority: { ...stale.authority, credentialEpoch: 9 } }))).toBe(
    "stale",
  );
  expect((await ledger.budgetReport(inZone("UTC"), [])).daily.window).toBe("2031-11-20");
});

it("a run that outlives its month settles at its ceiling in the month that it was admitted in", async () => {
  const { tenant, ledger } = await newTenant();
  at("2031-11-30T23:59:59.999Z");
  const id = await run(ledger, 10 * USD, "job-1", 48 * HOUR);
  at("2031-12-03T00:00:00Z");
  await runAlarm(tenant);
  expect(await hold(tenant, id)).toBe(`settled ${10 * USD}/${10 * USD}`);
  expect(await windows(tenant)).toEqual({ "2031-11-30": [0, 10 * USD], "2031-11": [0, 10 * USD] });
  await checkInvariants(tenant, CAPS);
});
