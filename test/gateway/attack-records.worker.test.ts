import { describe, expect, test } from "vitest";
import { isJsonObject, type JsonValue } from "../../src/platform/json.ts";
import { list, text, verdict, type Answered } from "../support/answer.ts";
import { caller, useBlackBox, type BlackBox } from "../support/black-box.ts";
import { CONTEXT, decide, job, proposalOf, REASON, receiptFor, SUBMIT } from "../support/requests.ts";
import { testEnv } from "../support/test-env.ts";

/** Attacks on the record and on who is believed (security catalogue: AUD-03, AUD-06, AUD-09, TOK-11, TOK-14). */
const open = useBlackBox("attack-records");

const idOf = ({ headers }: Answered): string => headers.get("gate-request-id") ?? "";

/** The records of these requests in the tenant's audit, once there is at least one of each. */
async function recordsOf(box: BlackBox, requests: readonly Answered[]): Promise<readonly JsonValue[]> {
  const security = await box.as("security");
  const found: JsonValue[] = [];
  for (const id of requests.map(idOf)) {
    await expect
      .poll(async () => list(await security.get(`/_gate/v1/audit?request_id=${id}`), "records").length, {
        timeout: 10_000,
      })
      .toBeGreaterThan(0);
    found.push(...list(await security.get(`/_gate/v1/audit?request_id=${id}`), "records"));
  }
  return found;
}

describe("a secret pasted into the key of an incident", () => {
  const SECRET = "ghp_ABCDEFGHIJKLMNOPQRSTUVWX";

  test("is neither in the record of an execution nor in a proposal", async () => {
    const box = await open();
    const agent = await box.as("agent");
    const headers = { ...REASON, "gate-incident": SECRET };
    const receipt = await receiptFor(agent, job(), headers);
    const executed = await agent.post(SUBMIT, job(), { ...headers, "gate-plan": receipt });
    expect(verdict(executed)).toBe("201");
    const big = job({ gpus: 8, gpu_type: "L40S" });
    const id = proposalOf(await agent.post(SUBMIT, big, { ...CONTEXT, "gate-incident": SECRET }));
    await decide(box, id, ["alice"]);
    expect((await agent.get(`/_gate/v1/approvals/${id}`)).text).not.toContain(SECRET);
    const granted = await agent.post(SUBMIT, big, { ...CONTEXT, "gate-incident": SECRET });
    expect(verdict(granted)).toBe("201");
    expect(JSON.stringify(await recordsOf(box, [executed, granted]))).not.toContain(SECRET);
  });

  test("is not in the record of a completed draft or of a policy version either", async () => {
    const box = await open();
    const [agent, operator] = await Promise.all([box.as("agent"), box.as("operator")]);
    const id = proposalOf(await agent.post(SUBMIT, job({ gpus: 8, gpu_type: "L40S" })));
    const completed = await agent.put(`/_gate/v1/approvals/${id}/context`, {
      reason: "why",
      evidence: "seen",
      back_out: "undo",
      incident: SECRET,
    });
    const pushed = await operator.post("/_gate/v1/policy/versions", { reason: `with ${SECRET}` });
    expect([completed, pushed].map(verdict)).toEqual(["200", "201"]);
    expect(completed.text).not.toContain(SECRET);
    expect(JSON.stringify(await recordsOf(box, [completed, pushed]))).not.toContain(SECRET);
    expect((await operator.get("/_gate/v1/policy/versions")).text).not.toContain(SECRET);
  });
});

describe("a time filter that has the form of a time and is none", () => {
  test.each(["since=2026-13-01", "until=2026-99-99", "since=2026-01-01T99:99:99Z"])(
    "%s is malformed",
    async (query) => {
      const security = await (await open()).as("security");
      expect(verdict(await security.get(`/_gate/v1/audit?${query}`))).toBe("400 malformed-request");
    },
  );
});

test("evidence is bounded in bytes, not in characters", async () => {
  const agent = await (await open()).as("agent");
  const post = async (evidence: string): Promise<string> =>
    verdict(await agent.post("/_gate/v1/evidence", { evidence }));
  expect(await post("x".repeat(256 * 1024))).toBe("201");
  expect(await post("€".repeat(256 * 1024))).toBe("400 malformed-request");
});

describe("what is recorded", () => {
  test("who reads what through the gate's own API, and what is uploaded there: one record each", async () => {
    const box = await open();
    const [agent, security] = await Promise.all([box.as("agent"), box.as("security")]);
    const calls = [
      await agent.get("/_gate/v1/whoami"),
      await agent.get("/_gate/v1/budget"),
      await security.get("/_gate/v1/audit?limit=1"),
      await security.get("/_gate/v1/credentials"),
      await agent.post("/_gate/v1/evidence", { evidence: "a log" }),
    ];
    expect(calls.map(({ status }) => status)).toEqual([200, 200, 200, 200, 201]);
    const records = await recordsOf(box, calls);
    expect(
      records.map((record) => isJsonObject(record) && [record["principal"], record["path"], record["outcome"]]),
    ).toEqual([
      ["agent:trainer", "/_gate/v1/whoami", "succeeded"],
      ["agent:trainer", "/_gate/v1/budget", "succeeded"],
      ["person:security", "/_gate/v1/audit?limit=1", "succeeded"],
      ["person:security", "/_gate/v1/credentials", "succeeded"],
      ["agent:trainer", "/_gate/v1/evidence", "succeeded"],
    ]);
  });

  test("what a revoked credential still tries, in the record of its own tenant", async () => {
    const box = await open();
    const [operator, agent] = await Promise.all([box.as("operator"), box.as("agent2")]);
    expect(verdict(await operator.delete(`/_gate/v1/credentials/${agent.keyId}`))).toBe("200");
    const tried = [await agent.get(SUBMIT), await agent.get("/_gate/v1/whoami")];
    expect(tried.map(verdict)).toEqual(["401 unauthenticated", "401 unauthenticated"]);
    expect(await recordsOf(box, tried)).toEqual([
      expect.objectContaining({ credential_id: agent.keyId, reason_code: "unauthenticated" }),
      expect.objectContaining({ credential_id: agent.keyId, reason_code: "unauthenticated" }),
    ]);
  });

  test("calls to routes that the gate does not have, as no tenant's", async () => {
    const agent = await (await open()).as("agent");
    const missing = await agent.get("/_gate/v1/nothing-here");
    expect(verdict(missing)).toBe("404 not-found");
    expect(text(missing, "instance")).toBe("/_gate/v1/nothing-here");
    expect(text(missing, "request_id")).toBe(idOf(missing));
    const stored = (): Promise<unknown> =>
      testEnv.DB.prepare("SELECT tenant FROM audit WHERE request_id = ?").bind(idOf(missing)).first("tenant");
    await expect.poll(stored, { timeout: 10_000 }).toBe("-");
  });
});

describe("who is believed", () => {
  test("a credential in a header that the tenant's catalogue does not name is no credential", async () => {
    const box = await open();
    const { key } = await box.as("agent");
    const sent = await caller(null, "").get(SUBMIT, { "x-slurm-user-token": key });
    expect(verdict(sent)).toBe("401 unauthenticated");
    expect(await box.upstream.mutations()).toEqual([]);
  });

  test("only a demonstration's own people make demonstration keys, which may decide", async () => {
    const box = await open();
    const operator = await box.mint({ subject: "person:op2", class: "person", roles: ["operator"], demo: false });
    const bob = { subject: "person:bob", class: "person" };
    expect(verdict(await operator.post("/_gate/v1/credentials", { ...bob, demo: true }))).toBe("403 not-eligible");
    expect(verdict(await operator.post("/_gate/v1/credentials", { ...bob, demo: false }))).toBe("201");
  });
});
