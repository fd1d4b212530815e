import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { afterEach, describe, expect, test, vi } from "vitest";
import { text, verdict, type Answered } from "../support/answer.ts";
import { ACME_POLICY, replaceOnce, useBlackBox, type BlackBox } from "../support/black-box.ts";
import { ledgerRecords } from "../support/books.ts";
import { MINUTE_MS, moveClock } from "../support/clock.ts";
import { openIsolate } from "../support/isolates.ts";
import { budgetOf, CONTEXT, decide, job, proposalOf, REASON, SUBMIT } from "../support/requests.ts";
import { testEnv } from "../support/test-env.ts";

/** A freeze against what is on its way: approved requests, stored executions, 200 at once. */
const open = useBlackBox("freeze");

const STORED = replaceOnce(ACME_POLICY, "timeout_minutes: 30", "timeout_minutes: 30\n  execute: stored");
const big = job({ gpus: 8 });

afterEach(() => void vi.useRealTimers());

const ask = async (box: BlackBox): Promise<Answered> => (await box.as("agent")).post(SUBMIT, big, CONTEXT);

async function freeze(box: BlackBox, scope: string): Promise<void> {
  const answered = await (await box.as("security")).post("/_gate/v1/freeze", { reason: "incident 7", scope });
  expect(verdict(answered)).toBe("200");
}
async function lift(box: BlackBox, scope: string): Promise<void> {
  expect(verdict(await (await box.as("security")).delete(`/_gate/v1/freeze?scope=${scope}`))).toBe("200");
}

const stateOf = async (box: BlackBox, approval: string): Promise<string> =>
  text(await (await box.as("agent")).get(`/_gate/v1/approvals/${approval}`), "state");

/** Ledger, outbox, ledger: what was decided or lifted is handed over and run. */
async function alarms(box: BlackBox): Promise<void> {
  await runDurableObjectAlarm(testEnv.LEDGER.getByName(box.tenant));
  await runDurableObjectAlarm(testEnv.OUTBOX.getByName(box.tenant));
}

/** The freeze that the approved request waits for in the ledger, null where it waits for none. */
const waitsFor = (box: BlackBox, approval: string): Promise<unknown> =>
  runInDurableObject(
    testEnv.LEDGER.getByName(box.tenant),
    (_, { storage }) => storage.sql.exec("SELECT waits_for FROM approvals WHERE id = ?", approval).one()["waits_for"],
  );

describe("a freeze set between approval and execution", () => {
  test.each(["tenant", "spending", "principal:agent:trainer", "principal:person:dana", "action:workloads.submit"])(
    "of %s refuses, consumes nothing and says why; the same grant runs the request after it is lifted",
    async (scope) => {
      const box = await open();
      const approval = proposalOf(await ask(box));
      await decide(box, approval, ["alice"]);
      const held = await budgetOf(box);
      await freeze(box, scope);
      for (const answered of [await ask(box), await ask(box)]) {
        expect(verdict(answered)).toBe("403 frozen");
        expect(answered.body).toMatchObject({ scope, frozen_by: "person:security", freeze_reason: "incident 7" });
        expect(text(answered, "detail")).toContain(`(${scope})`);
      }
      expect(await box.upstream.mutations()).toEqual([]);
      expect(await stateOf(box, approval)).toBe("approved");
      expect(await budgetOf(box)).toEqual(held);
      await lift(box, scope);
      expect(verdict(await ask(box))).toBe("201");
      expect(await stateOf(box, approval)).toBe("consumed");
      expect(await box.upstream.mutations()).toHaveLength(1);
    },
  );

  test("lets people decide, and nothing runs before it is lifted", async () => {
    const box = await open();
    const approval = proposalOf(await ask(box));
    await freeze(box, "tenant");
    await decide(box, approval, ["alice"]);
    expect(await stateOf(box, approval)).toBe("approved");
    expect(verdict(await ask(box))).toBe("403 frozen");
    await lift(box, "tenant");
    expect(verdict(await ask(box))).toBe("201");
  });
});

/** A stored request that was approved while this was frozen, and that the gate has tried to run. */
async function stopped(scope: string): Promise<{ readonly box: BlackBox; readonly approval: string }> {
  const box = await open({ policy: STORED });
  const approval = proposalOf(await ask(box));
  await freeze(box, scope);
  await decide(box, approval, ["alice"]);
  await expect
    .poll(async () => {
      await alarms(box);
      return waitsFor(box, approval);
    })
    .toBe(scope);
  expect(await box.upstream.mutations()).toEqual([]);
  expect(await stateOf(box, approval)).toBe("approved");
  return { box, approval };
}

describe("a stored request that a freeze has stopped", () => {
  test("runs once, by itself, when the freeze is lifted", async () => {
    const { box, approval } = await stopped("tenant");
    await lift(box, "tenant");
    await expect
      .poll(async () => {
        await alarms(box);
        return stateOf(box, approval);
      })
      .toBe("consumed");
    for (let times = 0; times < 3; times++) await alarms(box);
    await expect.poll(() => box.upstream.mutations()).toHaveLength(1);
  });

  test("waits for the freeze that is left where two cover it", async () => {
    const { box, approval } = await stopped("tenant");
    await freeze(box, "principal:agent:trainer");
    await lift(box, "tenant");
    await expect
      .poll(async () => {
        await alarms(box);
        return waitsFor(box, approval);
      })
      .toBe("principal:agent:trainer");
    expect(await box.upstream.mutations()).toEqual([]);
  });

  test("never runs once its approval is over", async () => {
    const { box, approval } = await stopped("tenant");
    moveClock(31 * MINUTE_MS);
    await expect
      .poll(async () => {
        await alarms(box);
        return stateOf(box, approval);
      })
      .toBe("expired");
    await lift(box, "tenant");
    for (let times = 0; times < 3; times++) await alarms(box);
    expect(await box.upstream.mutations()).toEqual([]);
    expect(await budgetOf(box)).toMatchObject({ held: 0 });
  });
});

test("200 submits at once through four isolates with a freeze among them: none is admitted after it", async () => {
  const box = await open({ policy: `${ACME_POLICY}\ndry_run: inline\nrate_limits: { tier_2: 100000 }\n` });
  const agent = await box.as("agent");
  const isolates = [0, 1, 2, 3].map(() => agent.through(openIsolate().entrance));
  for (const isolate of isolates) expect(verdict(await isolate.get(SUBMIT))).toBe("200");
  const submit = (index: number): Promise<Answered> =>
    (isolates[index % isolates.length] ?? agent).post(SUBMIT, job({ name: `job-${index}`, gpus: 1 }), REASON);
  await box.as("security");
  const answers: Promise<Answered>[] = [];
  for (let index = 0; index < 100; index++) answers.push(submit(index));
  // Whatever is in flight when the first is through: the freeze comes into the middle of it.
  await Promise.race(answers);
  const frozen = freeze(box, "tenant");
  for (let index = 100; index < 200; index++) answers.push(submit(index));
  await frozen;
  const verdicts = (await Promise.all(answers)).map((answered) => verdict(answered));
  expect(verdicts).toContain("403 frozen");
  const records = await ledgerRecords(box.tenant);
  const frozenAt = records.findIndex((record) => record.reason_code === "frozen");
  const intents = records.flatMap((record, index) => (record.kind === "intent" ? [index] : []));
  expect(frozenAt).toBeGreaterThan(0);
  expect(intents.length).toBeGreaterThan(0);
  expect(Math.max(...intents)).toBeLessThan(frozenAt);
  expect(await box.upstream.mutations()).toHaveLength(intents.length);
});

describe("a freeze that could stop nothing", () => {
  test("of an action that the catalogue does not have is refused, with the one that was probably meant", async () => {
    const security = await (await open()).as("security");
    const answered = await security.post("/_gate/v1/freeze", { reason: "typing", scope: "action:workloads.sumbit" });
    expect(verdict(answered)).toBe("400 malformed-request");
    expect(text(answered, "detail")).toContain('did you mean "workloads.submit"');
    expect((await security.get("/_gate/v1/freeze")).body).toMatchObject({ records: [] });
    expect(verdict(await security.delete("/_gate/v1/freeze?scope=action:workloads.sumbit"))).toBe("404 not-found");
  });
});
