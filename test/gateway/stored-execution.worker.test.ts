import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { afterEach, describe, expect, test, vi } from "vitest";
import { text, verdict, type Answered } from "../support/answer.ts";
import { ACME_POLICY, replaceOnce, useBlackBox, type BlackBox } from "../support/black-box.ts";
import { ledgerRecords } from "../support/books.ts";
import { budgetOf, CONTEXT, decide, job, proposalOf, SUBMIT } from "../support/requests.ts";
import { testEnv } from "../support/test-env.ts";

/**
 * `approval.execute: stored`: on the last approval the gate itself runs the request that it has kept. It is the same
 * admission as any other: what would stop the requester stops the gate.
 */
const open = useBlackBox("stored");

const STORED = replaceOnce(ACME_POLICY, "timeout_minutes: 30", "timeout_minutes: 30\n  execute: stored");
const big = job({ gpus: 8, env: { HF_TOKEN: "hf_canary_canary_canary_canary" } });

afterEach(() => void vi.useRealTimers());

/** Ledger, outbox, ledger: what was decided is handed over and run. Alarms fire by themselves too; either is fine. */
async function alarms(box: BlackBox): Promise<void> {
  await runDurableObjectAlarm(testEnv.LEDGER.getByName(box.tenant));
  await runDurableObjectAlarm(testEnv.OUTBOX.getByName(box.tenant));
}

const ask = async (box: BlackBox): Promise<Answered> => (await box.as("agent")).post(SUBMIT, big, CONTEXT);

const stateOf = async (box: BlackBox, approval: string): Promise<string> =>
  text(await (await box.as("agent")).get(`/_gate/v1/approvals/${approval}`), "state");

async function ran(box: BlackBox, approval: string, state: string): Promise<void> {
  await expect
    .poll(async () => {
      await alarms(box);
      return stateOf(box, approval);
    })
    .toBe(state);
}

describe("a stored request", () => {
  test("runs once when the last approval comes in, and a requester who sends it again gets its answer", async () => {
    const box = await open({ policy: STORED });
    const approval = proposalOf(await ask(box));
    await decide(box, approval, ["alice"]);
    await ran(box, approval, "consumed");
    await alarms(box);
    await expect.poll(() => box.upstream.mutations()).toHaveLength(1);
    const again = await ask(box);
    expect([again.status, again.headers.get("idempotency-replayed")]).toEqual([201, "?1"]);
    expect(await box.upstream.mutations()).toHaveLength(1);
    const [sent] = await box.upstream.mutations();
    expect(JSON.parse(sent?.body ?? "")).toMatchObject({
      gpus: 8,
      env: { HF_TOKEN: "hf_canary_canary_canary_canary" },
    });
    const intents = (await ledgerRecords(box.tenant)).filter((record) => record.kind === "intent");
    expect(intents).toMatchObject([
      { principal: "agent:trainer", approval_id: approval, approvers: ["person:alice"], reason: "nightly training" },
    ]);
  });

  test("lies sealed while it waits, and is gone once it has run", async () => {
    const box = await open({ policy: STORED });
    const approval = proposalOf(await ask(box));
    const ledger = testEnv.LEDGER.getByName(box.tenant);
    const dump = (): Promise<string> =>
      runInDurableObject(ledger, (_, { storage }) =>
        ["approvals", "operations", "journal"]
          .map((table) => JSON.stringify(storage.sql.exec(`SELECT * FROM ${table}`).toArray()))
          .join("\n"),
      );
    expect(await dump()).toContain('"stored":"v1.');
    expect(await dump()).not.toContain("hf_canary");
    await decide(box, approval, ["alice"]);
    await ran(box, approval, "consumed");
    expect(await dump()).not.toContain('"stored":"v1.');
    expect(await dump()).not.toContain("hf_canary");
  });

  test("that is denied goes at once", async () => {
    const box = await open({ policy: STORED });
    const approval = proposalOf(await ask(box));
    await decide(box, approval, ["alice"], "deny");
    await alarms(box);
    const stored = await runInDurableObject(testEnv.LEDGER.getByName(box.tenant), (_, { storage }) =>
      storage.sql.exec("SELECT stored FROM approvals").toArray(),
    );
    expect(stored).toEqual([{ stored: null }]);
    expect(await box.upstream.mutations()).toEqual([]);
  });

  test.each([
    [
      "a freeze",
      "frozen",
      async (box: BlackBox) => (await box.as("operator")).post("/_gate/v1/freeze", { reason: "x" }),
    ],
    [
      "a revoked credential",
      "unauthenticated",
      async (box: BlackBox) =>
        (await box.as("operator")).delete(`/_gate/v1/credentials/${(await box.as("agent")).keyId}`),
    ],
  ])(
    "is stopped by %s that came before the last approval: refused, recorded, nothing consumed",
    async (_, code, stop) => {
      const box = await open({ policy: STORED });
      const approval = proposalOf(await ask(box));
      await box.as("bob");
      const held = await budgetOf(box);
      expect((await stop(box)).status).toBe(200);
      await decide(box, approval, ["alice"]);
      await expect
        .poll(async () => {
          await alarms(box);
          const found = await (await box.as("security")).get("/_gate/v1/audit?decision=refuse");
          return found.text;
        })
        .toContain(`"reason_code":"${code}"`);
      expect(await box.upstream.mutations()).toEqual([]);
      const shown = await (await box.as("alice")).get(`/_gate/v1/approvals/${approval}`);
      expect(text(shown, "state")).toBe("approved");
      const budget = await (await box.as("finance")).get("/_gate/v1/budget");
      expect(budget.body).toMatchObject({ daily: { held_micros: held.held } });
    },
  );

  test("is kept only where the policy says so", async () => {
    const box = await open();
    const approval = proposalOf(await ask(box));
    await decide(box, approval, ["alice"]);
    await alarms(box);
    expect(await stateOf(box, approval)).toBe("approved");
    expect(verdict(await ask(box))).toBe("201");
    expect(await box.upstream.mutations()).toHaveLength(1);
  });
});
