import { describe, expect, it } from "vitest";
import { compileCatalogue } from "../../src/catalogue/compile.ts";
import type { StatusRule } from "../../src/catalogue/types.ts";
import type { JsonValue } from "../../src/platform/json.ts";
import { exampleCatalogue, matched, slurmCatalogue, valueOf } from "./shipped.ts";
import { smallCatalogue } from "./small-catalogue.ts";

const STATUS = `{ method: GET, path: "/jobs/{resource}",
        ended_when: { equal: [{ response: /state }, done] }, running_when: { equal: [{ response: /busy }, true] },
        ran_seconds: { difference: [{ response: /end }, { response: /start }] }, actual_usd: { response: /cost } }`;
const PAID = "{ charges: [{ rate: gpu_hour, key: H100, quantity: { fact: gpus } }], duration: { hours: 2 } }";

type Parts = {
  readonly status?: string | null;
  readonly cost?: string;
  readonly resource?: string;
  readonly lookUp?: string;
};

/** One priced write; the arguments replace parts of it. */
const document = ({ status = STATUS, cost = PAID, resource = "{ response: /id }", lookUp = "none" }: Parts): string =>
  smallCatalogue({
    submit: `    body: { type: object, keys: { gpus: { type: integer, min: 1, max: 64 } } }
    facts: { gpus: { body: /gpus } }
    cost: ${cost}
    outcome:
      success: [200]
      definite_failures: [400]
      ${resource === "" ? "" : `resource: ${resource}`}
      look_up: ${lookUp}
      ${status === null ? "" : `status: ${status}`}`,
  });

const ruleOf = (parts: Parts = {}): StatusRule => {
  const rule = valueOf(compileCatalogue(document(parts))).status("submit");
  if (rule === null) throw new Error("no rule");
  return rule;
};

const problems = (parts: Parts): readonly string[] => {
  const compiled = compileCatalogue(document(parts));
  return compiled.ok ? [] : compiled.error.map(({ message }) => message);
};

describe("the read of a status", () => {
  it.each([
    ["wl-1", "/jobs/wl-1"],
    ["a/../../b", "/jobs/a%2F..%2F..%2Fb"],
    ["a?x=1#y", "/jobs/a%3Fx%3D1%23y"],
    ["$&", "/jobs/%24%26"],
    ["ü%2f", "/jobs/%C3%BC%252f"],
    ["...", "/jobs/..."],
  ])("of %j is one segment of one path: %s", (resource, path) => {
    expect(ruleOf().call(resource)).toEqual({
      method: "GET",
      path,
      query: [],
      headers: {},
      contentType: null,
      body: null,
    });
    expect(new URL(`http://upstream${path}`).pathname).toBe(path);
  });

  it.each(["", ".", "..", "a\ud800"])("of %j is not made: no segment says it", (resource) => {
    expect(ruleOf().call(resource)).toBeNull();
  });

  it.each<[string, number, JsonValue | undefined, string]>([
    ["an end", 200, { state: "done", busy: false, start: 10, end: 25, cost: "1.50" }, "ended 15000 1500000"],
    ["an end that says no more", 200, { state: "done", busy: false }, "ended null null"],
    ["a cost as a number", 200, { state: "done", busy: false, cost: 0.25 }, "ended null 250000"],
    ["a cost finer than a micro-dollar", 200, { state: "done", busy: false, cost: "0.0000001" }, "ended null null"],
    ["a cost below nothing", 200, { state: "done", busy: false, cost: -1 }, "ended null null"],
    ["an end before the start", 200, { state: "done", busy: false, start: 25, end: 10 }, "ended null null"],
    ["half a second", 200, { state: "done", busy: false, start: 0, end: 0.5 }, "ended null null"],
    [
      "it runs: what it cost so far is not what it costs",
      200,
      { state: "on", busy: true, cost: 1 },
      "running null null",
    ],
    ["neither", 200, { state: "on", busy: false }, "unknown null null"],
    ["both at once", 200, { state: "done", busy: true, cost: "1.50" }, "unknown null null"],
    ["an end without the other member", 200, { state: "done" }, "unknown null null"],
    ["no state", 200, { busy: true }, "unknown null null"],
    ["no JSON", 200, undefined, "unknown null null"],
    ["an end, as 201", 201, { state: "done", busy: false }, "unknown null null"],
    ["no such thing", 404, { state: "done", busy: false }, "unknown null null"],
    ["an end, as 500", 500, { state: "done", busy: false }, "unknown null null"],
  ])("%s: status %i with %j is %s", (_name, status, body, expected) => {
    const { verdict, ranMs, actualMicros } = ruleOf().judge(status, body, "req_1");
    expect(`${verdict} ${String(ranMs)} ${String(actualMicros)}`).toBe(expected);
  });

  it("without a rule for what runs, what has not ended is unknown", () => {
    const rule = ruleOf({
      status: '{ method: GET, path: "/jobs/{resource}", ended_when: { equal: [{ response: /state }, done] } }',
    });
    expect(rule.judge(200, { state: "on" }, "req_1").verdict).toBe("unknown");
    expect(rule.judge(200, { state: "done" }, "req_1").verdict).toBe("ended");
  });

  it("is found by the route's id, and by no other", () => {
    const catalogue = exampleCatalogue();
    expect(catalogue.status("workloads.submit")?.call("wl-1")?.path).toBe("/v1/workloads/wl-1");
    expect(catalogue.status("workloads.scale")).not.toBeNull();
    for (const route of ["reservations.create", "workloads.cancel", "workloads.list", "no.such.route"])
      expect(catalogue.status(route)).toBeNull();
    expect(slurmCatalogue().status("job.update")?.call("17")?.path).toBe("/slurm/v0.0.38/job/17");
  });
});

describe("a status that cannot mean what it says does not compile", () => {
  it.each<[string, Parts, string]>([
    [
      "a part of the request",
      { status: STATUS.replace("{ response: /state }", "{ body: /gpus }") },
      "`status` can read the response alone",
    ],
    [
      "a fact",
      { status: STATUS.replace("{ response: /cost }", "{ fact: gpus }") },
      "`status` can read the response alone",
    ],
    ["a path without the id", { status: STATUS.replace("{resource}", "all") }, "with {resource} as one segment"],
    [
      "another parameter",
      { status: STATUS.replace("{resource}", "{resource}/{id}") },
      "with {resource} as one segment",
    ],
    [
      "the id twice",
      { status: STATUS.replace("{resource}", "{resource}/{resource}") },
      "with {resource} as one segment",
    ],
    ["an id that nothing tells", { resource: "" }, "neither its `resource` nor a fact `resource` tells"],
    [
      "a reference that is not sent",
      { status: STATUS.replace("ended_when", 'made_by: { at: /ref, equals: "{reference}" }, ended_when') },
      "a reference that this route does not inject",
    ],
  ])("%s", (_name, parts, message) => {
    expect(problems(parts).some((problem) => problem.includes(message))).toBe(true);
  });
});

describe("a write that is paid for by the hour, and of which nothing says when it has ended", () => {
  const warnings = (parts: Parts): readonly string[] =>
    valueOf(compileCatalogue(document(parts))).warnings.map(
      ({ severity, path, message }) => `${severity} ${path}: ${message}`,
    );

  it("is a warning at its outcome", () => {
    expect(warnings({ status: null })).toEqual([
      "warning /routes/1/outcome: nothing says when what route submit made has ended: it settles at its ceiling unless usage is reported. State `status`, or `status: none`",
    ]);
  });

  it.each<[string, Parts]>([
    ["it has a status", {}],
    ["it says that there is none", { status: "none" }],
    ["it is paid at once", { status: null, cost: PAID.replace(", duration: { hours: 2 }", "") }],
    ["it is free", { status: null, cost: "none" }],
  ])("is none where %s", (_name, parts) => {
    expect(warnings(parts)).toEqual([]);
  });
});

describe("a look-up that finds what happened", () => {
  const example = matched(exampleCatalogue(), "POST", "/v1/workloads/wl-1/cancel").outcome;
  const submit = matched(exampleCatalogue(), "POST", "/v1/workloads", {
    body: { name: "a", image: "i", job_type: "elastic", gpus: 1, gpu_type: "H100", max_hours: 1 },
  }).outcome.lookUp?.("op_1");

  it.each<[string, JsonValue | undefined, string | null]>([
    ["the one that has the reference", { workloads: [{ id: "wl-2" }, { id: "wl-1", reference: "op_1" }] }, "wl-1"],
    [
      "the same one twice",
      { workloads: [1, 2].map((version) => ({ id: "wl-1", reference: "op_1", version })) },
      "wl-1",
    ],
    ["a number", { workloads: [{ id: 17, reference: "op_1" }] }, "17"],
    [
      "two of them: nobody knows which is meant",
      { workloads: ["wl-1", "wl-2"].map((id) => ({ id, reference: "op_1" })) },
      null,
    ],
    ["none", { workloads: [{ id: "wl-2", reference: "op_2" }] }, null],
    ["one without an id", { workloads: [{ reference: "op_1" }] }, null],
    ["no list", {}, null],
    ["no JSON", undefined, null],
  ])("names %s", (_name, body, id) => {
    expect(submit?.resource(body)).toBe(id);
  });

  it("names nothing where the catalogue does not say where", () => {
    const found = { operations: [{ reference: "op_1", kind: "cancel", resource: "wl-1" }] };
    expect(example.lookUp?.("op_1").judge(200, found)).toBe("happened");
    expect(example.lookUp?.("op_1").resource(found)).toBeNull();
  });
});
