import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { startControlPlane } from "../../example/control-plane/server.ts";
import type { ControlPlane } from "../../example/control-plane/server.ts";
import { CREDENTIALS, SIGNING_KEY, call, send } from "./signed-call.ts";
import type { CallOptions, Reply } from "./signed-call.ts";

const JOB = { name: "train", image: "repo/train:1", job_type: "elastic", gpus: 4, gpu_type: "H100", max_hours: 2 };
const ALLOCATION = { name: "team-a", instances: 2, instance_type: "8xH100", hours: 24 };
const START = Date.UTC(2031, 10, 20, 12);
const HOUR_MS = 3_600_000;

let plane: ControlPlane;
/** The control plane's clock. */
let now = START;
beforeEach(async () => {
  now = START;
  plane = await startControlPlane({ port: 0, credentials: CREDENTIALS, signingKey: SIGNING_KEY, clock: () => now });
});
afterEach(() => plane.close());

const get = (target: string): Promise<Reply> => call(plane.url, "GET", target);
const post = (target: string, body: unknown): Promise<Reply> =>
  call(plane.url, "POST", target, { body: JSON.stringify(body) });
const json = ({ text }: Reply): unknown => JSON.parse(text);
const submit = (over: object = {}): Promise<Reply> => post("/v1/workloads", { ...JOB, ...over });
const keyed = (key: string): CallOptions => ({ headers: { "idempotency-key": key } });
const codeOf = (reply: Reply): string => {
  const found = /"code":"([a-z_]+)"/.exec(reply.text);
  return `${reply.status} ${found?.[1] ?? ""}`;
};
const example = (method: string, path: string, body: unknown): Promise<Reply> =>
  send(plane.url, method, `/_example/${path}`, {}, JSON.stringify(body));

const usage = async (id: string): Promise<unknown> => json(await get(`/v1/workloads/${id}`));
const scale = (id: string, size: object, options?: CallOptions): Promise<Reply> =>
  call(plane.url, "PATCH", `/v1/workloads/${id}`, { ...options, body: JSON.stringify(size) });
const at = (hours: number): string => new Date(START + hours * HOUR_MS).toISOString();

describe("what runs ends", () => {
  test("after its hours, at its full price; the next one begins at that moment, whenever somebody looks", async () => {
    await submit({ gpus: 200, max_hours: 2 });
    await submit({ gpus: 100, max_hours: 3, gpu_type: "A100" });
    now = START + 4 * HOUR_MS;
    expect(await usage("wl-1001")).toMatchObject({
      state: "succeeded",
      started_at: at(0),
      ended_at: at(2),
      ran_seconds: 7_200,
      cost_usd: "1000.00",
    });
    expect(await usage("wl-1002")).toMatchObject({
      state: "running",
      started_at: at(2),
      ended_at: null,
      ran_seconds: 7_200,
      cost_usd: "300.00",
    });
  });

  test("not a millisecond before its hours", async () => {
    await submit({ max_hours: 2 });
    now = START + 2 * HOUR_MS - 1;
    expect(await usage("wl-1001")).toMatchObject({ state: "running", ran_seconds: 7_200 });
    now += 1;
    expect(await usage("wl-1001")).toMatchObject({ state: "succeeded", ran_seconds: 7_200, cost_usd: "20.00" });
    expect(codeOf(await call(plane.url, "POST", "/v1/workloads/wl-1001/cancel"))).toBe("409 conflict");
  });

  test("by a cancellation, at the price of what it ran, rounded up to a micro-dollar; what waited costs nothing", async () => {
    await submit({ gpus: 256, gpu_type: "L40S" });
    await submit();
    now = START + 1_001;
    await call(plane.url, "POST", "/v1/workloads/wl-1002/cancel");
    await call(plane.url, "POST", "/v1/workloads/wl-1001/cancel");
    now += HOUR_MS;
    expect(await usage("wl-1001")).toMatchObject({ state: "cancelled", ran_seconds: 2, cost_usd: "0.056946" });
    expect(await usage("wl-1002")).toMatchObject({
      state: "cancelled",
      started_at: null,
      ended_at: "2031-11-20T12:00:01.001Z",
      ran_seconds: 0,
      cost_usd: "0.00",
    });
  });

  test("an allocation after its hours too, with what runs in it", async () => {
    await post("/v1/allocations", { ...ALLOCATION, hours: 1 });
    await submit({ gpus: 8 });
    now = START + HOUR_MS;
    expect(json(await get("/v1/allocations/al-1001"))).toMatchObject({
      state: "released",
      ended_at: at(1),
      ran_seconds: 3_600,
      cost_usd: "40.00",
    });
    expect(await usage("wl-1002")).toMatchObject({ state: "cancelled", cost_usd: "20.00" });
  });

  test("when a check says so, once", async () => {
    await submit();
    expect(json(await example("POST", "workloads/wl-1001/end", { state: "failed", ran_seconds: 90 }))).toMatchObject({
      state: "failed",
      ran_seconds: 90,
      cost_usd: "0.25",
    });
    expect(json(await get("/v1/capacity"))).toMatchObject({ capacity: { used_gpus: 0 } });
    const twice = await example("POST", "workloads/wl-1001/end", { state: "failed", ran_seconds: 90 });
    expect(codeOf(twice)).toBe("409 conflict");
    expect(codeOf(await example("POST", "workloads/wl-9/end", { state: "failed", ran_seconds: 1 }))).toBe(
      "404 not_found",
    );
    expect((await example("POST", "workloads/wl-1001/end", { state: "running", ran_seconds: 1 })).status).toBe(422);
  });

  test("a change counts from when it is made, and its hours from the start", async () => {
    await submit({ gpus: 4, max_hours: 2 });
    now = START + HOUR_MS;
    expect(json(await scale("wl-1001", { gpus: 8, max_hours: 3 }, keyed("s-1")))).toMatchObject({
      gpus: 8,
      max_hours: 3,
      version: 2,
    });
    now = START + 3 * HOUR_MS;
    expect(await usage("wl-1001")).toMatchObject({ state: "succeeded", ended_at: at(3), cost_usd: "50.00" });
    expect(json(await get("/v1/operations?reference=s-1"))).toMatchObject({
      operations: [{ kind: "scale", resource: "wl-1001" }],
    });
  });

  test("hours below those that it has run end it now, not in the past", async () => {
    await submit({ gpus: 4, max_hours: 5 });
    now = START + 2 * HOUR_MS;
    await scale("wl-1001", { max_hours: 1 });
    now += HOUR_MS;
    expect(await usage("wl-1001")).toMatchObject({ state: "succeeded", ended_at: at(2), cost_usd: "20.00" });
  });

  test("a change must fit: the cluster, what is free now, and who waits", async () => {
    await submit({ gpus: 100 });
    await submit({ gpus: 100 });
    expect(codeOf(await scale("wl-1001", { gpus: 257 }))).toBe("422 exceeds_cluster");
    expect(codeOf(await scale("wl-1001", { gpus: 157 }))).toBe("409 no_room");
    expect((await scale("wl-1001", { gpus: 156 })).status).toBe(200);
    await submit({ gpus: 1 });
    expect(json(await get("/v1/workloads?state=queued"))).toMatchObject({ workloads: [{ id: "wl-1003" }] });
    expect(codeOf(await scale("wl-1002", { gpus: 101 }))).toBe("409 no_room");
    // Shrinking makes room for who waits; what waits can be any size that the cluster has.
    expect((await scale("wl-1003", { gpus: 56 })).status).toBe(200);
    expect((await scale("wl-1001", { gpus: 100 })).status).toBe(200);
    expect(json(await get("/v1/capacity"))).toMatchObject({ capacity: { used_gpus: 256, queued_gpus: 0 } });
    await call(plane.url, "POST", "/v1/workloads/wl-1001/cancel");
    expect(codeOf(await scale("wl-1001", { gpus: 1 }))).toBe("409 conflict");
    expect(codeOf(await scale("wl-1002", {}))).toBe("422 invalid_body");
    expect(codeOf(await scale("wl-1002", { gpu_type: "A100" }))).toBe("422 invalid_body");
    expect(codeOf(await scale("wl-9", { gpus: 1 }))).toBe("404 not_found");
  });

  test("a workload that outgrows its allocation runs on the open cluster", async () => {
    await post("/v1/allocations", ALLOCATION);
    await submit({ gpus: 8 });
    expect(json(await scale("wl-1002", { gpus: 16 }))).toMatchObject({ allocation: "al-1001" });
    expect(json(await scale("wl-1002", { gpus: 17 }))).toMatchObject({ allocation: null });
  });
});
