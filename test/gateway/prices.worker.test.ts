import { afterEach, describe, expect, test, vi } from "vitest";
import { isJsonObject, type JsonValue } from "../../src/platform/json.ts";
import { member, text, verdict, type Answered } from "../support/answer.ts";
import {
  catalogueOf,
  EXAMPLE_PRICES,
  replaceOnce,
  useBlackBox,
  type BlackBox,
  type Caller,
  type RequestHeaders,
} from "../support/black-box.ts";
import { moveClock } from "../support/clock.ts";
import { budgetOf, CONTEXT, decide, job, proposalOf, REASON, submit, SUBMIT } from "../support/requests.ts";

/** What a request costs: by the table of its moment or by what the control plane says, and within its caller's bounds. */
const open = useBlackBox("prices");

afterEach(() => vi.useRealTimers());

const DRY = { ...REASON, "gate-dry-run": "?1" } as const;
const BIG = job({ gpus: 8 });

/** A price document with a second table after the example's, in force from `from`, where an H100 hour costs 3 USD. */
const withSecond = (from: string): string =>
  `${EXAMPLE_PRICES}  - { version: second, effective_from: "${from}", rates: { gpu_hour: { H100: "3.00" } } }\n`;

/** Puts other prices in force, as the operator and finance do. */
async function push(box: BlackBox, prices: string): Promise<void> {
  const added = await (await box.as("operator")).post("/_gate/v1/policy/versions", { prices, reason: "new prices" });
  expect(added.status, added.text).toBe(201);
  const activated = await (
    await box.as("finance")
  ).post("/_gate/v1/policy/activate", { version: member(added, "version") });
  expect(activated.status, activated.text).toBe(200);
}

describe("the table of the request's moment prices it", () => {
  test("an approval under one table is asked for again under the next, at its price", async () => {
    const box = await open();
    const agent = await box.as("agent");
    const first = proposalOf(await agent.post(SUBMIT, BIG, CONTEXT));
    await decide(box, first, ["alice"]);
    await push(box, withSecond("2026-11-01T00:00:00Z"));
    const again = await agent.post(SUBMIT, BIG, CONTEXT);
    expect(verdict(again)).toBe("428 approval-required");
    expect(proposalOf(again)).not.toBe(first);
    expect(await box.upstream.mutations()).toHaveLength(0);
    await decide(box, proposalOf(again), ["alice"]);
    expect(verdict(await agent.post(SUBMIT, BIG))).toBe("201");
    expect((await budgetOf(box)).held).toBe(24_000_000);
  });

  test("a table whose moment has not come changes nothing: the approval holds", async () => {
    const box = await open();
    const agent = await box.as("agent");
    await decide(box, proposalOf(await agent.post(SUBMIT, BIG, CONTEXT)), ["alice"]);
    await push(box, withSecond("2100-01-01T00:00:00Z"));
    expect(verdict(await agent.post(SUBMIT, BIG))).toBe("201");
    expect((await budgetOf(box)).held).toBe(20_000_000);
  });

  test("the next table is in force at its moment, and not a second before", async () => {
    const from = new Date(Math.ceil(Date.now() / 1000) * 1000 + 3_600_000);
    const box = await open({
      catalogue: withoutDryRun(catalogueOf("prices")),
      prices: withSecond(from.toISOString().replace(".000Z", "Z")),
    });
    const agent = await box.as("agent");
    const plannedAt = async (ms: number): Promise<unknown> => {
      vi.useFakeTimers({ toFake: ["Date"], now: from.getTime() + ms });
      return member(await agent.post(SUBMIT, job(), DRY), "cost");
    };
    expect(await plannedAt(-1)).toEqual({
      ceiling_usd: 10,
      ceiling_micros: 10_000_000,
      adds_usd: 10,
      adds_micros: 10_000_000,
      price_version: "2026-11-01",
      price_as_of: null,
    });
    expect(await plannedAt(0)).toMatchObject({ ceiling_usd: 12, price_version: "second", price_as_of: null });
  });

  test("before the first table nothing has a price, and the refusal says since when there are any", async () => {
    const prices = replaceOnce(EXAMPLE_PRICES, "2020-01-01T00:00:00Z", "2100-01-01T00:00:00Z");
    const agent = await (await open({ prices })).as("agent");
    const refused = await agent.post(SUBMIT, job(), REASON);
    expect(verdict(refused)).toBe("403 unpriced");
    expect(member(refused, "missing")).toEqual(["no price table is in force before 2100-01-01T00:00:00.000Z"]);
  });

  test("every record names the version", async () => {
    const box = await open();
    await submit(await box.as("agent"), job());
    const versions = async (): Promise<readonly string[]> =>
      (await recordsOf(box)).flatMap((one) =>
        isJsonObject(one) ? [`${JSON.stringify(one["kind"])} ${JSON.stringify(one["price_version"])}`] : [],
      );
    await expect
      .poll(async () => (await versions()).toSorted(), POLL)
      .toEqual(['"intent" "2026-11-01"', '"outcome" "2026-11-01"', '"plan" "2026-11-01"']);
  });
});

/** What the tenant's record says of its submissions: stored in D1 a moment after the answer. */
async function recordsOf(box: BlackBox): Promise<readonly JsonValue[]> {
  const audit = await (await box.as("security")).get("/_gate/v1/audit?action=workloads.submit");
  const records = member(audit, "records");
  return Array.isArray(records) ? records : [];
}
const POLL = { timeout: 20_000 };

/** The catalogue with submissions that upstream has no dry run for: plans need no second call. */
const withoutDryRun = (catalogue: string): string =>
  catalogue.replace(/^dry_run: .*$/m, "dry_run: none").replaceAll(/^ {4}dry_run: (?!none).*$/gm, "    dry_run: none");

/** Where H100 hours cost as many cents as the cluster has GPUs: 256. */
function upstreamPrices(pointer = "/capacity/total_gpus"): string {
  const charge = `        - rate: gpu_hour
          key: { fact: gpu_type }
          quantity: { product: [{ fact: gpus }, { fact: hours }] }
      duration: { hours: { fact: hours } }
    outcome: workload
`;
  const asked = `        - unit_price: { look_up: prices, at: ${pointer} }
          unit: cents
          quantity: { product: [{ fact: gpus }, { fact: hours }] }
      duration: { hours: { fact: hours } }
    outcome: workload
    look_ups: { prices: { method: GET, path: /v1/capacity, max_age_s: 300 } }
`;
  return withoutDryRun(replaceOnce(catalogueOf("prices"), charge, asked));
}

const VERSION = /^upstream:[0-9a-f]{16}$/;
const calls = async (box: BlackBox): Promise<number> =>
  (await box.upstream.requests()).filter(({ path }) => path === "/v1/capacity").length;

const plan = (agent: Caller): Promise<Answered> => agent.post(SUBMIT, job(), DRY);

describe("the control plane's own prices", () => {
  test("are asked for once and used again, and the plan says as of when", async () => {
    const box = await open({ catalogue: upstreamPrices() });
    const agent = await box.as("agent");
    const before = Date.now();
    const first = await plan(agent);
    expect(member(first, "cost")).toMatchObject({ ceiling_usd: 10.24, price_version: expect.stringMatching(VERSION) });
    const asOf = text(first, "cost", "price_as_of");
    expect(Date.parse(asOf)).toBeGreaterThanOrEqual(before);
    expect(Date.parse(asOf)).toBeLessThanOrEqual(Date.now());
    expect(member(await plan(agent), "cost")).toEqual(member(first, "cost"));
    expect(await calls(box)).toBe(1);
  });

  test("of one tenant are never another's", async () => {
    const boxes = [await open({ catalogue: upstreamPrices() }), await open({ catalogue: upstreamPrices() })];
    for (const box of boxes) expect((await plan(await box.as("agent"))).status).toBe(200);
    expect(await Promise.all(boxes.map(calls))).toEqual([1, 1]);
  });

  test("count within their age while upstream fails, and not a moment longer", async () => {
    const box = await open({ catalogue: upstreamPrices() });
    const agent = await box.as("agent");
    const first = await plan(agent);
    // Past half the age it is asked again, and refuses: its clock is the real one.
    moveClock(200_000);
    const stale = await plan(agent);
    expect(member(stale, "cost")).toEqual(member(first, "cost"));
    expect(await calls(box)).toBe(2);
    moveClock(110_000);
    const refused = await plan(agent);
    expect(verdict(refused)).toBe("403 unpriced");
    expect(text(refused, "missing", 0)).toMatch(
      /^look-up prices has no answer \(status 401; the last good answer is 31[0-9] s old, at most 300 s count\)$/,
    );
  });

  test("that were never answered are no prices", async () => {
    const box = await open({ catalogue: upstreamPrices() });
    await box.upstream.inject([{ method: "GET", path: "/v1/capacity", times: 1, kind: "status:500" }]);
    const refused = await plan(await box.as("agent"));
    expect(member(refused, "missing")).toEqual([
      "look-up prices has no answer (status 500; there is no earlier answer)",
    ]);
    expect((await plan(await box.as("agent"))).status).toBe(200);
  });

  test("bind an approval by the price: fetched again it holds, changed it does not", async () => {
    const box = await open({ catalogue: upstreamPrices() });
    const agent = await box.as("agent");
    await decide(box, proposalOf(await agent.post(SUBMIT, BIG, CONTEXT)), ["alice"]);
    expect(verdict(await agent.post(SUBMIT, BIG))).toBe("201");
    expect((await budgetOf(box)).held).toBe(20_480_000);

    // Free GPUs as the price: it falls with each job that starts. What an isolate remembers, the next one asks for.
    const other = await open({ catalogue: upstreamPrices("/capacity/free_gpus").replace(", max_age_s: 300", "") });
    const asks = await other.as("agent");
    const first = proposalOf(await asks.post(SUBMIT, BIG, CONTEXT));
    await decide(other, first, ["alice"]);
    const unchanged = job({ gpus: 8, name: "job-2" });
    const second = proposalOf(await asks.post(SUBMIT, unchanged, CONTEXT));
    await decide(other, second, ["alice"]);
    expect(verdict(await asks.post(SUBMIT, BIG))).toBe("201");
    const again = await asks.post(SUBMIT, unchanged, CONTEXT);
    expect(verdict(again)).toBe("428 approval-required");
    expect(proposalOf(again)).not.toBe(second);
  });
});

const send = async (box: BlackBox, body: object, bounds: RequestHeaders): Promise<Answered> =>
  (await box.as("agent")).post(SUBMIT, body, { ...DRY, ...bounds });

describe("the caller's own bounds", () => {
  test.each([
    [
      { "gate-max-cost": "9.999999" },
      {
        rule: "Gate-Max-Cost of the caller",
        violations: [{ constraint: "max_cost_usd", limit: 9.999999, actual: 10 }],
        nearest: { tier: 2, facts: { gpus: 3 } },
      },
    ],
    [
      { "gate-max-hours": "0.5" },
      {
        rule: "Gate-Max-Hours of the caller",
        violations: [{ constraint: "max_hours", limit: 0.5, actual: 1 }],
        nearest: null,
      },
    ],
    [
      { "gate-max-hours": "0.5", "gate-max-cost": "1" },
      {
        rule: "Gate-Max-Cost and Gate-Max-Hours of the caller",
        violations: [
          { constraint: "max_cost_usd", limit: 1, actual: 10 },
          { constraint: "max_hours", limit: 0.5, actual: 1 },
        ],
        nearest: null,
      },
    ],
  ])("%o refuse with the numbers and the nearest that passes, and hold nothing", async (bounds, members) => {
    const box = await open();
    const refused = await send(box, job(), bounds);
    expect(verdict(refused)).toBe("403 constraint-exceeded");
    expect(refused.body).toMatchObject(members);
    expect((await budgetOf(box)).held).toBe(0);
    const record = { rule: members.rule, reason_code: "constraint-exceeded", cost_micros: 10_000_000 };
    await expect.poll(() => recordsOf(box), POLL).toMatchObject([record]);
  });

  test("name fewer hours where the hours are too many", async () => {
    const refused = await send(await open(), job({ max_hours: 8 }), { "gate-max-hours": "4", "gate-max-cost": "45" });
    expect(refused.body).toMatchObject({ nearest: { tier: 2, facts: { hours: 4 } } });
  });

  test("that are kept change neither price nor hold, and are no part of what is asked", async () => {
    const box = await open();
    const agent = await box.as("agent");
    const bounds = { "gate-max-cost": "10", "gate-max-hours": "1" };
    const receipt = text(await send(box, job(), bounds), "receipt");
    expect(verdict(await agent.post(SUBMIT, job(), { ...REASON, "gate-plan": receipt }))).toBe("201");
    expect((await budgetOf(box)).held).toBe(10_000_000);
    const approved = proposalOf(await agent.post(SUBMIT, BIG, { ...CONTEXT, "gate-max-cost": "20" }));
    await decide(box, approved, ["alice"]);
    expect(verdict(await agent.post(SUBMIT, BIG, { "gate-max-cost": "19.99" }))).toBe("403 constraint-exceeded");
    expect(verdict(await agent.post(SUBMIT, BIG))).toBe("201");
    for (const { headers } of await box.upstream.requests())
      expect(Object.keys(headers).filter((name) => name.startsWith("gate-max"))).toEqual([]);
  });

  test("have nothing to bind on reads, and are read strictly there too", async () => {
    const agent = await (await open()).as("agent");
    expect(verdict(await agent.get("/v1/workloads", { "gate-max-cost": "0", "gate-max-hours": "0.001" }))).toBe("200");
    expect(verdict(await agent.get("/v1/workloads", { "gate-max-cost": "0 USD" }))).toBe("400 malformed-request");
  });
});
