import { runDurableObjectAlarm } from "cloudflare:test";
import { Webhook } from "standardwebhooks";
import { expect, test } from "vitest";
import { z } from "zod";
import { AUDIT_LOGS, LEDGER_LOG } from "../../src/audit/tree-port.ts";
import { storedRows } from "../audit/fixture.ts";
import { verdict } from "../support/answer.ts";
import { useBlackBox, type BlackBox } from "../support/black-box.ts";
import { job, submit } from "../support/requests.ts";
import { testEnv } from "../support/test-env.ts";
import { webhookAt, type WebhookPlace, type WebhookReceived } from "../support/webhook-place.ts";

/** The tenant's audit webhook, from its setting up to its end. */
const open = useBlackBox("audit-webhook");

const ORIGIN = testEnv.WEBHOOK_ORIGINS.split(",").at(-1) ?? "";
const SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const CHANNEL = "/_gate/v1/channels/audit-webhook";
/** Longer than the ten seconds that a few records wait. */
const PATIENCE = { timeout: 40_000, interval: 500 };

const EVENT = z.looseObject({ source: z.string(), id: z.string(), data: z.json() });
const textsOf = ({ body, headers }: WebhookReceived): readonly string[] => {
  const events = z.array(EVENT).parse(new Webhook(SECRET).verify(body, headers));
  return events.map(({ data }) => JSON.stringify(data));
};

const alarms = (box: BlackBox): Promise<unknown> =>
  Promise.all(
    AUDIT_LOGS.map((log) =>
      runDurableObjectAlarm(
        log === LEDGER_LOG
          ? testEnv.LEDGER.getByName(box.tenant)
          : testEnv.REQUEST_LOG.getByName(`${box.tenant}/${log}`),
      ),
    ),
  );

/** Records that the receiver has, of each log in the order in which they came. */
async function receivedBy(hook: WebhookPlace): Promise<ReadonlyMap<string, readonly string[]>> {
  const byLog = new Map<string, string[]>();
  for (const text of (await hook.received()).flatMap(textsOf)) {
    const { log } = z.object({ log: z.string() }).parse(JSON.parse(text));
    byLog.set(log, [...(byLog.get(log) ?? []), text]);
  }
  return byLog;
}

test(
  "every record from the setting up on reaches it as it is in D1, until security ends it",
  { timeout: 90_000 },
  async () => {
    const box = await open();
    const hook = webhookAt(ORIGIN, `audit-${box.tenant}`);
    const [security, operator, agent] = [await box.as("security"), await box.as("operator"), await box.as("agent")];
    await submit(agent, job());
    for (const other of [operator, agent])
      expect(verdict(await other.put(CHANNEL, { url: hook.url, secret: SECRET }))).toBe("403 out-of-scope");
    expect(verdict(await security.put(CHANNEL, { url: "https://elsewhere.example/x", secret: SECRET }))).toBe(
      "400 malformed-request",
    );
    const set = await security.put(CHANNEL, { url: hook.url, secret: SECRET });
    expect(set.body).toEqual({ name: "audit-webhook", origin: ORIGIN });
    await submit(agent, job());
    await agent.get("/v1/workloads");
    const kinds = async (): Promise<readonly string[]> => {
      await alarms(box);
      const ledger = (await receivedBy(hook)).get("ledger") ?? [];
      return ledger.map((text) => z.object({ kind: z.string() }).parse(JSON.parse(text)).kind);
    };
    await expect.poll(kinds, PATIENCE).toEqual(["intent", "outcome"]);
    await expect.poll(async () => (await alarms(box), (await receivedBy(hook)).size), PATIENCE).toBeGreaterThan(1);
    for (const [log, texts] of await receivedBy(hook)) {
      const stored = (await storedRows({ tenant: box.tenant, log })).map((row) => String(row["record"]));
      const from = stored.indexOf(texts[0] ?? "");
      expect(from, log).toBeGreaterThanOrEqual(0);
      expect(stored.slice(from, from + texts.length), `${log} as it is in D1`).toEqual(texts);
    }
    expect(verdict(await operator.delete(CHANNEL)), "the operator cannot silence it").toBe("403 out-of-scope");
    expect((await security.get("/_gate/v1/channels")).text).toContain("audit-webhook");
    expect((await security.delete(CHANNEL)).body).toEqual({ name: "audit-webhook", removed: true });
    const before = (await hook.received()).length;
    await submit(agent, job());
    await alarms(box);
    expect((await hook.received()).length).toBe(before);
    expect((await security.get("/_gate/v1/channels")).text).not.toContain("audit-webhook");
  },
);
