import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { ask, counted, gpus, gpusPerHour } from "./aggregate-fixture.ts";
import { newTenant, START } from "./fixture.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["Date"], now: START }));
afterEach(() => void vi.useRealTimers());

it("what requests stated while nothing limited it never keeps a new limit from being counted and asked", async () => {
  for (const within of ["hour", "running"] as const) {
    const { tenant, ledger } = await newTenant();
    for (let sent = 0; sent < 3; sent++) expect(await ask(ledger, gpus([], Number.MAX_SAFE_INTEGER))).toBe("admitted");
    expect(await ask(ledger, gpus([gpusPerHour(64, { within })], 1))).toBe("aggregate-exceeded");
    expect(await ask(ledger, gpus([gpusPerHour(64, { within, isShadow: true })], 1))).toBe("admitted");
    expect(await counted(tenant, within)).toEqual({ tenant: 30_000_000_001 });
  }
});
