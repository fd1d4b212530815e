import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { Webhook } from "standardwebhooks";
import { afterEach, describe, expect, test, vi } from "vitest";
import { z } from "zod";
import type { ProposalHandOver } from "../../src/ledger/notices.ts";
import { outboxOf } from "../../src/outbox/port.ts";
import { text } from "../support/answer.ts";
import { ACME_POLICY, replaceOnce, useBlackBox, type BlackBox } from "../support/black-box.ts";
import { ledgerRecords } from "../support/books.ts";
import { CONTEXT, decide, job, proposalOf, SUBMIT } from "../support/requests.ts";
import { testEnv } from "../support/test-env.ts";
import { webhookAt, type WebhookPlace, type WebhookReceived } from "../support/webhook-place.ts";

/** The webhook channel through the real outbox: what the ledger noted arrives, signed, whatever the other side does. */
const open = useBlackBox("webhook");

const ORIGIN = testEnv.WEBHOOK_ORIGINS.split(",").at(-1) ?? "";
const SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const EVENT = z.strictObject({
  version: z.literal(1),
  type: z.string(),
  timestamp: z.iso.datetime(),
  tenant: z.string(),
  data: z.record(z.string(), z.json()),
});
type Event = z.infer<typeof EVENT>;

afterEach(() => void vi.restoreAllMocks());

/** Stops the clock of the gate and its objects. Not vitest's: `expect.poll` would move that. */
function stopClock(): { readonly set: (now: number) => void } {
  let stopped = Date.now();
  vi.spyOn(Date, "now").mockImplementation(() => stopped);
  return { set: (now) => void (stopped = now) };
}

const outboxObject = (box: BlackBox): DurableObjectStub => testEnv.OUTBOX.getByName(box.tenant);

/** Ledger, then outbox. Alarms fire by themselves too; either is fine. */
async function alarms(box: BlackBox): Promise<void> {
  await runDurableObjectAlarm(testEnv.LEDGER.getByName(box.tenant));
  await runDurableObjectAlarm(outboxObject(box));
}

/** A tenant whose webhook is at the stand-in. */
async function withWebhook(policy = ACME_POLICY): Promise<{ readonly box: BlackBox; readonly hook: WebhookPlace }> {
  const box = await open({ policy });
  const hook = webhookAt(ORIGIN, box.tenant);
  const set = await (await box.as("operator")).put("/_gate/v1/channels/webhook", { url: hook.url, secret: SECRET });
  expect(set.status, set.text).toBe(200);
  return { box, hook };
}

const ask = async (box: BlackBox): Promise<string> =>
  proposalOf(await (await box.as("agent")).post(SUBMIT, job({ gpus: 8 }), CONTEXT));

const noticeOf = (approvalId: string, id: string): ProposalHandOver => ({
  id,
  kind: "reminder",
  approvalId,
  requestId: null,
  at: Date.now(),
});

const eventOf = ({ body }: WebhookReceived): Event => EVENT.parse(JSON.parse(body));

const tokenOf = ({ data }: Event): string => z.string().default("").parse(data["token"]);

const idsOf = (received: readonly WebhookReceived[]): readonly string[] =>
  received.map(({ headers }) => headers["webhook-id"] ?? "");

/** Waits for exactly these events: of approvals, unless the type says otherwise. */
async function arrived(box: BlackBox, hook: WebhookPlace, types: readonly string[]): Promise<readonly Event[]> {
  await expect
    .poll(async () => {
      await alarms(box);
      return (await hook.received()).map((one) => eventOf(one).type).toSorted();
    })
    .toEqual(types.map((type) => (type.includes(".") ? type : `approval.${type}`)).toSorted());
  return (await hook.received()).map(eventOf);
}

const JOB_ROW = z.object({ id: z.string(), attempts: z.int(), due_at: z.int() });

/** What waits in a lane of the outbox. */
const waiting = async (box: BlackBox, lane: string): Promise<readonly z.infer<typeof JOB_ROW>[]> =>
  runInDurableObject(outboxObject(box), (_, { storage }) =>
    z
      .array(JOB_ROW)
      .parse(
        storage.sql.exec("SELECT id, attempts, due_at FROM jobs WHERE lane = ? ORDER BY due_at, id", lane).toArray(),
      ),
  );

/** Everything that the webhook has been told so far, and nothing waits. */
async function settled(box: BlackBox): Promise<void> {
  await expect
    .poll(async () => {
      await alarms(box);
      return waiting(box, "webhook");
    })
    .toEqual([]);
}

const undelivered = async (box: BlackBox): Promise<readonly (string | null)[]> =>
  (await ledgerRecords(box.tenant)).flatMap((record) =>
    record.reason_code === "notice-undelivered" ? [record.detail] : [],
  );

describe("what happens to a proposal", () => {
  test("reaches the webhook as one signed event each, in the form of the gate's own API", async () => {
    const { box, hook } = await withWebhook();
    const agent = await box.as("agent");
    const approval = await ask(box);
    await arrived(box, hook, ["opened"]);
    await decide(box, approval, ["alice"]);
    await arrived(box, hook, ["opened", "decided", "approved"]);
    expect((await agent.post(SUBMIT, job({ gpus: 8 }))).status).toBe(201);
    const events = await arrived(box, hook, ["opened", "decided", "approved", "consumed", "executed"]);

    const received = await hook.received();
    for (const { headers, body } of received) {
      expect(headers["content-type"]).toBe("application/json");
      expect(() => new Webhook(SECRET).verify(body, headers)).not.toThrow();
    }
    expect(new Set(idsOf(received)).size).toBe(5);
    for (const { tenant, data } of events) expect([tenant, data["id"]]).toEqual([box.tenant, approval]);
    const now = await (await box.as("alice")).get(`/_gate/v1/approvals/${approval}`);
    const [last] = events.filter(({ type }) => type === "approval.executed");
    const { operation, ...shown } = last?.data ?? {};
    expect(shown).toEqual(now.body);
    expect(operation).toEqual({
      request_id: text(now, "consumed_by"),
      state: "succeeded",
      upstream_status: 201,
    });
    expect(events.filter(({ data }) => "operation" in data || "refused" in data)).toHaveLength(1);
  });

  test("once approved comes with the token, which runs the request once and for its requester alone", async () => {
    const { box, hook } = await withWebhook();
    const approval = await ask(box);
    await decide(box, approval, ["alice"]);
    const events = await arrived(box, hook, ["opened", "decided", "approved"]);
    expect(events.flatMap(({ type, data }) => ("token" in data ? [type] : []))).toEqual(["approval.approved"]);
    const token = { "gate-approval": events.map(tokenOf).join("") };
    const run = async (name: "agent" | "agent2") => (await box.as(name)).post(SUBMIT, job({ gpus: 8 }), token);
    expect((await run("agent2")).status).toBe(403);
    expect((await run("agent")).status).toBe(201);
    expect(await box.upstream.mutations()).toHaveLength(1);
  });

  test("that the gate could not run says which refusal it met", async () => {
    const { box, hook } = await withWebhook(
      replaceOnce(ACME_POLICY, "timeout_minutes: 30", "timeout_minutes: 30\n  execute: stored"),
    );
    const approval = await ask(box);
    await (await box.as("operator")).post("/_gate/v1/freeze", { reason: "incident 7" });
    await decide(box, approval, ["alice"]);
    const events = await arrived(box, hook, ["opened", "decided", "approved", "execution_refused", "audit.signal"]);
    const [signal] = events.filter(({ type }) => type === "audit.signal");
    expect(signal?.data).toMatchObject({
      signal: "frozen",
      scope: "tenant",
      by: "person:operator",
      reason: "incident 7",
    });
    const [refused] = events.filter(({ type }) => type === "approval.execution_refused");
    expect(refused?.data["refused"]).toEqual({ request_id: expect.stringMatching(/^req_/), slug: "frozen" });
  });

  test("is told to nobody where the tenant has set up nothing, or has removed it", async () => {
    const { box, hook } = await withWebhook();
    const approval = await ask(box);
    await settled(box);
    const before = await hook.received();
    await (await box.as("operator")).delete("/_gate/v1/channels/webhook");
    await decide(box, approval, ["alice"]);
    await settled(box);
    expect(await hook.received()).toEqual(before);
    expect(await undelivered(box)).toEqual([]);
  });
});

describe("a notice", () => {
  test("that is handed over again and again is delivered once", async () => {
    const { box, hook } = await withWebhook();
    const approval = await ask(box);
    await settled(box);
    const outbox = outboxOf(testEnv.OUTBOX, box.tenant);
    const notice = noticeOf(approval, `${approval}/reminder`);
    await Promise.all([outbox.accept(box.tenant, [notice, notice]), outbox.accept(box.tenant, [notice])]);
    await settled(box);
    await evictDurableObject(outboxObject(box));
    await outbox.accept(box.tenant, [notice]);
    await settled(box);
    expect(idsOf(await hook.received())).toEqual([`${approval}/opened`, `${approval}/reminder`]);
  });

  test("that fails is repeated with growing waits, always under its id and freshly signed, and given up on the record", async () => {
    const { box, hook } = await withWebhook();
    const logged = (["info", "warn", "error"] as const).map((level) =>
      vi.spyOn(console, level).mockImplementation(() => undefined),
    );
    const approval = await ask(box);
    await settled(box);
    await decide(box, approval, ["alice"]);
    await settled(box);
    await hook.answer(Array.from({ length: 20 }, () => ({ status: 500 })));
    const told = (await hook.received()).length;
    const clock = stopClock();
    // Again as it was noted: approved, with its token.
    const notice: ProposalHandOver = { ...noticeOf(approval, `${approval}/approved/again`), kind: "approved" };
    await outboxOf(testEnv.OUTBOX, box.tenant).accept(box.tenant, [notice]);
    const waits: number[] = [];
    for (let tries = 1; tries <= 10; tries++) {
      await expect
        .poll(async () => {
          await runDurableObjectAlarm(outboxObject(box));
          return (await hook.received()).length - told;
        })
        .toBe(tries);
      await expect
        .poll(async () => (await waiting(box, "webhook"))[0]?.attempts)
        .toBe(tries === 10 ? undefined : tries);
      const [left] = await waiting(box, "webhook");
      if (left === undefined) break;
      waits.push((left.due_at - Date.now()) / 1_000);
      clock.set(left.due_at);
    }
    expect(waits).toEqual([5, 15, 60, 120, 300, 600, 1_200, 2_400, 3_600]);
    const tried = (await hook.received()).slice(told);
    expect(new Set(idsOf(tried))).toEqual(new Set([notice.id]));
    expect(new Set(tried.map((one) => eventOf(one).timestamp))).toEqual(new Set([new Date(notice.at).toISOString()]));
    const times = tried.map(({ headers }) => Number(headers["webhook-timestamp"]));
    expect(times.at(-1)).toBe(Math.floor(Date.now() / 1_000));
    expect(times).toEqual(times.toSorted((a, b) => a - b));
    expect(times.slice(1).map((time, index) => time - (times[index] ?? 0))).toEqual(waits);
    for (const { headers, body } of [tried.at(0), tried.at(-1)].flatMap((one) => one ?? [])) {
      clock.set(Number(headers["webhook-timestamp"]) * 1_000);
      expect(() => new Webhook(SECRET).verify(body, headers)).not.toThrow();
    }
    await expect.poll(() => undelivered(box)).toEqual([`webhook: approved of ${approval}: answered 500`]);

    const token = tried.slice(0, 1).map(eventOf).map(tokenOf).join("");
    expect(token).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+$/);
    const written = JSON.stringify([logged.map((spy) => spy.mock.calls), await ledgerRecords(box.tenant)]);
    for (const secret of [token, SECRET.slice("whsec_".length), hook.url]) expect(written).not.toContain(secret);
  });

  test("does not hold up those that came after it, and comes again when it is due", async () => {
    const { box, hook } = await withWebhook();
    const approval = await ask(box);
    await settled(box);
    await hook.answer([{ status: 500 }, {}, { status: 503, headers: { "retry-after": "90" } }]);
    const clock = stopClock();
    const names = ["a", "b", "c", "d"];
    await outboxOf(testEnv.OUTBOX, box.tenant).accept(
      box.tenant,
      names.map((name) => noticeOf(approval, `${approval}/${name}`)),
    );
    const heard = async () =>
      idsOf(await hook.received())
        .slice(1)
        .map((id) => id.at(-1));
    await expect.poll(heard).toEqual(["a", "b", "c", "d"]);
    await expect
      .poll(async () => (await waiting(box, "webhook")).map(({ due_at: due }) => due - Date.now()))
      .toEqual([5_000, 90_000]);
    for (const moved of [4_999, 1, 84_999, 1]) {
      clock.set(Date.now() + moved);
      await runDurableObjectAlarm(outboxObject(box));
    }
    await expect.poll(heard).toEqual(["a", "b", "c", "d", "a", "c"]);
    await settled(box);
  });

  test.each([
    ["a redirect is not followed: it is tried again where it was sent", 307, 1],
    ["410 is final", 410, 0],
  ])("%s", async (_, status, left) => {
    const { box, hook } = await withWebhook();
    const elsewhere = webhookAt(ORIGIN, `${box.tenant}-elsewhere`);
    await hook.answer([{ status, headers: { location: elsewhere.url } }]);
    await ask(box);
    await expect
      .poll(async () => {
        await alarms(box);
        return (await hook.received()).length;
      })
      .toBe(1);
    await expect
      .poll(async () => (await waiting(box, "webhook")).map(({ attempts }) => attempts))
      .toEqual(left === 1 ? [1] : []);
    expect(await elsewhere.received()).toEqual([]);
    await expect.poll(async () => (await undelivered(box)).length).toBe(1 - left);
  });

  test("goes nowhere when the deployment no longer allows the webhook's origin, and the record says so", async () => {
    const { box, hook } = await withWebhook();
    await runInDurableObject(outboxObject(box), (instance) => {
      Object.assign(instance, { env: { ...testEnv, WEBHOOK_ORIGINS: "https://hooks.example" } });
    });
    const approval = await ask(box);
    await settled(box);
    expect(await hook.received()).toEqual([]);
    await expect
      .poll(() => undelivered(box))
      .toEqual([`webhook: opened of ${approval}: its origin is not among the deployment's WEBHOOK_ORIGINS`]);
  });
});

describe("a webhook that hangs", () => {
  test("delays neither Slack nor look-ups, nor what comes for them meanwhile", async () => {
    const { box, hook } = await withWebhook();
    await hook.answer([{ hang: true }]);
    const approval = await ask(box);
    const hangs = async (): Promise<boolean> => (await hook.received()).length === 1;
    await expect.poll(hangs).toBe(true);
    // Both come while the alarm waits for the webhook's answer.
    await runInDurableObject(outboxObject(box), (_, { storage }) => {
      const slack = {
        kind: "notice",
        tenant: box.tenant,
        channel: "slack",
        notice: { ...noticeOf(approval, "s"), detail: null },
      };
      storage.sql.exec(
        "INSERT INTO jobs (id, lane, due_at, job) VALUES ('slack/s', 'slack', 0, ?)",
        JSON.stringify(slack),
      );
    });
    const outbox = outboxOf(testEnv.OUTBOX, box.tenant);
    await outbox.lookUp({ tenant: box.tenant, requestId: "req_1", catalogue: `sha256:${"0".repeat(64)}`, sent: "v1" });
    await outbox.accept(box.tenant, [noticeOf(approval, `${approval}/reminder`)]);
    await expect.poll(async () => [...(await waiting(box, "slack")), ...(await waiting(box, "look-up"))]).toEqual([]);
    expect((await waiting(box, "webhook")).map(({ attempts }) => attempts)).toEqual([0, 1]);
    expect(await hangs()).toBe(true);
    await hook.release();
    await settled(box);
    expect(idsOf(await hook.received())).toEqual([`${approval}/opened`, `${approval}/reminder`]);
  });
});
