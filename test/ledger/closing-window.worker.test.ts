import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { AdmissionRequest } from "../../src/ledger/contract.ts";
import type { Refusal } from "../../src/refusal.ts";
import {
  again,
  decideAs,
  hold,
  MINUTE,
  needing,
  newTenant,
  person,
  propose,
  rowsOf,
  START,
  verdict,
  write,
} from "./fixture.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["Date"], now: START }));
afterEach(() => void vi.useRealTimers());

const AFTER: Refusal = { kind: "outside-window", rule: "blast_radius[0]", windows: ["nightly"], opens_at: null };
const inside = (closesAt: number): Pick<AdmissionRequest, "open"> => ({ open: { closesAt, after: AFTER } });

describe("a window that closes between judging and admission", () => {
  it.each([
    ["is open for one more millisecond", START + 1, "admitted"],
    ["closes at this very moment", START, "outside-window"],
    ["has closed", START - 1, "outside-window"],
  ])("%s", async (_title, closesAt, kind) => {
    const { ledger } = await newTenant();
    expect(verdict(await ledger.admit(write(inside(closesAt))))).toBe(kind);
  });

  it("leaves the approval and its hold as they were, and the approval is good when a window is open again", async () => {
    const { tenant, ledger } = await newTenant();
    const request = write({ requirement: needing(1), ...inside(START + MINUTE) });
    const id = await propose(ledger, request);
    expect(await decideAs(ledger, id, person("alice"), "approve")).toBe("recorded");
    vi.setSystemTime(START + MINUTE);
    expect(verdict(await ledger.admit(again(request)))).toBe("outside-window");
    expect((await ledger.approval(id))?.approval.state).toBe("approved");
    expect(await hold(tenant, id)).toBe("held 1000000");
    expect(await rowsOf(tenant, "SELECT * FROM operations")).toEqual([]);
    expect(verdict(await ledger.admit(again(request, inside(START + 2 * MINUTE))))).toBe("admitted");
    expect((await ledger.approval(id))?.approval.state).toBe("consumed");
  });
});
