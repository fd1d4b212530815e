import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { AdmissionRequest } from "../../src/ledger/contract.ts";
import type { LedgerPort } from "../../src/ledger/ledger-port.ts";
import { checkInvariants } from "./check-invariants.ts";
import {
  again,
  BUDGET,
  decideAs,
  digest,
  needing,
  newTenant,
  person,
  priced,
  propose,
  receiptFor,
  START,
  USD,
  verdict,
  write,
} from "./fixture.ts";

const CAPS = { daily: BUDGET.dailyCapMicros, monthly: BUDGET.monthlyCapMicros };
const PARALLEL = 200;

beforeEach(() => void vi.useFakeTimers({ toFake: ["Date"], now: START }));
afterEach(() => void vi.useRealTimers());

/** Sends all at once and counts the answers: `{ admitted: 7, "budget-exceeded": 193 }`. */
async function admitAtOnce(
  ledger: LedgerPort,
  make: (index: number) => AdmissionRequest,
): Promise<Record<string, number>> {
  const answers = await Promise.all(
    Array.from({ length: PARALLEL }, (_, index) => ledger.admit(make(index)).then(verdict)),
  );
  const counts: Record<string, number> = {};
  for (const answer of answers) counts[answer] = (counts[answer] ?? 0) + 1;
  return counts;
}

describe(`of ${PARALLEL} writes at once`, () => {
  it.each([0, 1, 7, 100])("exactly the %i that the budget has room for are admitted", async (room) => {
    const { tenant, ledger } = await newTenant();
    const filler = 100 * USD - room * USD;
    if (filler > 0) await ledger.admit(write({ cost: priced(filler), requestDigest: digest("filler") }));
    const counts = await admitAtOnce(ledger, (index) => write({ requestDigest: digest(`${index}`) }));
    expect(counts["admitted"] ?? 0).toBe(room);
    expect(counts["budget-exceeded"]).toBe(PARALLEL - room);
    await checkInvariants(tenant, CAPS);
  });

  it("one is admitted with one receipt", async () => {
    const { tenant, ledger } = await newTenant();
    const request = write({ requirement: { kind: "receipt" } });
    const receipt = await receiptFor(ledger, request);
    expect(await admitAtOnce(ledger, () => again(request, { handles: { receipt } }))).toEqual({
      admitted: 1,
      "idempotency-in-progress": PARALLEL - 1,
    });
    await checkInvariants(tenant, CAPS);
  });

  it("one is admitted with one grant, also when each brings a key of its own", async () => {
    for (const keyed of [false, true]) {
      const { tenant, ledger } = await newTenant();
      const request = write({ requirement: needing(1) });
      await decideAs(ledger, await propose(ledger, request), person("alice"), "approve");
      const counts = await admitAtOnce(ledger, (index) =>
        again(request, { handles: { idempotencyKey: keyed ? `${index}` : null } }),
      );
      expect(counts["admitted"]).toBe(1);
      await checkInvariants(tenant, CAPS);
    }
  });

  it("one is admitted under one idempotency key", async () => {
    const { tenant, ledger } = await newTenant();
    const request = write({ handles: { idempotencyKey: "k" } });
    expect(await admitAtOnce(ledger, () => again(request))).toEqual({
      admitted: 1,
      "idempotency-in-progress": PARALLEL - 1,
    });
    await checkInvariants(tenant, CAPS);
  });

  it("one is admitted for one resource, and one proposal is opened for one request", async () => {
    const { tenant, ledger } = await newTenant();
    const busy = await admitAtOnce(ledger, (index) => write({ resource: "job-1", requestDigest: digest(`${index}`) }));
    expect(busy).toEqual({ admitted: 1, "resource-busy": PARALLEL - 1 });
    const request = write({ requirement: needing(1), requestDigest: digest("proposal") });
    expect(await admitAtOnce(ledger, () => again(request))).toEqual({ "approval-required": PARALLEL });
    expect(await ledger.approvals("pending", 10)).toHaveLength(1);
    await checkInvariants(tenant, CAPS);
  });

  it("each decides for itself: opposite decisions at once end in one state, and a denial vetoes", async () => {
    const { tenant, ledger } = await newTenant();
    for (let round = 0; round < 20; round++) {
      const id = await propose(ledger, write({ requirement: needing(2), requestDigest: digest(`round ${round}`) }));
      await Promise.all([
        decideAs(ledger, id, person("alice"), "approve"),
        decideAs(ledger, id, person("bob"), "deny"),
        decideAs(ledger, id, person("carol"), round % 2 === 0 ? "approve" : "deny"),
      ]);
      const found = await ledger.approval(id);
      const approved = found?.decisions.filter((d) => d.decision === "approve").length ?? 0;
      const denied = found?.decisions.filter((d) => d.decision === "deny").length ?? 0;
      expect(found?.approval.state).toBe(denied > 0 ? "denied" : "approved");
      expect(denied > 0 || approved >= 2).toBe(true);
    }
    await checkInvariants(tenant, CAPS);
  });
});
