import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { Webhook } from "standardwebhooks";
import { afterEach, expect, test, vi } from "vitest";
import { z } from "zod";
import { REQUEST_LOGS } from "../../src/audit/request-log-port.ts";
import { verdict } from "../support/answer.ts";
import { ACME_POLICY, useBlackBox, type BlackBox } from "../support/black-box.ts";
import { MINUTE_MS, moveClock } from "../support/clock.ts";
import { job, REASON, SUBMIT } from "../support/requests.ts";
import { runAlarms, useSlackBox, type SlackBox } from "../support/slack-box.ts";
import { testEnv } from "../support/test-env.ts";
import { webhookAt, type WebhookPlace } from "../support/webhook-place.ts";

/** Tier 1 is *inform*: what was let through is told through the real logs, ledger and outbox, to Slack and to a webhook. */
const open = useSlackBox("activity", useBlackBox("activity"));

const ORIGIN = testEnv.WEBHOOK_ORIGINS.split(",").at(-1) ?? "";
const SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const EVENT = z.object({
  type: z.string(),
  data: z.object({
    requests: z.int(),
    lines: z.array(z.object({ action: z.string(), tier: z.int(), count: z.int(), reason: z.string().nullable() })),
  }),
});
const TOKEN = ["AKIA", "IOSFODNN7EXAMPLE"].join("");
const EXPLAIN = "/v1/workloads/wl_7/explain";

afterEach(() => void vi.useRealTimers());

type Told = SlackBox & { readonly hook: WebhookPlace };

async function withChannels(notify: string): Promise<Told> {
  const { box, slack } = await open({ policy: `${ACME_POLICY}\ndry_run: inline\n${notify}\n` });
  const hook = webhookAt(ORIGIN, box.tenant);
  const set = await (await box.as("operator")).put("/_gate/v1/channels/webhook", { url: hook.url, secret: SECRET });
  expect(set.status, set.text).toBe(200);
  return { box, slack, hook };
}

/** Logs chain and report, the ledger ends the period, the outbox delivers. */
async function alarms(box: BlackBox): Promise<void> {
  for (const log of REQUEST_LOGS) await runDurableObjectAlarm(testEnv.REQUEST_LOG.getByName(`${box.tenant}/${log}`));
  await runAlarms(box);
}

const eventsOf = async ({ hook }: Told) =>
  (await hook.received()).flatMap(({ headers, body }) => {
    expect(() => new Webhook(SECRET).verify(body, headers)).not.toThrow();
    const event = EVENT.safeParse(JSON.parse(body));
    return event.success && event.data.type === "activity" ? [{ id: headers["webhook-id"], ...event.data.data }] : [];
  });

/** Everything that was let through has been told: `requests` in all. */
async function toldOf(told: Told, requests: number): Promise<void> {
  moveClock(20_000);
  await alarms(told.box);
  moveClock(6 * MINUTE_MS);
  await expect
    .poll(async () => {
      await alarms(told.box);
      const events = await eventsOf(told);
      return [...new Map(events.map((event) => [event.id, event.requests])).values()].reduce(
        (sum, one) => sum + one,
        0,
      );
    })
    .toBe(requests);
}

test("tier 1 is told by default, in one message of the period, with the newest reason and no secret of it", async () => {
  const told = await withChannels("");
  const agent = await told.box.as("agent");
  for (const reason of ["first look", `token is ${TOKEN} <!channel>`])
    expect((await agent.post(EXPLAIN, {}, { "gate-reason": reason })).status).toBeLessThan(500);
  expect((await agent.get("/v1/workloads")).status).toBe(200);
  await toldOf(told, 2);
  const [event, ...others] = await eventsOf(told);
  expect(others).toEqual([]);
  expect(event?.id).toMatch(/^activity\/req_/);
  expect(event?.lines).toMatchObject([{ action: "workloads.explain", tier: 1, count: 2 }]);
  expect(event?.lines[0]?.reason).toContain("token is");
  expect(JSON.stringify(event)).not.toContain(TOKEN);
  await expect
    .poll(async () => (await told.slack.posted()).map(({ text }) => text.split(".")[0]))
    .toEqual(["Activity: 2 requests let through"]);
  const [message] = await told.slack.posted();
  expect(message?.channelId).toBe("C0APPROVALS");
  expect(message?.text).not.toMatch(/AKIA|<!channel>/);
});

test("an action is told by its name whatever its tier, together with reads that the policy names; refusals are not", async () => {
  const told = await withChannels("notify: { tiers: [0], actions: [workloads.submit] }");
  const agent = await told.box.as("agent");
  expect(verdict(await agent.post(SUBMIT, job(), REASON))).toBe("201");
  expect(verdict(await agent.post(SUBMIT, job({ gpus: 500 }), REASON))).toBe("403 constraint-exceeded");
  expect((await agent.get("/v1/workloads")).status).toBe(200);
  expect((await agent.post(EXPLAIN, {})).status).toBeLessThan(500);
  await toldOf(told, 2);
  expect((await eventsOf(told)).flatMap(({ lines }) => lines)).toMatchObject([
    { action: "workloads.submit", tier: 2, count: 1, reason: "nightly training" },
    { action: "workloads.list", tier: 0, count: 1 },
  ]);
});

test("nothing is counted and told where the policy switches it off", async () => {
  const told = await withChannels("notify: { tiers: [] }");
  const agent = await told.box.as("agent");
  expect((await agent.post(EXPLAIN, {})).status).toBeLessThan(500);
  await toldOf(told, 0);
  const rows = await runInDurableObject(testEnv.LEDGER.getByName(told.box.tenant), (_, { storage }) =>
    storage.sql.exec("SELECT log FROM activity_batches").toArray(),
  );
  expect([rows, await told.slack.posted()]).toEqual([[], []]);
});
