import { describe, expect, it } from "vitest";
import { parseStrictJson } from "../../src/platform/strict-json.ts";
import { exampleCatalogue, refusalOf, valueOf } from "./shipped.ts";
import { compileCatalogue } from "../../src/catalogue/compile.ts";
import { smallCatalogue } from "./small-catalogue.ts";

const catalogue = exampleCatalogue();
const BASE = { name: "a", image: "i", job_type: "elastic", gpus: 1, gpu_type: "H100", max_hours: 1 };
const submitted = (change: Record<string, unknown>): string =>
  refusalOf(catalogue, "POST", "/v1/workloads", {
    body: valueOf(parseStrictJson(JSON.stringify({ ...BASE, ...change }))),
  });

describe("a body is exactly what its closed schema says (PAR-02, PAR-06, PAR-07, PAR-10, PAR-15)", () => {
  it.each<[string, Record<string, unknown>, string]>([
    ["a case variant", { GPUs: 4 }, "body/GPUs: unknown key"],
    ["a fullwidth variant", { "\uff47pus": 4 }, "unknown key"],
    ["a zero-width twin", { "gpus\u200b": 4 }, "unknown key"],
    ["a decomposed twin", { "na\u0301me": "x" }, "unknown key"],
    ["text", { gpus: "4" }, "body/gpus: expected a whole number from 1 to 4096, found other text"],
    ["a boolean", { gpus: true }, "body/gpus"],
    ["null", { gpus: null }, "body/gpus"],
    ["a list", { gpus: [4] }, "body/gpus"],
    ["an object", { gpus: {} }, "body/gpus"],
    ["zero", { gpus: 0 }, "body/gpus"],
    ["a negative count", { gpus: -4 }, "body/gpus"],
    ["a fraction", { gpus: 0.5 }, "body/gpus"],
    ["above the range", { gpus: 4097 }, "body/gpus"],
    ["an inexact integer", { gpus: 9_007_199_254_740_991 }, "body/gpus"],
    ["no duration", { max_hours: undefined }, "body/max_hours: required and missing"],
    ["a duration without end", { max_hours: 8761 }, "body/max_hours"],
    ["an alias of the count", { replicas: 4 }, "body/replicas: unknown key"],
    ["a nested limit", { resources: { limits: { "nvidia.com/gpu": 64 } } }, "body/resources: unknown key"],
    ["a control character", { name: "a\nb" }, "body/name"],
    ["an invisible character in an image", { image: "i\u200b" }, "body/image"],
    [
      "too many variables",
      { env: Object.fromEntries(Array.from({ length: 65 }, (_, index) => [`V${index}`, ""])) },
      "body/env: more than 64 entries",
    ],
    ["a variable's name", { env: { "LD PRELOAD": "x" } }, "body/env/LD PRELOAD: the key must be"],
    ["a variable's type", { env: { A: 1 } }, "body/env/A: expected text"],
    ["a variable's length", { env: { A: "x".repeat(4097) } }, "body/env/A"],
  ])("refuses %s", (_name, change, reason) => {
    expect(submitted(change)).toMatch(/^malformed-request: /);
    expect(submitted(change)).toContain(reason);
  });

  it("accepts the edges of every range", () => {
    for (const change of [{ gpus: 4096 }, { max_hours: 8760 }, { env: {} }, { env: { A: "line\nline\ttab é 漢" } }]) {
      expect(submitted(change)).toBe("allowed");
    }
  });

  it("never repeats the caller's text in a reason: it may be a secret and reasons are audited", () => {
    expect(submitted({ env: { TOKEN: `hunter2${"x".repeat(5000)}` } })).not.toContain("hunter2");
    expect(submitted({ gpu_type: "hunter2" })).not.toContain("hunter2");
  });

  it.each([[[{ ...BASE }]], ["text"], [1], [null], [true]])("refuses a root that is not an object: %j", (body) => {
    expect(refusalOf(catalogue, "POST", "/v1/workloads", { body })).toContain("body: expected an object");
  });
});

describe("an opaque subtree is passed on only while no reader can misread it", () => {
  const opaque = valueOf(
    compileCatalogue(
      smallCatalogue({
        submit: `    body: { type: object, keys: { gpus: { type: integer, min: 1, max: 8 }, pod: { type: opaque, max_members: 20, forbid: [hostNetwork] } } }
    facts: { gpus: { body: /gpus } }
    cost: none
    outcome: { success: [200], definite_failures: [400], look_up: none }`,
      }),
    ),
  );
  it.each([
    ["an ordinary tree", '{"spec":{"containers":[{"image":"i"}]}}', "allowed"],
    ["two keys that differ only in case", '{"spec":{"Limits":1,"limits":2}}', "two keys differ only in case"],
    ["two keys that differ only in width", '{"limits":1,"\uff4cimits":2}', "two keys differ only in case"],
    [
      "a forbidden key in another case",
      '{"spec":{"HOSTNETWORK":true}}',
      "body/pod/spec/HOSTNETWORK: this key is not allowed",
    ],
    ["too many members", `[${"1,".repeat(20)}1]`, "more than 20 members"],
  ])("%s", (_name, pod, expected) => {
    const body = { gpus: 1, pod: valueOf(parseStrictJson(pod)) };
    expect(refusalOf(opaque, "POST", "/jobs", { body })).toContain(expected);
  });
});
