import { runInDurableObject } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { HandOver } from "../../src/ledger/notices.ts";
import { ledgerOf } from "../../src/ledger/ledger-port.ts";
import { takeNotices } from "../../src/ledger/notices.ts";
import { prune } from "../../src/ledger/prune.ts";
import { newId } from "../../src/platform/ids.ts";
import type { SignalBounds } from "../../src/policy/signals.ts";
import { testEnv } from "../support/test-env.ts";
import {
  decideAs,
  digest,
  ended,
  GRACE_MS,
  MINUTE,
  needing,
  newTenant,
  OPERATOR,
  person,
  propose,
  rowsOf,
  runAlarm,
  START,
  versionTerms,
  write,
} from "./fixture.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["Date"], now: START }));
afterEach(() => void vi.useRealTimers());

const HOUR = 60 * MINUTE;

const inLedger = <T>(tenant: string, work: (storage: DurableObjectStorage) => T): Promise<T> =>
  runInDurableObject(testEnv.LEDGER.getByName(tenant), (_, { storage }) =>
    storage.transactionSync(() => work(storage)),
  );

/** Signals that were noted since they were last asked for, as they are handed over. */
const signals = async (tenant: string): Promise<readonly object[]> => {
  const waiting = await inLedger(tenant, ({ sql }) => {
    const taken = takeNotices(sql, Date.now());
    sql.exec("DELETE FROM notices");
    return taken;
  });
  return waiting.flatMap((one: HandOver) =>
    one.kind === "alert" && one.alert.kind === "audit-signal" ? [one.alert] : [],
  );
};

/** Ids of all signals that were told, also of those that have been handed over. */
const everTold = async (tenant: string): Promise<readonly string[]> =>
  (await rowsOf(tenant, "SELECT id FROM alerts WHERE id LIKE 'audit-signal/%' ORDER BY id")).map((row) =>
    String(row["id"]),
  );

/** Puts a version in force that has these bounds. */
async function bound(tenant: string, bounds: SignalBounds): Promise<void> {
  await inLedger(tenant, ({ sql }) => sql.exec("UPDATE authority SET signals = ?", JSON.stringify(bounds)));
}

const report = (at: number, count: number, log = "requests-0", principal = "agent:trainer") => ({
  log,
  denials: [{ principal, minute: at - (at % MINUTE), count }],
  waitingRows: 0,
  halted: null,
  unsigned: null,
  behind: [],
});

/** A report with nothing in it. */
const QUIET = { log: "requests-3", denials: [], waitingRows: 1, halted: null, unsigned: null, behind: [] };

/** A version like the first one, but for its bounds. */
const terms = (denialsPer10Minutes: number) => ({
  ...versionTerms,
  policy: digest(`policy ${denialsPer10Minutes}`),
  signals: { denialsPer10Minutes, ineligibleApprovalsPerHour: 3, auditBacklogRows: 5_000, auditCopyLateMinutes: 60 },
});

describe("a spike of denials", () => {
  it("is told once per episode, which ends when the figure was below its bound for a whole period", async () => {
    const { tenant, ledger } = await newTenant();
    // Minutes from the start, the refusals of that minute, and whether people hear of it.
    const steps: readonly (readonly [number, number, boolean])[] = [
      [0, 49, false],
      [1, 1, true],
      [2, 30, false],
      // The 80 stand until 0 and 1 leave the window: minute 11. From there on it is below.
      [15, 49, false],
      [16, 1, false],
      // 50 again, within a period after minute 11: the same episode, which now stands until minute 25.
      [34, 60, false],
      // That episode stands until 44; from 54 on a new one begins.
      [53, 49, false],
      [55, 49, true],
    ];
    for (const [minute, count, isTold] of steps) {
      vi.setSystemTime(START + minute * MINUTE);
      await ledger.noteLog(report(Date.now(), count));
      expect((await signals(tenant)).length, `minute ${minute}`).toBe(isTold ? 1 : 0);
    }
  });

  it("says who, how many within which time, and since when", async () => {
    const { tenant, ledger } = await newTenant();
    await ledger.noteLog(report(START, 73));
    expect(await signals(tenant)).toEqual([
      { kind: "audit-signal", signal: "denials", principal: "agent:trainer", count: 73, minutes: 10, since: START },
    ]);
  });

  it("is the sum over all logs, and a report that comes again counts nothing twice", async () => {
    const { tenant, ledger } = await newTenant();
    for (const log of ["requests-0", "requests-1"]) {
      for (let times = 0; times < 5; times++) await ledger.noteLog(report(START, 20, log));
    }
    expect(await signals(tenant)).toEqual([]);
    // An older report that arrives late takes nothing back.
    await ledger.noteLog(report(START, 3, "requests-0"));
    await ledger.noteLog(report(START, 10, "requests-2"));
    expect(await signals(tenant)).toMatchObject([{ count: 50 }]);
  });

  it("is each principal's own", async () => {
    const { tenant, ledger } = await newTenant();
    await ledger.noteLog(report(START, 49));
    await ledger.noteLog(report(START, 49, "requests-0", "agent:tuner"));
    expect(await signals(tenant)).toEqual([]);
    await ledger.noteLog(report(START, 50, "requests-0", "agent:tuner"));
    expect(await signals(tenant)).toMatchObject([{ principal: "agent:tuner" }]);
  });

  it("is what the version in force says, and nothing where that says 0", async () => {
    const { tenant, ledger } = await newTenant();
    for (const [denials, told] of [
      [0, 0],
      [2, 1],
    ] as const) {
      const version = await ledger.addVersion(OPERATOR, newId("req"), terms(denials), "bounds", null);
      const security = { ...OPERATOR, subject: "person:sam", roles: ["security"] };
      expect(await ledger.activate(security, newId("req"), version)).toEqual({ kind: "done" });
      expect(await signals(tenant)).toMatchObject([{ signal: "policy-activated" }]);
      await ledger.noteLog(report(START, 1_000));
      expect(await signals(tenant)).toHaveLength(told);
    }
  });
});

describe("repeated tries to decide without being eligible", () => {
  it("are told once, with the person, whichever proposals they were about", async () => {
    const { tenant, ledger } = await newTenant();
    for (const round of [1, 2, 3, 4]) {
      const approvalId = await propose(ledger, write({ requirement: needing(1), requestDigest: digest(`r${round}`) }));
      expect(await decideAs(ledger, approvalId, person("mallory"), "approve")).toBe("not-eligible");
      expect(await signals(tenant)).toEqual(
        round === 3
          ? [
              {
                kind: "audit-signal",
                signal: "ineligible-approvals",
                person: "person:mallory",
                count: 3,
                minutes: 60,
                since: START,
              },
            ]
          : [],
      );
    }
  });

  it("are not those of several people, nor spread over more than an hour, nor where the policy says 0", async () => {
    const { tenant, ledger } = await newTenant();
    const approvalId = await propose(ledger, write({ requirement: needing(1, { timeoutMs: 24 * HOUR }) }));
    const attempt = (name: string) => decideAs(ledger, approvalId, person(name), "approve");
    for (const name of ["mallory", "oscar", "mallory", "oscar"]) await attempt(name);
    vi.setSystemTime(START + HOUR + MINUTE);
    await attempt("mallory");
    await bound(tenant, {
      denialsPer10Minutes: 50,
      ineligibleApprovalsPerHour: 0,
      auditBacklogRows: 5_000,
      auditCopyLateMinutes: 60,
    });
    for (let times = 0; times < 5; times++) await attempt("oscar");
    expect(await signals(tenant)).toEqual([]);
  });
});

describe("a freeze", () => {
  it("is told when it begins and when it is lifted, not when its reason changes or nobody may lift it", async () => {
    const { tenant, ledger } = await newTenant();
    const sam = { ...OPERATOR, subject: "person:sam", roles: ["security"] };
    await ledger.freeze(sam, newId("req"), { scope: "tenant", reason: "a key leaked" });
    await ledger.freeze(sam, newId("req"), { scope: "tenant", reason: "two keys leaked" });
    expect((await ledger.unfreeze(OPERATOR, newId("req"), "tenant")).kind).toBe("refused");
    vi.setSystemTime(START + MINUTE);
    await ledger.unfreeze(sam, newId("req"), "tenant");
    await ledger.freeze(sam, newId("req"), { scope: "tenant", reason: "again" });
    const signal = { kind: "audit-signal", scope: "tenant", by: "person:sam" };
    expect(await signals(tenant)).toEqual([
      { ...signal, signal: "frozen", reason: "a key leaked", since: START },
      { ...signal, signal: "frozen", reason: "again", since: START + MINUTE },
      { ...signal, signal: "unfrozen", since: START + MINUTE },
    ]);
  });
});

describe("an outcome that stays unknown", () => {
  it("is told after an hour, once, and is listed and counted as long as it is", async () => {
    const { tenant, ledger } = await newTenant();
    const request = write({ action: "workloads.submit" });
    await ledger.admit(request);
    await ledger.conclude(ended(request.requestId, "unknown"));
    const open = { requestId: request.requestId, state: "unknown", principal: "agent:trainer", admittedAt: START };
    for (const [minutes, told] of [
      [59, 0],
      [60, 1],
      [180, 1],
    ] as const) {
      vi.setSystemTime(START + minutes * MINUTE);
      for (let times = 0; times < 3; times++) await runAlarm(tenant);
      expect(await everTold(tenant), `minute ${minutes}`).toHaveLength(told);
      expect(await ledger.openOperations(10)).toMatchObject({
        dispatching: { count: 0, oldest: null },
        unknown: { count: 1, oldest: START },
        operations: [open],
      });
    }
    await ledger.conclude(ended(request.requestId, "succeeded"));
    expect(await ledger.openOperations(10)).toEqual({
      dispatching: { count: 0, oldest: null },
      unknown: { count: 0, oldest: null },
      operations: [],
    });
  });

  it("is not told where it was found out within the hour", async () => {
    const { tenant, ledger } = await newTenant();
    const request = write();
    await ledger.admit(request);
    await ledger.conclude(ended(request.requestId, "unknown"));
    vi.setSystemTime(START + 2 * GRACE_MS);
    await ledger.conclude(ended(request.requestId, "failed"));
    vi.setSystemTime(START + 2 * HOUR);
    for (let times = 0; times < 3; times++) await runAlarm(tenant);
    expect(await everTold(tenant)).toEqual([]);
  });

  it("shows dispatches whose deadline is over before the sweep has come to them, oldest first", async () => {
    const { tenant, ledger } = await newTenant();
    const requests = [write({ requestDigest: digest("a") }), write({ requestDigest: digest("b") })];
    for (const request of requests) {
      await ledger.admit(request);
      vi.setSystemTime(Date.now() + 1_000);
    }
    expect((await ledger.openOperations(10)).dispatching).toEqual({ count: 0, oldest: null });
    vi.setSystemTime(START + HOUR);
    const found = await ledger.openOperations(1);
    expect(found).toMatchObject({ dispatching: { count: 2, oldest: START }, operations: [{ state: "dispatching" }] });
    expect(found.operations.map(({ requestId }) => requestId)).toEqual([requests[0]?.requestId]);
    for (let times = 0; times < 3; times++) await runAlarm(tenant);
    expect(await ledger.openOperations(10)).toMatchObject({ dispatching: { count: 0 }, unknown: { count: 2 } });
  });

  it("is found by an index of its own, whatever else there is", async () => {
    const { tenant } = await newTenant();
    const plan = await rowsOf(
      tenant,
      "EXPLAIN QUERY PLAN SELECT count(*) FROM operations INDEXED BY operations_unknown WHERE state = 'unknown'",
    );
    expect(String(plan[0]?.["detail"])).toContain("operations_unknown");
  });
});

describe("an audit log", () => {
  it("whose backlog is past its bound is told once, until it was below for an hour", async () => {
    const { tenant, ledger } = await newTenant();
    for (const [minute, rows, told] of [
      [0, 4_999, 0],
      [1, 5_000, 1],
      [2, 9_000, 0],
      [30, 10, 0],
      [61, 5_000, 0],
      [122, 5_000, 1],
    ] as const) {
      vi.setSystemTime(START + minute * MINUTE);
      await ledger.noteLog({ ...QUIET, waitingRows: rows });
      expect(await signals(tenant), `minute ${minute}`).toHaveLength(told);
    }
  });

  it("that has halted is told once for each cause, also the ledger's own", async () => {
    const { tenant, ledger } = await newTenant();
    for (const cause of ["row 7", "row 7", null, "row 7", "row 9"]) {
      vi.setSystemTime(Date.now() + MINUTE);
      await ledger.noteLog({ ...QUIET, halted: cause });
    }
    await inLedger(tenant, ({ sql }) => sql.exec("UPDATE projection SET halted = 'row 1'"));
    for (let times = 0; times < 3; times++) {
      vi.setSystemTime(Date.now() + MINUTE);
      await ledger.recordAct(OPERATOR, newId("req"), "anything", "");
      await runAlarm(tenant);
    }
    expect((await everTold(tenant)).map((id) => id.replace(/\d{13}$/, ""))).toEqual([
      "audit-signal/audit-halted/ledger/",
      "audit-signal/audit-halted/requests-3/",
      "audit-signal/audit-halted/requests-3/",
    ]);
  });
});

const late = (minutes: number) => ({ copy: "r2", rows: 12, minutes }) as const;

describe("an audit log that is not signed, or whose copy is late,", () => {
  it("is told once, until nothing was heard of it for an hour", async () => {
    const { tenant, ledger } = await newTenant();
    const unsigned = "the tree of 9 records does not continue the signed one of 7";
    for (const [minute, state, told] of [
      [0, { unsigned }, ["audit-unsigned"]],
      // Another number in the cause is no other trouble.
      [10, { unsigned: unsigned.replace("9", "11") }, []],
      [20, { behind: [late(59)] }, []],
      [30, { behind: [late(60)] }, ["audit-copy-late"]],
      [80, { behind: [late(110)] }, []],
      [81, { unsigned }, ["audit-unsigned"]],
      [139, { behind: [late(61)] }, []],
      [200, { behind: [late(61), { ...late(70), copy: "webhook" }] }, ["audit-copy-late", "audit-copy-late"]],
    ] as const) {
      vi.setSystemTime(START + minute * MINUTE);
      await ledger.noteLog({ ...QUIET, ...state });
      const heard = await signals(tenant);
      expect(heard, `minute ${minute}`).toMatchObject(told.map((signal) => ({ signal, log: "requests-3" })));
    }
  });

  it("is the copy's own episode, from the bound of the version in force on, and never where that is 0", async () => {
    const { tenant, ledger } = await newTenant();
    const bounds = { denialsPer10Minutes: 50, ineligibleApprovalsPerHour: 3, auditBacklogRows: 5_000 };
    await bound(tenant, { ...bounds, auditCopyLateMinutes: 0 });
    await ledger.noteLog({ ...QUIET, behind: [late(9_999)] });
    expect(await signals(tenant)).toEqual([]);
    await bound(tenant, { ...bounds, auditCopyLateMinutes: 10 });
    await ledger.noteLog({ ...QUIET, behind: [late(10)] });
    const told = { kind: "audit-signal", signal: "audit-copy-late", log: "requests-3", ...late(10), since: START };
    expect(await signals(tenant)).toEqual([told]);
  });

  it("is bounded by the default where the version is older than the bound", async () => {
    const { tenant, ledger } = await newTenant();
    await inLedger(tenant, ({ sql }) => sql.exec(`UPDATE authority SET signals = '{"auditBacklogRows":7}'`));
    await ledger.noteLog({ ...QUIET, waitingRows: 7, behind: [late(60)] });
    expect(await signals(tenant)).toMatchObject([{ signal: "audit-backlog" }, { signal: "audit-copy-late" }]);
  });

  it("is told of the ledger's own, too", async () => {
    const { tenant, ledger } = await newTenant();
    await runAlarm(tenant);
    await inLedger(tenant, ({ sql }) =>
      sql.exec("INSERT INTO checkpoints VALUES (1000, 'AA==', 'note', 'key', ?)", START),
    );
    vi.setSystemTime(START + 10 * MINUTE);
    for (let times = 0; times < 3; times++) {
      await ledger.recordAct(OPERATOR, newId("req"), "anything", "");
      vi.setSystemTime(Date.now() + MINUTE);
      await runAlarm(tenant);
    }
    expect((await everTold(tenant)).map((id) => id.replace(/\d{13}$/, ""))).toEqual([
      "audit-signal/audit-unsigned/ledger/",
    ]);
  });
});

describe("what signals are counted in", () => {
  it("goes when no window reaches it any more", async () => {
    const { tenant, ledger } = await newTenant();
    await ledger.noteLog(report(START, 50));
    const approvalId = await propose(ledger, write({ requirement: needing(1) }));
    await decideAs(ledger, approvalId, person("mallory"), "approve");
    const rows = async () => [
      (await rowsOf(tenant, "SELECT 1 FROM signal_counts")).length,
      (await rowsOf(tenant, "SELECT 1 FROM signal_episodes")).length,
    ];
    expect(await rows()).toEqual([2, 1]);
    await inLedger(tenant, ({ sql }) => prune(sql, START + HOUR));
    expect(await rows()).toEqual([2, 1]);
    await inLedger(tenant, ({ sql }) => prune(sql, START + HOUR + 1));
    expect(await rows()).toEqual([0, 1]);
    await inLedger(tenant, ({ sql }) => prune(sql, START + 63 * 24 * HOUR));
    expect(await rows()).toEqual([0, 0]);
  });

  it("is nothing for a tenant that was never bootstrapped", async () => {
    const tenant = newId("t").replace("_", "-");
    await ledgerOf(testEnv.LEDGER, tenant).noteLog(report(START, 500));
    expect(await rowsOf(tenant, "SELECT 1 FROM signal_counts UNION ALL SELECT 1 FROM notices")).toEqual([]);
  });
});
