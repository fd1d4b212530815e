import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { newTenant, ended, needing, propose, rowsOf, START, USD } from "./fixture.ts";
import { alerts, asking, caps, DAY, FIONA, FRANK, idOf, say, spend } from "./money-fixture.ts";

const budget = caps(100, 1_000, { thresholdsPercent: [50, 80, 95, 100] });

beforeEach(() => void vi.useFakeTimers({ toFake: ["Date"], now: START }));
afterEach(() => void vi.useRealTimers());

/** Window and percent of what people were told. */
const told = async (tenant: string): Promise<readonly string[]> =>
  (await alerts(tenant, "budget-threshold")).map((id) => id.replace("budget-threshold/", "")).toSorted();

it("each share of a window's cap is told once, when it is reached and not before", async () => {
  const { tenant, ledger } = await newTenant();
  await ledger.admit(spend(50 * USD - 1, { budget }));
  expect(await told(tenant)).toEqual([]);
  await ledger.admit(spend(1, { budget }));
  expect(await told(tenant)).toEqual(["2031-11-20/50"]);
  expect(await rowsOf(tenant, "SELECT alert FROM notices WHERE kind = 'alert'")).toEqual([
    {
      alert: JSON.stringify({
        kind: "budget-threshold",
        window: "2031-11-20",
        percent: 50,
        usedMicros: 50 * USD,
        capMicros: 100 * USD,
      }),
    },
  ]);
  await ledger.admit(spend(29 * USD, { budget }));
  expect(await told(tenant)).toEqual(["2031-11-20/50"]);
  await ledger.admit(spend(USD, { budget }));
  await ledger.admit(spend(20 * USD, { budget }));
  expect(await told(tenant)).toEqual(["2031-11-20/100", "2031-11-20/50", "2031-11-20/80"]);
});

it("of several that are passed at once only the highest is told", async () => {
  const { tenant, ledger } = await newTenant();
  await ledger.admit(spend(96 * USD, { budget }));
  expect(await told(tenant)).toEqual(["2031-11-20/95"]);
});

it("a share that is reached again is not told again: what was given back and taken again, or the next hour", async () => {
  const { tenant, ledger } = await newTenant();
  for (let n = 0; n < 4; n++) {
    const request = spend(60 * USD, { budget });
    await ledger.admit(request);
    await ledger.conclude(ended(request.requestId, "failed"));
  }
  expect(await told(tenant)).toEqual(["2031-11-20/50"]);
});

it("day and month are told of each for itself, and the next day again", async () => {
  const { tenant, ledger } = await newTenant();
  const tight = { ...budget, monthlyCapMicros: 110 * USD };
  await ledger.admit(spend(55 * USD, { budget: tight }));
  expect(await told(tenant)).toEqual(["2031-11-20/50", "2031-11/50"]);
  vi.setSystemTime(START + DAY);
  await ledger.admit(spend(50 * USD, { budget: tight }));
  expect(await told(tenant)).toEqual(["2031-11-20/50", "2031-11-21/50", "2031-11/50", "2031-11/95"]);
});

it("proposals count", async () => {
  const { tenant, ledger } = await newTenant();
  await propose(ledger, spend(80 * USD, { budget, requirement: needing(1) }));
  expect(await told(tenant)).toEqual(["2031-11-20/80"]);
});

it("a refusal reaches no share", async () => {
  const { tenant, ledger } = await newTenant();
  await ledger.admit(spend(101 * USD, { budget }));
  expect(await told(tenant)).toEqual([]);
});

it("a cap of 0, and a policy without thresholds, tell nothing", async () => {
  const { tenant, ledger } = await newTenant();
  await ledger.admit(spend(0, { budget: { ...budget, dailyCapMicros: 0, monthlyCapMicros: 0 } }));
  await ledger.admit(spend(100 * USD, { budget: { ...budget, thresholdsPercent: [] } }));
  expect(await told(tenant)).toEqual([]);
});

it("shares are of the cap in force: finance's lower one, and the higher one after a raise", async () => {
  const { tenant, ledger } = await newTenant();
  await ledger.changeBudget(FIONA, budget, asking(20));
  await ledger.admit(spend(10 * USD, { budget }));
  expect(await told(tenant)).toEqual(["2031-11-20/50"]);
  await say(ledger, FRANK, idOf(await ledger.changeBudget(FIONA, budget, asking(90))), "approve");
  await ledger.admit(spend(10 * USD, { budget }));
  expect(await told(tenant)).toEqual(["2031-11-20/50"]);
  await ledger.admit(spend(60 * USD, { budget }));
  expect(await told(tenant)).toEqual(["2031-11-20/50", "2031-11-20/80"]);
});

it.each([
  ["an uneven cap", 33_333_333, 50, 16_666_667],
  ["the largest exact cap", Number.MAX_SAFE_INTEGER, 50, 4_503_599_627_370_496],
  ["a cap of one micro-dollar", 1, 100, 1],
])("shares are exact and rounded up: %s", async (_, cap, percent, reached) => {
  const { tenant, ledger } = await newTenant();
  const terms = { ...budget, dailyCapMicros: cap, monthlyCapMicros: cap, thresholdsPercent: [percent] };
  if (reached > 1) await ledger.admit(spend(reached - 1, { budget: terms }));
  expect(await told(tenant)).toEqual([]);
  await ledger.admit(spend(1, { budget: terms }));
  expect(await told(tenant)).toEqual([`2031-11-20/${percent}`, `2031-11/${percent}`]);
});
