import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { JsonValue } from "../../src/platform/json.ts";
import { parseStrictJson } from "../../src/platform/strict-json.ts";
import {
  exampleCatalogue,
  examplePrices,
  matched,
  slurmCatalogue,
  NOW,
  slurmPrices,
  strictRequest,
  valueOf,
} from "./shipped.ts";

const example = exampleCatalogue();
const slurm = slurmCatalogue();

const id = fc.stringMatching(/^[A-Za-z0-9_-]{1,40}$/);
const name = fc.stringMatching(/^[a-z0-9]([a-z0-9._-]{0,20}[a-z0-9])?$/);
const line = fc
  .string({ unit: "grapheme", maxLength: 40 })
  .filter((text) => !/[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Zl}\p{Zp}]/u.test(text));
const env = fc.dictionary(fc.stringMatching(/^[A-Z_][A-Z0-9_]{0,20}$/), line, { maxKeys: 8 });
const submitBody = fc.record(
  {
    name,
    image: fc.stringMatching(/^[a-z0-9]([a-z0-9._/:@-]{0,30}[a-z0-9])?$/),
    job_type: fc.constantFrom("elastic", "reserved"),
    gpus: fc.integer({ min: 1, max: 4096 }),
    gpu_type: fc.constantFrom("H100", "A100", "L40S"),
    max_hours: fc.integer({ min: 1, max: 8760 }),
    env,
  },
  { requiredKeys: ["name", "image", "job_type", "gpus", "gpu_type", "max_hours"] },
);

describe("what was judged is what is sent (PAR-17, URL-05)", () => {
  it("a rebuilt body re-parses to the judged value, in RFC 8785 form", () => {
    fc.assert(
      fc.property(submitBody, (body) => {
        const received: JsonValue = valueOf(parseStrictJson(JSON.stringify(body)));
        const { call } = matched(example, "POST", "/v1/workloads", { body: received });
        expect(valueOf(parseStrictJson(call.body ?? ""))).toEqual(received);
        // The order in which the caller wrote the keys leaves no trace.
        const reversed = Object.fromEntries(Object.entries(body).toReversed());
        const other = matched(example, "POST", "/v1/workloads", {
          body: valueOf(parseStrictJson(JSON.stringify(reversed))),
        });
        expect(other.call).toEqual(call);
      }),
    );
  });

  it("the facts of the rebuilt call are the facts that were judged", () => {
    fc.assert(
      fc.property(submitBody, (body) => {
        const first = matched(example, "POST", "/v1/workloads", {
          body: valueOf(parseStrictJson(JSON.stringify(body))),
        });
        const again = matched(example, "POST", first.call.path, {
          body: valueOf(parseStrictJson(first.call.body ?? "")),
        });
        expect(again.facts(new Map())).toEqual(first.facts(new Map()));
      }),
    );
  });

  it("the path is the template with the validated id, the query is sorted", () => {
    fc.assert(
      fc.property(id, fc.integer({ min: 1, max: 500 }), (reference, limit) => {
        const read = matched(example, "GET", `/v1/workloads/${reference}`);
        expect(read.call.path).toBe(`/v1/workloads/${reference}`);
        expect(read.facts(new Map()).resource).toBe(reference);
        const query = { reference, limit: String(limit), cursor: "c" };
        expect(matched(example, "GET", "/v1/workloads", { query }).call.query).toEqual([
          ["cursor", "c"],
          ["limit", String(limit)],
          ["reference", reference],
        ]);
      }),
    );
  });

  it("an id that the grammar refuses never reaches a path, whatever it is", () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string({ maxLength: 140 }),
          fc.constantFrom(".", "..", "a/b", "x?y", "x#y", "%2e%2e", "~", "é", "a".repeat(129)),
        ),
        (text) => {
          fc.pre(!/^[A-Za-z0-9._-]{1,128}$/.test(text) || text === "." || text === "..");
          const request = { ...strictRequest("GET", "/v1/workloads/x"), segments: ["v1", "workloads", text] };
          expect(example.match(request)).toMatchObject({ ok: false, error: { kind: "unknown-operation" } });
        },
      ),
    );
  });
});

describe("size and price are never below what was asked", () => {
  it("the floor rises above tier 2 exactly beyond four GPUs", () => {
    fc.assert(
      fc.property(submitBody, (body) => {
        const operation = matched(example, "POST", "/v1/workloads", {
          body: valueOf(parseStrictJson(JSON.stringify(body))),
        });
        expect(operation.floor(operation.facts(new Map()).facts)).toBe(body.gpus <= 4 ? 2 : 3);
      }),
    );
  });

  it("a missing size can only raise the floor", () => {
    const operation = matched(example, "DELETE", "/v1/pools/p");
    expect(operation.floor({})).toBe(5);
    const body = { name: "a", image: "i", job_type: "elastic", gpus: 1, gpu_type: "H100", max_hours: 1 };
    expect(matched(example, "POST", "/v1/workloads", { body }).floor({})).toBe(3);
  });

  it("the ceiling is exactly GPUs × price × hours", () => {
    const unit = { H100: 2_500_000, A100: 1_500_000, L40S: 800_000 };
    fc.assert(
      fc.property(submitBody, (body) => {
        const operation = matched(example, "POST", "/v1/workloads", {
          body: valueOf(parseStrictJson(JSON.stringify(body))),
        });
        const { facts } = operation.facts(new Map());
        expect(operation.cost(facts, new Map(), examplePrices(), NOW)).toEqual({
          kind: "priced",
          ceilingMicros: body.gpus * unit[body.gpu_type] * body.max_hours,
          priceVersion: "2026-11-01",
          durationMs: body.max_hours * 3_600_000,
          currentMicros: null,
        });
      }),
    );
  });

  it("a ceiling per minute is rounded up, never down", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 9999 }), fc.integer({ min: 1, max: 525_600 }), (gpus, minutes) => {
        const body = { script: "#!/bin/sh\n", job: { partition: "gpu", gpus, time_limit: minutes, environment: {} } };
        const operation = matched(slurm, "POST", "/slurm/v0.0.38/job/submit", { body });
        const cost = operation.cost(operation.facts(new Map()).facts, new Map(), slurmPrices(), NOW);
        const exact = BigInt(gpus) * BigInt(minutes) * 2_500_000n;
        const ceiling = cost.kind === "priced" ? BigInt(cost.ceilingMicros) : -1n;
        expect(ceiling * 60n >= exact && (ceiling - 1n) * 60n < exact).toBe(true);
      }),
    );
  });

  it("an update of a Slurm job is never sized below the job as it is, nor below what it asks for", () => {
    const count = fc.integer({ min: 1, max: 64 });
    fc.assert(
      fc.property(count, count, count, count, (current, asked, minutes, limit) => {
        const job = {
          tres_per_job: `gres:gpu:${current}`,
          tres_per_node: "",
          tres_per_task: "",
          tres_per_socket: "",
          node_count: 1,
          max_nodes: 0,
          tasks: 1,
          time_limit: limit,
          partition: "gpu",
          qos: "",
        };
        const operation = matched(slurm, "POST", "/slurm/v0.0.38/job/17", {
          body: { gpus: asked, time_limit: minutes },
        });
        const { facts, missing } = operation.facts(new Map([["job", { errors: [], jobs: [job] }]]));
        expect(missing).toEqual([]);
        expect(facts).toMatchObject({ gpus: Math.max(current, asked), minutes: Math.max(minutes, limit) });
      }),
    );
  });
});
