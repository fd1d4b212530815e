import { afterEach, describe, expect, test, vi } from "vitest";
import { member, text, verdict } from "../support/answer.ts";
import {
  ACME_PEOPLE,
  ACME_POLICY,
  catalogueOf,
  EXAMPLE_PRICES,
  replaceOnce,
  useBlackBox,
  type BlackBox,
} from "../support/black-box.ts";
import { readBooks } from "../support/books.ts";
import { MINUTE_MS, moveClock } from "../support/clock.ts";
import { openIsolate } from "../support/isolates.ts";
import { budgetOf, CONTEXT, decide, job, proposalOf, SUBMIT } from "../support/requests.ts";

/** An approval is for one exact request, under one exact rule. */
const open = useBlackBox("changes");

afterEach(() => {
  vi.useRealTimers();
});

const big = job({ gpus: 8 });

type Approved = {
  readonly box: BlackBox;
  readonly approval: string;
  readonly token: { readonly "gate-approval": string };
};

async function approved(): Promise<Approved> {
  const box = await open();
  const agent = await box.as("agent");
  const approval = proposalOf(await agent.post(SUBMIT, big, CONTEXT));
  await decide(box, approval, ["bob"]);
  return {
    box,
    approval,
    token: { "gate-approval": text(await agent.get(`/_gate/v1/approvals/${approval}`), "token") },
  };
}

/** Adds a version as the operator and puts it in force as `activator`. */
async function push(box: BlackBox, documents: object, activator: "security" | "finance" = "security"): Promise<void> {
  const added = await (await box.as("operator")).post("/_gate/v1/policy/versions", { ...documents, reason: "test" });
  expect(added.status, added.text).toBe(201);
  const version = member(added, "version");
  const activated = await (await box.as(activator)).post("/_gate/v1/policy/activate", { version });
  expect(activated.status, activated.text).toBe(200);
}

const stateOf = async (box: BlackBox, approval: string): Promise<string> =>
  text(await (await box.as("agent")).get(`/_gate/v1/approvals/${approval}`), "state");

describe("the re-sent request", () => {
  test.each([
    ["gate-reason", "another reason", "reason"],
    ["gate-evidence", "another excerpt", "evidence"],
    ["gate-back-out", "another way back", "back_out"],
    ["gate-incident", "INC-7", "incident"],
  ] as const)("with another %s is refused, and nothing is spent", async (header, value, difference) => {
    const { box, approval, token } = await approved();
    const agent = await box.as("agent");
    for (const handle of [{}, token]) {
      const refused = await agent.post(SUBMIT, big, { ...CONTEXT, [header]: value, ...handle });
      expect(verdict(refused)).toBe("409 resource-changed");
      expect(refused.body).toMatchObject({ differences: [difference] });
    }
    expect(await stateOf(box, approval)).toBe("approved");
    expect((await budgetOf(box)).held).toBe(20_000_000);
    expect(verdict(await agent.post(SUBMIT, big, CONTEXT))).toBe("201");
  });

  test("with another body is another request: a proposal of its own", async () => {
    const { box, approval, token } = await approved();
    const agent = await box.as("agent");
    const other = await agent.post(SUBMIT, job({ gpus: 9 }), CONTEXT);
    expect(verdict(other)).toBe("428 approval-required");
    expect(proposalOf(other)).not.toBe(approval);
    const digest = text(await agent.get(`/_gate/v1/approvals/${approval}`), "request_digest");
    expect(text(other, "approval", "request_digest")).not.toBe(digest);
    expect(verdict(await agent.post(SUBMIT, job({ gpus: 9 }), { ...CONTEXT, ...token }))).toBe("403 approval-invalid");
    expect(await stateOf(box, approval)).toBe("approved");
    expect(await box.upstream.mutations()).toEqual([]);
  });

  test("whose body is only written differently is the same request", async () => {
    const { box } = await approved();
    const reordered = `{ "gpus": 8, "max_hours": 1, "gpu_type": "H100",\n "name": "job-1", "image": "registry.example/train:1", "job_type": "elastic" }`;
    expect(verdict(await (await box.as("agent")).post(SUBMIT, reordered))).toBe("201");
    expect(JSON.parse((await box.upstream.mutations())[0]?.body ?? "")).toEqual(big);
  });
});

describe("a push that leaves the rule alone invalidates nothing", () => {
  test.each([
    ["a comment", { policy: `# reviewed\n${ACME_POLICY}` }],
    ["another action's rule", { policy: replaceOnce(ACME_POLICY, "    - reservations.create\n", "") }],
    [
      "a lower cap that still has room",
      { policy: replaceOnce(ACME_POLICY, "daily_limit_usd: 500", "daily_limit_usd: 400") },
    ],
    ["a person who decides nothing", { people: `${ACME_PEOPLE}  "@erin":\n    subject: person:erin\n` }],
  ])("%s", async (_, documents) => {
    const { box, approval } = await approved();
    await push(box, documents);
    expect(await stateOf(box, approval)).toBe("approved");
    expect(verdict(await (await box.as("agent")).post(SUBMIT, big))).toBe("201");
    expect((await readBooks(box.tenant)).approvals).toMatchObject([{ id: approval, state: "consumed" }]);
  });
});

describe("a push that changes the rule invalidates", () => {
  test.each([
    [
      "an approver was removed",
      { policy: replaceOnce(ACME_POLICY, '["@alice", "@bob"]', '["@alice", "@carol"]') },
      "security",
    ],
    [
      "the approver's handle means somebody else now",
      { people: replaceOnce(ACME_PEOPLE, "subject: person:bob", "subject: person:bob2") },
      "security",
    ],
    ["the action's limit changed", { policy: replaceOnce(ACME_POLICY, "max_gpus: 64", "max_gpus: 32") }, "security"],
    ["the price changed", { prices: replaceOnce(EXAMPLE_PRICES, 'H100: "2.50"', 'H100: "2.60"') }, "finance"],
    [
      "the price table has another version",
      { prices: replaceOnce(EXAMPLE_PRICES, "2026-11-01", "2026-12-01") },
      "finance",
    ],
    [
      "the catalogue's entry changed",
      {
        catalogue: replaceOnce(
          catalogueOf("changes"),
          "gpus: { type: integer, min: 1, max: 4096 }\n        gpu_type: { type: string, one_of: [H100, A100, L40S] }\n        max_hours",
          "gpus: { type: integer, min: 1, max: 512 }\n        gpu_type: { type: string, one_of: [H100, A100, L40S] }\n        max_hours",
        ),
      },
      "security",
    ],
  ] as const)("%s: refused by token and by digest, and people are asked anew", async (_, documents, activator) => {
    const { box, approval, token } = await approved();
    const agent = await box.as("agent");
    await push(box, documents, activator);
    expect(verdict(await agent.post(SUBMIT, big, token))).toBe("403 approval-invalid");
    expect(await stateOf(box, approval)).toBe("approved");
    const anew = await agent.post(SUBMIT, big, CONTEXT);
    expect(verdict(anew)).toBe("428 approval-required");
    expect(proposalOf(anew)).not.toBe(approval);
    expect(anew.body).toMatchObject({ approval: { given: 0 } });
    expect(await stateOf(box, approval)).toBe("invalidated");
    expect(await box.upstream.mutations()).toEqual([]);
  });
});

test("a proposal's own hold does not count against its execution, and leaves no room for others", async () => {
  const { box } = await approved();
  await push(box, { policy: replaceOnce(ACME_POLICY, "daily_limit_usd: 500", "daily_limit_usd: 20") });
  const agent = await box.as("agent");
  const other = await agent.post(SUBMIT, job({ name: "other" }), { ...CONTEXT, "gate-dry-run": "?1" });
  expect(verdict(other)).toBe("402 budget-exceeded");
  expect(verdict(await agent.post(SUBMIT, big))).toBe("201");
  expect(await budgetOf(box)).toMatchObject({ held: 20_000_000, cap: 20_000_000 });
});

test("a grant of yesterday that today's budget has no room for is refused, and kept", async () => {
  const dayMs = 24 * 60 * MINUTE_MS;
  const tomorrowMidnight = (Math.floor(Date.now() / dayMs) + 2) * dayMs;
  moveClock(tomorrowMidnight - 10 * MINUTE_MS - Date.now());
  const { box, approval } = await approved();
  const agent = await box.as("agent");
  expect((await budgetOf(box)).held).toBe(20_000_000);
  moveClock(15 * MINUTE_MS);
  expect((await budgetOf(box)).held).toBe(0);
  const filler = await agent.post(SUBMIT, job({ job_type: "reserved", max_hours: 49 }), CONTEXT);
  expect(verdict(filler)).toBe("428 approval-required");
  const refused = await agent.post(SUBMIT, big);
  expect(verdict(refused)).toBe("402 budget-exceeded");
  expect(refused.body).toMatchObject({
    windows: [{ period: "daily", held_usd: 490, requested_usd: 20, short_usd: 10 }],
  });
  expect(await stateOf(box, approval)).toBe("approved");
  expect(await box.upstream.requests()).toEqual([]);
});

test("a person removed while a proposal is pending counts no more, and a new approver counts at once", async () => {
  const box = await open();
  const agent = await box.as("agent");
  const ask = (): Promise<string> => agent.post("/v1/workloads/wl-1/cancel", {}, CONTEXT).then(proposalOf);
  const approval = await ask();
  await decide(box, approval, ["bob"]);
  await push(box, { policy: replaceOnce(ACME_POLICY, '["@alice", "@bob"]', '["@alice", "@carol"]') });
  const bob = await (await box.as("bob")).post(`/_gate/v1/approvals/${approval}/decisions`, { decision: "deny" });
  expect(verdict(bob)).toBe("403 not-eligible");
  await decide(box, approval, ["alice"]);
  expect(await stateOf(box, approval)).toBe("pending");
  // The changed list is another rule: what was asked under the old one is put anew.
  const anew = await ask();
  expect(anew).not.toBe(approval);
  await decide(box, anew, ["carol", "alice"]);
  expect(verdict(await agent.post("/v1/workloads/wl-1/cancel", {}))).toBe("404");
});

test("a version in force is in force everywhere at once: a warm isolate judges its next write by it", async () => {
  const box = await open();
  const agent = (await box.as("agent")).through(openIsolate().entrance);
  expect(verdict(await agent.post(SUBMIT, big, { ...CONTEXT, "gate-dry-run": "?1" }))).toBe("200");
  await push(box, { policy: replaceOnce(ACME_POLICY, "max_gpus: 64", "max_gpus: 6") });
  const refused = await agent.post(SUBMIT, big, CONTEXT);
  expect(verdict(refused)).toBe("403 constraint-exceeded");
  expect(refused.body).toMatchObject({ violations: [{ limit: 6 }] });
});
