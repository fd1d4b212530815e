import { afterEach, describe, expect, test, vi } from "vitest";
import { newSigningKey } from "../identity/fixtures.ts";
import { approvalAuthority, type Authority } from "../support/authority.ts";
import { text, verdict, type Answered } from "../support/answer.ts";
import {
  ACME_PEOPLE,
  ACME_POLICY,
  caller,
  replaceOnce,
  useBlackBox,
  type BlackBox,
  type CastName,
} from "../support/black-box.ts";
import { ledgerRecords } from "../support/books.ts";
import { MINUTE_MS, moveClock } from "../support/clock.ts";
import { openIsolate } from "../support/isolates.ts";
import { CONTEXT, decide, job, proposalOf, SUBMIT } from "../support/requests.ts";
import { confirmed } from "../support/registered.ts";
import { testEnv } from "../support/test-env.ts";

const open = useBlackBox("signed");

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

const CANCEL = "/v1/workloads/wl-1/cancel";
const AT_ONCE = 200;
/** dana owns the agents, operator minted their keys: listed, and yet nobody who counts. */
const generous = replaceOnce(
  ACME_POLICY,
  'tier_4_approvers: ["@alice", "@bob"]',
  'tier_4_approvers: ["@alice", "@bob", "@dana", "@operator"]',
);

const seconds = (): number => Math.floor(Date.now() / 1_000);

/** A tenant with an approval authority and a proposal that needs two people. */
async function cancelling(documents: Parameters<typeof open>[0] = {}) {
  const box = await open(documents);
  const agent = await box.as("agent");
  const authority = await approvalAuthority(box);
  const approval = proposalOf(await agent.post(CANCEL, {}, CONTEXT));
  const send = (...tokens: readonly string[]): Promise<Answered> =>
    agent.post(CANCEL, {}, { "gate-approval": tokens.join(", ") });
  const stateOf = async (): Promise<string> => text(await agent.get(`/_gate/v1/approvals/${approval}`), "state");
  return { box, agent, authority, approval, send, stateOf };
}

describe("two good signatures in the request itself", () => {
  test("run it at once, and the record says who decided where", async () => {
    const { box, authority, approval, send, stateOf } = await cancelling();
    const done = await send(await authority.sign(approval, "alice"), await authority.sign(approval, "bob"));
    // The example has no such workload, and says so itself.
    expect(verdict(done)).toBe("404");
    expect(await stateOf()).toBe("consumed");
    expect(await box.upstream.mutations()).toHaveLength(1);
    const decisions = (await ledgerRecords(box.tenant)).filter(({ kind }) => kind === "decision");
    expect(decisions.map(({ principal }) => principal)).toEqual(["person:alice", "person:bob", "person:bob"]);
    for (const { detail } of decisions.slice(0, 2)) expect(detail).toContain(`signed by ${authority.issuer}, jti `);
  });

  test(`sent ${AT_ONCE} times at once run it once`, async () => {
    const { box, agent, authority, approval } = await cancelling();
    const tokens = `${await authority.sign(approval, "alice")}, ${await authority.sign(approval, "bob")}`;
    const isolates = [0, 1, 2, 3].map(() => agent.through(openIsolate().entrance));
    const answers = await Promise.all(
      Array.from({ length: AT_ONCE }, (_, index) =>
        (isolates[index % 4] ?? agent).post(CANCEL, {}, { "gate-approval": tokens, "idempotency-key": `"${index}"` }),
      ),
    );
    expect(answers.filter(({ status }) => status === 404)).toHaveLength(1);
    expect(new Set(answers.map(verdict))).toEqual(new Set(["404", "409 approval-consumed"]));
    expect(await box.upstream.mutations()).toHaveLength(1);
  });

  test("count together with a decision that was made here", async () => {
    const { box, authority, approval, send } = await cancelling();
    expect(verdict(await send(await authority.sign(approval, "alice")))).toBe("428 approval-required");
    await decide(box, approval, ["bob"]);
    const again = await send(await authority.sign(approval, "alice"));
    expect(verdict(again)).toBe("404");
  });
});

describe("one bad token beside a good one refuses the request and uses nothing up", () => {
  type Make = (at: { box: BlackBox; authority: Authority; approval: string }) => Promise<string>;
  test.each<[string, string, Make]>([
    [
      "signed by somebody else",
      "403 approval-invalid",
      async ({ authority, approval }) =>
        authority.sign(approval, "bob", {}, await newSigningKey("Ed25519", authority.key.kid)),
    ],
    [
      "expired",
      "403 approval-expired",
      ({ authority, approval }) => authority.sign(approval, "bob", { iat: seconds() - 600, exp: seconds() - 1 }),
    ],
    [
      "for another tenant",
      "403 approval-invalid",
      ({ authority, approval }) => authority.sign(approval, "bob", { aud: "portcullis:globex" }),
    ],
    [
      "about other terms",
      "403 approval-invalid",
      ({ authority, approval }) => authority.sign(approval, "bob", { approval_digest: `sha256:${"0".repeat(64)}` }),
    ],
    [
      "about another proposal",
      "403 approval-invalid",
      async ({ box, authority }) => {
        const other = proposalOf(await (await box.as("agent")).post(SUBMIT, job({ gpus: 8 }), CONTEXT));
        return authority.sign(other, "bob");
      },
    ],
    ["of the agents' owner", "403 approval-invalid", ({ authority, approval }) => authority.sign(approval, "dana")],
    [
      "of who minted the key",
      "403 approval-invalid",
      ({ authority, approval }) => authority.sign(approval, "operator"),
    ],
    [
      "of a person who is no approver",
      "403 approval-invalid",
      ({ authority, approval }) => authority.sign(approval, "carol"),
    ],
    ["of nobody's", "403 approval-invalid", ({ authority, approval }) => authority.sign(approval, "mallory")],
    [
      "that denies",
      "403 approval-invalid",
      ({ authority, approval }) => authority.sign(approval, "bob", { decision: "deny" }),
    ],
    [
      "of an authority of another tenant",
      "403 approval-invalid",
      async ({ approval, authority }) => {
        const other = await approvalAuthority(await open());
        const seen = JSON.parse(
          Buffer.from((await authority.sign(approval, "bob")).split(".")[1] ?? "", "base64url").toString(),
        );
        return other.sign(approval, "bob", { ...seen, iss: other.issuer });
      },
    ],
    [
      "of the gate's own kind, forged",
      "403 approval-invalid",
      ({ authority, approval }) => authority.sign(approval, "bob", { iss: "portcullis" }),
    ],
  ])("%s", async (_, expected, make) => {
    const { box, authority, approval, send, stateOf } = await cancelling({ policy: generous });
    const good = await authority.sign(approval, "alice");
    expect(verdict(await send(good, await make({ box, authority, approval })))).toBe(expected);
    expect(await stateOf()).toBe("pending");
    expect(await box.upstream.mutations()).toEqual([]);
    const counted = (await ledgerRecords(box.tenant)).filter(({ kind }) => kind === "decision");
    expect(counted).toEqual([]);
    expect(verdict(await send(good, await authority.sign(approval, "bob")))).toBe("404");
  });
});

test("a signature counts for one person, once, whatever bytes it comes in", async () => {
  const { authority, approval, send } = await cancelling();
  const [alice, twin] = [await authority.sign(approval, "alice"), await authority.sign(approval, "alice")];
  const waiting = await send(alice, alice, twin);
  expect(verdict(waiting)).toBe("428 approval-required");
  expect(waiting.body).toMatchObject({ approval: { given: 1, needed: 2 } });
});

test("keys that cannot be had are no answer: nothing runs, nothing is used up", async () => {
  const { box, authority, approval, send, stateOf } = await cancelling();
  const tokens = [await authority.sign(approval, "alice"), await authority.sign(approval, "bob")];
  authority.outage(true);
  const cold = (await box.as("agent")).through(openIsolate().entrance);
  const refused = await cold.post(CANCEL, {}, { "gate-approval": tokens.join(", ") });
  expect(verdict(refused)).toBe("503 unavailable");
  expect(text(refused, "dependency")).toBe("jwks");
  expect(await stateOf()).toBe("pending");
  authority.outage(false);
  expect(verdict(await send(...tokens))).toBe("404");
});

test("where the policy asks to type the name, the token has to say that it was typed", async () => {
  const policy = `${ACME_POLICY}  confirm: { tiers: [4] }\n`;
  const { authority, approval, send } = await cancelling({ policy });
  const bob = await authority.sign(approval, "bob", { confirm: "wl-1" });
  const refused = await send(await authority.sign(approval, "alice"), bob);
  expect(verdict(refused)).toBe("403 approval-invalid");
  expect(text(refused, "reason")).toContain("wl-1");
  expect(verdict(await send(await authority.sign(approval, "alice", { confirm: "wl-1" }), bob))).toBe("404");
});

const handIn = async (box: BlackBox, by: CastName, approval: string, token: string): Promise<Answered> =>
  (await box.as(by)).post(`/_gate/v1/approvals/${approval}/tokens`, { token });

describe("POST /approvals/{id}/tokens", () => {
  test("counts like the person's own decision, handed in by the requester or anybody who sees the proposal", async () => {
    const { box, agent, authority, approval, stateOf } = await cancelling();
    const alice = await authority.sign(approval, "alice");
    expect((await handIn(box, "agent", approval, alice)).body).toMatchObject({
      state: "pending",
      given: 1,
      decisions: [{ subject: "person:alice", handle: "@alice", decision: "approve", demo: false }],
    });
    expect((await handIn(box, "agent", approval, alice)).body).toMatchObject({ given: 1 });
    expect((await handIn(box, "bob", approval, await authority.sign(approval, "bob"))).body).toMatchObject({
      given: 2,
    });
    expect(await stateOf()).toBe("approved");
    expect(verdict(await agent.post(CANCEL, {}))).toBe("404");
  });

  test("is closed to who may not see the proposal, and to tokens about another", async () => {
    const { box, agent, authority, approval } = await cancelling();
    const alice = await authority.sign(approval, "alice");
    for (const name of ["agent2", "carol"] as const)
      expect(verdict(await handIn(box, name, approval, alice))).toBe("404 not-found");
    const other = proposalOf(await agent.post(SUBMIT, job({ gpus: 8 }), CONTEXT));
    expect(verdict(await handIn(box, "agent", other, alice))).toBe("403 approval-invalid");
    expect(verdict(await handIn(box, "agent", approval, await authority.sign(approval, "carol")))).toBe(
      "403 not-eligible",
    );
    expect(verdict(await handIn(box, "agent", approval, `${alice}=`))).toBe("400 malformed-request");
  });

  test("a signature that was used here is refused on another proposal", async () => {
    const { box, agent, authority, approval } = await cancelling();
    const jti = "one-and-the-same";
    expect(verdict(await handIn(box, "agent", approval, await authority.sign(approval, "alice", { jti })))).toBe("200");
    const other = proposalOf(await agent.post(SUBMIT, job({ gpus: 8 }), CONTEXT));
    expect(verdict(await handIn(box, "agent", other, await authority.sign(other, "alice", { jti })))).toBe(
      "403 approval-invalid",
    );
  });

  test("a decision by signature no longer counts once its person is no approver", async () => {
    const { box, agent, authority, approval } = await cancelling();
    for (const name of ["alice", "bob"])
      expect(verdict(await handIn(box, "agent", approval, await authority.sign(approval, name)))).toBe("200");
    const policy = replaceOnce(ACME_POLICY, '["@alice", "@bob"]', '["@alice", "@carol"]');
    await (await box.as("operator")).post("/_gate/v1/policy/versions", { policy, reason: "bob left" });
    await (await box.as("security")).post("/_gate/v1/policy/activate", { version: 2 });
    expect(verdict(await agent.post(CANCEL, {}, CONTEXT))).toBe("428 approval-required");
    expect(await box.upstream.mutations()).toEqual([]);
  });

  test("too late is too late", async () => {
    const { box, authority, approval } = await cancelling();
    const token = await authority.sign(approval, "alice");
    moveClock(30 * MINUTE_MS);
    expect(verdict(await handIn(box, "agent", approval, token))).toBe("403 approval-expired");
  });
});

describe("POST /approval-issuers", () => {
  const registration = {
    id: "chat-bot",
    issuer: "https://bot.example",
    tenant: "",
    jwks_uri: "https://bot.example/jwks.json",
    algorithms: ["ES256"],
    subject_prefix: "person:",
  };
  const register = (key: string, over: object): Promise<Answered> =>
    caller(key, "").post("/_gate/v1/approval-issuers", { ...registration, ...over });

  test("needs the deployment's secret, and a tenant that is there", async () => {
    const box = await open();
    for (const name of ["operator", "security", "agent"] as const)
      expect(verdict(await register((await box.as(name)).key, { tenant: box.tenant }))).toBe("401 unauthenticated");
    expect(verdict(await register(testEnv.BOOTSTRAP_SECRET, { tenant: "nobody" }))).toBe("404 not-found");
    expect(verdict(await register(testEnv.BOOTSTRAP_SECRET, { tenant: box.tenant, algorithms: ["HS256"] }))).toBe(
      "400 malformed-request",
    );
    const registered = await register(testEnv.BOOTSTRAP_SECRET, { tenant: box.tenant });
    const said = {
      tenant: box.tenant,
      id: "chat-bot",
      issuer: registration.issuer,
      audience: `portcullis:${box.tenant}`,
    };
    const asked = { registered: false, digest: expect.any(String), waits_for: "security", ...said };
    expect(registered.body).toEqual(asked);
    expect((await confirmed(box, "approval-issuers/chat-bot", registered)).body).toEqual({ registered: true, ...said });
    const acts = (await ledgerRecords(box.tenant)).filter((one) => one.reason_code?.startsWith("approval-issuer-"));
    expect(acts).toMatchObject([
      { principal: "deployment", detail: expect.stringContaining("chat-bot: https://bot.example") },
      { principal: "person:security", detail: expect.stringContaining("chat-bot: sha256:") },
    ]);
  });

  test("a row that was edited in D1 makes every token of it unavailable, and a row that was copied to another tenant too", async () => {
    const { authority, box, approval, agent } = await cancelling();
    const token = await authority.sign(approval, "alice");
    const other = await open();
    await testEnv.DB.prepare(
      "INSERT INTO approval_issuers SELECT ?, issuer, registration, created_at, mac FROM approval_issuers WHERE tenant = ?",
    )
      .bind(other.tenant, box.tenant)
      .run();
    const theirs = proposalOf(await (await other.as("agent")).post(CANCEL, {}, CONTEXT));
    const forged = await (
      await other.as("agent")
    ).post(CANCEL, {}, { "gate-approval": await authority.sign(approval, "alice") });
    expect([verdict(forged), text(forged, "dependency")]).toEqual(["503 unavailable", "issuers"]);
    expect(theirs).not.toBe(approval);
    await testEnv.DB.prepare(
      "UPDATE approval_issuers SET registration = replace(registration, 'person:', '') WHERE tenant = ?",
    )
      .bind(box.tenant)
      .run();
    const cold = agent.through(openIsolate().entrance);
    expect(verdict(await cold.post(CANCEL, {}, { "gate-approval": token }))).toBe("503 unavailable");
  });
});

test("the people document is what makes a person: one that it no longer knows signs nothing", async () => {
  const people = replaceOnce(ACME_PEOPLE, "    subject: person:bob\n", "    subject: person:robert\n");
  const { authority, approval, send } = await cancelling({ people });
  const refused = await send(await authority.sign(approval, "alice"), await authority.sign(approval, "bob"));
  expect(verdict(refused)).toBe("403 approval-invalid");
  expect(text(refused, "reason")).toContain("person:bob");
});
