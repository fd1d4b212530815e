import { afterEach, describe, expect, test, vi } from "vitest";
import { list, member, text, verdict } from "../support/answer.ts";
import { caller, useBlackBox, type BlackBox } from "../support/black-box.ts";
import { moveClock } from "../support/clock.ts";
import { openIsolate } from "../support/isolates.ts";
import { CONTEXT, decide, job, proposalOf, REASON, receiptFor, submit, SUBMIT } from "../support/requests.ts";

const open = useBlackBox("credentials");

afterEach(() => {
  vi.useRealTimers();
});

/** Oldest snapshot that a read may be judged by, in milliseconds (wire contract, section 9). */
const READ_BOUND_MS = 30_000;

async function revoke(box: BlackBox, keyId: string): Promise<void> {
  expect(verdict(await (await box.as("operator")).delete(`/_gate/v1/credentials/${keyId}`))).toBe("200");
}

describe("a revoked credential", () => {
  test("is refused at once for writes, also by an isolate that has not heard of it", async () => {
    const box = await open();
    const agent = await box.as("agent");
    const elsewhere = agent.through(openIsolate().entrance);
    const receipt = await receiptFor(elsewhere, job());
    await revoke(box, agent.keyId);
    for (const each of [elsewhere, agent]) {
      expect(verdict(await each.post(SUBMIT, job(), { ...REASON, "gate-plan": receipt }))).toBe("401 unauthenticated");
    }
    expect(await box.upstream.mutations()).toEqual([]);
  });

  test("is refused for a plan and for an approval as for a write", async () => {
    const box = await open();
    const agent = await box.as("agent");
    await decide(box, proposalOf(await agent.post(SUBMIT, job({ gpus: 8 }), CONTEXT)), ["alice"]);
    const elsewhere = agent.through(openIsolate().entrance);
    expect(verdict(await elsewhere.get(SUBMIT))).toBe("200");
    await revoke(box, agent.keyId);
    expect(verdict(await elsewhere.post(SUBMIT, job({ gpus: 8 })))).toBe("401 unauthenticated");
    expect(verdict(await elsewhere.post(SUBMIT, job(), { ...REASON, "gate-dry-run": "?1" }))).toBe(
      "401 unauthenticated",
    );
    expect(await box.upstream.mutations()).toEqual([]);
  });

  test("is refused for reads at once where it was revoked, and within 30 s by every warm isolate", async () => {
    const box = await open();
    const agent = await box.as("agent");
    const elsewhere = agent.through(openIsolate().entrance);
    expect(verdict(await elsewhere.get(SUBMIT))).toBe("200");
    await revoke(box, agent.keyId);
    expect(verdict(await agent.get(SUBMIT))).toBe("401 unauthenticated");
    expect(verdict(await agent.through(openIsolate().entrance).get(SUBMIT))).toBe("401 unauthenticated");
    moveClock(READ_BOUND_MS);
    expect(verdict(await elsewhere.get(SUBMIT))).toBe("401 unauthenticated");
  });

  test("is refused sooner by an isolate that is in use: it looks again from half the bound on", async () => {
    const box = await open();
    const agent = await box.as("agent");
    const isolate = openIsolate();
    const elsewhere = agent.through(isolate.entrance);
    expect(verdict(await elsewhere.get(SUBMIT))).toBe("200");
    await revoke(box, agent.keyId);
    moveClock(READ_BOUND_MS / 2);
    await elsewhere.get(SUBMIT);
    await isolate.idle();
    expect(verdict(await elsewhere.get(SUBMIT))).toBe("401 unauthenticated");
  });

  test("is refused on the gate's own routes at once", async () => {
    const box = await open();
    const alice = (await box.as("alice")).through(openIsolate().entrance);
    expect(verdict(await alice.get("/_gate/v1/whoami"))).toBe("200");
    await revoke(box, alice.keyId);
    expect(verdict(await alice.get("/_gate/v1/whoami"))).toBe("401 unauthenticated");
  });

  test("decides nothing any more", async () => {
    const box = await open();
    const approval = proposalOf(await (await box.as("agent")).post(SUBMIT, job({ gpus: 8 }), CONTEXT));
    const alice = await box.as("alice");
    await revoke(box, alice.keyId);
    const refused = await alice.post(`/_gate/v1/approvals/${approval}/decisions`, { decision: "approve" });
    expect(verdict(refused)).toBe("401 unauthenticated");
  });

  test("takes no other with it", async () => {
    const box = await open();
    await revoke(box, (await box.as("agent")).keyId);
    expect(verdict(await submit(await box.as("agent2"), job()))).toBe("201");
  });
});

test("one answer for every way in which a credential is no good", async () => {
  const box = await open();
  const { key } = await box.as("agent");
  const expired = await box.mint({
    subject: "agent:old",
    class: "agent",
    owner: "person:dana",
    actions: ["*"],
    max_tier: 4,
    expires_in_days: 1,
  });
  moveClock(25 * 3_600_000);
  const twins = [
    "",
    "nonsense",
    `${key}=`,
    key.slice(0, -1),
    `${key.slice(0, -1)}${key.endsWith("A") ? "B" : "A"}`,
    key.replace("pcl_test_", "pcl_live_"),
    expired.key,
    "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.",
    "eyJhbGciOiJFZERTQSIsInR5cCI6ImF0K2p3dCJ9.eyJpc3MiOiJodHRwczovL2lkcC5leGFtcGxlIn0.c2ln",
  ];
  const bodies = new Set<string>();
  for (const twin of twins) {
    const refused = await caller(twin, "").get(SUBMIT);
    expect(verdict(refused), twin).toBe("401 unauthenticated");
    expect(refused.headers.get("www-authenticate")).toBe('Bearer realm="portcullis"');
    bodies.add(refused.text.replaceAll(/req_[0-9a-z]{26}/g, ""));
  }
  expect(bodies.size).toBe(1);
});

describe("between tenants", () => {
  test("nothing of another is found: approval, operation, credential", async () => {
    const [box, other] = [await open(), await open()];
    const agent = await box.as("agent");
    const approval = proposalOf(await agent.post(SUBMIT, job({ gpus: 8 }), CONTEXT));
    await decide(box, approval, ["alice"]);
    const token = text(await agent.get(`/_gate/v1/approvals/${approval}`), "token");
    const done = await submit(agent, job());
    const operation = `/_gate/v1/operations/${done.headers.get("gate-request-id")}`;
    const stranger = await other.as("agent");
    expect(verdict(await stranger.get(`/_gate/v1/approvals/${approval}`))).toBe("404 not-found");
    expect(verdict(await stranger.get(operation))).toBe("404 not-found");
    expect(verdict(await (await other.as("security")).get(operation))).toBe("404 not-found");
    expect(verdict(await (await other.as("operator")).delete(`/_gate/v1/credentials/${agent.keyId}`))).toBe(
      "404 not-found",
    );
    expect(verdict(await agent.get(SUBMIT))).toBe("200");
    // The same subject, the same request, the other tenant's token and receipt: all worth nothing here.
    const big = job({ gpus: 8 });
    expect(verdict(await stranger.post(SUBMIT, big, { ...CONTEXT, "gate-approval": token }))).toBe(
      "403 approval-invalid",
    );
    expect(verdict(await stranger.post(SUBMIT, big, CONTEXT))).toBe("428 approval-required");
    const receipt = await receiptFor(agent, job({ name: "job-2" }));
    expect(verdict(await stranger.post(SUBMIT, job({ name: "job-2" }), { ...REASON, "gate-plan": receipt }))).toBe(
      "428 dry-run-required",
    );
    expect(await other.upstream.mutations()).toEqual([]);
  });

  test("budgets, freezes and idempotency keys are each tenant's own", async () => {
    const [box, other] = [await open(), await open()];
    const key = { ...REASON, "idempotency-key": '"one"' };
    expect(verdict(await submit(await box.as("agent"), job({ max_hours: 50 }), key))).toBe("201");
    await (await box.as("security")).post("/_gate/v1/freeze", { reason: "test" });
    const elsewhere = await submit(await other.as("agent"), job(), key);
    expect(verdict(elsewhere)).toBe("201");
    expect(elsewhere.headers.get("idempotency-replayed")).toBeNull();
  });

  test("each reads its own audit records, and a cursor is good for the tenant that got it", async () => {
    const [box, other] = [await open(), await open()];
    for (const each of [box, other]) await submit(await each.as("agent"), job());
    const [security, stranger] = [await box.as("security"), await other.as("security")];
    const found = async (path: string): Promise<number> => list(await security.get(path), "records").length;
    await expect.poll(() => found("/_gate/v1/audit?action=workloads.submit")).toBeGreaterThanOrEqual(3);
    const page = await security.get("/_gate/v1/audit?limit=2");
    for (const record of list(await security.get("/_gate/v1/audit?limit=500"), "records")) {
      expect(record).toMatchObject({ tenant: box.tenant });
    }
    const cursor = text(page, "next_cursor");
    expect(verdict(await security.get(`/_gate/v1/audit?limit=2&cursor=${cursor}`))).toBe("200");
    expect(verdict(await stranger.get(`/_gate/v1/audit?limit=2&cursor=${cursor}`))).toBe("400 malformed-request");
  });

  test("upstream sees each tenant's own credential", async () => {
    const [box, other] = [await open(), await open()];
    await (await box.as("agent")).get(SUBMIT);
    await (await other.as("agent")).get("/v1/gpus");
    expect((await box.upstream.requests()).map(({ path }) => path)).toEqual([SUBMIT]);
    expect((await other.upstream.requests()).map(({ path }) => path)).toEqual(["/v1/gpus"]);
  });
});

test("a bootstrap secret makes a tenant once, and touches none that exists", async () => {
  const box = await open();
  const operator = await box.as("operator");
  expect(verdict(await operator.get("/_gate/v1/whoami"))).toBe("200");
  expect(member(await operator.get("/_gate/v1/whoami"), "policy", "version")).toBe(1);
  expect(verdict(await caller(null, "").post("/_gate/v1/bootstrap", {}))).toBe("401 unauthenticated");
  expect(verdict(await operator.post("/_gate/v1/bootstrap", {}))).toBe("401 unauthenticated");
});
