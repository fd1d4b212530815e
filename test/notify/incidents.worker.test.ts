import { expect, test } from "vitest";
import { useBlackBox } from "../support/black-box.ts";
import { text } from "../support/answer.ts";
import { job, REASON, submit } from "../support/requests.ts";
import { PATIENCE, runAlarms, useSlackBox } from "../support/slack-box.ts";
import { testEnv } from "../support/test-env.ts";
import { webhookAt } from "../support/webhook-place.ts";

const open = useSlackBox("incidents-told", useBlackBox("incidents-told"));

const ORIGIN = testEnv.WEBHOOK_ORIGINS.split(",").at(-1) ?? "";
const SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const KEY = { ...REASON, "gate-incident": "INC-7" };

test("who works on an incident is one message in Slack, what becomes of it stands in its thread, and a webhook gets each", async () => {
  const { box, slack } = await open();
  const hook = webhookAt(ORIGIN, box.tenant);
  const settings = { url: hook.url, secret: SECRET };
  expect((await (await box.as("operator")).put("/_gate/v1/channels/webhook", settings)).status).toBe(200);
  const [agent, agent2, alice] = [await box.as("agent"), await box.as("agent2"), await box.as("alice")];
  const typesOf = async (): Promise<readonly unknown[]> =>
    (await hook.received())
      .map(({ body }): unknown => JSON.parse(body).type)
      .filter((type) => /^(incident|escalation)\./.test(String(type)));
  const until = async (...types: readonly string[]): Promise<void> => {
    await expect
      .poll(async () => {
        await runAlarms(box);
        return new Set(await typesOf());
      }, PATIENCE)
      .toEqual(new Set(types));
  };
  expect((await submit(agent, job(), KEY)).status).toBe(201);
  await until("incident.claimed");
  // As often as it likes: people hear of it once.
  for (let tries = 0; tries < 3; tries++)
    expect((await agent2.post("/v1/workloads", job({ name: "two" }), KEY)).status).toBe(409);
  await until("incident.claimed", "incident.contended");
  const resolved = await agent.post("/_gate/v1/incidents/INC-7/resolve", { outcome: "fixed", note: "drained" });
  expect(resolved.status).toBe(200);
  await until("incident.claimed", "incident.contended", "incident.resolved");
  expect(await typesOf()).toHaveLength(3);
  const titled = async () => (await slack.posted()).filter(({ text: said }) => said.startsWith("Incident"));
  await expect.poll(async () => (await titled()).length, PATIENCE).toBe(1);
  const [first] = await titled();
  if (first === undefined) throw new Error("nothing was posted");
  await expect.poll(async () => (await slack.thread(first)).length, PATIENCE).toBe(2);
  expect(await slack.thread(first)).toEqual([
    expect.stringContaining("agent:sweeper was refused"),
    expect.stringContaining("Incident INC-7: fixed"),
  ]);

  const ask = { incident: "INC-7", hypothesis: "a switch", evidence: "link down", tried: "another node" };
  const escalated = await agent.post("/_gate/v1/escalations", ask);
  await agent2.post("/_gate/v1/escalations", { ...ask, hypothesis: "a cable" });
  await until("incident.claimed", "incident.contended", "incident.resolved", "escalation.opened");
  await alice.post(`/_gate/v1/escalations/${text(escalated, "id")}/close`, { note: "replaced" });
  await until("incident.claimed", "incident.contended", "incident.resolved", "escalation.opened", "escalation.closed");
  expect(await typesOf()).toHaveLength(5);
  await expect
    .poll(async () => (await slack.posted()).filter(({ channelId }) => channelId === "C0ESCALATION").length, PATIENCE)
    .toBe(1);
  const [help] = (await slack.posted()).filter(({ channelId }) => channelId === "C0ESCALATION");
  if (help === undefined) throw new Error("nothing was posted");
  expect(help.text).toContain("It believes (incident INC-7): a switch");
  await expect.poll(() => slack.thread(help), PATIENCE).toEqual([expect.stringContaining("By person:alice: replaced")]);
});
