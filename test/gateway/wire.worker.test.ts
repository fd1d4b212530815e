import { describe, expect, test } from "vitest";
import { isInnerList, parseList, Token } from "structured-headers";
import { z } from "zod";
import { member, text, verdict, type Answered } from "../support/answer.ts";
import { ACME_POLICY, useBlackBox } from "../support/black-box.ts";
import { CONTEXT, job, REASON, receiptFor, submit, SUBMIT } from "../support/requests.ts";

/** Wire contract, sections 4, 6 and 10: what goes out in both directions. */
const open = useBlackBox("wire");

const REQUEST_ID = /^req_[0-9a-z]{26}$/;

/** What workerd itself adds to every request that leaves it. */
const ADDED_BY_RUNTIME = new Set(["accept-encoding", "cf-worker", "connection"]);

/** Members of `Gate-Budget`, read as RFC 9651 does: name → parameters. */
function budgetHeader(answered: Answered): Record<string, Record<string, unknown>> {
  const parsed = parseList(answered.headers.get("gate-budget") ?? "");
  return Object.fromEntries(
    parsed.map((item) => {
      if (isInnerList(item)) throw new Error("Gate-Budget has no inner lists");
      return [z.instanceof(Token).parse(item[0]).toString(), Object.fromEntries(item[1])];
    }),
  );
}

/** Both windows of acme with this much held, as `Gate-Budget` shows them. */
const windows = (held: number): object => ({
  daily: { cap_micros: 500_000_000, held_micros: held, settled_micros: 0, remaining_micros: 500_000_000 - held },
  monthly: {
    cap_micros: 10_000_000_000,
    held_micros: held,
    settled_micros: 0,
    remaining_micros: 10_000_000_000 - held,
  },
});

describe("response headers", () => {
  test("of an allowed read", async () => {
    const { headers } = await (await (await open()).as("agent")).get(SUBMIT);
    expect(headers.get("gate-request-id")).toMatch(REQUEST_ID);
    expect(headers.get("gate-action")).toBe("workloads.list");
    expect(headers.get("gate-tier")).toBe("0");
    expect(headers.get("gate-decision")).toBe("allow");
    expect(headers.get("server-timing")).toMatch(/^gate;dur=\d+$/);
    expect(headers.get("ratelimit-policy")).toMatch(/q=6000;w=60/);
    expect(headers.get("ratelimit")).toMatch(/r=\d+/);
    expect(headers.get("cache-control")).toBe("no-store");
    expect(headers.get("gate-budget")).toBeNull();
  });

  test("of a plan, an execution, a replay and a refusal", async () => {
    const agent = await (await open()).as("agent");
    const plan = await agent.post(SUBMIT, job(), { ...REASON, "gate-dry-run": "?1" });
    const executed = await agent.post(SUBMIT, job(), { ...REASON, "gate-plan": text(plan, "receipt") });
    const replayed = await agent.post(SUBMIT, job(), { ...REASON, "gate-plan": text(plan, "receipt") });
    const refused = await agent.post(SUBMIT, job(), REASON);
    expect([plan, executed, replayed, refused].map(({ headers }) => headers.get("gate-decision"))).toEqual([
      "plan",
      "allow",
      "allow",
      "refuse",
    ]);
    for (const { headers } of [plan, executed, replayed, refused]) {
      expect(headers.get("gate-action")).toBe("workloads.submit");
      expect(headers.get("gate-tier")).toBe("2");
      expect(headers.get("gate-request-id")).toMatch(REQUEST_ID);
      expect(headers.get("ratelimit-policy")).toMatch(/q=600;w=60/);
    }
    expect(executed.headers.get("idempotency-replayed")).toBeNull();
    expect(replayed.headers.get("idempotency-replayed")).toBe("?1");
    expect(new Set([plan, executed, replayed, refused].map(({ headers }) => headers.get("gate-request-id"))).size).toBe(
      4,
    );
  });

  test("Gate-Budget is a structured field of integers that add up, on every write that got as far", async () => {
    const agent = await (await open()).as("agent");
    const plan = await agent.post(SUBMIT, job(), { ...REASON, "gate-dry-run": "?1" });
    const executed = await agent.post(SUBMIT, job(), { ...REASON, "gate-plan": text(plan, "receipt") });
    const asked = await agent.post(SUBMIT, job({ gpus: 8 }), CONTEXT);
    const tooMuch = await agent.post(SUBMIT, job({ gpus: 64, max_hours: 4 }), CONTEXT);
    expect([plan, executed, asked, tooMuch].map(verdict)).toEqual([
      "200",
      "201",
      "428 approval-required",
      "402 budget-exceeded",
    ]);
    expect(budgetHeader(plan)).toEqual(windows(0));
    expect(budgetHeader(executed)).toEqual(windows(10_000_000));
    expect(budgetHeader(tooMuch)).toEqual(windows(30_000_000));
    expect(executed.headers.get("gate-budget")).toMatch(
      /^daily;cap_micros=\d+;held_micros=\d+;settled_micros=\d+;remaining_micros=\d+, monthly;cap_micros=/,
    );
  });

  test("of a 429 say when to come back", async () => {
    const agent = await (await open({ policy: `${ACME_POLICY}\nrate_limits:\n  tier_0: 1\n` })).as("agent");
    expect(verdict(await agent.get(SUBMIT))).toBe("200");
    const limited = await agent.get(SUBMIT);
    expect(verdict(limited)).toBe("429 rate-limited");
    const retryAfter = Number(limited.headers.get("retry-after"));
    expect(retryAfter).toBeGreaterThan(0);
    expect(retryAfter).toBeLessThanOrEqual(60);
    expect(limited.headers.get("ratelimit-policy")).toMatch(/q=1;w=60/);
  });

  test("of upstream pass by allow-list, and the gate's own are not upstream's to set", async () => {
    const box = await open();
    const agent = await box.as("agent");
    const id = text(await submit(agent, job()), "id");
    const { headers } = await agent.get(`${SUBMIT}/${id}`);
    expect(headers.get("etag")).toBe('"1"');
    expect(headers.get("content-type")).toBe("application/json");
    const allowed = /^(?:gate-|ratelimit|server-timing$|cache-control$|content-type$|content-length$|etag$)/;
    expect([...headers.keys()].filter((name) => !allowed.test(name))).toEqual([]);
  });
});

describe("a refusal", () => {
  test("is a problem document with everything that its reader needs", async () => {
    const refused = await (await (await open()).as("agent")).post(SUBMIT, job({ gpus: 128 }), CONTEXT);
    expect(refused.headers.get("content-type")).toBe("application/problem+json");
    expect(refused.body).toMatchObject({
      type: "/_gate/problems/constraint-exceeded",
      title: expect.stringMatching(/./),
      status: 403,
      detail: expect.stringContaining("64"),
      instance: SUBMIT,
      slug: "constraint-exceeded",
      request_id: refused.headers.get("gate-request-id"),
      action: "workloads.submit",
    });
    const page = await (await (await open()).as("agent")).get(text(refused, "type"));
    expect(page.body).toMatchObject({
      slug: "constraint-exceeded",
      status: 403,
      what_to_do: expect.stringMatching(/./),
    });
  });

  test("never repeats a credential", async () => {
    const agent = await (await open()).as("agent");
    const asked = await agent.post(SUBMIT, job({ gpus: 8 }), { ...CONTEXT, "gate-reason": `use ${agent.key}` });
    const shown = await agent.get(`/_gate/v1/approvals/${text(asked, "approval", "id")}`);
    const answers = [
      asked,
      shown,
      await agent.get(`/v1/workloads?cursor=${agent.key}`),
      await agent.post(SUBMIT, job({ name: agent.key }), REASON),
    ];
    const secretPart = agent.key.slice(40, 90);
    for (const { text: body } of answers) expect(body).not.toContain(secretPart);
    expect(text(shown, "reason")).toContain("[redacted:");
  });
});

describe("what upstream receives", () => {
  test("is rebuilt: the gate's credential, reference and signature, and nothing of the caller's but listed headers", async () => {
    const box = await open();
    const agent = await box.as("agent");
    const noise = {
      cookie: "session=1",
      "x-forwarded-for": "203.0.113.7",
      "x-forwarded-host": "evil.example",
      "x-real-ip": "203.0.113.7",
      forwarded: "for=203.0.113.7",
      via: "1.1 client",
      "x-custom": "1",
      "proxy-authorization": "Basic eDp5",
      "if-match": '"9"',
      "accept-language": "de",
    };
    const executed = await submit(agent, job(), { ...REASON, ...noise, "idempotency-key": '"callers-own"' });
    expect(verdict(executed)).toBe("201");
    const [sent] = await box.upstream.mutations();
    const { host, "content-length": _length, ...headers } = sent?.headers ?? {};
    expect(host).toBe(new URL(box.upstream.url).host);
    const names = Object.keys(headers).toSorted();
    expect(names.filter((name) => !ADDED_BY_RUNTIME.has(name))).toEqual([
      "accept",
      "accept-language",
      "authorization",
      "content-digest",
      "content-type",
      "idempotency-key",
      "signature",
      "signature-input",
    ]);
    expect(headers["authorization"]).toBe(`Bearer ${box.upstream.token}`);
    expect(headers["idempotency-key"]?.replaceAll('"', "")).toBe(executed.headers.get("gate-request-id"));
    expect(headers["accept-language"]).toBe("de");
    expect(headers["signature-input"]).toMatch(
      /^gate=\("@method" "@authority" "@path" "@query" .*"content-digest".*;tag="portcullis"$/,
    );
    expect(JSON.stringify(sent)).not.toContain(agent.key);
    expect(sent?.path).toBe(SUBMIT);
    // RFC 8785: one text for one meaning, whatever the caller's spelling was.
    expect(sent?.body).toBe(
      '{"gpu_type":"H100","gpus":4,"image":"registry.example/train:1","job_type":"elastic","max_hours":1,"name":"job-1"}',
    );
  });

  test("of a read is rebuilt as well, its query in the gate's own order", async () => {
    const box = await open();
    const agent = await box.as("agent");
    expect(verdict(await agent.get(`${SUBMIT}?state=running&limit=7`, { cookie: "a=b" }))).toBe("200");
    const [sent] = await box.upstream.requests();
    expect(sent?.path).toBe(`${SUBMIT}?limit=7&state=running`);
    expect(Object.keys(sent?.headers ?? {})).not.toContain("cookie");
    expect(sent?.headers["authorization"]).toBe(`Bearer ${box.upstream.token}`);
    expect(sent?.headers["signature"]).toMatch(/^gate=:[A-Za-z0-9+/]+=*:$/);
  });

  test("is nothing at all for what the gate refuses", async () => {
    const box = await open();
    const agent = await box.as("agent");
    await agent.post(SUBMIT, job(), REASON);
    await agent.post(SUBMIT, job({ gpus: 8 }), CONTEXT);
    await agent.post(SUBMIT, job({ gpus: 128 }), CONTEXT);
    await agent.delete("/v1/pools/pool-h100");
    await agent.get("/v1/workloads?dry_run=true");
    expect(await box.upstream.requests()).toEqual([]);
  });

  test("of a plan is its own dry run, and no reference that a look-up would find", async () => {
    const box = await open();
    await receiptFor(await box.as("agent"), job());
    const sent = await box.upstream.requests();
    expect(sent.map(({ method, path }) => `${method} ${path}`)).toEqual([`POST ${SUBMIT}?dry_run=true`]);
  });
});

test("a redirect is not followed: its target hears nothing, its Location does not reach the caller", async () => {
  const box = await open();
  const agent = await box.as("agent");
  await box.upstream.inject([{ method: "GET", path: "/v1/gpus", kind: `redirect:${box.upstream.url}/v1/workloads` }]);
  const refused = await agent.get("/v1/gpus");
  expect(verdict(refused)).toBe("502 upstream-failed");
  expect(refused.headers.get("location")).toBeNull();
  expect((await box.upstream.requests()).map(({ path }) => path)).toEqual(["/v1/gpus"]);
});

test("a log is passed on as it comes, text as text", async () => {
  const box = await open();
  const agent = await box.as("agent");
  const id = text(await submit(agent, job()), "id");
  const answered = await agent.get(`${SUBMIT}/${id}/logs?tail=2`);
  expect(answered.headers.get("content-type")).toBe("text/plain; charset=utf-8");
  expect(answered.text.split("\n")).toHaveLength(3);
});

test("HEAD is answered like GET, without a body", async () => {
  const box = await open();
  const answered = await (await box.as("agent")).send("HEAD", SUBMIT);
  expect([answered.status, answered.text]).toEqual([200, ""]);
  expect((await box.upstream.requests()).map(({ method }) => method)).toEqual(["HEAD"]);
});

test("the plan has the shape that the contract names", async () => {
  const plan = await (
    await (await open()).as("agent")
  ).post(SUBMIT, job({ gpus: 8 }), { ...CONTEXT, "gate-dry-run": "?1" });
  expect(plan.body).toMatchObject({
    decision: "plan",
    tier: 3,
    approvals: { needed: 1, eligible: 2 },
    receipt: null,
    request_digest: expect.stringMatching(/^sha256:[0-9a-f]{64}$/),
    cost: { ceiling_usd: 20, ceiling_micros: 20_000_000 },
  });
  expect(member(plan, "budget", "after", "daily", "held_micros")).toBe(20_000_000);
});
