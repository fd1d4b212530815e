import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { Webhook } from "standardwebhooks";
import { afterEach, describe, expect, test, vi } from "vitest";
import { z } from "zod";
import type { BudgetChange, MoneyAlert } from "../../src/ledger/money/finance-port.ts";
import { noteAlert } from "../../src/ledger/notices.ts";
import { outboxOf } from "../../src/outbox/port.ts";
import { useBlackBox, type BlackBox } from "../support/black-box.ts";
import { ledgerRecords } from "../support/books.ts";
import { moveClock } from "../support/clock.ts";
import { CONTEXT, job, proposalOf, SUBMIT } from "../support/requests.ts";
import { runAlarms, useSlackBox, type SlackBox } from "../support/slack-box.ts";
import { testEnv } from "../support/test-env.ts";
import { webhookAt, type WebhookPlace } from "../support/webhook-place.ts";
import { CHANGE, OVERRUN, REFUSED, THRESHOLD } from "../slack/money-alerts.ts";

/** Money is told through the real ledger and outbox, to Slack and to a webhook, each by itself. */
const open = useSlackBox("alerts", useBlackBox("alerts"));

const ORIGIN = testEnv.WEBHOOK_ORIGINS.split(",").at(-1) ?? "";
const SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const EVENT = z.object({
  type: z.string(),
  tenant: z.string(),
  timestamp: z.string(),
  data: z.record(z.string(), z.json()),
});

const CHANGED = z.object({ id: z.string(), event: z.string(), state: z.string() });

afterEach(() => void vi.useRealTimers());

type Told = SlackBox & { readonly hook: WebhookPlace };

/** A tenant with both channels. */
async function withChannels(): Promise<Told> {
  const { box, slack } = await open();
  const hook = webhookAt(ORIGIN, box.tenant);
  const set = await (await box.as("operator")).put("/_gate/v1/channels/webhook", { url: hook.url, secret: SECRET });
  expect(set.status, set.text).toBe(200);
  return { box, slack, hook };
}

const inOrder = (texts: readonly string[]): readonly string[] => texts.toSorted((a, b) => a.localeCompare(b));

/** Notes alerts as the ledger's own transactions do. */
const note = (box: BlackBox, ...alerts: readonly MoneyAlert[]): Promise<readonly boolean[]> =>
  runInDurableObject(testEnv.LEDGER.getByName(box.tenant), async (_, { storage }) => {
    const isNew = alerts.map((alert) => noteAlert(storage.sql, alert, Date.now()));
    await storage.setAlarm(Date.now());
    return isNew;
  });

const outboxObject = (box: BlackBox): DurableObjectStub => testEnv.OUTBOX.getByName(box.tenant);

const WAITING = z.object({ id: z.string(), attempts: z.int() });
const waiting = (box: BlackBox): Promise<readonly z.infer<typeof WAITING>[]> =>
  runInDurableObject(outboxObject(box), (_, { storage }) =>
    z.array(WAITING).parse(storage.sql.exec("SELECT id, attempts FROM jobs ORDER BY id").toArray()),
  );

const notHandedOver = (box: BlackBox): Promise<number> =>
  runInDurableObject(testEnv.LEDGER.getByName(box.tenant), (_, { storage }) =>
    Number(storage.sql.exec("SELECT count(*) AS n FROM notices").one()["n"]),
  );

/** Everything has been told or given up: nothing waits in the ledger or in the outbox. */
async function settled(box: BlackBox): Promise<void> {
  await expect
    .poll(async () => {
      await runAlarms(box);
      return [await notHandedOver(box), await waiting(box)];
    })
    .toEqual([0, []]);
}

const eventsOf = async (hook: WebhookPlace) =>
  (await hook.received()).map(({ headers, body }) => ({
    id: headers["webhook-id"] ?? "",
    headers,
    body,
    ...EVENT.parse(JSON.parse(body)),
  }));

const messagesOf = async ({ slack }: Told): Promise<readonly (readonly [channel: string, title: string])[]> =>
  (await slack.posted()).map(({ channelId, text }) => [channelId, text.split(".")[0] ?? ""]);

/** In the order of the alphabet: channels work side by side. */
const undelivered = async (box: BlackBox): Promise<readonly string[]> =>
  inOrder(
    (await ledgerRecords(box.tenant)).flatMap((record) =>
      record.reason_code === "notice-undelivered" ? [record.detail ?? ""] : [],
    ),
  );

/** The outbox of this tenant finds `changes` in the ledger, and everything else as it is. */
async function withChanges(box: BlackBox, changes: readonly BudgetChange[]): Promise<void> {
  const budgetChange = async (id: string): Promise<BudgetChange | null> =>
    changes.find((change) => change.id === id) ?? null;
  const getByName = (name: string) => {
    const stub = testEnv.LEDGER.getByName(name);
    return new Proxy(stub, {
      get: (_, method) => (method === "budgetChange" ? budgetChange : Reflect.get(stub, method)),
    });
  };
  await runInDurableObject(outboxObject(box), (instance) => {
    Object.assign(instance, { env: { ...testEnv, LEDGER: { getByName } } });
  });
}

describe("money", () => {
  test("is told once to each channel, where the policy says, although it is noted and handed over again and again", async () => {
    const told = await withChannels();
    const { box, hook } = told;
    const alerts = [THRESHOLD, { ...REFUSED, principal: "agent:trainer.v2" }, OVERRUN];
    expect(await note(box, ...alerts, ...alerts)).toEqual([true, true, true, false, false, false]);
    await settled(box);
    const handOver = { id: "budget-threshold/2026-11-20/80", kind: "alert", alert: THRESHOLD, at: Date.now() } as const;
    const outbox = outboxOf(testEnv.OUTBOX, box.tenant);
    await Promise.all([outbox.accept(box.tenant, [handOver, handOver]), outbox.accept(box.tenant, [handOver])]);
    await evictDurableObject(outboxObject(box));
    await note(box, ...alerts);
    await settled(box);

    expect(new Set(await messagesOf(told))).toEqual(
      new Set([
        ["C0APPROVALS", "Budget: 80 % of the cap of day 2026-11-20 is taken"],
        ["C0APPROVALS", "Refused, over budget: workloads"],
        ["C0ESCALATION", "Overrun: 34"],
      ]),
    );
    expect(await messagesOf(told)).toHaveLength(3);
    const events = await eventsOf(hook);
    for (const { headers, body, tenant } of events) {
      expect(() => new Webhook(SECRET).verify(body, headers)).not.toThrow();
      expect(tenant).toBe(box.tenant);
    }
    expect(inOrder(events.map(({ id, type }) => `${type} ${id}`))).toEqual([
      `budget.overrun budget-overrun/${OVERRUN.requestId}`,
      // A full stop would separate what is signed.
      "budget.refused budget-refused/2026-11-20/agent:trainer%2Ev2",
      "budget.threshold budget-threshold/2026-11-20/80",
    ]);
    expect(await undelivered(box)).toEqual([]);
  });

  test("comes late where a channel is down, and the other channel does not wait for it", async () => {
    const told = await withChannels();
    const { box, slack, hook } = told;
    await slack.failNext("chat.postMessage", { kind: "status", status: 503 });
    await hook.answer([{ status: 500 }, {}]);
    await note(box, THRESHOLD);
    await expect.poll(async () => [(await slack.look()).calls.length, (await hook.received()).length]).toEqual([1, 1]);
    expect(await messagesOf(told)).toEqual([]);
    expect(await waiting(box)).toEqual([
      { id: "slack/budget-threshold/2026-11-20/80", attempts: 1 },
      { id: "webhook/budget-threshold/2026-11-20/80", attempts: 1 },
    ]);
    moveClock(6_000);
    await settled(box);
    expect(await messagesOf(told)).toHaveLength(1);
    const events = await eventsOf(hook);
    expect(events.map(({ id }) => id)).toEqual(Array.from({ length: 2 }, () => "budget-threshold/2026-11-20/80"));
    expect(new Set(events.map(({ timestamp }) => timestamp)).size).toBe(1);
  });

  test("that cannot be told stands in the audit record, and notices of proposals go on", async () => {
    const told = await withChannels();
    const { box, slack, hook } = told;
    await slack.failNext("chat.postMessage", { kind: "error", error: "not_in_channel" });
    await hook.answer([{ status: 410 }]);
    await note(box, REFUSED);
    await settled(box);
    await expect
      .poll(async () => await undelivered(box))
      .toEqual([
        "slack: budget-refused/2026-11-20/agent:trainer: post: not_in_channel",
        "webhook: budget-refused/2026-11-20/agent:trainer: answered 410: the webhook wants no more",
      ]);
    const approval = proposalOf(await (await box.as("agent")).post(SUBMIT, job({ gpus: 8 }), CONTEXT));
    await settled(box);
    expect((await eventsOf(hook)).map(({ type, data }) => [type, data["id"]]).at(-1)).toEqual([
      "approval.opened",
      approval,
    ]);
    expect(await messagesOf(told)).toHaveLength(1);
  });

  test("waits for nobody's decision: a change is told as it stands, and one that is decided is not asked about", async () => {
    const told = await withChannels();
    const { box, hook } = told;
    const denied: BudgetChange = { ...CHANGE, id: "bud_denied", state: "denied" };
    await withChanges(box, [CHANGE, denied]);
    await note(
      box,
      { kind: "budget-change", id: CHANGE.id, event: "asked" },
      { kind: "budget-change", id: denied.id, event: "asked" },
      { kind: "budget-change", id: denied.id, event: "denied" },
      { kind: "budget-change", id: "bud_unknown", event: "asked" },
    );
    await settled(box);
    expect(inOrder((await messagesOf(told)).map(([, title]) => title))).toEqual([
      "Budget, denied: day's cap 500",
      "Budget, to be decided: day's cap 500",
    ]);
    const events = await eventsOf(hook);
    expect(inOrder(events.map(({ data }) => Object.values(CHANGED.parse(data)).join(" ")))).toEqual(
      inOrder([`${CHANGE.id} asked pending`, `${denied.id} asked denied`, `${denied.id} denied denied`]),
    );
    await expect
      .poll(async () => await undelivered(box))
      .toEqual(["slack", "webhook"].map((name) => `${name}: bud_unknown/asked: the ledger has no such change`));
  });

  test("is told to nobody where the tenant has set up nothing", async () => {
    const { box, slack, hook } = await withChannels();
    const operator = await box.as("operator");
    for (const name of ["slack", "webhook"]) await operator.delete(`/_gate/v1/channels/${name}`);
    await note(box, THRESHOLD);
    await settled(box);
    await runDurableObjectAlarm(outboxObject(box));
    expect([await slack.posted(), await hook.received(), await undelivered(box)]).toEqual([[], [], []]);
  });
});
