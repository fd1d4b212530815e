import { describe, expect, test } from "vitest";
import type { UpstreamCall } from "../../src/catalogue/types.ts";
import { createPriceAnswers, priceKey, type AskPrices, type PriceAnswers } from "../../src/gateway/price-answers.ts";
import type { JsonValue } from "../../src/platform/json.ts";
import { err, ok, type Result } from "../../src/platform/result.ts";

const MAX_AGE_MS = 300_000;
const BEGIN = 1_000_000;

type Place = {
  readonly answers: PriceAnswers;
  readonly ask: AskPrices;
  now: number;
  says: Result<JsonValue, string>;
  asked: number;
};

/** A control plane whose prices are what `says` holds, asked through answers with a clock of their own. */
function stand(first: Result<JsonValue, string>): Place {
  const place: Place = {
    answers: createPriceAnswers(() => place.now),
    now: BEGIN,
    says: first,
    asked: 0,
    ask: async (): Promise<Result<JsonValue, string>> => {
      place.asked += 1;
      return place.says;
    },
  };
  return place;
}

describe("an answer counts within its age, and never past it", () => {
  const one = { usd: "1.00" };
  const two = { usd: "2.00" };
  const FAILED = err("status 503");

  test.each([
    // Age of the first answer, what upstream says then, what counts, calls made, and when it was asked.
    ["at once", 0, ok(two), ok({ json: one, askedAt: BEGIN }), 1],
    ["at half its age", 150_000, ok(two), ok({ json: one, askedAt: BEGIN }), 1],
    ["past half its age", 150_001, ok(two), ok({ json: two, askedAt: BEGIN + 150_001 }), 2],
    ["past half its age, upstream failing", 150_001, FAILED, ok({ json: one, askedAt: BEGIN }), 2],
    ["at its age, upstream failing", 300_000, FAILED, ok({ json: one, askedAt: BEGIN }), 2],
    [
      "past its age, upstream failing",
      300_001,
      FAILED,
      err("status 503; the last good answer is 301 s old, at most 300 s count"),
      2,
    ],
    ["past its age", 300_001, ok(two), ok({ json: two, askedAt: BEGIN + 300_001 }), 2],
    // A clock that stepped back: an answer from the future has no age.
    ["before it was asked", -1, ok(two), ok({ json: two, askedAt: BEGIN - 1 }), 2],
  ])("%s", async (_name, ageMs, then, expected, calls) => {
    const place = stand(ok(one));
    expect(await place.answers.get("key", MAX_AGE_MS, place.ask)).toEqual(ok({ json: one, askedAt: BEGIN }));
    place.now += ageMs;
    place.says = then;
    expect(await place.answers.get("key", MAX_AGE_MS, place.ask)).toEqual(expected);
    expect(place.asked).toBe(calls);
  });

  test("without any answer there is none, and a failure is not remembered", async () => {
    const place = stand(FAILED);
    expect(await place.answers.get("key", MAX_AGE_MS, place.ask)).toEqual(
      err("status 503; there is no earlier answer"),
    );
    place.says = ok(one);
    expect(await place.answers.get("key", MAX_AGE_MS, place.ask)).toMatchObject({ ok: true });
  });

  test("a failed call does not make the last answer younger", async () => {
    const place = stand(ok(one));
    await place.answers.get("key", MAX_AGE_MS, place.ask);
    place.says = FAILED;
    place.now += 200_000;
    expect(await place.answers.get("key", MAX_AGE_MS, place.ask)).toMatchObject({ ok: true });
    place.now += 100_001;
    expect(await place.answers.get("key", MAX_AGE_MS, place.ask)).toMatchObject({ ok: false });
  });

  test("an answer is as old as its question: what upstream takes its time for is older by that", async () => {
    const place = stand(ok(one));
    const slow: AskPrices = async () => {
      place.now += 10_000;
      return ok(one);
    };
    expect(await place.answers.get("key", MAX_AGE_MS, slow)).toEqual(ok({ json: one, askedAt: BEGIN }));
  });

  test("a failing call counts the answer that a request beside it had meanwhile", async () => {
    const place = stand(FAILED);
    const overtaken: AskPrices = async () => {
      await place.answers.get("key", MAX_AGE_MS, async () => ok(two));
      return FAILED;
    };
    expect(await place.answers.get("key", MAX_AGE_MS, overtaken)).toMatchObject({ ok: true, value: { json: two } });
  });

  test("what is handed out cannot change what is remembered", async () => {
    const place = stand(ok({ list: [1] }));
    const given = await place.answers.get("key", MAX_AGE_MS, place.ask);
    if (given.ok) Object.assign(given.value.json ?? {}, { list: [9] });
    expect(await place.answers.get("key", MAX_AGE_MS, place.ask)).toMatchObject({ value: { json: { list: [1] } } });
  });
});

describe("what is remembered is bounded", () => {
  test("a long answer is used and not remembered", async () => {
    const place = stand(ok("x".repeat(64 * 1024)));
    for (let time = 0; time < 2; time++) await place.answers.get("key", MAX_AGE_MS, place.ask);
    expect(place.asked).toBe(2);
  });

  test("the oldest of more than 256 are asked for again", async () => {
    const place = stand(ok(1));
    for (let key = 0; key <= 256; key++) await place.answers.get(String(key), MAX_AGE_MS, place.ask);
    await place.answers.get("256", MAX_AGE_MS, place.ask);
    expect(place.asked).toBe(257);
    await place.answers.get("0", MAX_AGE_MS, place.ask);
    expect(place.asked).toBe(258);
  });
});

test("tenants, control planes and calls never share an answer", () => {
  const call: UpstreamCall = { method: "GET", path: "/prices", query: [], headers: {}, contentType: null, body: null };
  const keys = [
    priceKey("acme", "example", call),
    priceKey("globex", "example", call),
    priceKey("acme", "other", call),
    priceKey("acme", "example", { ...call, path: "/prices/h100" }),
    priceKey("acme", "example", { ...call, query: [["zone", "eu"]] }),
    priceKey("acme", "example", { ...call, method: "POST" }),
  ];
  expect(new Set(keys).size).toBe(keys.length);
});
