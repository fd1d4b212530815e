import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { ask, counted, gpus, gpusPerHour } from "./aggregate-fixture.ts";
import { needing, newTenant, priced, START, USD } from "./fixture.ts";
import { given, rules } from "./standing-fixture.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["Date"], now: START }));
afterEach(() => void vi.useRealTimers());

const standing = rules();

it.each([
  ["that people decide anyway", { over: { tier: 3 as const, requirement: needing(1, { standing }) } }],
  ["that is lifted to tier 3", { lift: { requirement: needing(1, { standing }), otherwise: null } }],
])(
  "a standing approval does not stand in for the people whom an aggregate asks about a request %s",
  async (name, wish) => {
    const { tenant, ledger } = await newTenant();
    const id = await given(ledger);
    const limits = [gpusPerHour(8, { over: "approve" })];
    const free = { ...wish, over: { ...("over" in wish ? wish.over : {}), cost: priced(USD) } };
    expect(await ask(ledger, gpus(limits, 4, free))).toBe("admitted");
    expect(await ask(ledger, gpus(limits, 4, free))).toBe("admitted");
    expect(await ask(ledger, gpus(limits, 4, free))).toBe("approval-required");
    expect(await counted(tenant)).toEqual({ tenant: 8 });
    // While there is room it is used by what people decide about anyway, and by nothing else.
    expect((await ledger.approval(id))?.standing?.used).toBe(name.includes("anyway") ? 2 : 0);
  },
);
