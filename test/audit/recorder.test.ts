import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { FLOOD_RECORDS, FLOOD_WINDOW_MS } from "../../src/audit/flood-guard.ts";
import { blankEntry } from "../../src/audit/record.ts";
import { createRecorder, type Recorder } from "../../src/audit/recorder.ts";
import type { AppendOutcome, SubmittedEnding, SubmittedEntry } from "../../src/audit/request-log-port.ts";

const START = Date.UTC(2026, 10, 20);
const TENANT = "acme";

beforeEach(() => void vi.useFakeTimers({ now: START }));
afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

type Call = {
  readonly object: string;
  readonly ids: readonly string[];
  readonly entries: readonly SubmittedEntry[];
  readonly endings: readonly SubmittedEnding[];
  readonly answer: (outcome?: AppendOutcome) => Promise<void>;
  readonly fail: () => Promise<void>;
};

/** A recorder over request logs that answer when the test says so. */
function recorderWithLog(): { readonly recorder: Recorder; readonly calls: readonly Call[] } {
  const calls: Call[] = [];
  const getByName = (object: string) => ({
    append: (_: unknown, sentEntries: string | null, sentEndings: string | null) => {
      const entries: readonly SubmittedEntry[] = JSON.parse(sentEntries ?? "[]");
      const endings: readonly SubmittedEnding[] = JSON.parse(sentEndings ?? "[]");
      const { promise, resolve, reject } = Promise.withResolvers<AppendOutcome>();
      calls.push({
        object,
        ids: entries.map((e) => e.entryId),
        entries,
        endings,
        answer: async (outcome = { kind: "appended" }) => {
          resolve(outcome);
          await settle();
        },
        fail: async () => {
          reject(new Error("Network connection lost."));
          await settle();
        },
      });
      return promise;
    },
  });
  // The recorder asks the namespace for nothing but stubs by name.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  const namespace = { getByName } as unknown as DurableObjectNamespace;
  return { recorder: createRecorder(namespace), calls };
}

/** Lets everything that is ready run, and a batch that waited for another have its three milliseconds. */
const settle = (): Promise<unknown> => vi.advanceTimersByTimeAsync(3);

const entry = (id: string, over = {}) => ({ ...blankEntry("request", id, Date.now()), ...over });
const background = (work: Promise<unknown>): void => void work;

/** Appends and keeps the answer: undefined until there is one. */
function append(recorder: Recorder, id: string, open = false): { durable: boolean | undefined } {
  const answer: { durable: boolean | undefined } = { durable: undefined };
  void recorder.append(TENANT, id, entry(id), open, background).then((durable) => (answer.durable = durable));
  return answer;
}

describe("the recorder", () => {
  it("sends the first at once, and what comes while it is under way in one batch, in order", async () => {
    const { recorder, calls } = recorderWithLog();
    const answers = ["a", "b", "c", "d"].map((id) => append(recorder, id));
    expect(calls.map((call) => call.ids)).toEqual([["a"]]);
    await calls[0]?.answer();
    expect(calls.map((call) => call.ids)).toEqual([["a"], ["b", "c", "d"]]);
    expect(answers.map((answer) => answer.durable)).toEqual([true, undefined, undefined, undefined]);
    await calls[1]?.answer();
    expect(answers.every((answer) => answer.durable)).toBe(true);
    expect(new Set(calls.map((call) => call.object)).size, "one shard per isolate").toBe(1);
  });

  it("keeps tenants apart: neither waits for the other, neither is in the other's log", async () => {
    const { recorder, calls } = recorderWithLog();
    append(recorder, "a");
    void recorder.append("globex", "b", entry("b"), false, background);
    expect(calls.map((call) => [call.object.split("/")[0], call.ids])).toEqual([
      ["acme", ["a"]],
      ["globex", ["b"]],
    ]);
  });

  it("never puts more than 256 into one batch", async () => {
    const { recorder, calls } = recorderWithLog();
    append(recorder, "first");
    const ids = Array.from({ length: 600 }, (_, index) => `${index}`);
    for (const id of ids) append(recorder, id);
    for (let index = 0; index < calls.length; index++) await calls[index]?.answer();
    expect(calls.map((call) => call.ids.length)).toEqual([1, 256, 256, 88]);
    expect(calls.slice(1).flatMap((call) => call.ids)).toEqual(ids);
  });

  it("never puts more into one batch than one value of the log's store takes, however large the entries are", async () => {
    const { recorder, calls } = recorderWithLog();
    append(recorder, "first");
    const evidence = "e".repeat(30_000);
    const ids = Array.from({ length: 100 }, (_, index) => `${index}`);
    for (const id of ids) void recorder.append(TENANT, id, entry(id, { evidence }), false, background);
    for (let index = 0; index < calls.length; index++) await calls[index]?.answer();
    expect(calls.slice(1).flatMap((call) => call.ids)).toEqual(ids);
    for (const call of calls) expect(JSON.stringify(call.entries).length).toBeLessThan(600_000);
  });

  it.each([
    ["the log refuses", (call: Call | undefined) => call?.answer({ kind: "refused", cause: "halted" })],
    ["the call fails", (call: Call | undefined) => call?.fail()],
  ])("says so to everybody in the batch when %s, and goes on with the next one", async (_, end) => {
    const { recorder, calls } = recorderWithLog();
    append(recorder, "a");
    const answers = [append(recorder, "b"), append(recorder, "c")];
    await calls[0]?.answer();
    await end(calls[1]);
    expect(answers.map((answer) => answer.durable)).toEqual([false, false]);
    const next = append(recorder, "d");
    await calls[2]?.answer();
    expect(next.durable).toBe(true);
  });

  it("whose batch never answers: each follower submits its own entry again, under the same id", async () => {
    const { recorder, calls } = recorderWithLog();
    append(recorder, "a");
    append(recorder, "leader");
    const followers = [append(recorder, "x"), append(recorder, "y")];
    await calls[0]?.answer();
    // The second call is the batch; whoever led it is gone and it will never be answered.
    await vi.advanceTimersByTimeAsync(2_000);
    expect(calls.slice(2).map((call) => call.ids)).toEqual([["x"], ["y"]]);
    await calls[2]?.answer();
    await calls[3]?.answer();
    expect(followers.map((answer) => answer.durable)).toEqual([true, true]);
  });

  it("whose leader died before it sent anything: nobody joins that batch any more", async () => {
    const { recorder, calls } = recorderWithLog();
    append(recorder, "a");
    // The leader's wait for the call under way dies with its client: its timer never fires.
    vi.spyOn(globalThis, "setTimeout").mockReturnValueOnce(setTimeout(() => undefined, 0));
    append(recorder, "leader");
    const follower = append(recorder, "follower");
    await vi.advanceTimersByTimeAsync(2_000);
    await calls.at(-1)?.answer();
    expect(follower.durable).toBe(true);
    const later = append(recorder, "later");
    await vi.advanceTimersByTimeAsync(2_000);
    await settle();
    expect(calls.at(-1)?.ids).toEqual(["later"]);
    await calls.at(-1)?.answer();
    expect(later.durable).toBe(true);
    const prompt = append(recorder, "prompt");
    await calls.at(-1)?.answer();
    expect([calls.at(-1)?.ids, prompt.durable], "without waiting").toEqual([["prompt"], true]);
  });

  it("adds endings off the path: in one later batch, or with the next entries", async () => {
    const { recorder, calls } = recorderWithLog();
    const ending = { outcome: "succeeded", upstream_status: 200, duration_ms: 1, detail: null };
    append(recorder, "a", true);
    append(recorder, "b", true);
    await calls[0]?.answer();
    await calls[1]?.answer();
    recorder.end(TENANT, "a", ending, background);
    recorder.end(TENANT, "b", ending, background);
    await vi.advanceTimersByTimeAsync(100);
    expect(calls[2]).toMatchObject({ ids: [], endings: [{ entryId: "a", ending }, { entryId: "b" }] });
    await calls[2]?.answer();
    recorder.end(TENANT, "c", ending, background);
    append(recorder, "d");
    expect(calls[3]).toMatchObject({ ids: ["d"], endings: [{ entryId: "c" }] });
    await calls[3]?.answer();
    await vi.advanceTimersByTimeAsync(1_000);
    expect(calls).toHaveLength(4);
  });
});

const refuse = (recorder: Recorder, id: string, code: string): void =>
  recorder.refusal(TENANT, id, entry(id, { principal: "agent:trainer", reason_code: code }), background);

describe("a flood of refusals", () => {
  it("is recorded up to the guard's rate and then counted: every one is in the log, as a record or in a count", async () => {
    const { recorder, calls } = recorderWithLog();
    for (let index = 0; index < 1_000; index++) refuse(recorder, `r${index}`, "not-allowed");
    for (let index = 0; index < 7; index++) refuse(recorder, `b${index}`, "budget-exceeded");
    await vi.advanceTimersByTimeAsync(FLOOD_WINDOW_MS + 1);
    for (let index = 0; index < calls.length; index++) {
      await calls[index]?.answer();
      await vi.advanceTimersByTimeAsync(2_000);
    }
    const submitted = new Map(calls.flatMap((call) => call.entries).map((one) => [one.entryId, one.entry]));
    const countOf = (code: string): number =>
      [...submitted.values()].filter((e) => e.reason_code === code).reduce((sum, e) => sum + e.count, 0);
    expect([countOf("not-allowed"), countOf("budget-exceeded")]).toEqual([1_000, 7]);
    const summaries = [...submitted].filter(([id]) => id.endsWith("/summary")).map(([, e]) => e);
    expect(summaries).toMatchObject([
      {
        count: 1_000 - FLOOD_RECORDS,
        principal: "agent:trainer",
        detail: `${1_000 - FLOOD_RECORDS} like refusals of this principal`,
      },
    ]);
  });
});
