import { describe, expect, it } from "vitest";
import { compileCatalogue } from "../../src/catalogue/compile.ts";
import { catalogueJsonSchema, pricesJsonSchema } from "../../src/catalogue/json-schema.ts";
import type { CompiledCatalogue } from "../../src/catalogue/types.ts";
import { examplePrices, matched, NOW, refusalOf, valueOf } from "./shipped.ts";
import { smallCatalogue } from "./small-catalogue.ts";

const OUTCOME = "    outcome: { success: [200], definite_failures: [400], look_up: none }";
const BODY =
  "    body: { type: object, keys: { gpus: { type: integer, min: 1, max: 8 } } }\n    facts: { gpus: { body: /gpus } }";
const compiled = (parts: Parameters<typeof smallCatalogue>[0]): CompiledCatalogue =>
  valueOf(compileCatalogue(smallCatalogue(parts)));

const charge = (rate: string, key: string): string => `{ rate: ${rate}, key: ${key}, quantity: { fact: gpus } }`;

describe("what the format says for control planes other than the two shipped ones", () => {
  it("tells operations apart by a header, and rebuilds that header (SageMaker's X-Amz-Target)", () => {
    const routes = ["Create", "Stop"]
      .map(
        (verb) =>
          `  - { id: ${verb.toLowerCase()}, action: jobs.list, method: POST, path: /, when: { header: { x-amz-target: [SageMaker.${verb}] } } }`,
      )
      .join("\n");
    const catalogue = compiled({ routes });
    const stop = matched(catalogue, "POST", "/", { headers: { "x-amz-target": "SageMaker.Stop", other: "x" } });
    expect([stop.routeId, stop.call.headers]).toEqual(["stop", { "x-amz-target": "SageMaker.Stop" }]);
    expect(refusalOf(catalogue, "POST", "/", { headers: { "x-amz-target": "SageMaker.Delete" } })).toBe(
      "unknown-operation",
    );
    expect(refusalOf(catalogue, "POST", "/")).toBe("unknown-operation");
  });

  it("tells operations apart by a body key (RunPod's /action)", () => {
    const body = "body: { type: object, keys: { action: { type: string, one_of: [start, stop] } } }";
    const routes = ["start", "stop"]
      .map(
        (verb) =>
          `  - { id: ${verb}, action: jobs.list, method: POST, path: "/pods/{id}/action", ${body}, when: { body: { /action: [${verb}] } } }`,
      )
      .join("\n");
    const catalogue = compiled({ routes });
    expect(matched(catalogue, "POST", "/pods/p1/action", { body: { action: "stop" } }).routeId).toBe("stop");
    expect(refusalOf(catalogue, "POST", "/pods/p1/action", { body: { action: "terminate" } })).toBe(
      "unknown-operation",
    );
    expect(refusalOf(catalogue, "POST", "/pods/p1/action")).toBe("unknown-operation");
  });

  it("gives twin paths one meaning and keeps the one that was asked for", () => {
    const catalogue = compiled({
      routes: '  - { id: one, action: jobs.list, method: GET, path: "/v1/jobs/{id}", twins: ["/v2/jobs/{id}"] }',
    });
    expect(["/v1/jobs/a", "/v2/jobs/a"].map((path) => matched(catalogue, "GET", path).call.path)).toEqual([
      "/v1/jobs/a",
      "/v2/jobs/a",
    ]);
  });

  it("lets a parameter's grammar stand beside a literal", () => {
    const catalogue = compiled({
      routes:
        '  - { id: one, action: jobs.list, method: GET, path: "/jobs/{id}", params: { id: { grammar: digits } } }\n  - { id: all, action: jobs.list, method: GET, path: /jobs/all }',
    });
    expect([matched(catalogue, "GET", "/jobs/17").routeId, matched(catalogue, "GET", "/jobs/all").routeId]).toEqual([
      "one",
      "all",
    ]);
    expect(refusalOf(catalogue, "GET", "/jobs/017")).toBe("unknown-operation");
  });

  it("demands a required query key and one spelling of numbers", () => {
    const catalogue = compiled({
      routes:
        "  - { id: one, action: jobs.list, method: GET, path: /x, query: { n: { type: integer, min: 0, max: 99, required: true } } }",
    });
    expect(matched(catalogue, "GET", "/x", { query: { n: "7" } }).call.query).toEqual([["n", "7"]]);
    for (const n of ["07", "+7", "7.0", "1e1", "", " 7", "100", "-1"])
      expect(refusalOf(catalogue, "GET", "/x", { query: { n } })).toContain("malformed-request");
    expect(refusalOf(catalogue, "GET", "/x")).toContain('query: "n" is required and missing');
  });

  it("asks for a dry run in the body (Kubernetes DeleteOptions) or at a plan endpoint (dstack)", () => {
    const inBody = compiled({
      submit: `${BODY}\n    cost: none\n    dry_run: { kind: body, set: { /dryRun: [All] }, success: [200, 201] }\n${OUTCOME}`,
    });
    const first = matched(inBody, "POST", "/jobs", { body: { gpus: 1 } });
    expect([first.dryRun?.call.body, first.call.body]).toEqual(['{"dryRun":["All"],"gpus":1}', '{"gpus":1}']);
    const plan = compiled({
      submit: `${BODY}\n    cost: none\n    dry_run: { kind: plan, method: POST, path: /plan, body: same, success: [200, 412] }\n${OUTCOME}`,
    });
    const second = matched(plan, "POST", "/jobs", { body: { gpus: 1 } });
    expect(second.dryRun?.call).toMatchObject({ method: "POST", path: "/plan", body: '{"gpus":1}' });
    expect(second.dryRun?.successStatuses.has(412)).toBe(true);
  });

  it("prices by the upstream's own figures, exactly, with their maximum age (Lambda's price_cents_per_hour)", () => {
    const catalogue = compiled({
      submit: `${BODY}
    look_ups: { type: { method: GET, path: /types, query: { name: big }, max_age_s: 300 } }
    cost:
      charges: [{ unit_price: { look_up: type, at: /cents }, unit: cents, quantity: { fact: gpus } }]
${OUTCOME}`,
    });
    const operation = matched(catalogue, "POST", "/jobs", { body: { gpus: 3 } });
    expect(operation.lookUps).toEqual([
      {
        name: "type",
        price: true,
        maxAgeMs: 300_000,
        call: { method: "GET", path: "/types", query: [["name", "big"]], headers: {}, contentType: null, body: null },
      },
    ]);
    const costFor = (cents: number | string): unknown =>
      operation.cost({ gpus: 3 }, new Map([["type", { cents }]]), examplePrices(), NOW);
    expect(costFor(249)).toMatchObject({ kind: "priced", ceilingMicros: 7_470_000, durationMs: null });
    expect(costFor("0.5")).toMatchObject({ ceilingMicros: 15_000 });
    expect([costFor("2.49e2"), costFor("free"), costFor(-1)].map((cost) => JSON.stringify(cost))).toEqual(
      Array.from({ length: 3 }, () =>
        JSON.stringify({ kind: "unpriced", missing: ["the upstream's price is not an exact amount"] }),
      ),
    );
    expect(operation.cost({ gpus: 3 }, new Map(), examplePrices(), NOW)).toMatchObject({ kind: "unpriced" });
  });

  it("adds several charges, and one unknown price makes the whole unpriced", () => {
    const priced = compiled({
      submit: `${BODY}\n    cost: { charges: [${charge("gpu_hour", "H100")}, ${charge("gpu_hour", "L40S")}] }\n${OUTCOME}`,
    });
    expect(
      matched(priced, "POST", "/jobs", { body: { gpus: 2 } }).cost({ gpus: 2 }, new Map(), examplePrices(), NOW),
    ).toMatchObject({ ceilingMicros: 6_600_000 });
    const unknown = compiled({
      submit: `${BODY}\n    cost: { charges: [${charge("gpu_hour", "H100")}, ${charge("disk_hour", "ssd")}] }\n${OUTCOME}`,
    });
    expect(
      matched(unknown, "POST", "/jobs", { body: { gpus: 2 } }).cost({ gpus: 2 }, new Map(), examplePrices(), NOW),
    ).toEqual({
      kind: "unpriced",
      missing: ["no price disk_hour for ssd"],
    });
  });

  it("names optional facts neither as facts nor as missing", () => {
    const catalogue = compiled({
      actions: "  jobs.tag: { title: Tag, floor: 1, facts: { tag: string?, owner: string } }",
      routes:
        "  - { id: tag, action: jobs.tag, method: POST, path: /tags, body: { type: object, keys: { tag: { type: string, grammar: id, optional: true }, owner: { type: string, grammar: id, optional: true } } }, facts: { tag: { body: /tag }, owner: { body: /owner } } }",
    });
    expect(matched(catalogue, "POST", "/tags", { body: {} }).facts(new Map())).toEqual({
      facts: {},
      missing: [{ fact: "owner", reason: "body/owner is absent" }],
      resource: null,
    });
  });
});

describe("editors get a schema of the same documents", () => {
  it("describes both documents as closed", () => {
    expect(catalogueJsonSchema()).toMatchObject({
      type: "object",
      additionalProperties: false,
      required: expect.arrayContaining(["routes", "actions"]),
    });
    expect(pricesJsonSchema()).toMatchObject({
      type: "object",
      additionalProperties: false,
      required: ["tables"],
    });
  });
});
