import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { text as textOf, verdict } from "../support/answer.ts";
import { useBlackBox, type Caller } from "../support/black-box.ts";
import { countHops, type HopCounter } from "../support/hop-counter.ts";
import { openIsolate, type Isolate } from "../support/isolates.ts";
import { CONTEXT, decide, job, proposalOf, REASON, receiptFor, SUBMIT, submit } from "../support/requests.ts";

/**
 * What a request costs in hops. Latency is made of the serial ones: calls that begin only when an earlier one has ended,
 * and that the response waits for. Counted with the gate's own bindings, cold (first request of an isolate) and warm.
 */
const open = useBlackBox("hops");

let hops: HopCounter;
let isolate: Isolate;

beforeEach(() => {
  // The clock stands still: leases of the limiter last two seconds, and a slow machine must not look like a cold isolate.
  vi.useFakeTimers({ toFake: ["Date"] });
  hops = countHops();
  isolate = openIsolate(hops.bindings);
});

afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

const table: string[] = [];

afterAll(() => {
  console.log(
    ["request                 status  hops that the response waited for  |  begun behind it", ...table].join("\n"),
  );
});

type Counts = Readonly<Record<string, number>>;
type Measured = {
  /** Hops that ended before the response was there: it may have waited for them. */
  readonly waitedFor: Counts;
  /** Hops that were begun and cannot have ended: the response waited for none of them. */
  readonly behind: Counts;
};

/** May be begun while a request runs; kept from ending until its response is there, so none can be waited for. */
const BEHIND = ["LEDGER.conclude", "QUOTA.lease"];

/** Runs one request with the hops of `kept` kept from ending until its response is there. */
async function measure(
  title: string,
  kept: readonly string[],
  request: () => Promise<{ status: number }>,
): Promise<Measured> {
  const answered = Promise.withResolvers<void>();
  for (const hop of kept) hops.hold(hop, answered.promise);
  hops.reset();
  const { status } = await request();
  const ended = hops.events.filter(({ at }) => at === "ended").map(({ hop }) => hop);
  const behind = hops.events.map(({ hop }) => hop).filter((hop) => kept.includes(hop));
  const measured = { waitedFor: tally(ended), behind: tally(behind) };
  table.push(`${title.padEnd(24)} ${status}  ${text(measured.waitedFor)}  |  ${text(measured.behind)}`);
  answered.resolve();
  for (const hop of kept) hops.hold(hop, null);
  await isolate.idle();
  return measured;
}

function tally(names: readonly string[]): Counts {
  const counts: Record<string, number> = {};
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}

const text = (counts: Counts): string =>
  Object.entries(counts)
    .map(([hop, count]) => `${hop} × ${count}`)
    .join(", ");

/** Waits until what the requests so far left behind is done. */
async function warmUp(agent: Caller): Promise<void> {
  expect(verdict(await agent.get(SUBMIT))).toBe("200");
  await receiptFor(agent, job());
  await isolate.idle();
}

const order = (): readonly string[] => hops.events.map(({ at, hop }) => `${hop} ${at}`);

describe("a read (tier 0)", () => {
  test("warm: upstream and the audit append, side by side; no D1, no ledger, no limiter", async () => {
    const box = await open();
    const agent = (await box.as("agent")).through(isolate.entrance);
    await warmUp(agent);
    const { waitedFor } = await measure("tier 0, warm", BEHIND, () => agent.get(SUBMIT));
    expect(waitedFor).toEqual({ upstream: 1, "REQUEST_LOG.append": 1 });
  });

  test("warm: the append begins before upstream has answered, and upstream before the append is done", async () => {
    const box = await open();
    const agent = (await box.as("agent")).through(isolate.entrance);
    await warmUp(agent);
    hops.reset();
    const upstreamAnswers = Promise.withResolvers<void>();
    const appended = Promise.withResolvers<void>();
    hops.hold("upstream", upstreamAnswers.promise);
    hops.hold("REQUEST_LOG.append", appended.promise);
    const answer = agent.get(SUBMIT);
    await vi.waitFor(() => expect(order().toSorted()).toEqual(["REQUEST_LOG.append begun", "upstream begun"]));
    upstreamAnswers.resolve();
    await vi.waitFor(() => expect(order()).toContain("upstream ended"));
    // Not released before its record is durable.
    let released = false;
    const watched = answer.then(() => (released = true));
    await Promise.resolve();
    expect(released).toBe(false);
    appended.resolve();
    await watched;
    expect(verdict(await answer)).toBe("200");
    await isolate.idle();
  });

  test("cold: one look at the ledger and the documents, before upstream is asked", async () => {
    const box = await open();
    const agent = (await box.as("agent")).through(isolate.entrance);
    const { waitedFor } = await measure("tier 0, cold", [], () => agent.get(SUBMIT));
    expect(waitedFor).toEqual({ "LEDGER.snapshot": 1, D1: 5, "QUOTA.lease": 1, upstream: 1, "REQUEST_LOG.append": 1 });
    expect(order().indexOf("upstream begun")).toBeGreaterThan(order().lastIndexOf("D1 ended"));
  });
});

describe("a write (tier 2)", () => {
  test("warm: exactly one call to the ledger before upstream, and no D1", async () => {
    const box = await open();
    const agent = (await box.as("agent")).through(isolate.entrance);
    await warmUp(agent);
    const receipt = await receiptFor(agent, job());
    await isolate.idle();
    const write = { ...REASON, "gate-plan": receipt };
    const { waitedFor, behind } = await measure("tier 2, warm", BEHIND, () => agent.post(SUBMIT, job(), write));
    expect(waitedFor).toEqual({ "LEDGER.admit": 1, upstream: 1 });
    expect(behind["LEDGER.conclude"]).toBe(1);
    expect(order().indexOf("upstream begun")).toBeGreaterThan(order().indexOf("LEDGER.admit ended"));
  });

  test("its dry run: two looks at the ledger around upstream's own, and no D1", async () => {
    const box = await open();
    const agent = (await box.as("agent")).through(isolate.entrance);
    await warmUp(agent);
    const plan = { ...REASON, "gate-dry-run": "?1" };
    const kept = [...BEHIND, "REQUEST_LOG.append"];
    const { waitedFor } = await measure("tier 2, dry run, warm", kept, () => agent.post(SUBMIT, job(), plan));
    expect(waitedFor).toEqual({ "LEDGER.plan": 2, upstream: 1 });
  });

  test("cold: what a read needs, and the ledger", async () => {
    const box = await open();
    const receipt = await receiptFor(await box.as("agent"), job());
    const agent = (await box.as("agent")).through(isolate.entrance);
    const write = { ...REASON, "gate-plan": receipt };
    const kept = ["LEDGER.conclude"];
    const { waitedFor } = await measure("tier 2, cold", kept, () => agent.post(SUBMIT, job(), write));
    expect(waitedFor).toEqual({ "LEDGER.snapshot": 1, D1: 5, "QUOTA.lease": 1, "LEDGER.admit": 1, upstream: 1 });
  });
});

describe("a write that needs people (tier 3)", () => {
  test("warm: asking is one call, executing is one call", async () => {
    const box = await open();
    const agent = (await box.as("agent")).through(isolate.entrance);
    await warmUp(agent);
    const asked = await agent.post(SUBMIT, job({ gpus: 8 }), CONTEXT);
    await isolate.idle();
    const kept = [...BEHIND, "REQUEST_LOG.append"];
    const asking = await measure("tier 3, asking, warm", kept, () => agent.post(SUBMIT, job({ gpus: 8 }), CONTEXT));
    expect(asking.waitedFor).toEqual({ "LEDGER.admit": 1 });
    await decide(box, proposalOf(asked), ["alice"]);
    const executing = await measure("tier 3, approved, warm", BEHIND, () => agent.post(SUBMIT, job({ gpus: 8 })));
    expect(executing.waitedFor).toEqual({ "LEDGER.admit": 1, upstream: 1 });
  });
});

describe("a write that affects something (tier 4)", () => {
  test("warm: one look-up before the one call to the ledger, each time; executing adds upstream itself", async () => {
    const box = await open();
    const agent = (await box.as("agent")).through(isolate.entrance);
    await warmUp(agent);
    const id = textOf(await submit(agent, job()), "id");
    await isolate.idle();
    const cancel = `${SUBMIT}/${id}/cancel`;
    const kept = [...BEHIND, "REQUEST_LOG.append"];
    let approval = "";
    const asking = await measure("tier 4, asking, warm", kept, async () => {
      const asked = await agent.post(cancel, {}, CONTEXT);
      approval = proposalOf(asked);
      return asked;
    });
    expect(asking.waitedFor).toEqual({ upstream: 1, "LEDGER.admit": 1 });
    expect(order().indexOf("LEDGER.admit begun")).toBeGreaterThan(order().indexOf("upstream ended"));
    await decide(box, approval, ["alice", "bob"]);
    const executing = await measure("tier 4, approved, warm", BEHIND, () => agent.post(cancel, {}));
    expect(executing.waitedFor).toEqual({ upstream: 2, "LEDGER.admit": 1 });
  });
});

describe("a refusal", () => {
  test("warm: only its record leaves the isolate, and the response does not wait for it", async () => {
    const box = await open();
    const agent = (await box.as("agent")).through(isolate.entrance);
    await warmUp(agent);
    const kept = [...BEHIND, "REQUEST_LOG.append"];
    const refused = await measure("refused, warm", kept, () => agent.post(SUBMIT, job({ gpus: 128 }), CONTEXT));
    expect(refused.waitedFor).toEqual({});
    expect(refused.behind["REQUEST_LOG.append"]).toBe(1);
  });
});
