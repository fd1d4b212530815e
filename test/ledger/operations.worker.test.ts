import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Conclusion } from "../../src/ledger/contract.ts";
import type { LedgerPort } from "../../src/ledger/ledger-port.ts";
import { testEnv } from "../support/test-env.ts";
import { checkInvariants } from "./check-invariants.ts";
import {
  BUDGET,
  SEALED,
  digest,
  DISPATCH_DEADLINE_MS,
  ended,
  GRACE_MS,
  hold,
  MINUTE,
  needing,
  newTenant,
  priced,
  propose,
  rowsOf,
  runAlarm,
  START,
  USD,
  verdict,
  write,
} from "./fixture.ts";

const CAPS = { daily: BUDGET.dailyCapMicros, monthly: BUDGET.monthlyCapMicros };

beforeEach(() => void vi.useFakeTimers({ toFake: ["Date"], now: START }));
afterEach(() => void vi.useRealTimers());

async function dispatched(over: Parameters<typeof write>[0] = {}) {
  const { tenant, ledger } = await newTenant();
  const request = write({ resource: "job-1", sent: SEALED, ...over });
  expect(verdict(await ledger.admit(request))).toBe("admitted");
  return { tenant, ledger, id: request.requestId };
}

const stateOf = async (ledger: LedgerPort, id: string): Promise<unknown> => (await ledger.operation(id))?.state;

/** Kinds of the journal's records about one request, in order. */
const kinds = async (tenant: string, id: string): Promise<readonly unknown[]> =>
  (
    await rowsOf(
      tenant,
      "SELECT json_extract(record, '$.kind') AS kind FROM journal WHERE json_extract(record, '$.request_id') = ? ORDER BY sequence",
      id,
    )
  ).map((row) => row["kind"]);

describe("a conclusion", () => {
  it.each<[Conclusion["outcome"], number | null, string, readonly string[]]>([
    ["succeeded", null, "settled 1000000/1000000", ["intent", "outcome"]],
    ["succeeded", 60 * MINUTE, "committed 1000000", ["intent", "outcome"]],
    ["failed", null, "released 1000000/0", ["intent", "outcome"]],
    ["not-sent", null, "released 1000000/0", ["intent", "outcome"]],
    ["unknown", null, "unknown 1000000", ["intent", "unknown"]],
  ])("%s (run time %s) leaves the hold %s", async (outcome, durationMs, reservation, records) => {
    const { tenant, ledger, id } = await dispatched({ cost: priced(USD, durationMs) });
    await ledger.conclude(ended(id, outcome));
    expect(await stateOf(ledger, id)).toBe(outcome);
    expect(await hold(tenant, id)).toBe(reservation);
    expect(await kinds(tenant, id)).toEqual(records);
    await checkInvariants(tenant, CAPS);
  });

  const outcomes: readonly Conclusion["outcome"][] = ["succeeded", "failed", "not-sent", "unknown"];
  it.each(outcomes.flatMap((first) => outcomes.map((second) => [first, second] as const)))(
    "%s is not undone by a second one that says %s",
    async (first, second) => {
      const { tenant, ledger, id } = await dispatched();
      await ledger.conclude(ended(id, first));
      const held = await hold(tenant, id);
      await ledger.conclude(ended(id, second));
      const final = first === "unknown" ? second : first;
      expect(await stateOf(ledger, id)).toBe(final);
      if (first !== "unknown") expect(await hold(tenant, id)).toBe(held);
      await ledger.conclude(ended(id, "failed"));
      await ledger.conclude(ended(id, "succeeded"));
      expect(await stateOf(ledger, id)).toBe(final === "unknown" ? "failed" : final);
      await checkInvariants(tenant, CAPS);
    },
  );

  it("of something that was never admitted changes nothing", async () => {
    const { tenant, ledger } = await newTenant();
    await ledger.conclude(ended("req_never", "succeeded"));
    await ledger.reconcile({ requestId: "req_never", verdict: "happened", resource: null });
    expect(await ledger.operation("req_never")).toBeNull();
    expect(await kinds(tenant, "req_never")).toEqual([]);
  });

  /** A Durable Object takes no row above 2 MB; the local one would. */
  it.each([
    [100_000, true],
    [900_000, true],
    [1_100_000, false],
    [3_000_000, false],
  ])("with an answer of %i bytes is booked like any other, its answer kept: %s", async (bytes, kept) => {
    const { tenant, ledger, id } = await dispatched({ handles: { idempotencyKey: "k" } });
    const response = { status: 201, contentType: "application/json", body: `"${"x".repeat(bytes)}"` };
    await ledger.conclude(ended(id, "succeeded", { response }));
    expect(await stateOf(ledger, id)).toBe("succeeded");
    const replayed = await ledger.admit(write({ resource: "job-1", sent: SEALED, handles: { idempotencyKey: "k" } }));
    expect(replayed).toMatchObject({
      kind: "replay",
      outcome: { state: "succeeded", response: kept ? { status: 201 } : null },
    });
    await checkInvariants(tenant, CAPS);
  });

  it("keeps the request as sent until the outcome is known, and not longer", async () => {
    const { tenant, ledger, id } = await dispatched();
    const sent = async (): Promise<unknown> => (await rowsOf(tenant, "SELECT sent FROM operations"))[0]?.["sent"];
    await ledger.conclude(ended(id, "unknown"));
    expect(await sent()).toBe(SEALED);
    await ledger.conclude(ended(id, "succeeded"));
    expect(await sent()).toBeNull();
  });
});

describe("a dispatch without conclusion", () => {
  it("becomes unknown at its deadline, keeps its hold and its resource, and still accepts a late conclusion", async () => {
    const { tenant, ledger, id } = await dispatched();
    vi.setSystemTime(START + DISPATCH_DEADLINE_MS - 1);
    await runAlarm(tenant);
    expect(await stateOf(ledger, id)).toBe("dispatching");
    vi.setSystemTime(START + DISPATCH_DEADLINE_MS);
    await runAlarm(tenant);
    expect(await stateOf(ledger, id)).toBe("unknown");
    expect(await hold(tenant, id)).toBe("unknown 1000000");
    expect(verdict(await ledger.admit(write({ resource: "job-1", requestDigest: digest("second") })))).toBe(
      "resource-busy",
    );
    await checkInvariants(tenant, CAPS);
    await ledger.conclude(ended(id, "succeeded"));
    expect(await stateOf(ledger, id)).toBe("succeeded");
    await checkInvariants(tenant, CAPS);
  });

  it("is found out although the object was evicted and nobody asks", async () => {
    const { tenant, ledger, id } = await dispatched();
    await evictDurableObject(testEnv.LEDGER.getByName(tenant));
    vi.setSystemTime(START + DISPATCH_DEADLINE_MS);
    expect(await runAlarm(tenant)).toBe(true);
    expect(await stateOf(ledger, id)).toBe("unknown");
    await checkInvariants(tenant, CAPS);
  });
});

type Verdict = "happened" | "absent" | "unknown";

describe("reconciliation", () => {
  it.each<[string, readonly (readonly [Verdict, afterMs: number])[], string]>([
    ["happened", [["happened", 0]], "succeeded"],
    ["absent once", [["absent", 0]], "unknown"],
    [
      "absent twice too soon",
      [
        ["absent", 0],
        ["absent", GRACE_MS - 1],
      ],
      "unknown",
    ],
    [
      "absent twice, a grace period apart",
      [
        ["absent", 0],
        ["absent", GRACE_MS],
      ],
      "failed",
    ],
    [
      "absent, too soon, then late enough",
      [
        ["absent", 0],
        ["absent", 1],
        ["absent", GRACE_MS],
      ],
      "failed",
    ],
    [
      "absent, unknown, absent",
      [
        ["absent", 0],
        ["unknown", GRACE_MS],
        ["absent", GRACE_MS],
      ],
      "unknown",
    ],
    [
      "absent, unknown, absent, absent",
      [
        ["absent", 0],
        ["unknown", GRACE_MS],
        ["absent", 0],
        ["absent", GRACE_MS],
      ],
      "failed",
    ],
    [
      "unknown for ever",
      [
        ["unknown", GRACE_MS],
        ["unknown", GRACE_MS],
        ["unknown", GRACE_MS],
      ],
      "unknown",
    ],
    [
      "absent, then it shows after all",
      [
        ["absent", 0],
        ["happened", GRACE_MS],
      ],
      "succeeded",
    ],
    [
      "absent twice, then it shows too late",
      [
        ["absent", 0],
        ["absent", GRACE_MS],
        ["happened", 0],
      ],
      "failed",
    ],
    [
      "happened, then absent twice",
      [
        ["happened", 0],
        ["absent", 0],
        ["absent", GRACE_MS],
      ],
      "succeeded",
    ],
  ])("%s", async (_, findings, state) => {
    const { tenant, ledger, id } = await dispatched();
    await ledger.conclude(ended(id, "unknown"));
    let now = START;
    for (const [found, after] of findings) {
      vi.setSystemTime((now += after));
      await ledger.reconcile({ requestId: id, verdict: found, resource: null });
    }
    expect(await stateOf(ledger, id)).toBe(state);
    const expected = { succeeded: "settled 1000000/1000000", failed: "released 1000000/0", unknown: "unknown 1000000" };
    expect(await hold(tenant, id)).toBe(Object.entries(expected).find(([name]) => name === state)?.[1]);
    await checkInvariants(tenant, CAPS);
  });

  it("says nothing about a dispatch that has not been given up yet", async () => {
    const { ledger, id } = await dispatched();
    await ledger.reconcile({ requestId: id, verdict: "happened", resource: null });
    expect(await stateOf(ledger, id)).toBe("dispatching");
  });

  it("asks again and again at growing distance, up to an hour, and stops once it is resolved", async () => {
    const { tenant, ledger, id } = await dispatched();
    await ledger.conclude(ended(id, "unknown"));
    const waits: number[] = [];
    for (let look = 0; look < 25; look++) {
      const [row] = await rowsOf(tenant, "SELECT at FROM due WHERE job = 'reconcile'");
      waits.push(Number(row?.["at"]) - Date.now());
      vi.setSystemTime(Number(row?.["at"]));
      await runAlarm(tenant);
    }
    expect(waits.slice(0, 4)).toEqual([GRACE_MS, GRACE_MS, GRACE_MS, 2 * GRACE_MS]);
    expect(waits.every((wait, index) => index === 0 || wait >= (waits[index - 1] ?? 0))).toBe(true);
    expect(waits.at(-1)).toBeLessThanOrEqual(3_600_000);
    await checkInvariants(tenant, CAPS);
    await ledger.reconcile({ requestId: id, verdict: "happened", resource: null });
    vi.setSystemTime(Date.now() + 3_600_000);
    await runAlarm(tenant);
    expect(await rowsOf(tenant, "SELECT * FROM due WHERE job = 'reconcile'")).toEqual([]);
  });

  it("is not tried where the control plane has no way to ask: the hold stays until people resolve it", async () => {
    const { tenant, ledger, id } = await dispatched({ sent: null });
    await ledger.conclude(ended(id, "unknown"));
    vi.setSystemTime(START + 24 * 60 * MINUTE);
    await runAlarm(tenant);
    expect(await rowsOf(tenant, "SELECT * FROM due WHERE job = 'reconcile'")).toEqual([]);
    expect(await hold(tenant, id)).toBe("unknown 1000000");
    await checkInvariants(tenant, CAPS);
  });
});

describe("the alarm", () => {
  it("does every other due job although one fails, and comes back for that one without spinning", async () => {
    const { tenant, ledger, id } = await dispatched();
    const proposal = await propose(ledger, write({ requirement: needing(1), requestDigest: digest("proposal") }));
    // A row that no build of this object wrote: loading it breaks an invariant.
    await rowsOf(tenant, "UPDATE operations SET entry = 'not json' WHERE request_id = ?", id);
    vi.setSystemTime(START + 60 * MINUTE);
    // The second hands over what the first one's expiry is to tell people.
    await runAlarm(tenant);
    await runAlarm(tenant);
    expect((await ledger.approval(proposal))?.approval.state).toBe("expired");
    const [failed] = await rowsOf(tenant, "SELECT at FROM due WHERE job = 'dispatch-deadline'");
    expect(Number(failed?.["at"])).toBeGreaterThan(Date.now());
    const alarm = await runInDurableObject(testEnv.LEDGER.getByName(tenant), (_, { storage }) => storage.getAlarm());
    expect(alarm).toBeGreaterThan(Date.now());
    const projected = await testEnv.DB.prepare("SELECT count(*) AS n FROM audit WHERE tenant = ?")
      .bind(tenant)
      .first<{ n: number }>();
    expect(projected?.n).toBeGreaterThan(0);
  });

  it("leaves a newer build's jobs to that build: they neither wake it up nor stand before its own", async () => {
    const { tenant, ledger } = await newTenant();
    const proposal = await propose(ledger, write({ requirement: needing(1) }));
    for (let index = 0; index < 250; index++) {
      await rowsOf(tenant, "INSERT INTO due (at, job, ref) VALUES (?, 'from-the-future', 'x')", START - index);
    }
    vi.setSystemTime(START + 30 * MINUTE);
    for (let round = 0; round < 4; round++) {
      vi.setSystemTime(Date.now() + 1_000);
      await runAlarm(tenant);
    }
    expect((await ledger.approval(proposal))?.approval.state).toBe("expired");
    const alarm = await runInDurableObject(testEnv.LEDGER.getByName(tenant), (_, { storage }) => storage.getAlarm());
    expect(alarm).toBeGreaterThan(Date.now());
    const [left] = await rowsOf(tenant, "SELECT count(*) AS n FROM due WHERE job = 'from-the-future'");
    expect(left).toEqual({ n: 250 });
  });

  it("works off more jobs than one alarm takes", async () => {
    const { tenant, ledger } = await newTenant();
    for (let index = 0; index < 250; index++)
      await ledger.admit(write({ cost: { kind: "none" }, requestDigest: digest(`${index}`) }));
    vi.setSystemTime(START + DISPATCH_DEADLINE_MS);
    await runAlarm(tenant);
    expect(await runAlarm(tenant)).toBe(true);
    expect(await rowsOf(tenant, "SELECT DISTINCT state FROM operations")).toEqual([{ state: "unknown" }]);
    await checkInvariants(tenant, CAPS);
  });
});
