import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { ChangeAsk } from "../../src/ledger/money/finance-port.ts";
import type { LedgerPort } from "../../src/ledger/ledger-port.ts";
import { newId } from "../../src/platform/ids.ts";
import { newTenant, runAlarm, START, USD } from "./fixture.ts";
import {
  alerts,
  asking,
  caps,
  DAY,
  FIONA,
  FRANK,
  FRIDA,
  HOUR,
  idOf,
  journaled,
  OLGA,
  run,
  said,
  say,
  TRAINER,
} from "./money-fixture.ts";

const TERMS = caps(100, 1_000);

beforeEach(() => void vi.useFakeTimers({ toFake: ["Date"], now: START }));
afterEach(() => void vi.useRealTimers());

/** The daily cap in force, in USD. */
const capOf = async (ledger: LedgerPort): Promise<number> => (await ledger.budgetReport(TERMS, [])).daily.cap_usd;

/** The daily cap at each of these times after START. */
async function capsAt(ledger: LedgerPort, times: readonly number[]): Promise<readonly number[]> {
  const found: number[] = [];
  for (const time of times) {
    vi.setSystemTime(START + time);
    found.push(await capOf(ledger));
  }
  return found;
}

const lower = async (ledger: LedgerPort, ask: ChangeAsk, by = FIONA): Promise<string> => {
  const made = await ledger.changeBudget(by, TERMS, ask);
  expect(made).toMatchObject({ change: { kind: "lower", state: "approved" } });
  return idOf(made);
};

const raise = async (ledger: LedgerPort, ask: ChangeAsk): Promise<string> => {
  const id = idOf(await ledger.changeBudget(FIONA, TERMS, ask));
  expect(await say(ledger, FRANK, id, "approve")).toMatchObject({ change: { kind: "raise", state: "approved" } });
  return id;
};

const withdraw = (ledger: LedgerPort, who: typeof FIONA, id: string): Promise<string> =>
  ledger.withdrawBudgetChange(who, newId("req"), id).then(said);

describe("a temporary raise", () => {
  it("ends by itself, and the cap before it holds again", async () => {
    const { ledger } = await newTenant();
    await lower(ledger, asking(50));
    await raise(ledger, asking(80, { endsAt: START + DAY }));
    expect(await capsAt(ledger, [0, DAY - 1, DAY, 2 * DAY])).toEqual([80, 80, 50, 50]);
  });

  it("touches nothing that was admitted under it when it ends", async () => {
    const { tenant, ledger } = await newTenant();
    await lower(ledger, asking(50));
    await raise(ledger, asking(80, { endsAt: START + HOUR }));
    const id = await run(ledger, 75 * USD, "job-1", DAY);
    vi.setSystemTime(START + HOUR);
    await runAlarm(tenant);
    expect((await ledger.operation(id))?.reservation).toMatchObject({ state: "committed", ceilingMicros: 75 * USD });
    expect((await ledger.budgetReport(TERMS, [])).daily).toMatchObject({ cap_usd: 50, remaining_micros: 0 });
  });

  it("is ended early by one of finance or its asker, and by nobody else", async () => {
    const { tenant, ledger } = await newTenant();
    await lower(ledger, asking(50));
    const id = await raise(ledger, asking(80, { endsAt: START + DAY }));
    expect(await withdraw(ledger, OLGA, id)).toBe("not-found");
    expect(await withdraw(ledger, TRAINER, id)).toBe("not-found");
    expect(await capOf(ledger)).toBe(80);
    expect(await withdraw(ledger, FRIDA, id)).toBe("withdrawn");
    expect(await capOf(ledger)).toBe(50);
    expect(await withdraw(ledger, FRIDA, id)).toBe("already-decided");
    expect(await journaled(tenant, "admin", "budget-withdrawn")).toEqual(["allow person:frida budget-withdrawn"]);
  });

  it("is over for good when finance lowers in its midst", async () => {
    const { ledger } = await newTenant();
    await lower(ledger, asking(50));
    await raise(ledger, asking(80, { endsAt: START + DAY }));
    vi.setSystemTime(START + HOUR);
    await lower(ledger, asking(70), FRIDA);
    expect(await capsAt(ledger, [HOUR, DAY - 1, DAY])).toEqual([70, 70, 50]);
  });
});

describe("a change with a time of its own", () => {
  it("begins then: a raise that two confirmed, and a lowering that one made", async () => {
    const { ledger } = await newTenant();
    await lower(ledger, asking(50));
    await raise(ledger, asking(80, { effectiveAt: START + DAY }));
    await lower(ledger, asking(30, { effectiveAt: START + 2 * DAY }));
    expect(await capsAt(ledger, [0, DAY - 1, DAY, 2 * DAY - 1, 2 * DAY])).toEqual([50, 50, 80, 80, 30]);
  });

  it("never widens as a lowering: what was lowered meanwhile stays lower", async () => {
    const { ledger } = await newTenant();
    await lower(ledger, asking(90, { effectiveAt: START + DAY }));
    vi.setSystemTime(START + HOUR);
    await lower(ledger, asking(20));
    expect(await capsAt(ledger, [HOUR, DAY, 2 * DAY])).toEqual([20, 20, 20]);
  });

  it("is a raise when the cap of its time is lower, though today's is higher", async () => {
    const { ledger } = await newTenant();
    await lower(ledger, asking(50));
    await raise(ledger, asking(90, { endsAt: START + DAY }));
    expect(await ledger.changeBudget(FIONA, TERMS, asking(80, { effectiveAt: START + 2 * DAY }))).toMatchObject({
      change: { kind: "raise", state: "pending", fromMicros: 50 * USD },
    });
  });

  it("may be taken back before it begins where that does not widen", async () => {
    const { ledger } = await newTenant();
    await lower(ledger, asking(50));
    const higher = await raise(ledger, asking(80, { effectiveAt: START + DAY }));
    expect(await withdraw(ledger, FRIDA, higher)).toBe("withdrawn");
    expect(await capsAt(ledger, [0, DAY])).toEqual([50, 50]);
  });
});

describe("one person of finance cannot widen by taking back", () => {
  it("a lowering for a time, a lowering to come, a lasting one", async () => {
    const { ledger } = await newTenant();
    const lasting = await lower(ledger, asking(90));
    const forATime = await lower(ledger, asking(50, { endsAt: START + DAY }));
    const toCome = await lower(ledger, asking(40, { effectiveAt: START + 2 * DAY }));
    expect(await withdraw(ledger, FRIDA, forATime)).toBe("malformed-request");
    expect(await withdraw(ledger, FRIDA, toCome)).toBe("malformed-request");
    expect(await withdraw(ledger, FRIDA, lasting)).toBe("already-decided");
    expect(await capsAt(ledger, [0, DAY, 2 * DAY])).toEqual([50, 90, 40]);
  });

  it("a lowering that another one hides for a time", async () => {
    const { ledger } = await newTenant();
    const hidden = await lower(ledger, asking(60, { effectiveAt: START + DAY }));
    await lower(ledger, asking(50, { endsAt: START + 3 * DAY }), FRANK);
    expect(await withdraw(ledger, FRANK, hidden)).toBe("malformed-request");
    expect(await capsAt(ledger, [DAY, 3 * DAY])).toEqual([50, 60]);
  });

  it("a raise that has become the lower one", async () => {
    const { ledger } = await newTenant();
    await lower(ledger, asking(50));
    const once = await raise(ledger, asking(60, { effectiveAt: START + DAY, endsAt: START + 3 * DAY }));
    await raise(ledger, asking(90));
    vi.setSystemTime(START + 2 * DAY);
    expect(await capOf(ledger)).toBe(60);
    expect(await withdraw(ledger, FRIDA, once)).toBe("malformed-request");
  });
});

describe("a change that waits", () => {
  it("is taken back by its asker or by finance, and moves no cap", async () => {
    const { ledger } = await newTenant();
    await lower(ledger, asking(50));
    const one = idOf(await ledger.changeBudget(TRAINER, TERMS, asking(80)));
    const other = idOf(await ledger.changeBudget(TRAINER, TERMS, asking(81)));
    expect(await withdraw(ledger, OLGA, one)).toBe("not-found");
    expect(await withdraw(ledger, TRAINER, one)).toBe("withdrawn");
    expect(await withdraw(ledger, FRIDA, other)).toBe("withdrawn");
    expect(said(await say(ledger, FRIDA, one, "approve"))).toBe("already-decided");
    expect(await capOf(ledger)).toBe(50);
  });

  it("expires by alarm after a week, and a late word finds it expired", async () => {
    const { tenant, ledger } = await newTenant();
    await lower(ledger, asking(50));
    const [one, other] = [
      idOf(await ledger.changeBudget(FIONA, TERMS, asking(80))),
      idOf(await ledger.changeBudget(FIONA, TERMS, asking(81))),
    ];
    vi.setSystemTime(START + 7 * DAY - 1);
    await runAlarm(tenant);
    expect((await ledger.budgetChanges("pending", 10)).map(({ id }) => id)).toEqual([other, one]);
    vi.setSystemTime(START + 7 * DAY);
    expect(said(await say(ledger, FRANK, one, "approve"))).toBe("approval-expired");
    await runAlarm(tenant);
    expect((await ledger.budgetChanges("expired", 10)).map(({ id }) => id)).toEqual([other, one]);
    expect(said(await say(ledger, FRANK, other, "approve"))).toBe("already-decided");
    expect(await capOf(ledger)).toBe(50);
    expect(await journaled(tenant, "admin", "budget-expired")).toHaveLength(2);
    expect((await alerts(tenant, "bud_")).filter((id) => id.endsWith("/expired"))).toHaveLength(2);
  });
});
