import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { ApprovalTerms } from "../../src/ledger/approvals/approvals.ts";
import type { AdmissionRequest } from "../../src/ledger/contract.ts";
import { checkInvariants } from "./check-invariants.ts";
import {
  again,
  BUDGET,
  CONTEXT,
  decideAs,
  digest,
  hold,
  needing,
  newTenant,
  person,
  priced,
  propose,
  START,
  USD,
  verdict,
  write,
} from "./fixture.ts";

const CAPS = { daily: BUDGET.dailyCapMicros, monthly: BUDGET.monthlyCapMicros };

beforeEach(() => void vi.useFakeTimers({ toFake: ["Date"], now: START }));
afterEach(() => void vi.useRealTimers());

type Change = { readonly over: Partial<AdmissionRequest>; readonly answer: string };

/**
 * One change per term that people saw and signed, by the type of the terms: a new term without its line here does not
 * compile. Context that differs is refused; where price or rule moved on, the old approval no longer counts and people are
 * asked anew.
 */
const CHANGES: { readonly [Term in keyof Required<ApprovalTerms>]: Change } = {
  reason: { over: { context: { ...CONTEXT, reason: "another" } }, answer: "resource-changed" },
  evidence: { over: { context: { ...CONTEXT, evidence: "another" } }, answer: "resource-changed" },
  evidenceRef: { over: { context: { ...CONTEXT, evidenceRef: digest("another") } }, answer: "resource-changed" },
  backOut: { over: { context: { ...CONTEXT, backOut: "another" } }, answer: "resource-changed" },
  incident: { over: { context: { ...CONTEXT, incident: "INC-2" } }, answer: "resource-changed" },
  resource: { over: { resource: "job-2" }, answer: "resource-changed" },
  affected: { over: { observed: { affected: digest("more"), version: "7" } }, answer: "resource-changed" },
  resourceVersion: { over: { observed: { affected: digest("set"), version: "8" } }, answer: "resource-changed" },
  ceilingMicros: { over: { cost: priced(2 * USD) }, answer: "approval-required" },
  ruleDigest: { over: { requirement: needing(1, { ruleDigest: digest("tighter") }) }, answer: "approval-required" },
};

describe("a grant is for exactly what was approved", () => {
  it.each(Object.entries(CHANGES))("another %s spends nothing", async (_, { over, answer }) => {
    const { tenant, ledger } = await newTenant();
    const request = write({
      requirement: needing(1),
      resource: "job-1",
      observed: { affected: digest("set"), version: "7" },
    });
    const approval = await propose(ledger, request);
    await decideAs(ledger, approval, person("alice"), "approve");
    expect(verdict(await ledger.admit(again(request, over)))).toBe(answer);
    const state = (await ledger.approval(approval))?.approval.state;
    expect(state).toBe(answer === "resource-changed" ? "approved" : "invalidated");
    if (answer === "resource-changed") {
      expect(await hold(tenant, approval)).toBe("held 1000000");
      expect(verdict(await ledger.admit(again(request)))).toBe("admitted");
    }
    await checkInvariants(tenant, CAPS);
  });

  it("and the same terms again are the same approval", async () => {
    const { tenant, ledger } = await newTenant();
    const request = write({ requirement: needing(1) });
    await decideAs(ledger, await propose(ledger, request), person("alice"), "approve");
    expect(verdict(await ledger.admit(again(request)))).toBe("admitted");
    await checkInvariants(tenant, CAPS);
  });
});
