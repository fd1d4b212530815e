import { describe, expect, it } from "vitest";
import type { JsonObject, JsonValue } from "../../src/platform/json.ts";
import { exampleCatalogue, matched, slurmCatalogue } from "./shipped.ts";

const SUBMIT = { name: "a", image: "i", job_type: "elastic", gpus: 1, gpu_type: "H100", max_hours: 1 };
const example = matched(exampleCatalogue(), "POST", "/v1/workloads", { body: SUBMIT });
const cancel = matched(exampleCatalogue(), "POST", "/v1/workloads/wl-1/cancel");
const JOB = { script: "#!/bin/sh\n", job: { partition: "gpu", gpus: 1, time_limit: 60, environment: {} } };
const slurm = matched(slurmCatalogue(), "POST", "/slurm/v0.0.38/job/submit", { body: JOB });
const slurmCancel = matched(slurmCatalogue(), "DELETE", "/slurm/v0.0.38/job/17");

describe("only a proof ends a write; everything else is unknown and keeps its hold", () => {
  it.each<[number, JsonValue | undefined, string]>([
    [201, { id: "wl-1" }, "succeeded"],
    [200, {}, "succeeded"],
    [201, undefined, "unknown"],
    [204, undefined, "unknown"],
    [302, undefined, "unknown"],
    [400, undefined, "failed"],
    [409, {}, "failed"],
    [422, {}, "failed"],
    [408, {}, "unknown"],
    [500, {}, "unknown"],
    [503, {}, "unknown"],
  ])("example: %i with %j is %s", (status, body, expected) => {
    expect(example.outcome.judge(status, body)).toBe(expected);
  });

  it.each<[string, number, JsonValue | undefined, string]>([
    ["a job id without errors", 200, { job_id: 17, errors: [] }, "succeeded"],
    ["a job id, errors left out", 200, { job_id: 17 }, "succeeded"],
    ["errors with 200", 200, { job_id: 0, errors: [{ error_code: 2014 }] }, "unknown"],
    ["a job id beside the reason why the job waits", 200, { job_id: 17, errors: [{ error_code: 2015 }] }, "succeeded"],
    ["no job id", 200, { errors: [] }, "unknown"],
    ["a job id as text", 200, { job_id: "17", errors: [] }, "unknown"],
    ["no JSON", 200, undefined, "unknown"],
    ["a parse error", 400, { errors: [{ error_code: 9001 }] }, "failed"],
    ["refused by the controller, as 500", 500, { errors: [{ error_code: 2014 }] }, "failed"],
    ["an authentication error, as 500", 500, { errors: [{ error_code: 5005 }] }, "unknown"],
    ["a communication error, as 500", 500, { errors: [{ error_code: 1007 }] }, "unknown"],
    ["a refusal that names a job all the same", 500, { job_id: 17, errors: [{ error_code: 2014 }] }, "unknown"],
    ["a 500 without JSON", 500, undefined, "unknown"],
  ])("Slurm submit: %s", (_name, status, body, expected) => {
    expect(slurm.outcome.judge(status, body)).toBe(expected);
  });

  const manyKeys = { nodes: 2, time_limit: 8000 };
  it.each<[string, JsonObject, number, JsonValue | undefined, string]>([
    ["no errors", manyKeys, 200, { errors: [] }, "succeeded"],
    ["not parsed, as 200", manyKeys, 200, { errors: [{ error_number: 9001 }] }, "failed"],
    ["another error with 200", manyKeys, 200, { errors: [{ error_number: 2002 }] }, "unknown"],
    ["no such job", manyKeys, 500, { errors: [{ error_number: 2017 }] }, "failed"],
    ["the job has finished", manyKeys, 500, { errors: [{ error_number: 2084 }] }, "failed"],
    // 22.05 has changed the nodes when it refuses the time limit.
    ["refused after some keys may have been changed", manyKeys, 500, { errors: [{ error_number: 2002 }] }, "unknown"],
    ["refused, and there is one key only", { time_limit: 8000 }, 500, { errors: [{ error_number: 2002 }] }, "failed"],
    // 22.05 changes the job and answers 500, because the job now waits for more nodes than there are.
    ["one key, refused in words only", { nodes: 9 }, 500, { errors: [{ error_number: 2015 }] }, "unknown"],
    ["an authentication error", { nodes: 9 }, 500, { errors: [{ error_number: 5005 }] }, "unknown"],
  ])("Slurm update: %s", (_name, body, status, answer, expected) => {
    const update = matched(slurmCatalogue(), "POST", "/slurm/v0.0.38/job/17", { body });
    expect(update.outcome.judge(status, answer)).toBe(expected);
    expect(update.outcome.lookUp).toBeNull();
  });

  it.each<[string, number, JsonValue | undefined, string]>([
    ["no errors", 200, { errors: [] }, "succeeded"],
    ["no such job", 500, { errors: [{ error_number: 2017 }] }, "failed"],
    ["another user's job", 500, { errors: [{ error_number: 2002 }] }, "failed"],
    ["an authentication error", 500, { errors: [{ error_number: 5005 }] }, "unknown"],
    ["errors with 200", 200, { errors: [{ error_number: 2017 }] }, "unknown"],
  ])("Slurm cancel: %s", (_name, status, answer, expected) => {
    expect(slurmCancel.outcome.judge(status, answer)).toBe(expected);
  });

  it("finds the created id, as text", () => {
    expect(example.outcome.resource({ id: "wl-9" })).toBe("wl-9");
    expect(slurm.outcome.resource({ job_id: 17 })).toBe("17");
    expect(slurm.outcome.resource({ job_id: { id: 17 } })).toBeNull();
    expect(slurm.outcome.resource(undefined)).toBeNull();
  });
});

describe("an unknown outcome is looked up by the reference that was injected", () => {
  it.each<[number, JsonValue | undefined, string]>([
    [200, { workloads: [{ id: "wl-1", reference: "op_1" }] }, "happened"],
    [200, { workloads: [{ id: "wl-2", reference: "op_2" }] }, "absent"],
    [200, { workloads: [] }, "absent"],
    [200, { workloads: "none" }, "unknown"],
    [200, {}, "unknown"],
    [200, undefined, "unknown"],
    [404, { workloads: [] }, "unknown"],
    [503, undefined, "unknown"],
  ])("example: %i with %j is %s", (status, body, expected) => {
    const lookUp = example.outcome.lookUp?.("op_1");
    expect(lookUp?.call).toEqual({
      method: "GET",
      path: "/v1/workloads",
      query: [["reference", "op_1"]],
      headers: {},
      contentType: null,
      body: null,
    });
    expect(lookUp?.judge(status, body)).toBe(expected);
  });

  it("looks up changes of a resource among the operations", () => {
    const lookUp = cancel.outcome.lookUp?.("op_1");
    expect(lookUp?.call.path).toBe("/v1/operations");
    expect(lookUp?.judge(200, { operations: [{ reference: "op_1", kind: "cancel" }] })).toBe("happened");
  });

  it.each<[JsonValue, string]>([
    [{ errors: [], jobs: [{ comment: "portcullis:op_1" }] }, "happened"],
    [{ errors: [], jobs: [{ comment: "op_1" }, { comment: "portcullis:op_11" }] }, "absent"],
    [{ errors: [], jobs: [] }, "absent"],
    // What slurmctld keeps of a submission that it refused, and a job that ran and failed.
    [
      { errors: [], jobs: [{ comment: "portcullis:op_1", job_state: "FAILED", state_reason: "BadConstraints" }] },
      "absent",
    ],
    [
      { errors: [], jobs: [{ comment: "portcullis:op_1", job_state: "FAILED", state_reason: "NonZeroExitCode" }] },
      "happened",
    ],
    [
      { errors: [], jobs: [{ comment: "portcullis:op_1", job_state: "PENDING", state_reason: "BadConstraints" }] },
      "happened",
    ],
    // A list that came with errors may be incomplete: it proves presence only.
    [{ errors: [{ error_number: 1007 }], jobs: [] }, "unknown"],
    [{ errors: [{ error_number: 1007 }], jobs: [{ comment: "portcullis:op_1" }] }, "happened"],
  ])("Slurm: %j is %s", (body, expected) => {
    expect(slurm.outcome.lookUp?.("op_1").judge(200, body)).toBe(expected);
  });

  it("proves a Slurm cancellation only by the job's end", () => {
    const lookUp = slurmCancel.outcome.lookUp?.("op_1");
    expect(lookUp?.call.path).toBe("/slurm/v0.0.38/job/17");
    expect(lookUp?.judge(200, { jobs: [{ job_state: "CANCELLED" }] })).toBe("happened");
    expect(lookUp?.judge(200, { jobs: [{ job_state: "RUNNING" }] })).toBe("unknown");
    expect(lookUp?.judge(500, { jobs: [] })).toBe("unknown");
  });
});

describe("the reference and the dry run are the gate's alone", () => {
  it("puts the reference where the catalogue says, and nowhere into the judged call", () => {
    expect(example.dispatch("op_$&1").headers).toEqual({ "idempotency-key": "op_$&1" });
    expect(example.call.headers).toEqual({});
    const dispatched: JsonValue = JSON.parse(slurm.dispatch("op_1").body ?? "null");
    expect(dispatched).toMatchObject({ job: { comment: "portcullis:op_1" } });
    expect(slurm.call.body).not.toContain("comment");
  });

  it("asks for the upstream's dry run on writes only, and not where there is none", () => {
    expect(example.dryRun?.call.query).toEqual([["dry_run", "true"]]);
    expect([...(example.dryRun?.successStatuses ?? [])]).toEqual([200]);
    expect(example.dryRun?.call.body).toBe(example.call.body);
    expect(slurm.dryRun).toBeNull();
    expect(matched(exampleCatalogue(), "GET", "/v1/workloads").dryRun).toBeNull();
  });
});
