import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { answerFaults, GRACE_MS, requestLogFaults, untilRequestLogsRest } from "../support/live-books.ts";
import { jobBody, NO_ANSWER, verdictOf } from "../support/live-client.ts";
import type { Planned } from "../support/live-client.ts";
import { openLiveGate } from "../support/live-gate.ts";
import type { Fault, LiveGate } from "../support/live-gate.ts";
import {
  expectNoSecondDispatch,
  killAndRestart,
  killNow,
  operationNow,
  operationOf,
  planJob,
  recover,
  WATCH_MS,
} from "../support/live-kill.ts";
import { startLoad } from "../support/live-load.ts";
import { oneOf, randomFrom, seedOfRun } from "../support/live-random.ts";
import type { Random } from "../support/live-random.ts";
import { readLedger } from "../support/live-store.ts";
import type { OperationRow } from "../support/live-store.ts";
import { until } from "../support/live-until.ts";

/** A dispatch without an outcome becomes unknown after twice the first; look-ups that prove absence are the second apart. */
const TIMINGS = { UPSTREAM_DEADLINE_MS: "1000", RECONCILE_GRACE_MS: String(GRACE_MS) };

/** Gates killed side by side, each with books of its own: a restart waits more than it computes. */
const LANES = 4;
const KILLS_PER_LANE = 13;
const KILLS = LANES * KILLS_PER_LANE;
/** Latest random moment after the load began: by then a caller has gone through several writes. */
const LATEST_KILL_MS = 1_200;
/** 13 rounds × 3 callers × 10 writes of 0.80 USD are 312 USD of 500 a day. */
const WRITES_EACH = 10;

const SUBMIT = { method: "POST", path: "/v1/workloads" };
/** What most writes take, so that a kill meets some under way however fast the machine is. */
const PACE: Fault = { ...SUBMIT, times: 1_000, kind: "delay:80" };
/** Of the control plane, or of the wire to it. No delay exceeds the gate's deadline: upstream does nothing after that. */
const DISTURBANCES: readonly [string, ...string[]] = [
  "delay:1",
  "delay:20",
  "delay:100",
  "delay:900",
  "drop-after-execute",
  "reset",
  "status:500",
  "garbage",
  "hold-answers",
  "swallow",
];

const seed = seedOfRun();
const lanes: LiveGate[] = [];

beforeAll(async () => {
  say(`SEED=${seed}`);
  lanes.push(...(await Promise.all(Array.from({ length: LANES }, () => openLiveGate(TIMINGS)))));
});

afterAll(async () => {
  await Promise.all(lanes.map((gate) => gate.close()));
});

const say = (line: string): boolean => process.stdout.write(`kill suite: ${line}\n`);

/** The gate of the named points. */
function live(): LiveGate {
  const [first] = lanes;
  if (first === undefined) throw new Error("no gate");
  return first;
}

let named = 0;
const nextPlan = (): Promise<Planned> => planJob(live(), `named-${++named}`);

type Round = { readonly unanswered: number; readonly reads: readonly string[] };

/** Load, a disturbance, a kill at a random moment, recovery untouched, books, and every unanswered write sent again. */
async function killOnce(gate: LiveGate, random: Random): Promise<Round> {
  const disturbance = oneOf(random, DISTURBANCES);
  await gate.upstreamFaults([PACE]);
  const load = startLoad(gate.client, WRITES_EACH);
  // Some plans go through first: a wire that carries nothing from the start would never see a write.
  await until("a plan is granted", WATCH_MS, () => load.seen.plans.some(({ status }) => status === 200));
  if (disturbance === "hold-answers" || disturbance === "swallow") gate.wire.become(disturbance);
  else await gate.upstreamFaults([{ ...SUBMIT, times: 1 + Math.floor(random() * 3), kind: disturbance }, PACE]);
  await sleep(random() * LATEST_KILL_MS);
  const stopped = load.stop();
  await killAndRestart(gate);
  const { writes, reads } = await stopped;
  const rows = await recover(gate);
  expect(answerFaults(writes, rows), disturbance).toEqual([]);
  const unanswered = writes.filter(({ answer }) => answer.status === null);
  for (const { planned, key } of unanswered) await expectNoSecondDispatch(gate, planned, key);
  return {
    unanswered: unanswered.length,
    reads: reads.flatMap(({ status, requestId }) => (status === 200 && requestId !== null ? [requestId] : [])),
  };
}

async function killAgainAndAgain(gate: LiveGate, lane: number): Promise<number> {
  const random = randomFrom(seed + lane);
  const rounds: Round[] = [];
  for (let kill = 1; kill <= KILLS_PER_LANE; kill++) {
    try {
      rounds.push(await killOnce(gate, random));
    } catch (error) {
      throw new Error(`SEED=${seed}, lane ${lane}, kill ${kill}: ${String(error)}`, { cause: error });
    }
  }
  await untilRequestLogsRest(gate);
  expect(
    requestLogFaults(
      gate,
      rounds.flatMap(({ reads }) => reads),
    ),
  ).toEqual([]);
  return rounds.reduce((total, { unanswered }) => total + unanswered, 0);
}

test(`killed at ${KILLS} random moments under load, it accounts for every reservation and releases none without proof`, async () => {
  const began = Date.now();
  const unanswered = await Promise.all(lanes.map(killAgainAndAgain));
  const total = unanswered.reduce((sum, count) => sum + count, 0);
  say(`${KILLS} kills in ${Date.now() - began} ms, ${total} writes cut short`);
  // Otherwise the kills met nothing, and the books prove nothing.
  expect(total).toBeGreaterThan(KILLS / 2);
});

describe("killed at a named point", () => {
  test("while the request is being read: nothing was admitted, the receipt is as good as before", async () => {
    const planned = await nextPlan();
    const before = readLedger(live().stateDir, "acme").operations;
    const { hostname, port } = new URL(live().running.gate);
    const body = jobBody(planned.name);
    const socket = connect(Number(port), hostname).on("error", () => undefined);
    socket.write(
      `POST /v1/workloads HTTP/1.1\r\nHost: gate\r\nAuthorization: Bearer ${live().running.demo.tenants.acme.agent}\r\n` +
        `Gate-Reason: slow\r\nGate-Plan: ${planned.receipt}\r\nContent-Type: application/json\r\n` +
        `Content-Length: ${body.length}\r\n\r\n${body.slice(0, body.length / 2)}`,
    );
    // A request on another connection that comes and goes: by now the slow one is being read.
    expect((await live().client.get("/v1/workloads")).status).toBe(200);
    await killAndRestart(live());
    socket.destroy();
    expect((await recover(live())).operations).toEqual(before);
    expect(verdictOf(await live().client.execute(planned))).toBe("201");
  });

  test("while upstream thinks about the dry run: nothing is held", async () => {
    const before = readLedger(live().stateDir, "acme");
    await live().upstreamFaults([{ method: "POST", path: "/v1/workloads?dry_run=true", times: 1, kind: "delay:5000" }]);
    const carried = live().wire.carried();
    const plan = live().client.plan("never-planned");
    await until("the dry run has left the gate", WATCH_MS, () => live().wire.carried() > carried);
    await killAndRestart(live());
    expect(await plan).toBe(NO_ANSWER);
    const rows = await recover(live());
    expect([rows.operations, rows.windows]).toEqual([before.operations, before.windows]);
  });

  test.each([
    ["upstream has not begun: found afterwards, succeeded", "delay:900", "succeeded", "committed"],
    ["upstream never heard of it: proven absent, released", "swallow", "failed", "released"],
    ["upstream has executed it and its answer is held back: succeeded", "hold-answers", "succeeded", "committed"],
  ] as const)("after admission, before the answer; %s", async (_, disturbance, outcome, hold) => {
    const planned = await nextPlan();
    if (disturbance === "delay:900") await live().upstreamFaults([{ ...SUBMIT, times: 1, kind: disturbance }]);
    else live().wire.become(disturbance);
    const jobs = (await live().jobs()).length;
    const carried = live().wire.carried();
    const answer = live().client.execute(planned);
    await until("the write has left the gate", WATCH_MS, () => live().wire.carried() > carried);
    if (disturbance === "hold-answers") {
      await until("it was executed", WATCH_MS, async () => (await live().jobs()).length > jobs);
    }
    expect(operationNow(live(), planned)?.state).toBe("dispatching");
    await killAndRestart(live());
    expect(await answer).toBe(NO_ANSWER);
    const rows = await recover(live());
    const operation = operationOf(rows, planned);
    const reservation = rows.reservations.find(({ id }) => id === operation?.request_id);
    expect([operation?.state, reservation?.state]).toEqual([outcome, hold]);
    await expectNoSecondDispatch(live(), planned);
  });

  test("when upstream has cut the connection after executing: found by look-up, succeeded", async () => {
    const planned = await nextPlan();
    await live().upstreamFaults([{ ...SUBMIT, times: 1, kind: "drop-after-execute" }]);
    const jobs = (await live().jobs()).length;
    const answer = live().client.execute(planned);
    await until("it was executed", WATCH_MS, async () => (await live().jobs()).length > jobs);
    await killAndRestart(live());
    await answer;
    expect(operationOf(await recover(live()), planned)?.state).toBe("succeeded");
  });

  test("at the first answer of several, whether its conclusion is stored or not: what was answered has succeeded", async () => {
    const AT_ONCE = 6;
    let stored = 0;
    let answered = 0;
    for (let nth = 1; nth <= 5; nth++) {
      const plans = await Promise.all(Array.from({ length: AT_ONCE }, nextPlan));
      const { promise: firstAnswer, resolve: seen } = Promise.withResolvers<void>();
      let answers = 0;
      const onHead = (): void => {
        if (++answers === 1) killNow(live());
        seen();
      };
      const calls = plans.map((planned) => live().client.execute(planned, undefined, onHead));
      await firstAnswer;
      const results = await Promise.all(calls);
      await live().running.kill("SIGKILL");
      const left = readLedger(live().stateDir, "acme");
      await live().running.restartUntouched();
      const tried = plans.map((planned, at) => ({ planned, key: undefined, answer: results[at] ?? NO_ANSWER }));
      expect(answerFaults(tried, await recover(live()))).toEqual([]);
      for (const { planned, answer } of tried) {
        if (operationOf(left, planned)?.state === "succeeded") stored++;
        if (answer.status === 201) answered++;
        else await expectNoSecondDispatch(live(), planned);
      }
    }
    say(`killed at an answer, 5 times 6 writes: ${answered} were answered, ${stored} conclusions were stored`);
  });

  test("while records travel to D1: each arrives once, in order", async () => {
    const random = randomFrom(seed);
    let waiting = 0;
    for (let nth = 1; nth <= 5; nth++) {
      const load = startLoad(live().client, 2);
      await load.ended;
      await load.stop();
      await sleep(random() * 250);
      await live().running.kill("SIGKILL");
      const { journal, projection } = readLedger(live().stateDir, "acme");
      if (projection.confirmed < (journal.at(-1)?.sequence ?? 0)) waiting++;
      await live().running.restartUntouched();
      await recover(live());
    }
    say(`killed within 250 ms of a burst: records were waiting ${waiting} of 5 times`);
    expect(waiting).toBeGreaterThan(0);
  });

  test.each([
    ["before the first look-up", (row: OperationRow): boolean => row.look_ups === 0],
    ["once a look-up was begun", (row: OperationRow): boolean => row.look_ups > 0],
    ["between the two look-ups that prove absence", (row: OperationRow): boolean => row.absent_since !== null],
  ])("during reconciliation, %s: proven absent all the same, released", async (_, moment) => {
    const planned = await nextPlan();
    await live().upstreamFaults([{ ...SUBMIT, times: 1, kind: "reset" }]);
    expect(verdictOf(await live().client.execute(planned))).toBe("504 outcome-unknown");
    await until("the moment has come", WATCH_MS, () => {
      const row = operationNow(live(), planned);
      return row?.state === "unknown" && moment(row);
    });
    await live().running.kill("SIGKILL");
    expect(operationNow(live(), planned)?.state).toBe("unknown");
    await live().running.restartUntouched();
    expect(operationOf(await recover(live()), planned)?.state).toBe("failed");
  });
});
