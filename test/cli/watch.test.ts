import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { NOW, runAtTerminal } from "./fake-terminal.ts";
import { flat, ROOT, widest, type Ran } from "./run-cli.ts";
import { problemAnswer, proposal, startStubGate, type Answer, type StubGate } from "./stub-gate.ts";

const LIST = "GET /_gate/v1/approvals";
const approve = { handle: "@alice", subject: "person:alice", decision: "approve", demo: false };
const decision = { ...approve, comment: "seen", decided_at: "2026-11-20T08:05:00.000Z" };

const listOf = (...records: readonly object[]): Answer => ({ body: { records, next_cursor: null } });
const ONE = proposal();
const TWO = proposal({ id: "apr_2", action: "workloads.submit", resource: null, cost: { ceiling_micros: 40_000_000 } });
const ONE_GIVEN = proposal({ given: 1, decisions: [decision] });
const ONE_APPROVED = proposal({ state: "approved", given: 2, decisions: [decision, { ...decision, subject: "b" }] });
const OLD = proposal({ id: "apr_0", state: "denied" });

type Watched = Ran & { readonly gate: StubGate; readonly pauses: readonly number[] };

/** Watches a gate whose list says this, look by look; interrupted when it is asked once more. */
async function watchThrough(looks: readonly Answer[], args: readonly string[] = []): Promise<Watched> {
  const interrupted = new AbortController();
  const pauses: number[] = [];
  const left = [...looks];
  const gate = await startStubGate({
    [LIST]: () => {
      const next = left.shift();
      if (next === undefined) interrupted.abort();
      return next ?? listOf();
    },
    "GET /_gate/v1/approvals/apr_1": { body: ONE },
  });
  const ran = await runAtTerminal(["approvals", "watch", ...args], {
    env: { ...gate.env, NO_COLOR: "1" },
    interruption: () => interrupted.signal,
    pause: async (ms) => void pauses.push(ms),
  });
  return { ...ran, gate, pauses };
}

const LINE = z.strictObject({
  at: z.string(),
  change: z.enum(["open", "new", "changed"]),
  previous_state: z.string().nullable(),
  proposal: z.looseObject({ id: z.string(), state: z.string(), given: z.int() }),
});

const linesOf = ({ stdout }: Ran): readonly string[] => stdout.split("\n").filter((line) => line !== "");
const told = (ran: Ran): readonly string[] =>
  linesOf(ran).map((line) => {
    const { change, previous_state: was, proposal: one } = LINE.parse(JSON.parse(line));
    return `${change} ${one.id} ${was ?? "–"} → ${one.state} ${one.given}`;
  });

describe("approvals watch", () => {
  test("tells what is open, then what is new and what changes, each once", async () => {
    const ran = await watchThrough([
      listOf(ONE, OLD),
      listOf(ONE, OLD),
      listOf(TWO, ONE_GIVEN, OLD),
      listOf(TWO, ONE_APPROVED, OLD),
    ]);
    expect(ran).toMatchObject({ code: 0, stderr: "" });
    const shown = flat(ran.stdout);
    expect(shown.match(/2026-11-20 08:10Z/g)).toHaveLength(4);
    expect(shown).toContain(
      "apr_1 is pending, 0 of 2 workloads.cancel job-7 (tier 4), no cost, for agent:trainer, ends",
    );
    expect(shown).toContain("apr_2 is pending, 0 of 2 workloads.submit (tier 4), at most 40.00 USD, for agent:trainer");
    expect(shown).toContain("apr_1 is pending, 1 of 2");
    expect(shown).toContain("@alice: approve: seen");
    expect(shown).toContain("apr_1 is approved (was pending), 2 of 2");
    expect(shown).not.toContain("apr_0");
    expect(widest(ran.stdout)).toBeLessThanOrEqual(80);
  });

  test("--json prints one document per line, the proposal as the gate gives it", async () => {
    const ran = await watchThrough([listOf(ONE), listOf(TWO, ONE), listOf(TWO, ONE_APPROVED)], ["--json"]);
    expect(ran).toMatchObject({ code: 0, stderr: "" });
    expect(told(ran)).toEqual([
      "open apr_1 – → pending 0",
      "new apr_2 – → pending 0",
      "changed apr_1 pending → approved 2",
    ]);
    expect(JSON.parse(linesOf(ran)[1] ?? "")).toEqual({
      at: new Date(NOW).toISOString(),
      change: "new",
      previous_state: null,
      proposal: TWO,
    });
  });

  test("--state tells only of those that are in it or come into it", async () => {
    const looks = [listOf(ONE), listOf(TWO, ONE_GIVEN), listOf(TWO, ONE_APPROVED)];
    expect(told(await watchThrough(looks, ["--json", "--state", "approved"]))).toEqual([
      "changed apr_1 pending → approved 2",
    ]);
    expect(told(await watchThrough(looks, ["--json", "--state", "pending"]))).toEqual([
      "open apr_1 – → pending 0",
      "changed apr_1 pending → pending 1",
      "new apr_2 – → pending 0",
    ]);
    const wrong = await watchThrough(looks, ["--state", "open"]);
    expect(wrong.code).toBe(2);
    expect(wrong.gate.received).toEqual([]);
  });

  test("looks by a long poll of what waits, so that its decision is seen at once, and never in a rush", async () => {
    const { gate, pauses } = await watchThrough([listOf(ONE), listOf(OLD)]);
    expect(gate.received.map(({ target }) => target)).toEqual([
      "/_gate/v1/approvals?limit=200",
      "/_gate/v1/approvals/apr_1?wait=5",
      "/_gate/v1/approvals?limit=200",
      "/_gate/v1/approvals?limit=200",
    ]);
    expect(pauses).toEqual([1_000, 5_000]);
  });

  test("--bell rings at each change, not for what was there", async () => {
    const ran = await watchThrough([listOf(ONE), listOf(ONE), listOf(TWO, ONE)], ["--bell"]);
    expect(ran.stderr).toBe("\u0007");
    expect(ran.stdout).not.toContain("\u0007");
  });

  test("waits while the gate is away, says so once, and then tells what was missed", async () => {
    const away = { drop: true } as const;
    const busy = { status: 503, body: { type: "/_gate/problems/unavailable", slug: "unavailable", status: 503 } };
    const ran = await watchThrough([listOf(ONE), away, busy, away, listOf(TWO, ONE_GIVEN)], ["--json"]);
    expect(ran.code).toBe(0);
    expect(told(ran)).toEqual([
      "open apr_1 – → pending 0",
      "changed apr_1 pending → pending 1",
      "new apr_2 – → pending 0",
    ]);
    expect(flat(ran.stderr).match(/The gate does not answer/g)).toHaveLength(1);
    expect(flat(ran.stderr).match(/The gate answers again/g)).toHaveLength(1);
    expect(ran.pauses.filter((ms) => ms === 5_000)).toHaveLength(3);
  });

  test("ends at once where nobody ever answered, and when the key stops counting", async () => {
    expect((await watchThrough([{ drop: true }])).code).toBe(1);
    const refusal = problemAnswer("unauthenticated", 401, "Not authenticated", {});
    const ran = await watchThrough([listOf(ONE), refusal], ["--json"]);
    expect(ran.code).toBe(1);
    expect(linesOf(ran)).toHaveLength(2);
    expect(JSON.parse(linesOf(ran)[1] ?? "")).toMatchObject({ error: { kind: "refused", status: 401 } });
  });

  test("lets no text act on the terminal or break a line of JSON", async () => {
    const hostile = "\u001b[2J\u202e\u2028x\ny";
    const bad = proposal({ action: hostile, requester: hostile, decisions: [{ ...decision, comment: hostile }] });
    for (const args of [[], ["--json"]]) {
      const ran = await watchThrough([listOf(proposal({ action: hostile })), listOf(bad)], args);
      expect(ran.stdout.replaceAll("\n", "")).not.toMatch(/[\p{Cc}\p{Cf}\u2028]/u);
      if (args.length > 0) expect(told(ran)).toHaveLength(2);
    }
  });

  test("ends with exit code 0 at Ctrl-C, in the middle of whatever it waits for", async () => {
    const gate = await startStubGate({ [LIST]: listOf(ONE) });
    const child = spawn(process.execPath, [join(ROOT, "src/cli/main.ts"), "approvals", "watch", "--json"], {
      env: { ...gate.env, PATH: process.env["PATH"] ?? "" },
      stdio: ["ignore", "pipe", "inherit"],
    });
    await once(child.stdout, "data");
    child.kill("SIGINT");
    expect(await once(child, "close")).toEqual([0, null]);
  });
});
