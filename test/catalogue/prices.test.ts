import { describe, expect, it } from "vitest";
import { compilePrices } from "../../src/catalogue/prices.ts";
import { examplePrices, valueOf } from "./shipped.ts";

const problemsOf = (text: string): readonly string[] => {
  const compiled = compilePrices(text);
  return compiled.ok ? [] : compiled.error.map((p) => `${p.line}:${p.column} ${p.path}`);
};

describe("prices are exact and the gate's own", () => {
  it("reads decimal text into micro-dollars without rounding", () => {
    const prices = valueOf(compilePrices('version: "1"\nrates: { gpu_hour: { H100: "2.50", tiny: "0.000001" } }\n'));
    expect([prices.unitMicros("gpu_hour", "H100"), prices.unitMicros("gpu_hour", "tiny")]).toEqual([2_500_000, 1]);
  });

  it("has no price for what it does not list", () => {
    const prices = examplePrices();
    expect([
      prices.unitMicros("gpu_hour", "B200"),
      prices.unitMicros("tpu_hour", "H100"),
      prices.unitMicros("gpu_hour", "constructor"),
    ]).toEqual([null, null, null]);
  });

  it.each([
    ["a binary fraction", 'version: "1"\nrates:\n  gpu_hour: { H100: 2.5 }\n', "3:21 /rates/gpu_hour/H100"],
    ["seven decimals", 'version: "1"\nrates:\n  gpu_hour: { H100: "0.0000001" }\n', "3:21 /rates/gpu_hour/H100"],
    ["a negative price", 'version: "1"\nrates:\n  gpu_hour: { H100: "-1" }\n', "3:21 /rates/gpu_hour/H100"],
    ["a key twice", 'version: "1"\nrates:\n  gpu_hour: { H100: "1", H100: "2" }\n', "3:26 "],
    ["an unknown key", 'version: "1"\ncurrency: EUR\nrates: {}\n', "2:1 /currency"],
  ])("refuses %s at its place", (_name, text, place) => {
    expect(problemsOf(text)).toContain(place);
  });

  it("changes its digest with every change of its text", () => {
    const digests = ['version: "1"\nrates: {}\n', 'version: "2"\nrates: {}\n'].map(
      (text) => valueOf(compilePrices(text)).digest,
    );
    expect(new Set(digests).size).toBe(2);
  });
});
