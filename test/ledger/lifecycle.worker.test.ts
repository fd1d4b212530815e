import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Actor, LedgerPort } from "../../src/ledger/ledger-port.ts";
import { SCHEDULE_AHEAD_MAX_MS } from "../../src/ledger/lifecycle/schedules.ts";
import { newId } from "../../src/platform/ids.ts";
import { ledgerRecords } from "../support/books.ts";
import {
  again,
  AUTHORITY,
  digest,
  MINUTE,
  needing,
  newTenant,
  OPERATOR,
  propose,
  rowsOf,
  runAlarm,
  START,
  USD,
  verdict,
  versionTerms,
  write,
} from "./fixture.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["Date"], now: START }));
afterEach(() => void vi.useRealTimers());

const holder = (name: string, role: string): Actor => ({
  ...OPERATOR,
  subject: `person:${name}`,
  credentialId: `key_${name}`,
  roles: [role],
});
const SAM = holder("sam", "security");
const FAY = holder("fay", "finance");
const HOUR = 60 * MINUTE;

/** A tenant whose ledger knows the keys of sam (security) and fay (finance), with version 2 waiting: another policy text. */
async function withVersion(over: Partial<typeof versionTerms> = {}): Promise<Awaited<ReturnType<typeof newTenant>>> {
  const box = await newTenant();
  for (const { credentialId, subject, roles } of [SAM, FAY]) {
    const record = JSON.stringify({ roles });
    const expiresAt = START + 366 * 24 * HOUR;
    await box.ledger.addCredential(OPERATOR, newId("req"), { credentialId, subject, record, expiresAt });
  }
  await box.ledger.addVersion(
    OPERATOR,
    newId("req"),
    { ...versionTerms, policy: digest("second"), ...over },
    "why",
    null,
  );
  return box;
}

const inForce = async (ledger: LedgerPort): Promise<number | undefined> => (await ledger.snapshot())?.version;
const history = async (ledger: LedgerPort): Promise<readonly unknown[]> =>
  (await ledger.activations(50)).map((one) => [one.version, one.previous, one.by, one.how, one.reason]);
const signals = async (tenant: string): Promise<readonly unknown[]> =>
  (await rowsOf(tenant, "SELECT alert FROM notices WHERE alert IS NOT NULL ORDER BY at, id")).map((row) =>
    JSON.parse(String(row["alert"])),
  );
const acts = async (tenant: string): Promise<readonly (readonly unknown[])[]> =>
  (await ledgerRecords(tenant))
    .filter(({ reason_code: code }) => code?.startsWith("policy-") === true)
    .map((record) => [record.reason_code, record.decision, record.principal, record.detail]);

describe("an activation", () => {
  it("is kept with who, when, why and what it replaced, and people are told of each", async () => {
    const { tenant, ledger } = await withVersion();
    await ledger.activate(SAM, newId("req"), 2, { reason: "audited", replaces: null });
    await ledger.activate(SAM, newId("req"), 1, { reason: "it broke", replaces: 2 });
    expect(await history(ledger)).toEqual([
      [1, 2, "person:sam", "at-once", "it broke"],
      [2, 1, "person:sam", "at-once", "audited"],
      [1, null, "person:olga", "founding", null],
    ]);
    expect((await ledger.version(1))?.activatedBy).toBe("person:sam");
    const said = { kind: "audit-signal", signal: "policy-activated", by: "person:sam", since: START };
    expect(await signals(tenant)).toEqual([
      { ...said, version: 1, previous: 2, author: "person:olga", reason: "it broke", scheduled: false },
      { ...said, version: 2, previous: 1, author: "person:olga", reason: "audited", scheduled: false },
    ]);
  });

  it("of an older version is for somebody else than its author, and finance's where that version allows more money", async () => {
    const { ledger } = await withVersion({ dailyCapMicros: versionTerms.dailyCapMicros - 1 });
    expect(await ledger.activate(SAM, newId("req"), 2)).toEqual({ kind: "done" });
    const author = { ...OPERATOR, roles: ["operator", "security", "finance"] };
    expect(await ledger.activate(author, newId("req"), 1)).toMatchObject({ refusal: { kind: "not-eligible" } });
    expect(await ledger.activate(SAM, newId("req"), 1)).toMatchObject({ refusal: { kind: "not-eligible" } });
    expect(await ledger.activate(FAY, newId("req"), 1)).toEqual({ kind: "done" });
  });

  it("does nothing where another version is in force than the one it was meant to replace", async () => {
    const { ledger } = await withVersion();
    const third = await ledger.addVersion(OPERATOR, newId("req"), versionTerms, "third", null);
    await ledger.activate(FAY, newId("req"), third);
    expect(await ledger.activate(SAM, newId("req"), 2, { reason: null, replaces: 1 })).toMatchObject({
      refusal: { kind: "already-decided", state: "version 3 is in force", decided_by: ["person:fay"] },
    });
    expect(await ledger.activate(SAM, newId("req"), third)).toMatchObject({ refusal: { kind: "already-decided" } });
    expect(await inForce(ledger)).toBe(third);
    expect((await ledger.activations(1))[0]?.version).toBe(third);
  });
});

describe("a schedule", () => {
  const at = START + 2 * HOUR;
  const schedule = (ledger: LedgerPort, actor = SAM, over: object = {}) =>
    ledger.scheduleActivation(actor, newId("req"), { version: 2, at, reason: "maintenance", ...over });
  const onTime = async (tenant: string): Promise<void> => {
    vi.setSystemTime(at);
    await runAlarm(tenant);
  };

  it("puts its version in force at its time and not before, once, on record, and people hear of both", async () => {
    const { tenant, ledger } = await withVersion();
    expect(await schedule(ledger)).toEqual({ kind: "done" });
    expect(await ledger.schedules()).toEqual([
      { version: 2, at, by: "person:sam", reason: "maintenance", madeAt: START },
    ]);
    vi.setSystemTime(at - 1);
    await runAlarm(tenant);
    expect(await inForce(ledger)).toBe(1);
    expect(verdict(await ledger.admit(write()))).toBe("admitted");
    await onTime(tenant);
    await runAlarm(tenant);
    expect(await inForce(ledger)).toBe(2);
    expect(await ledger.schedules()).toEqual([]);
    expect(await history(ledger)).toEqual([
      [2, 1, "person:sam", "scheduled", "maintenance"],
      [1, null, "person:olga", "founding", null],
    ]);
    expect(await acts(tenant)).toEqual([
      ["policy-version-created", "allow", "person:olga", expect.any(String)],
      ["policy-schedule", "allow", "person:sam", "version 2 at 2031-11-20T14:00:00.000Z: maintenance"],
      ["policy-activation", "allow", "person:sam", "version 2 after 1, as scheduled: maintenance"],
    ]);
    // What the outbox was not handed yet: both were told.
    expect(await rowsOf(tenant, "SELECT count(*) AS n FROM alerts WHERE id LIKE 'audit-signal/policy-%'")).toEqual([
      { n: 2 },
    ]);
  });

  it("makes whatever was judged under the old version stale from that moment on", async () => {
    const { tenant, ledger } = await withVersion();
    const request = write({ requirement: needing(1), requestDigest: digest("proposed") });
    const id = await propose(ledger, request);
    await schedule(ledger);
    await onTime(tenant);
    expect(verdict(await ledger.admit(write()))).toBe("stale");
    expect(verdict(await ledger.admit(again(request)))).toBe("stale");
    expect((await ledger.plan(write(), true)).kind).toBe("stale");
    const now = { ...AUTHORITY, policy: digest("second") };
    expect(verdict(await ledger.admit(write({ authority: now })))).toBe("admitted");
    expect((await ledger.approval(id))?.approval.state).not.toBe("consumed");
  });

  it.each([
    ["is its author", OPERATOR, "not-eligible"],
    ["is not finance, where it is about money", SAM, "not-eligible"],
  ])("is not made by whoever %s", async (_, actor, kind) => {
    const { ledger } = await withVersion({ dailyCapMicros: versionTerms.dailyCapMicros + 1 });
    expect(await schedule(ledger, actor)).toMatchObject({ refusal: { kind } });
    expect(await ledger.schedules()).toEqual([]);
  });

  it.each([
    ["now", START],
    ["past", START - 1],
    ["more than 90 days ahead", START + SCHEDULE_AHEAD_MAX_MS + 1],
  ])("is not for a time that is %s", async (_, when) => {
    const { ledger } = await withVersion();
    expect(await schedule(ledger, SAM, { at: when })).toMatchObject({ refusal: { kind: "malformed-request" } });
    expect(await schedule(ledger, SAM, { at: START + SCHEDULE_AHEAD_MAX_MS })).toEqual({ kind: "done" });
  });

  it("is one per version, whoever asks", async () => {
    const { ledger } = await withVersion();
    await schedule(ledger);
    expect(await schedule(ledger, FAY, { at: at + HOUR })).toMatchObject({
      refusal: { kind: "already-decided", decided_by: ["person:sam"] },
    });
    expect(await schedule(ledger, SAM, { version: 9 })).toMatchObject({ refusal: { kind: "not-found" } });
  });

  it("that was taken back does nothing at its time, and may be made again for another", async () => {
    const { tenant, ledger } = await withVersion();
    await schedule(ledger);
    expect(await ledger.cancelSchedule(OPERATOR, newId("req"), 2)).toEqual({ kind: "done" });
    expect(await ledger.cancelSchedule(OPERATOR, newId("req"), 2)).toMatchObject({ refusal: { kind: "not-found" } });
    await schedule(ledger, FAY, { at: at + HOUR });
    await onTime(tenant);
    expect(await inForce(ledger)).toBe(1);
    vi.setSystemTime(at + HOUR);
    await runAlarm(tenant);
    expect(await inForce(ledger)).toBe(2);
    expect((await acts(tenant)).map((one) => one.slice(0, 3))).toContainEqual([
      "policy-schedule-cancelled",
      "allow",
      "person:olga",
    ]);
  });

  it("is over when its version is put in force at once: a rollback is not undone by it", async () => {
    const { tenant, ledger } = await withVersion();
    await schedule(ledger);
    await ledger.activate(FAY, newId("req"), 2);
    await ledger.activate(FAY, newId("req"), 1);
    await onTime(tenant);
    expect(await inForce(ledger)).toBe(1);
  });

  it("does not undo what was put in force by hand since it was made; what came by itself it follows", async () => {
    const { tenant, ledger } = await withVersion();
    const third = await ledger.addVersion(
      OPERATOR,
      newId("req"),
      { ...versionTerms, people: digest("fewer") },
      "",
      null,
    );
    await schedule(ledger);
    await ledger.scheduleActivation(SAM, newId("req"), { version: third, at: START + HOUR, reason: null });
    vi.setSystemTime(START + HOUR);
    await runAlarm(tenant);
    expect(await inForce(ledger)).toBe(third);
    await onTime(tenant);
    expect(await inForce(ledger)).toBe(2);
    await schedule(ledger, SAM, { version: third, at: at + 2 * HOUR });
    vi.setSystemTime(at + HOUR);
    await ledger.activate(FAY, newId("req"), 1, { reason: "a key is in the wrong hands", replaces: 2 });
    vi.setSystemTime(at + 2 * HOUR);
    await runAlarm(tenant);
    expect(await inForce(ledger)).toBe(1);
    expect((await acts(tenant)).at(-1)).toEqual([
      "policy-activation",
      "refuse",
      "person:sam",
      expect.stringContaining("Version 1 was put in force by person:fay after this was scheduled"),
    ]);
  });

  describe("is judged again at its time, and refused, told and over", () => {
    const later = START + HOUR;

    it.each([
      [
        "its credential was revoked, though the person has another key",
        async (ledger: LedgerPort) => {
          const record = JSON.stringify({ roles: ["security"] });
          const other = { credentialId: "key_sam2", subject: SAM.subject, record, expiresAt: at + HOUR };
          await ledger.addCredential(OPERATOR, newId("req"), other);
          await ledger.revokeCredential(FAY, newId("req"), SAM.credentialId);
        },
        "no longer holds role",
      ],
      [
        "its version has come to be about money",
        async (ledger: LedgerPort) => {
          const lower = { ...versionTerms, monthlyCapMicros: 1 };
          const third = await ledger.addVersion(OPERATOR, newId("req"), lower, "lower", null);
          await ledger.activate(FAY, newId("req"), third);
        },
        "finance activates it",
      ],
    ])("where %s", async (_, change, cause) => {
      const { tenant, ledger } = await withVersion();
      await schedule(ledger);
      vi.setSystemTime(later);
      await change(ledger);
      const before = await inForce(ledger);
      await onTime(tenant);
      expect(await inForce(ledger)).toBe(before);
      expect(await ledger.schedules()).toEqual([]);
      expect((await acts(tenant)).at(-1)).toEqual([
        "policy-activation",
        "refuse",
        "person:sam",
        expect.stringContaining(cause),
      ]);
      expect(await rowsOf(tenant, "SELECT id FROM alerts WHERE id LIKE '%policy-not-activated%'")).toHaveLength(1);
      vi.setSystemTime(at + HOUR);
      await runAlarm(tenant);
      expect(await inForce(ledger)).toBe(before);
    });

    it("where the keys that gave the role have expired; with another of them it goes on", async () => {
      for (const renewed of [false, true]) {
        const { tenant, ledger } = await withVersion();
        const brief = { ...holder("kim", "security"), credentialId: "key_kim" };
        const record = JSON.stringify({ roles: ["security"] });
        const key = { subject: brief.subject, record };
        await ledger.addCredential(OPERATOR, newId("req"), { ...key, credentialId: "key_kim", expiresAt: later });
        if (renewed)
          await ledger.addCredential(OPERATOR, newId("req"), {
            ...key,
            credentialId: "key_kim2",
            expiresAt: at + HOUR,
          });
        await schedule(ledger, brief);
        await onTime(tenant);
        expect(await inForce(ledger)).toBe(renewed ? 2 : 1);
        vi.setSystemTime(START);
      }
    });

    it("where a sign-in had its role from a people document that is no longer in force", async () => {
      for (const changed of [false, true]) {
        const { tenant, ledger } = await withVersion();
        const signedIn = { ...FAY, subject: "person:fee", credentialId: "jwt:staff:1" };
        await schedule(ledger, signedIn);
        if (changed) {
          const people = { ...versionTerms, people: digest("others") };
          const third = await ledger.addVersion(OPERATOR, newId("req"), people, "people", null);
          await ledger.activate(SAM, newId("req"), third);
        }
        await onTime(tenant);
        expect(await inForce(ledger)).toBe(changed ? 3 : 2);
        vi.setSystemTime(START);
      }
    });
  });

  it("is not lost with what the object was doing: it is due until it has run", async () => {
    const { tenant, ledger } = await withVersion();
    await schedule(ledger);
    vi.setSystemTime(at + 24 * HOUR);
    await runAlarm(tenant);
    expect(await inForce(ledger)).toBe(2);
    expect((await ledger.activations(1))[0]?.at).toBe(at + 24 * HOUR);
  });
});

it("a higher cap that comes in force by itself is finance's own schedule", async () => {
  const { tenant, ledger } = await withVersion({ dailyCapMicros: versionTerms.dailyCapMicros + 5 * USD });
  const at = START + HOUR;
  expect(await ledger.scheduleActivation(FAY, newId("req"), { version: 2, at, reason: null })).toEqual({
    kind: "done",
  });
  vi.setSystemTime(at);
  await runAlarm(tenant);
  expect(await inForce(ledger)).toBe(2);
});

/** Keys by role, whom they name, and who minted them. */
const minted = async (keys: readonly (readonly [string, string, string])[]): Promise<LedgerPort> => {
  const { ledger } = await newTenant();
  for (const [index, [role, subject, issuer]] of keys.entries()) {
    const record = JSON.stringify({ roles: [role], issuer });
    const key = { credentialId: `key_${index}`, subject, record, expiresAt: START + 24 * HOUR };
    await ledger.addCredential(OPERATOR, newId("req"), key);
  }
  return ledger;
};
const [MAX, ALIAS, FRIEND, SAM_, OLGA] = ["person:max", "person:alias", "person:friend", "person:sam", "person:olga"];
const writeAs = (ledger: LedgerPort, subject: string): Promise<number> =>
  ledger.addVersion({ ...OPERATOR, subject }, newId("req"), { ...versionTerms, policy: digest("x") }, "", null);

describe("one person under several names is no second person", () => {
  it.each([
    [
      "whoever minted the author's key",
      [
        ["operator", MAX, OLGA],
        ["security", MAX, SAM_],
        ["operator", ALIAS, MAX],
      ],
      ALIAS,
      MAX,
    ],
    [
      "a name that the author minted",
      [
        ["operator", MAX, OLGA],
        ["security", MAX, SAM_],
        ["security", ALIAS, MAX],
      ],
      MAX,
      ALIAS,
    ],
    [
      "two names of one minter",
      [
        ["operator", ALIAS, MAX],
        ["finance", FRIEND, MAX],
      ],
      ALIAS,
      FRIEND,
    ],
    [
      "a name of a name",
      [
        ["operator", FRIEND, ALIAS],
        ["operator", ALIAS, MAX],
        ["security", MAX, SAM_],
      ],
      FRIEND,
      MAX,
    ],
  ] as const)("%s", async (_, keys, author, activator) => {
    const ledger = await minted(keys.map(([role, subject, issuer]) => [role, subject ?? "", issuer ?? ""] as const));
    const version = await writeAs(ledger, author ?? "");
    const by = { ...SAM, subject: activator ?? "", roles: ["security", "finance"] };
    const refusal = { refusal: { kind: "not-eligible", reason: expect.stringContaining("stands behind") } };
    expect(await ledger.activate(by, newId("req"), version)).toMatchObject(refusal);
    const at = START + HOUR;
    expect(await ledger.scheduleActivation(by, newId("req"), { version, at, reason: null })).toMatchObject(refusal);
  });

  it("but colleagues whose keys others minted are, also where one person has both roles and a ring of keys", async () => {
    const ledger = await minted([
      ["operator", "person:max", "person:olga"],
      ["security", "person:max", "person:sam"],
      ["operator", "person:olga", "person:max"],
      ["operator", "person:alias", "person:max"],
      ["security", "person:friend", "person:sam"],
    ]);
    const version = await writeAs(ledger, "person:alias");
    const friend = { ...SAM, subject: "person:friend", roles: ["security"] };
    expect(await ledger.activate(friend, newId("req"), version)).toEqual({ kind: "done" });
  });
});
