import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { LedgerPort } from "../../src/ledger/ledger-port.ts";
import { newId } from "../../src/platform/ids.ts";
import { checkInvariants } from "./check-invariants.ts";
import {
  AUTHORITY,
  BUDGET,
  digest,
  hold,
  needing,
  newTenant,
  person,
  priced,
  propose,
  rowsOf,
  START,
  USD,
  verdict,
  write,
} from "./fixture.ts";

const CAPS = { daily: BUDGET.dailyCapMicros, monthly: BUDGET.monthlyCapMicros };

beforeEach(() => void vi.useFakeTimers({ toFake: ["Date"], now: START }));
afterEach(() => void vi.useRealTimers());

const glass = (ledger: LedgerPort, approvalId: string, name: string, over: object = {}) =>
  ledger.decide(AUTHORITY, {
    requestId: newId("req"),
    approvalId,
    decider: person(name),
    decision: "break-glass",
    comment: "approvers asleep, disk at 100 %",
    approvers: [{ handle: "@alice", subject: "person:alice" }],
    groups: [{ name: "approvers", needed: 2, subjects: ["person:alice"] }],
    breakGlass: ["person:erin", "person:dana", "person:olga"],
    breakGlassMaxMicros: 100 * USD,
    ...over,
  });
const request = () => write({ requirement: needing(2, { breakGlass: ["person:erin", "person:dana", "person:olga"] }) });

const dear = () => ({ ...request(), cost: priced(90 * USD) });

/** A proposal whose glass erin has broken. */
const broken = async () => {
  const { tenant, ledger } = await newTenant();
  const id = await propose(ledger, request());
  await glass(ledger, id, "erin");
  return { tenant, ledger, id };
};

describe("breaking the glass", () => {
  it("replaces the missing approvers, under its own name in the journal, and the grant runs once", async () => {
    const { tenant, ledger } = await newTenant();
    const id = await propose(ledger, request());
    expect(verdict(await glass(ledger, id, "erin"))).toBe("recorded");
    const admitted = await ledger.admit(request());
    expect(admitted).toMatchObject({ kind: "admitted", approvers: ["person:erin"] });
    const journaled = await rowsOf(
      tenant,
      "SELECT json_extract(record, '$.detail') AS why FROM journal WHERE json_extract(record, '$.reason_code') = 'break-glass'",
    );
    expect(journaled).toEqual([{ why: "approvers asleep, disk at 100 %" }]);
    await checkInvariants(tenant, CAPS);
  });

  it.each([
    ["the owner of the requesting credential", "dana", {}],
    ["its issuer", "olga", {}],
    ["an approver without the role", "alice", {}],
    ["whoever says no reason", "erin", { comment: null }],
    ["an agent", "erin", { decider: { ...person("erin"), class: "agent" } }],
    ["a credential that does not speak for the person", "erin", { decider: { ...person("erin"), fault: "a key" } }],
  ])("is not for %s", async (_, name, over) => {
    const { tenant, ledger } = await newTenant();
    const id = await propose(ledger, request());
    expect(verdict(await glass(ledger, id, name, over))).toBe("not-eligible");
    expect((await ledger.approval(id))?.approval.state).toBe("pending");
    await checkInvariants(tenant, CAPS);
  });

  it("does not outlive the role: a grant by somebody who lost it is not used", async () => {
    const { tenant, ledger } = await newTenant();
    const id = await propose(ledger, request());
    await glass(ledger, id, "erin");
    expect(verdict(await ledger.admit(write({ requirement: needing(2, { breakGlass: [] }) })))).toBe(
      "approval-invalid",
    );
    expect(await hold(tenant, id)).toBe("held 1000000");
    await checkInvariants(tenant, CAPS);
  });

  it("moves no cap: what no longer fits the budget stays refused", async () => {
    const { tenant, ledger } = await newTenant();
    const id = await propose(ledger, dear());
    await glass(ledger, id, "erin");
    const small = { ...BUDGET, dailyCapMicros: 50 * USD };
    expect(verdict(await ledger.admit({ ...dear(), budget: small }))).toBe("budget-exceeded");
    expect((await ledger.approval(id))?.approval.state).toBe("approved");
    await checkInvariants(tenant, CAPS);
  });

  it("has a class of its own in the record, and is told to everybody who was passed over", async () => {
    const { tenant, ledger } = await newTenant();
    const id = await propose(ledger, request());
    await glass(ledger, id, "erin");
    const kinds = await rowsOf(
      tenant,
      "SELECT json_extract(record, '$.principal') AS who FROM journal WHERE json_extract(record, '$.kind') = 'break-glass'",
    );
    expect(kinds).toEqual([{ who: "person:erin" }, { who: "person:erin" }]);
    expect(await rowsOf(tenant, "SELECT approval_id FROM notices WHERE kind = 'break-glass'")).toEqual([
      { approval_id: id },
    ]);
  });

  it("covers no more than its own cap, whatever the budget has room for", async () => {
    const { tenant, ledger } = await newTenant();
    const id = await propose(ledger, { ...request(), cost: priced(11 * USD) });
    const low = { breakGlassMaxMicros: 10 * USD };
    expect(await glass(ledger, id, "erin", low)).toMatchObject({
      refusal: { kind: "not-eligible", reason: expect.stringContaining("at most 10.00 USD") },
    });
    expect(verdict(await glass(ledger, id, "erin", { breakGlassMaxMicros: 11 * USD }))).toBe("recorded");
    await checkInvariants(tenant, CAPS);
  });

  describe("is reviewed afterwards", () => {
    const reviewers = [
      { handle: "@alice", subject: "person:alice" },
      { handle: "@erin", subject: "person:erin" },
      { handle: "@dana", subject: "person:dana" },
    ];
    const reviewBy = (ledger: LedgerPort, approvalId: string, name: string) =>
      ledger.review({ requestId: newId("req"), approvalId, by: person(name), comment: "was needed", reviewers });

    it("and whoever broke it does not break another before", async () => {
      const { tenant, ledger, id } = await broken();
      const second = await propose(ledger, { ...request(), requestDigest: digest("second") });
      expect(await glass(ledger, second, "erin")).toMatchObject({
        refusal: { kind: "not-eligible", reason: expect.stringContaining(id) },
      });
      expect(verdict(await reviewBy(ledger, id, "alice"))).toBe("recorded");
      expect(verdict(await glass(ledger, second, "erin"))).toBe("recorded");
      await checkInvariants(tenant, CAPS);
    });

    it.each([
      ["whoever broke it", "erin"],
      ["the owner of the requesting credential", "dana"],
      ["somebody who is neither approver nor security", "mallory"],
    ])("not by %s", async (_, name) => {
      const { ledger, id } = await broken();
      expect(verdict(await reviewBy(ledger, id, name))).toBe("not-eligible");
      expect((await ledger.approval(id))?.review?.reviewedBy).toBeNull();
    });

    it("once, with what was found in the record", async () => {
      const { tenant, ledger, id } = await broken();
      await reviewBy(ledger, id, "alice");
      expect(verdict(await reviewBy(ledger, id, "alice"))).toBe("already-decided");
      const found = await rowsOf(
        tenant,
        "SELECT json_extract(record, '$.detail') AS found FROM journal WHERE json_extract(record, '$.reason_code') = 'reviewed'",
      );
      expect(found).toEqual([{ found: "was needed" }]);
    });

    it("and only where it was broken", async () => {
      const { ledger } = await newTenant();
      const id = await propose(ledger, request());
      expect(verdict(await reviewBy(ledger, id, "alice"))).toBe("not-found");
    });
  });
});
