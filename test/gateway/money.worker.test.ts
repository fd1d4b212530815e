import { describe, expect, test } from "vitest";
import { list, member, text, verdict, type Answered } from "../support/answer.ts";
import { ACME_POLICY, replaceOnce, useBlackBox, type BlackBox, type Caller } from "../support/black-box.ts";
import { ledgerRecords } from "../support/books.ts";
import { budgetOf, job, REASON, submit, SUBMIT } from "../support/requests.ts";

/** Finance runs the tenant's money by itself: no policy version, no operator. Acme's caps are 500 USD a day, 10,000 a month. */
const open = useBlackBox("money");

const BUDGET = "/_gate/v1/budget";
const REQUESTS = `${BUDGET}/requests`;
const inAnHour = (): string => new Date(Date.now() + 3_600_000).toISOString();

/** A second person of finance, whose credential the first one made. */
const secondOf = (box: BlackBox): Promise<Caller> =>
  box.mint({ subject: "person:finance2", class: "person", owner: "person:finance2", roles: ["finance"] }, "finance");

const decideAs = (caller: Caller, id: string, decision: string, more: object = {}): Promise<Answered> =>
  caller.post(`/_gate/v1/approvals/${id}/decisions`, { decision, ...more });
const capsOf = async (caller: Caller): Promise<readonly unknown[]> => {
  const budget = await caller.get(BUDGET);
  return [member(budget, "daily", "cap_usd"), member(budget, "monthly", "cap_usd")];
};

describe("a lower cap is in force with the answer", () => {
  test("the next write that does not fit is refused, what runs is not touched, and the refusal says when it would fit", async () => {
    const box = await open();
    const [agent, finance] = [await box.as("agent"), await box.as("finance")];
    expect(verdict(await submit(agent, job()))).toBe("201");
    const set = await finance.put(BUDGET, { daily_cap_usd: 5, reason: "the quarter is nearly spent" });
    expect(verdict(set)).toBe("200");
    expect(set.body).toMatchObject({
      daily: { kind: "lower", state: "approved", cap_usd: 5, from_usd: 500, asked_by: "person:finance", ends_at: null },
      monthly: null,
      refused: null,
      budget: { daily: { cap_usd: 5, policy_cap_usd: 500, finance_cap_usd: 5, held_usd: 10 } },
    });
    const refused = await agent.post(SUBMIT, job({ name: "job-2" }), { ...REASON, "gate-dry-run": "?1" });
    expect(verdict(refused)).toBe("402 budget-exceeded");
    expect(refused.body).toMatchObject({
      windows: expect.arrayContaining([
        expect.objectContaining({ scope: "window", cap_usd: 5, held_usd: 10, requested_usd: 10, short_usd: 15 }),
      ]),
    });
    expect((await budgetOf(box)).held).toBe(10_000_000);
    expect(await box.upstream.mutations()).toHaveLength(1);
    expect((await agent.get("/v1/workloads")).text).toContain("job-1");
  });

  test("both periods in one call, amounts exact to the sixth decimal, as numbers or as text", async () => {
    const box = await open();
    const finance = await box.as("finance");
    const set = await finance.put(BUDGET, { daily_cap_usd: 0.000001, monthly_cap_usd: "999.999999", reason: "test" });
    expect(verdict(set)).toBe("200");
    expect(set.body).toMatchObject({ daily: { cap_micros: 1 }, monthly: { cap_micros: 999_999_999 } });
    expect(await capsOf(finance)).toEqual([0.000001, 999.999999]);
  });

  test("the cap in force is the lower of the policy's and finance's", async () => {
    const box = await open();
    const [finance, finance2] = [await box.as("finance"), await secondOf(box)];
    const asked = await finance.put(BUDGET, { daily_cap_usd: 900, reason: "more than the policy allows" });
    expect(verdict(asked)).toBe("202");
    expect(verdict(await decideAs(finance2, text(asked, "daily", "id"), "approve"))).toBe("200");
    expect((await finance.get(BUDGET)).body).toMatchObject({
      daily: { cap_usd: 500, policy_cap_usd: 500, finance_cap_usd: 900 },
    });
  });
});

describe("a higher cap takes two people of finance", () => {
  test("the asker does not confirm its own, a second person does, and it is on record", async () => {
    const box = await open();
    const [finance, finance2] = [await box.as("finance"), await secondOf(box)];
    await finance.put(BUDGET, { daily_cap_usd: 100, reason: "careful" });
    const asked = await finance.put(BUDGET, { daily_cap_usd: 300, reason: "the launch" });
    expect(verdict(asked)).toBe("202");
    const id = text(asked, "daily", "id");
    expect(id).toMatch(/^bud_[0-9a-z]{26}$/);
    expect(asked.body).toMatchObject({
      daily: { kind: "raise", state: "pending", needed: 1, given: 0, url: `/_gate/v1/approvals/${id}` },
      budget: { daily: { cap_usd: 100 }, pending: [{ id }] },
    });
    expect(verdict(await decideAs(finance, id, "approve"))).toBe("403 not-eligible");
    expect(await capsOf(finance)).toEqual([100, 10_000]);
    const approved = await decideAs(finance2, id, "approve", { comment: "agreed" });
    expect(approved.body).toMatchObject({
      state: "approved",
      given: 1,
      decisions: [{ subject: "person:finance2", decision: "approve", comment: "agreed" }],
    });
    expect(await capsOf(finance)).toEqual([300, 10_000]);
    expect((await finance.get(`/_gate/v1/approvals/${id}`)).body).toMatchObject({ id, state: "approved" });
    const codes = (await ledgerRecords(box.tenant)).map((record) => record.reason_code);
    expect(codes).toEqual(expect.arrayContaining(["budget-lowered", "budget-asked", "budget-approved"]));
  });

  test("the same call by a second person confirms the one that waits", async () => {
    const box = await open();
    const [finance, finance2] = [await box.as("finance"), await secondOf(box)];
    await finance.put(BUDGET, { monthly_cap_usd: 1_000, reason: "careful" });
    expect(verdict(await finance.put(BUDGET, { monthly_cap_usd: 2_000, reason: "more" }))).toBe("202");
    expect(verdict(await finance2.put(BUDGET, { monthly_cap_usd: 2_000, reason: "agreed" }))).toBe("200");
    expect(await capsOf(finance)).toEqual([500, 2_000]);
  });

  test("either of two people asks, and the other confirms, whoever handed out whose demonstration key", async () => {
    const box = await open();
    const [finance, finance2] = [await box.as("finance"), await secondOf(box)];
    await finance.put(BUDGET, { daily_cap_usd: 100, reason: "careful" });
    const asked = await finance2.put(BUDGET, { daily_cap_usd: 300, reason: "an evaluation" });
    expect(verdict(await decideAs(finance, text(asked, "daily", "id"), "approve"))).toBe("200");
    expect(await capsOf(finance)).toEqual([300, 10_000]);
  });

  test("a denial ends it", async () => {
    const box = await open();
    const [finance, finance2] = [await box.as("finance"), await secondOf(box)];
    await finance.put(BUDGET, { daily_cap_usd: 100, reason: "careful" });
    const id = text(await finance.put(BUDGET, { daily_cap_usd: 300, reason: "more" }), "daily", "id");
    expect((await decideAs(finance2, id, "deny")).body).toMatchObject({ state: "denied" });
    expect(verdict(await decideAs(finance2, id, "approve"))).toBe("409 already-decided");
    expect(await capsOf(finance)).toEqual([100, 10_000]);
  });

  test("an API key that an operator could have minted does not speak for a person when a cap is widened", async () => {
    const box = await open();
    const finance = await box.as("finance");
    const claims = { subject: "person:finance3", class: "person", owner: "person:finance3", roles: ["finance"] };
    const key = await box.mint({ ...claims, demo: false }, "finance");
    await finance.put(BUDGET, { daily_cap_usd: 100, reason: "careful" });
    const id = text(await finance.put(BUDGET, { daily_cap_usd: 300, reason: "more" }), "daily", "id");
    const refused = await decideAs(key, id, "approve");
    expect(verdict(refused)).toBe("403 not-eligible");
    expect(refused.text).toContain("own sign-in");
    expect(await capsOf(finance)).toEqual([100, 10_000]);
  });

  test("a temporary raise ends when it is taken back", async () => {
    const box = await open();
    const [finance, finance2] = [await box.as("finance"), await secondOf(box)];
    await finance.put(BUDGET, { daily_cap_usd: 100, reason: "careful" });
    const until = inAnHour();
    const asked = await finance.put(BUDGET, { daily_cap_usd: 300, reason: "one evaluation", until });
    expect(asked.body).toMatchObject({ daily: { ends_at: until } });
    const id = text(asked, "daily", "id");
    await decideAs(finance2, id, "approve");
    expect(await capsOf(finance)).toEqual([300, 10_000]);
    expect((await finance.delete(`${REQUESTS}/${id}`)).body).toMatchObject({ id, state: "withdrawn" });
    expect(await capsOf(finance)).toEqual([100, 10_000]);
  });
});

/** As many raises as may wait: the next one is refused. */
async function fullOfRaises(finance: Caller): Promise<void> {
  for (let n = 0; n < 10; n += 1)
    expect(verdict(await finance.put(BUDGET, { monthly_cap_usd: 11_000 + n, reason: "more" }))).toBe("202");
}

describe("two periods in one call", () => {
  test("where the first is refused, nothing is done", async () => {
    const box = await open();
    const finance = await box.as("finance");
    await fullOfRaises(finance);
    const refused = await finance.put(BUDGET, { daily_cap_usd: 700, monthly_cap_usd: 100, reason: "both" });
    expect(verdict(refused)).toBe("429 rate-limited");
    expect(await capsOf(finance)).toEqual([500, 10_000]);
  });

  test("where only the second is refused, the answer says which, and that the first stands", async () => {
    const box = await open();
    const [finance, finance2] = [await box.as("finance"), await secondOf(box)];
    expect(verdict(await finance.put(BUDGET, { daily_cap_usd: 600, reason: "more" }))).toBe("202");
    await fullOfRaises(finance2);
    // Confirms the one, and would be one raise too many with the other.
    const set = await finance2.put(BUDGET, { daily_cap_usd: 600, monthly_cap_usd: 12_000, reason: "both" });
    expect(verdict(set)).toBe("200");
    expect(set.body).toMatchObject({
      daily: { state: "approved", cap_usd: 600 },
      monthly: null,
      refused: { period: "monthly", problem: { slug: "rate-limited", status: 429 } },
    });
  });
});

describe("anybody asks finance for more", () => {
  test("an agent's request takes two people of finance, and nobody else sees it or decides it", async () => {
    const box = await open();
    const [agent, agent2, carol] = [await box.as("agent"), await box.as("agent2"), await box.as("carol")];
    const [finance, finance2, operator] = [await box.as("finance"), await secondOf(box), await box.as("operator")];
    await finance.put(BUDGET, { daily_cap_usd: 100, reason: "careful" });
    const asked = await agent.post(REQUESTS, {
      window: "daily",
      cap_usd: 250,
      reason: "the evaluation needs 40 more GPU hours",
      incident: "INC-7",
    });
    expect(verdict(asked)).toBe("201");
    expect(asked.body).toMatchObject({
      kind: "request",
      state: "pending",
      period: "daily",
      needed: 2,
      incident: "INC-7",
    });
    const id = text(asked, "id");
    const path = `/_gate/v1/approvals/${id}`;
    for (const other of [agent2, carol]) {
      expect(verdict(await other.get(path))).toBe("404 not-found");
      expect(verdict(await decideAs(other, id, "approve"))).toBe("404 not-found");
      expect(verdict(await other.delete(`${REQUESTS}/${id}`))).toBe("404 not-found");
      expect(list(await other.get(REQUESTS), "records")).toEqual([]);
      expect(list(await other.get(BUDGET), "pending")).toEqual([]);
    }
    for (const one of [agent, finance, operator]) {
      expect(list(await one.get(`${REQUESTS}?state=pending`), "records")).toMatchObject([{ id }]);
      expect(list(await one.get(BUDGET), "pending")).toMatchObject([{ id }]);
    }
    expect(verdict(await decideAs(agent, id, "approve"))).toBe("403 not-eligible");
    expect(verdict(await decideAs(operator, id, "approve"))).toBe("403 not-eligible");
    expect(verdict(await decideAs(finance, id, "break-glass", { comment: "now" }))).toBe("403 not-eligible");
    expect((await decideAs(finance, id, "approve")).body).toMatchObject({ state: "pending", given: 1 });
    expect((await decideAs(finance2, id, "approve")).body).toMatchObject({ state: "approved", given: 2 });
    expect(await capsOf(agent)).toEqual([250, 10_000]);
  });

  test("whoever asked takes it back, under either address", async () => {
    const box = await open();
    const agent = await box.as("agent");
    for (const [cap, path] of [
      [600, REQUESTS],
      [700, "/_gate/v1/approvals"],
    ] as const) {
      const id = text(await agent.post(REQUESTS, { window: "daily", cap_usd: cap, reason: "more" }), "id");
      expect((await agent.delete(`${path}/${id}`)).body).toMatchObject({ id, state: "withdrawn" });
    }
  });

  test("asking for less is refused, also to finance: this is no second way to a lower cap", async () => {
    const box = await open();
    for (const name of ["agent", "finance"] as const) {
      const refused = await (await box.as(name)).post(REQUESTS, { window: "daily", cap_usd: 500, reason: "less" });
      expect(verdict(refused)).toBe("400 malformed-request");
      expect(refused.text).toContain("500 USD already");
    }
    expect(await capsOf(await box.as("agent"))).toEqual([500, 10_000]);
  });
});

test("what cannot be meant is refused with its place, and changes nothing", async () => {
  const box = await open();
  const finance = await box.as("finance");
  const caps = { daily_cap_usd: 100, reason: "why" };
  const cases: readonly (readonly [object, string])[] = [
    [{ reason: "why" }, "state daily_cap_usd, monthly_cap_usd or both"],
    [{ daily_cap_usd: 100 }, "body /reason: missing"],
    [{ ...caps, reason: " " }, "body /reason"],
    [{ ...caps, reason: "two\nlines" }, "body /reason"],
    [{ ...caps, cap: 1 }, "body /cap: unknown key"],
    [{ ...caps, daily_cap_usd: -1 }, "body /daily_cap_usd: is an amount in USD"],
    [{ ...caps, daily_cap_usd: 0.0000001 }, "body"],
    [{ ...caps, daily_cap_usd: "1e3" }, "body /daily_cap_usd: is an amount in USD"],
    [{ ...caps, daily_cap_usd: "1,000" }, "body /daily_cap_usd: is an amount in USD"],
    [{ ...caps, daily_cap_usd: 1_000_000_000 }, "body /daily_cap_usd: is an amount in USD"],
    [{ ...caps, daily_cap_usd: null }, "body /daily_cap_usd: is an amount in USD"],
    [{ ...caps, effective_at: "2026-11-20" }, "body /effective_at: is a time"],
    [{ ...caps, effective_at: "2026-02-30T00:00:00Z" }, "body /effective_at: is a time"],
    [{ ...caps, effective_at: "2026-11-20T08:00:00" }, "body /effective_at: is a time"],
    [{ ...caps, effective_at: "2020-01-01T00:00:00Z" }, "body /effective_at: lies in the past"],
    [{ ...caps, effective_at: "2099-01-01T00:00:00Z" }, "body /effective_at: is more than a year ahead"],
    [{ ...caps, until: "2020-01-01T00:00:00Z" }, "body /until: is not after"],
    [{ ...caps, effective_at: inAnHour(), until: inAnHour() }, "body /until: is not after"],
  ];
  for (const [body, reason] of cases) {
    const refused = await finance.put(BUDGET, body);
    expect([verdict(refused), refused.text]).toEqual(["400 malformed-request", expect.stringContaining(reason)]);
  }
  expect(await capsOf(finance)).toEqual([500, 10_000]);
  for (const query of [
    "holds?window=2026",
    "entries?month=2026-13",
    "export?format=xls",
    "history?limit=0",
    "forecast?x=1",
  ])
    expect(verdict(await finance.get(`${BUDGET}/${query}`)), query).toBe("400 malformed-request");
});

const sumOf = (rows: readonly unknown[], name: string): number =>
  rows.reduce<number>((sum, row) => sum + Number(Object(row)[name]), 0);

describe("every number has its reasons", () => {
  test("holds and the book add up to what is held, in the list and in the file", async () => {
    const box = await open();
    const [agent, finance] = [await box.as("agent"), await box.as("finance")];
    for (const name of ["a", "b", "c"]) await submit(agent, job({ name }));
    const budget = await finance.get(BUDGET);
    const month = text(budget, "monthly", "window");
    const held = member(budget, "monthly", "held_micros");
    const holds = list(await finance.get(`${BUDGET}/holds?window=${month}`), "records");
    expect(holds).toMatchObject([
      { state: "committed", principal: "agent:trainer", action: "workloads.submit" },
      {},
      {},
    ]);
    expect(sumOf(holds, "ceiling_micros")).toBe(held);
    const book = list(await finance.get(`${BUDGET}/entries?month=${month}`), "records");
    expect(sumOf(book, "held_micros")).toBe(held);
    const page = await finance.get(`${BUDGET}/entries?month=${month}&limit=1`);
    const rest = await finance.get(`${BUDGET}/entries?month=${month}&after=${text(page, "next_cursor")}`);
    expect([...list(page, "records"), ...list(rest, "records")]).toEqual(book);

    const file = await finance.get(`${BUDGET}/export?month=${month}`);
    expect(file.headers.get("content-type")).toBe("text/csv; charset=utf-8; header=present");
    expect(file.headers.get("content-disposition")).toBe(`attachment; filename="budget-${month}.csv"`);
    const [header = "", ...lines] = file.text.split("\r\n");
    expect(header.split(",").slice(0, 3)).toEqual(["month", "number", "day"]);
    expect(lines.filter((line) => line !== "")).toHaveLength(book.length);
    const json = await finance.get(`${BUDGET}/export?month=${month}&format=json`);
    expect(list(json, "entries")).toEqual(book);
  });

  test("history has the changes, newest first, and what each window took", async () => {
    const box = await open();
    const [agent, finance] = [await box.as("agent"), await box.as("finance")];
    await submit(agent, job());
    await finance.put(BUDGET, { daily_cap_usd: 200, reason: "first" });
    await finance.put(BUDGET, { daily_cap_usd: 100, reason: "second" });
    const history = await finance.get(`${BUDGET}/history`);
    expect(history.body).toMatchObject({
      changes: [{ reason: "second" }, { reason: "first" }],
      windows: { daily: [{ held_usd: 10, settled_usd: 0, gross_usd: 10 }], monthly: [{ held_usd: 10 }] },
    });
  });

  test("the forecast says what it is made from", async () => {
    const box = await open();
    const agent = await box.as("agent");
    await submit(agent, job());
    const forecast = await agent.get(`${BUDGET}/forecast`);
    expect(forecast.body).toMatchObject({
      timezone: "UTC",
      daily: {
        period: "daily",
        cap_usd: 500,
        used_usd: 10,
        basis: expect.stringMatching(/^(?:Today's use|Too little)/),
      },
      monthly: {
        period: "monthly",
        used_usd: 10,
        rate_micros_per_day: null,
        cap_reached_at: null,
        basis: expect.stringContaining("Too little history"),
      },
    });
  });

  test("the books agree with each other and with the audit records, once these have reached D1", async () => {
    const box = await open();
    const [agent, finance] = [await box.as("agent"), await box.as("finance")];
    const submitted = await submit(agent, job());
    const report = { request_id: submitted.headers.get("gate-request-id"), actual_usd: 10, evidence: "invoice 1" };
    expect((await finance.post("/_gate/v1/usage", [report])).body).toMatchObject({ counts: { settled: 1 } });
    const reconcile = (): Promise<Answered> => finance.get(`${BUDGET}/reconciliation`);
    await expect.poll(async () => member(await reconcile(), "audit", "settled_micros")).toBe(10_000_000);
    expect((await reconcile()).body).toMatchObject({
      books: { windows: { held_micros: 0, settled_micros: 10_000_000 }, usage: { reports: 1, reported_usd: 10 } },
      audit: { reservations: 1 },
      drift: {
        reservations_held_micros: 0,
        reservations_settled_micros: 0,
        entries_held_micros: 0,
        entries_settled_micros: 0,
        usage_micros: 0,
        audit_settled_micros: 0,
      },
    });
  });
});

test("an agent sees the caps that bind it, people with a role all of them", async () => {
  const policy = replaceOnce(
    ACME_POLICY,
    "daily_limit_usd: 500",
    "daily_limit_usd: 500\n  per:\n    principal:\n      agent:trainer: { daily_limit_usd: 50 }\n      agent:sweeper: { daily_limit_usd: 40 }\n    action:\n      workloads.submit: { daily_limit_usd: 300 }",
  );
  const box = await open({ policy });
  const scopes = async (name: "agent" | "agent2" | "carol" | "finance" | "security"): Promise<readonly string[]> => {
    const report = await (await box.as(name)).get(BUDGET);
    return list(report, "scopes").map(
      (one, index) => text(report, "scopes", index, "scope") + (one === null ? "" : ""),
    );
  };
  const both = "action:workloads.submit";
  expect(await scopes("agent")).toEqual(expect.arrayContaining([both, "principal:agent:trainer"]));
  expect(await scopes("agent")).not.toContain("principal:agent:sweeper");
  expect(await scopes("agent2")).not.toContain("principal:agent:trainer");
  expect((await scopes("carol")).filter((scope) => scope.startsWith("principal:"))).toEqual([]);
  for (const name of ["finance", "security"] as const)
    expect(await scopes(name)).toEqual(expect.arrayContaining(["principal:agent:trainer", "principal:agent:sweeper"]));
});
