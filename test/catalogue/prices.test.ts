import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compileCatalogue } from "../../src/catalogue/compile.ts";
import { compilePrices } from "../../src/catalogue/prices.ts";
import { examplePrices, matched, NOW, valueOf } from "./shipped.ts";
import { smallCatalogue } from "./small-catalogue.ts";

const problemsOf = (text: string): readonly string[] => {
  const compiled = compilePrices(text);
  return compiled.ok ? [] : compiled.error.map((p) => `${p.line}:${p.column} ${p.path}`);
};

const table = (version: string, from: string, rates = '{ gpu_hour: { H100: "2.50" } }'): string =>
  `  - version: "${version}"\n    effective_from: ${from}\n    rates: ${rates}\n`;
const document = (...tables: readonly string[]): string => `tables:\n${tables.join("")}`;

const NOON = "2026-11-20T12:00:00Z";
const NOON_ELSEWHERE = "2026-11-20T17:45:00+05:45";
const LATER = "2026-11-20T12:00:01Z";
const NOVEMBER = Date.parse("2026-11-01T00:00:00Z");
const NEW_YEAR = Date.parse("2026-12-31T23:00:00Z");
const TWO = document(
  table("2026-11", "2026-11-01T00:00:00Z"),
  table("2027-01", "2027-01-01T00:00:00+01:00", '{ gpu_hour: { H100: "3.00" } }'),
);

describe("prices are exact and the gate's own", () => {
  it("reads decimal text into micro-dollars without rounding", () => {
    const rates = '{ gpu_hour: { H100: "2.50", tiny: "0.000001" } }';
    const prices = valueOf(compilePrices(document(table("1", "2026-11-01T00:00:00Z", rates)))).at(NOW);
    expect([prices?.unitMicros("gpu_hour", "H100"), prices?.unitMicros("gpu_hour", "tiny")]).toEqual([2_500_000, 1]);
  });

  it("has no price for what it does not list", () => {
    const prices = examplePrices().at(NOW);
    expect([
      prices?.unitMicros("gpu_hour", "B200"),
      prices?.unitMicros("tpu_hour", "H100"),
      prices?.unitMicros("gpu_hour", "constructor"),
    ]).toEqual([null, null, null]);
  });

  const rates = (text: string): string => document(table("1", "2026-11-01T00:00:00Z", text));
  it.each([
    ["a binary fraction", rates("{ gpu_hour: { H100: 2.5 } }"), "4:32 /tables/0/rates/gpu_hour/H100"],
    ["seven decimals", rates('{ gpu_hour: { H100: "0.0000001" } }'), "4:32 /tables/0/rates/gpu_hour/H100"],
    ["a negative price", rates('{ gpu_hour: { H100: "-1" } }'), "4:32 /tables/0/rates/gpu_hour/H100"],
    ["a key twice", rates('{ gpu_hour: { H100: "1", H100: "2" } }'), "4:37 "],
    ["an unknown key", `${rates("{}")}currency: EUR\n`, "5:1 /currency"],
    ["no table", "tables: []\n", "1:9 /tables"],
    ["rates without a table", 'version: "1"\nrates: {}\n', "1:1 /version"],
    ["a version that reads as two", document(table("1+2", "2026-11-01T00:00:00Z")), "2:14 /tables/0/version"],
    ["a version that reads as upstream's", document(table("upstream:0", NOON)), "2:14 /tables/0/version"],
    ["a date without a time", document(table("1", "2026-11-01")), "3:21 /tables/0/effective_from"],
    ["a time without an offset", document(table("1", "2026-11-01T00:00:00")), "3:21 /tables/0/effective_from"],
    ["a day that does not exist", document(table("1", "2026-02-29T00:00:00Z")), "3:21 /tables/0/effective_from"],
    ["a version twice", document(table("1", NOON), table("1", LATER)), "5:14 /tables/1/version"],
    [
      "two tables of one moment",
      document(table("1", NOON), table("2", NOON_ELSEWHERE)),
      "6:21 /tables/1/effective_from",
    ],
    ["tables out of order", document(table("1", LATER), table("2", NOON)), "6:21 /tables/1/effective_from"],
  ])("refuses %s at its place", (_name, text, place) => {
    expect(problemsOf(text)).toContain(place);
  });

  it("changes its digest with every change of its text", () => {
    const digests = [TWO, TWO.replace("3.00", "3.01")].map((text) => valueOf(compilePrices(text)).digest);
    expect(new Set(digests).size).toBe(2);
  });
});

describe("one table is in force at any moment", () => {
  const prices = valueOf(compilePrices(TWO));

  it.each([
    ["a millisecond before the first", NOVEMBER - 1, null],
    ["at the first's moment", NOVEMBER, "2026-11"],
    ["a millisecond before the second's, which its offset moves", NEW_YEAR - 1, "2026-11"],
    ["at the second's moment", NEW_YEAR, "2027-01"],
    ["long after", NEW_YEAR * 2, "2027-01"],
  ])("%s", (_name, now, version) => {
    expect(prices.at(now)?.version ?? null).toBe(version);
  });

  it("is the last whose date has come, whatever the dates", () => {
    const moments = fc.uniqueArray(fc.integer({ min: 0, max: 4_000_000_000 }), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(moments, fc.integer({ min: 0, max: 4_000_000_000 }), (seconds, now) => {
        const starts = seconds.toSorted((a, b) => a - b);
        const tables = starts.map((start, index) =>
          table(String(index), new Date(start * 1000).toISOString().replace(".000Z", "Z")),
        );
        const inForce = starts.filter((start) => start <= now).length - 1;
        expect(valueOf(compilePrices(document(...tables))).at(now * 1000)?.version ?? null).toBe(
          inForce < 0 ? null : String(inForce),
        );
      }),
    );
  });

  it("rounds each charge up to a whole micro-dollar, never below the exact product and never a whole one above it", () => {
    const parts = fc.record({
      unit: fc.integer({ min: 0, max: 5_000_000 }),
      gpus: fc.integer({ min: 1, max: 64 }),
      per: fc.integer({ min: 1, max: 1_000_000 }),
    });
    fc.assert(
      fc.property(parts, ({ unit, gpus, per }) => {
        const usd = `"${(unit / 1_000_000).toFixed(6)}"`;
        const text = document(table("1", NOON, `{ gpu_hour: { H100: ${usd} } }`));
        const submit = `    body: { type: object, keys: { gpus: { type: integer, min: 1, max: 64 } } }
    facts: { gpus: { body: /gpus } }
    cost: { charges: [{ rate: gpu_hour, key: H100, quantity: { fact: gpus }, per: ${per} }] }
    outcome: { success: [200], definite_failures: [400], look_up: none }`;
        const catalogue = valueOf(compileCatalogue(smallCatalogue({ submit })));
        const operation = matched(catalogue, "POST", "/jobs", { body: { gpus } });
        const cost = operation.cost({ gpus }, new Map(), valueOf(compilePrices(text)), NEW_YEAR);
        const ceiling = cost.kind === "priced" ? BigInt(cost.ceilingMicros) : -1n;
        const exact = BigInt(unit) * BigInt(gpus);
        expect(ceiling * BigInt(per) >= exact && (ceiling - 1n) * BigInt(per) < exact).toBe(true);
      }),
      { numRuns: 50 },
    );
  });
});
