import { runInDurableObject } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { LEDGER_RPC_VERSION } from "../../src/ledger/contract.ts";
import { ledgerOf } from "../../src/ledger/ledger-port.ts";
import { newId } from "../../src/platform/ids.ts";
import { testEnv } from "../support/test-env.ts";
import { checkInvariants } from "./check-invariants.ts";
import {
  again,
  agent,
  AUTHORITY,
  BUDGET,
  decideAs,
  digest,
  MINUTE,
  needing,
  newTenant,
  OPERATOR,
  person,
  priced,
  propose,
  rowsOf,
  START,
  USD,
  verdict,
  versionTerms,
  write,
  UNBOUNDED,
} from "./fixture.ts";

const CAPS = { daily: BUDGET.dailyCapMicros, monthly: BUDGET.monthlyCapMicros };

beforeEach(() => void vi.useFakeTimers({ toFake: ["Date"], now: START }));
afterEach(() => void vi.useRealTimers());

describe("a tenant's ledger", () => {
  it("denies everything until it is bootstrapped, and leaves no trace of having been asked", async () => {
    const ledger = ledgerOf(testEnv.LEDGER, "never-bootstrapped");
    expect(await ledger.snapshot()).toBeNull();
    expect(verdict(await ledger.admit(write()))).toBe("unavailable");
    expect((await ledger.plan(write(), true)).kind).toBe("refused");
    expect(await rowsOf("never-bootstrapped", "SELECT * FROM operations")).toEqual([]);
    expect(await rowsOf("never-bootstrapped", "SELECT * FROM receipts")).toEqual([]);
  });

  it("is bootstrapped once: a second call changes neither documents nor operator", async () => {
    const { tenant, ledger } = await newTenant();
    const before = await ledger.snapshot();
    const second = await ledger.bootstrap({
      tenant,
      requestId: newId("req"),
      terms: { ...versionTerms, policy: digest("takeover") },
      founders: [{ credentialId: "key_thief", subject: "person:thief", record: "{}", expiresAt: START + MINUTE }],
    });
    expect(second).toMatchObject({ kind: "refused", refusal: { kind: "already-decided", state: "bootstrapped" } });
    expect(await ledger.snapshot()).toEqual(before);
    expect((await ledger.credentials()).map((row) => row.credentialId)).not.toContain("key_thief");
  });

  it("denies when its storage is lost, whatever was granted before", async () => {
    const { tenant, ledger } = await newTenant();
    const request = write({ requirement: needing(1) });
    const id = await propose(ledger, request);
    await decideAs(ledger, id, person("alice"), "approve");
    await runInDurableObject(testEnv.LEDGER.getByName(tenant), (_, { storage }) => {
      for (const { name } of storage.sql
        .exec<{ name: string }>("SELECT name FROM sqlite_schema WHERE type = 'table'")
        .toArray()) {
        if (!name.startsWith("_") && name !== "projection") storage.sql.exec(`DELETE FROM "${name}"`);
      }
    });
    expect(await ledger.snapshot()).toBeNull();
    expect(verdict(await ledger.admit(again(request)))).toBe("unavailable");
    expect(
      verdict(
        await ledger.decide(AUTHORITY, {
          requestId: "req_x",
          approvalId: id,
          decider: person("bob"),
          decision: "approve",
          comment: null,
          approvers: [],
          breakGlass: [],
          breakGlassMaxMicros: 0,
          groups: [],
        }),
      ),
    ).toBe("stale");
  });

  it.each([LEDGER_RPC_VERSION - 1, LEDGER_RPC_VERSION + 1])(
    "refuses a Worker of RPC version %i",
    async (rpcVersion) => {
      const { ledger } = await newTenant();
      expect(verdict(await ledger.admit(write({ rpcVersion })))).toBe("unavailable");
      expect(await ledger.plan(write({ rpcVersion }), true)).toMatchObject({ kind: "refused" });
    },
  );

  it.each([
    { ...AUTHORITY, policy: digest("another") },
    { ...AUTHORITY, people: digest("another") },
    { ...AUTHORITY, catalogue: digest("another") },
    { ...AUTHORITY, prices: digest("another") },
    { ...AUTHORITY, credentialEpoch: 2 },
  ])(
    "calls a judgement under other documents or an earlier epoch stale, for every act that rests on one",
    async (authority) => {
      const { tenant, ledger } = await newTenant();
      const id = await propose(ledger, write({ requirement: needing(1) }));
      expect(verdict(await ledger.admit(write({ authority, requestDigest: digest("other") })))).toBe("stale");
      expect((await ledger.plan(write({ authority }), true)).kind).toBe("stale");
      const decision = {
        requestId: "req_d",
        approvalId: id,
        decider: person("alice"),
        decision: "approve",
        comment: null,
      } as const;
      expect(
        verdict(
          await ledger.decide(authority, {
            ...decision,
            approvers: [],
            groups: [],
            breakGlass: [],
            breakGlassMaxMicros: 0,
          }),
        ),
      ).toBe("stale");
      expect(
        verdict(
          await ledger.completeDraft(authority, {
            requestId: "req_c",
            approvalId: id,
            by: { ...person("x"), subject: "agent:trainer" },
            context: write().context,
            required: [],
            budget: BUDGET,
            bounds: UNBOUNDED,
            claimMs: 0,
          }),
        ),
      ).toBe("stale");
      expect(await rowsOf(tenant, "SELECT * FROM operations")).toEqual([]);
      expect((await ledger.approval(id))?.approval.state).toBe("pending");
    },
  );
});

describe("a credential at the moment of admission", () => {
  it.each([
    ["is not on record", { ...agent("trainer"), credentialId: "key_nobody" }],
    ["belongs to another subject", { ...agent("trainer"), credentialId: "key_tuner" }],
  ])("denies when it %s", async (_, requester) => {
    const { tenant, ledger } = await newTenant();
    expect(verdict(await ledger.admit(write({ requester })))).toBe("unauthenticated");
    expect((await ledger.plan(write({ requester }), true)).kind).toBe("refused");
    expect(await rowsOf(tenant, "SELECT * FROM reservations")).toEqual([]);
  });

  it("denies from the millisecond of its expiry on", async () => {
    const { ledger } = await newTenant();
    await ledger.addCredential(OPERATOR, newId("req"), {
      credentialId: "key_short",
      subject: "agent:trainer",
      record: "{}",
      expiresAt: START + 1_000,
    });
    const requester = { ...agent("trainer"), credentialId: "key_short" };
    vi.setSystemTime(START + 999);
    expect(verdict(await ledger.admit(write({ requester })))).toBe("admitted");
    vi.setSystemTime(START + 1_000);
    expect(verdict(await ledger.admit(write({ requester, requestDigest: digest("second") })))).toBe("unauthenticated");
  });

  it("denies the next write once revoked: at once as stale, and under the new epoch for good", async () => {
    const { ledger } = await newTenant();
    expect(await ledger.revokeCredential(OPERATOR, newId("req"), "key_trainer")).toBe(true);
    expect(verdict(await ledger.admit(write()))).toBe("stale");
    const authority = { ...AUTHORITY, credentialEpoch: 2 };
    expect(verdict(await ledger.admit(write({ authority })))).toBe("unauthenticated");
    expect(verdict(await ledger.admit(write({ authority, requester: agent("tuner") })))).toBe("admitted");
    expect((await ledger.snapshot())?.revoked).toEqual(["key_trainer"]);
  });

  it("admits an unlisted token that was never revoked, and journals a revocation that revoked nothing as refused", async () => {
    const { tenant, ledger } = await newTenant();
    const requester = { ...agent("trainer"), credentialId: "jwt:7", listed: false };
    expect(verdict(await ledger.admit(write({ requester })))).toBe("admitted");
    expect(await ledger.revokeCredential(OPERATOR, newId("req"), "key_unknown")).toBe(false);
    expect(await ledger.revokeCredential(OPERATOR, newId("req"), "key_trainer")).toBe(true);
    expect(await ledger.revokeCredential(OPERATOR, newId("req"), "key_trainer")).toBe(false);
    const journaled = await rowsOf(
      tenant,
      `SELECT json_extract(record, '$.detail') AS id, json_extract(record, '$.decision') AS decision FROM journal
       WHERE json_extract(record, '$.reason_code') = 'credential-revoked' ORDER BY sequence`,
    );
    expect(journaled).toEqual([
      { id: "key_unknown", decision: "refuse" },
      { id: "key_trainer", decision: "allow" },
      { id: "key_trainer", decision: "refuse" },
    ]);
  });
});

describe("policy versions", () => {
  const finance = { ...OPERATOR, subject: "person:fiona", roles: ["finance"] };
  const second = { ...OPERATOR, subject: "person:oscar" };

  it("are put in force by a second person, and by finance where they raise a cap or change prices", async () => {
    const { tenant, ledger } = await newTenant();
    const add = (over: Partial<typeof versionTerms>): Promise<number> =>
      ledger.addVersion(OPERATOR, newId("req"), { ...versionTerms, ...over }, "change", null);
    const activate = (actor: typeof OPERATOR, version: number): Promise<{ kind: string }> =>
      ledger.activate(actor, newId("req"), version);
    const plain = await add({ policy: digest("plain") });
    const daily = await add({ dailyCapMicros: versionTerms.dailyCapMicros + 1 });
    const monthly = await add({ monthlyCapMicros: versionTerms.monthlyCapMicros + 1 });
    const prices = await add({ prices: digest("dearer") });
    expect(await activate(OPERATOR, plain)).toMatchObject({ refusal: { kind: "not-eligible" } });
    for (const version of [daily, monthly, prices]) {
      expect(await activate(second, version)).toMatchObject({ refusal: { kind: "not-eligible" } });
    }
    expect(await activate(second, 99)).toMatchObject({ refusal: { kind: "not-found" } });
    expect((await ledger.snapshot())?.version).toBe(1);
    expect(await activate(second, plain)).toEqual({ kind: "done" });
    expect(await activate(finance, daily)).toEqual({ kind: "done" });
    expect(verdict(await ledger.admit(write()))).toBe("admitted");
    expect((await ledger.snapshot())?.version).toBe(daily);
    await checkInvariants(tenant, CAPS);
  });

  it("that only lower the tenant's caps need no finance, those with other terms of the budget do", async () => {
    const { ledger } = await newTenant();
    const add = (over: Partial<typeof versionTerms>): Promise<number> =>
      ledger.addVersion(OPERATOR, newId("req"), { ...versionTerms, ...over }, "change", null);
    const lower = await add({ dailyCapMicros: 1, monthlyCapMicros: 1 });
    const teams = await add({ dailyCapMicros: 1, monthlyCapMicros: 1, moneyDigest: digest("other teams") });
    expect(await ledger.activate(second, newId("req"), teams)).toMatchObject({ refusal: { kind: "not-eligible" } });
    expect(await ledger.activate(second, newId("req"), lower)).toEqual({ kind: "done" });
    expect(await ledger.activate(finance, newId("req"), teams)).toEqual({ kind: "done" });
    // Whoever lifts the terms again takes them away: that is finance's too.
    expect(await ledger.activate(second, newId("req"), lower)).toMatchObject({ refusal: { kind: "not-eligible" } });
    expect((await ledger.snapshot())?.version).toBe(teams);
  });

  it.each([
    ["the version in force was", ["authority"]],
    ["the version to come was", ["versions"]],
    ["both were", ["authority", "versions"]],
  ])("need finance where %s stored before the terms of the budget were kept", async (_, tables) => {
    const { tenant, ledger } = await newTenant();
    const same = await ledger.addVersion(OPERATOR, newId("req"), versionTerms, "the same", null);
    await runInDurableObject(testEnv.LEDGER.getByName(tenant), (_object, { storage }) => {
      for (const table of tables) storage.sql.exec(`UPDATE ${table} SET money = NULL`);
    });
    expect(await ledger.activate(second, newId("req"), same)).toMatchObject({ refusal: { kind: "not-eligible" } });
    expect((await ledger.snapshot())?.version).toBe(1);
    expect(await ledger.activate(finance, newId("req"), same)).toEqual({ kind: "done" });
    expect((await ledger.snapshot())?.version).toBe(same);
  });
});

describe("a freeze", () => {
  const security = { ...OPERATOR, subject: "person:sam", credentialId: "key_sam", roles: ["security"] };

  it.each([
    ["tenant", true, true],
    ["principal:agent:trainer", true, false],
    ["action:workloads.submit", true, true],
    ["action:workloads.cancel", false, false],
  ])("of %s stops what it names and nothing else", async (scope, trainer, tuner) => {
    const { ledger } = await newTenant();
    await ledger.freeze(OPERATOR, newId("req"), { scope, reason: "incident" });
    expect(verdict(await ledger.admit(write()))).toBe(trainer ? "frozen" : "admitted");
    expect(verdict(await ledger.admit(write({ requester: agent("tuner") })))).toBe(tuner ? "frozen" : "admitted");
    expect((await ledger.plan(write(), true)).kind).toBe(trainer ? "refused" : "planned");
    expect(await ledger.unfreeze(OPERATOR, newId("req"), scope)).toEqual({ kind: "done" });
    expect(verdict(await ledger.admit(write({ requestDigest: digest("after") })))).toBe("admitted");
  });

  it("by security is not lifted by an operator, not even by one who froze the same again", async () => {
    const { ledger } = await newTenant();
    await ledger.freeze(security, newId("req"), { scope: "tenant", reason: "breach" });
    await ledger.freeze(OPERATOR, newId("req"), { scope: "tenant", reason: "let me" });
    expect(await ledger.unfreeze(OPERATOR, newId("req"), "tenant")).toMatchObject({
      refusal: { kind: "not-eligible" },
    });
    expect(verdict(await ledger.admit(write()))).toBe("frozen");
    expect(await ledger.unfreeze(security, newId("req"), "tenant")).toEqual({ kind: "done" });
    expect(await ledger.unfreeze(security, newId("req"), "tenant")).toMatchObject({ refusal: { kind: "not-found" } });
  });

  it("keeps what was held and approved: the grant is used after it is lifted", async () => {
    const { tenant, ledger } = await newTenant();
    const request = write({ requirement: needing(1), cost: priced(40 * USD) });
    await decideAs(ledger, await propose(ledger, request), person("alice"), "approve");
    await ledger.freeze(security, newId("req"), { scope: "tenant", reason: "breach" });
    expect(verdict(await ledger.admit(again(request)))).toBe("frozen");
    await ledger.unfreeze(security, newId("req"), "tenant");
    expect(verdict(await ledger.admit(again(request)))).toBe("admitted");
    await checkInvariants(tenant, CAPS);
  });
});
