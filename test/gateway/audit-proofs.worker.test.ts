import { runDurableObjectAlarm } from "cloudflare:test";
import { afterEach, expect, test, vi } from "vitest";
import { z } from "zod";
import { CHECKPOINT_EVERY_MS } from "../../src/audit/tree-keeper.ts";
import { verdict, type Answered } from "../support/answer.ts";
import { useBlackBox, type BlackBox } from "../support/black-box.ts";
import { MINUTE_MS, moveClock } from "../support/clock.ts";
import { consistencyOf, leafOf, openNote, rootByProof, rootOf } from "../support/merkle.ts";
import { job, submit } from "../support/requests.ts";
import { useSlackBox } from "../support/slack-box.ts";
import { testEnv } from "../support/test-env.ts";
import { checkpointsAt, webhookAt } from "../support/webhook-place.ts";

/** What the gate has signed of its logs, and what an auditor makes of that who trusts nothing but the verifier key. */
const open = useBlackBox("audit-proofs");
const openWithSlack = useSlackBox("audit-proofs", open);

afterEach(() => void vi.useRealTimers());

const CHECKPOINT = z.strictObject({
  log: z.string(),
  size: z.int(),
  root: z.string(),
  note: z.string(),
  signed_at: z.iso.datetime(),
  verifier_key: z.string(),
});
const PROOF = z.strictObject({
  log: z.string(),
  sequence: z.int(),
  size: z.int(),
  leaf_hash: z.string(),
  hashes: z.array(z.string()),
  checkpoint: z.string().nullable(),
});
const CONSISTENCY = z.strictObject({ log: z.string(), from: z.int(), to: z.int(), hashes: z.array(z.string()) });

const security = async (box: BlackBox, path: string): Promise<Answered> =>
  (await box.as("security")).get(`/_gate/v1/audit/${path}`);

async function checkpointOf(box: BlackBox, log?: string): Promise<z.infer<typeof CHECKPOINT>> {
  const answered = await security(box, `checkpoint${log === undefined ? "" : `?log=${log}`}`);
  expect(answered.status, answered.text).toBe(200);
  return CHECKPOINT.parse(answered.body);
}

/** The log's records as their text in D1. */
async function recordsOf(box: BlackBox, log: string): Promise<readonly string[]> {
  const found = await testEnv.DB.prepare("SELECT record FROM audit WHERE tenant = ? AND log = ? ORDER BY sequence")
    .bind(box.tenant, log)
    .all<{ record: string }>();
  return found.results.map(({ record }) => record);
}

/** A tenant in whose ledger something has happened, all of it in D1. */
async function busyTenant(): Promise<BlackBox> {
  const box = await open();
  const agent = await box.as("agent");
  for (const gpus of [1, 2]) expect(verdict(await submit(agent, job({ gpus })))).toBe("201");
  await expect.poll(async () => (await checkpointOf(box)).size).toBeGreaterThanOrEqual(4);
  return box;
}

test("every record of every log is proved to be in what was signed, and everything signed goes on from what was signed before", async () => {
  const box = await busyTenant();
  const first = await checkpointOf(box);
  await submit(await box.as("agent"), job({ gpus: 1 }));
  await expect.poll(async () => (await checkpointOf(box)).size).toBeGreaterThan(first.size);
  // Whichever shard this isolate writes to.
  const logs = [...new Set(["ledger", ...(await requestLogsOf(box))])];
  expect(logs.length).toBeGreaterThan(1);
  for (const log of logs) {
    const signed = await checkpointOf(box, log);
    expect(signed.log).toBe(log);
    const name = `portcullis/${box.tenant}/${log}`;
    expect(signed.verifier_key.startsWith(`${name}+`)).toBe(true);
    expect(await openNote(signed.note, signed.verifier_key)).toEqual({
      origin: name,
      size: signed.size,
      root: signed.root,
    });
    const records = (await recordsOf(box, log)).slice(0, signed.size);
    expect(rootOf(records)).toBe(signed.root);
    for (const [index, record] of records.entries()) {
      const answered = await security(box, `proof?log=${log}&seq=${index + 1}&size=${signed.size}`);
      const proof = PROOF.parse(answered.body);
      expect([proof.log, proof.sequence, proof.size, proof.checkpoint]).toEqual([
        log,
        index + 1,
        signed.size,
        signed.note,
      ]);
      expect(proof.leaf_hash).toBe(leafOf(record));
      expect(rootByProof(leafOf(record), index, proof.size, proof.hashes)).toBe(signed.root);
    }
  }
  const last = await checkpointOf(box);
  const answered = await security(box, `consistency?from=${first.size}&to=${last.size}`);
  const records = await recordsOf(box, "ledger");
  expect(CONSISTENCY.parse(answered.body)).toEqual({
    log: "ledger",
    from: first.size,
    to: last.size,
    hashes: consistencyOf(records.slice(0, last.size), first.size),
  });
  expect(rootOf(records.slice(0, first.size))).toBe(first.root);
});

async function requestLogsOf(box: BlackBox): Promise<readonly string[]> {
  const found = await testEnv.DB.prepare("SELECT DISTINCT log FROM audit WHERE tenant = ?")
    .bind(box.tenant)
    .all<{ log: string }>();
  return found.results.map(({ log }) => log);
}

test("a proof without a size is one of the newest checkpoint, or of one that is signed for it", async () => {
  const box = await busyTenant();
  const { size } = await checkpointOf(box);
  await submit(await box.as("agent"), job({ gpus: 1 }));
  const seen = async (): Promise<Answered> => security(box, `proof?seq=${size + 1}`);
  await expect.poll(async () => (await seen()).status).toBe(200);
  const proof = PROOF.parse((await seen()).body);
  expect(proof.size).toBeGreaterThan(size);
  expect(proof.checkpoint).not.toBeNull();
  expect(CONSISTENCY.parse((await security(box, `consistency?from=${size}`)).body).to).toBe(proof.size);
});

const NOT_ANSWERED = [
  ["checkpoint?log=other", "400 malformed-request"],
  ["checkpoint?log=requests-4", "400 malformed-request"],
  ["checkpoint?seq=1", "400 malformed-request"],
  ["proof", "400 malformed-request"],
  ["proof?seq=0", "400 malformed-request"],
  ["proof?seq=-1", "400 malformed-request"],
  ["proof?seq=1e3", "400 malformed-request"],
  ["proof?seq=2&size=1", "400 malformed-request"],
  ["proof?seq=1&size=0", "400 malformed-request"],
  ["proof?seq=9999", "404 not-found"],
  ["proof?seq=1&size=9999", "404 not-found"],
  ["consistency", "400 malformed-request"],
  ["consistency?from=0", "400 malformed-request"],
  ["consistency?from=3&to=2", "400 malformed-request"],
  ["consistency?from=9999", "404 not-found"],
  ["consistency?from=1&to=9999", "404 not-found"],
] as const;

test("what is no question about a log is refused, and what a log does not have is not found", async () => {
  const box = await open();
  await expect.poll(async () => (await security(box, "checkpoint")).status).toBe(200);
  for (const [query, expected] of NOT_ANSWERED) expect(verdict(await security(box, query)), query).toBe(expected);
});

test("proofs are security's, and each tenant's are of its own logs", async () => {
  const [box, other] = [await busyTenant(), await open()];
  for (const path of ["checkpoint", "proof?seq=1", "consistency?from=1"]) {
    for (const name of ["agent", "operator", "finance", "alice", "billing"] as const)
      expect(verdict(await (await box.as(name)).get(`/_gate/v1/audit/${path}`)), name).toBe("403 out-of-scope");
  }
  const mine = await checkpointOf(box);
  await expect.poll(async () => (await security(other, "checkpoint")).status).toBe(200);
  const theirs = await checkpointOf(other);
  expect(theirs.verifier_key).toContain(`portcullis/${other.tenant}/ledger+`);
  expect(await openNote(mine.note, theirs.verifier_key)).toBeNull();
  expect(theirs.root).not.toBe(mine.root);
});

const ORIGIN = testEnv.WEBHOOK_ORIGINS.split(",").at(-1) ?? "";
const EVENT = z.strictObject({
  version: z.literal(1),
  type: z.literal("audit.checkpoint"),
  timestamp: z.iso.datetime(),
  tenant: z.string(),
  data: CHECKPOINT,
});

async function setWebhook(box: BlackBox): Promise<void> {
  const settings = { url: webhookAt(ORIGIN, box.tenant).url, secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" };
  const set = await (await box.as("operator")).put("/_gate/v1/channels/webhook", settings);
  expect(set.status, set.text).toBe(200);
}

/** What the ledger's own object and the outbox have to do by now. */
async function alarms(box: BlackBox): Promise<void> {
  await runDurableObjectAlarm(testEnv.LEDGER.getByName(box.tenant));
  await runDurableObjectAlarm(testEnv.OUTBOX.getByName(box.tenant));
}

const eventsOf = async (box: BlackBox) =>
  (await checkpointsAt(ORIGIN, box.tenant).received()).map(({ headers, body }) => ({
    id: headers["webhook-id"],
    ...EVENT.parse(JSON.parse(body)),
  }));

test("each checkpoint leaves the account by the webhook, by itself and once, and what it says verifies there", async () => {
  const box = await busyTenant();
  await setWebhook(box);
  const asked = await checkpointOf(box);
  await expect
    .poll(async () => {
      await alarms(box);
      return (await eventsOf(box)).map(({ data }) => data);
    })
    .toContainEqual(asked);
  await submit(await box.as("agent"), job({ gpus: 1 }));
  await expect.poll(async () => (await recordsOf(box, "ledger")).length).toBeGreaterThan(asked.size);
  moveClock(CHECKPOINT_EVERY_MS + 1_000);
  await expect
    .poll(async () => {
      await alarms(box);
      return (await eventsOf(box)).at(-1)?.data.size ?? 0;
    })
    .toBeGreaterThan(asked.size);
  const events = (await eventsOf(box)).filter(({ data }) => data.log === "ledger");
  expect(new Set(events.map(({ id }) => id)).size).toBe(events.length);
  for (const { id, tenant, timestamp, data } of events) {
    expect(id).toBe(`audit-checkpoint/ledger/${data.size}`);
    expect([tenant, timestamp]).toEqual([box.tenant, data.signed_at]);
    expect(await openNote(data.note, data.verifier_key)).toMatchObject({ size: data.size, root: data.root });
    expect(rootOf((await recordsOf(box, "ledger")).slice(0, data.size))).toBe(data.root);
  }
});

test("a webhook that is down gets the newest checkpoint when it is back, and no record is made of what it missed", async () => {
  const box = await busyTenant();
  await setWebhook(box);
  const hook = checkpointsAt(ORIGIN, box.tenant);
  await hook.answer(Array.from({ length: 50 }, () => ({ status: 500 })));
  let size = 0;
  for (let round = 0; round < 3; round++) {
    size = (await checkpointOf(box)).size;
    const before = (await hook.received()).length;
    await expect
      .poll(async () => {
        await alarms(box);
        return (await hook.received()).length;
      })
      .toBeGreaterThan(before);
    await submit(await box.as("agent"), job({ gpus: 1 }));
    await expect.poll(async () => (await recordsOf(box, "ledger")).length).toBeGreaterThan(size);
  }
  const last = await checkpointOf(box);
  await hook.answer([]);
  await expect
    .poll(async () => {
      await alarms(box);
      return (await eventsOf(box)).at(-1)?.data.size;
    })
    .toBe(last.size);
  const delivered = (await eventsOf(box)).length;
  moveClock(10 * MINUTE_MS);
  await alarms(box);
  expect((await eventsOf(box)).slice(delivered).filter(({ data }) => data.size < last.size)).toEqual([]);
  expect((await recordsOf(box, "ledger")).filter((record) => record.includes("undelivered"))).toEqual([]);
});

test("Slack has one message an hour with where all logs stand, however many checkpoints there are", async () => {
  const { box, slack } = await openWithSlack();
  await expect.poll(async () => (await security(box, "checkpoint")).status).toBe(200);
  const signed = await checkpointOf(box);
  const anchored = async (count: number): Promise<readonly string[]> => {
    await expect
      .poll(async () => {
        await alarms(box);
        return (await slack.anchors()).length;
      })
      .toBe(count);
    return (await slack.anchors()).map(({ text }) => text);
  };
  const [text = ""] = await anchored(1);
  expect(text).toContain(`ledger: ${signed.size} records, root ${signed.root}`);
  for (let minute = 0; minute < 3; minute++) {
    await submit(await box.as("agent"), job({ gpus: 1 }));
    await expect.poll(async () => (await checkpointOf(box)).size).toBeGreaterThan(signed.size);
    await alarms(box);
  }
  await anchored(1);
  const latest = await checkpointOf(box);
  moveClock(61 * MINUTE_MS);
  const texts = await anchored(2);
  expect(texts[1]).toContain(`root ${latest.root}`);
});
