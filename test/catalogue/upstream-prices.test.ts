import { describe, expect, it } from "vitest";
import { compileCatalogue } from "../../src/catalogue/compile.ts";
import { compilePrices } from "../../src/catalogue/prices.ts";
import type { CostOutcome } from "../../src/catalogue/types.ts";
import { matched, valueOf } from "./shipped.ts";
import { smallCatalogue } from "./small-catalogue.ts";

const NOVEMBER = Date.parse("2026-11-01T00:00:00Z");
const NEW_YEAR = Date.parse("2027-01-01T00:00:00Z");
const TABLES = valueOf(
  compilePrices(`tables:
  - { version: "2026-11", effective_from: "2026-11-01T00:00:00Z", rates: { gpu_hour: { H100: "2.50" } } }
  - { version: "2027-01", effective_from: "2027-01-01T00:00:00Z", rates: { gpu_hour: { H100: "3.00" } } }
`),
);

const priced = (charges: string, lookedUp: Record<string, number> = {}, now = NOVEMBER): CostOutcome => {
  const submit = `    body: { type: object, keys: { gpus: { type: integer, min: 1, max: 64 } } }
    facts: { gpus: { body: /gpus } }
    look_ups: { spot: { method: GET, path: /prices, max_age_s: 300 } }
    cost: { charges: [${charges}] }
    outcome: { success: [200], definite_failures: [400], look_up: none }`;
  const catalogue = valueOf(compileCatalogue(smallCatalogue({ submit })));
  return matched(catalogue, "POST", "/jobs", { body: { gpus: 3 } }).cost(
    { gpus: 3 },
    new Map([["spot", lookedUp]]),
    TABLES,
    now,
  );
};
const RATE = "{ rate: gpu_hour, key: H100, quantity: { fact: gpus } }";
const spot = (pointer: string): string =>
  `{ unit_price: { look_up: spot, at: ${pointer} }, unit: cents, quantity: { fact: gpus } }`;
const versionOf = (outcome: CostOutcome): string =>
  outcome.kind === "priced" ? outcome.priceVersion : JSON.stringify(outcome);

const problemsOf = (rest: string): readonly string[] => {
  const submit = `    body: { type: object, keys: { gpus: { type: integer, min: 1, max: 64 } } }
${rest}
    outcome: { success: [200], definite_failures: [400], look_up: none }`;
  const compiled = compileCatalogue(smallCatalogue({ submit }));
  return compiled.ok ? [] : compiled.error.map(({ message, path }) => `${path} ${message}`);
};
const AGED = "    look_ups: { spot: { method: GET, path: /prices, max_age_s: 300 } }";
const charge = (unitPrice: string, quantity = "{ fact: gpus }"): string =>
  `    cost: { charges: [{ unit_price: ${unitPrice}, unit: usd, quantity: ${quantity} }] }`;
const SIZE = "    facts: { gpus: { body: /gpus } }";

describe("a request's price version names its prices", () => {
  it("prices by the table of the request's moment and names it", () => {
    const both = `${RATE}, ${spot("/a")}`;
    expect(priced(both, { a: 0 })).toMatchObject({ ceilingMicros: 7_500_000 });
    expect(priced(both, { a: 0 }, NEW_YEAR)).toMatchObject({ ceilingMicros: 9_000_000 });
  });

  it("says since when there are prices, before there are any", () => {
    expect(priced(`${RATE}, ${spot("/a")}`, { a: 1 }, NOVEMBER - 1)).toEqual({
      kind: "unpriced",
      missing: ["no price table is in force before 2026-11-01T00:00:00.000Z"],
    });
  });

  it("names upstream's prices by themselves: the same are the same version, any other is another", () => {
    const version = versionOf(priced(spot("/a"), { a: 249, other: 1 }));
    expect(version).toMatch(/^upstream:[0-9a-f]{16}$/);
    expect(versionOf(priced(spot("/a"), { a: 249, other: 2 }, NEW_YEAR))).toBe(version);
    expect(versionOf(priced(spot("/a"), { a: 250 }))).not.toBe(version);
    expect(versionOf(priced(`${spot("/a")}, ${spot("/b")}`, { a: 1, b: 2 }))).not.toBe(
      versionOf(priced(`${spot("/a")}, ${spot("/b")}`, { a: 2, b: 1 })),
    );
  });

  it("names both where both are used", () => {
    const alone = versionOf(priced(spot("/a"), { a: 249 }));
    expect(versionOf(priced(`${spot("/a")}, ${RATE}`, { a: 249 }))).toBe(`2026-11+${alone}`);
    expect(versionOf(priced(`${spot("/a")}, ${RATE}`, { a: 249 }, NEW_YEAR))).toBe(`2027-01+${alone}`);
  });
});

describe("only prices are remembered, and only upstream's are asked for", () => {
  it.each([
    [
      "a size",
      `    facts: { gpus: { look_up: spot, at: /gpus } }\n${AGED}\n${charge("{ look_up: spot, at: /usd }")}`,
      "/routes/1/facts/gpus/look_up look-up spot has max_age_s: only a unit_price can read an answer that is not of now",
    ],
    [
      "a quantity",
      `${SIZE}\n${AGED}\n${charge("{ look_up: spot, at: /usd }", "{ first: [{ look_up: spot, at: /n }] }")}`,
      "/routes/1/cost/charges/0/quantity/first/0/look_up look-up spot has max_age_s: only a unit_price can read an answer that is not of now",
    ],
    [
      "nothing",
      `${SIZE}\n${AGED}\n    cost: none`,
      "/routes/1/look_ups/spot/max_age_s only prices are remembered, and no unit_price reads this look-up",
    ],
    [
      "a unit price of the catalogue's own",
      `${SIZE}\n${charge("2")}`,
      "/routes/1/cost/charges/0/unit_price a unit_price is upstream's: read it from a look-up",
    ],
    [
      "a unit price of the caller's",
      `${SIZE}\n${charge("{ body: /gpus }")}`,
      "/routes/1/cost/charges/0/unit_price a unit_price is upstream's: read it from a look-up",
    ],
  ])("refuses %s that does not fit", (_name, rest, problem) => {
    expect(problemsOf(rest)).toEqual([problem]);
  });

  it("lets a unit price read it, and says so", () => {
    expect(problemsOf(`${SIZE}\n${AGED}\n${charge("{ look_up: spot, at: /usd }")}`)).toEqual([]);
  });
});
