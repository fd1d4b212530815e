import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { startControlPlane } from "../../example/control-plane/server.ts";
import type { ControlPlane } from "../../example/control-plane/server.ts";
import { CREDENTIALS, SIGNING_KEY, call, send, signatureHeaders } from "./signed-call.ts";
import type { CallOptions, Reply } from "./signed-call.ts";

const JOB = { name: "train", image: "repo/train:1", job_type: "elastic", gpus: 4, gpu_type: "H100", max_hours: 2 };
const ALLOCATION = { name: "team-a", instances: 2, instance_type: "8xH100", hours: 24 };

const NOON = Date.UTC(2031, 10, 20, 12);

let plane: ControlPlane;
const startPlane = (): Promise<ControlPlane> =>
  startControlPlane({ port: 0, credentials: CREDENTIALS, signingKey: SIGNING_KEY, clock: () => NOON });
beforeEach(async () => {
  plane = await startPlane();
});
afterEach(() => plane.close());

const get = (target: string, options?: CallOptions): Promise<Reply> => call(plane.url, "GET", target, options);
const post = (target: string, body: unknown, options?: CallOptions): Promise<Reply> =>
  call(plane.url, "POST", target, { ...options, body: JSON.stringify(body) });
const json = ({ text }: Reply): unknown => JSON.parse(text);
const submit = (over: object = {}, options?: CallOptions): Promise<Reply> =>
  post("/v1/workloads", { ...JOB, ...over }, options);
const keyed = (key: string): CallOptions => ({ headers: { "idempotency-key": key } });
const codeOf = (reply: Reply): string => {
  const found = /"code":"([a-z_]+)"/.exec(reply.text);
  return `${reply.status} ${found?.[1] ?? ""}`;
};

/** Everything that a tenant can see stored. */
const state = async (): Promise<readonly string[]> =>
  Promise.all(
    ["/v1/workloads", "/v1/allocations", "/v1/reservations", "/v1/operations?reference=dry"].map(
      async (target) => (await get(target)).text,
    ),
  );
const example = (method: string, path: string, body?: unknown): Promise<Reply> =>
  send(plane.url, method, `/_example/${path}`, {}, body === undefined ? undefined : JSON.stringify(body));
const fault = async (method: string, path: string, kind: string, times = 1): Promise<void> => {
  const reply = await example("PUT", "faults", [{ method, path, times, kind }]);
  expect(reply.status).toBe(200);
};
const count = async (): Promise<number> => ((await get("/v1/workloads")).text.match(/"id"/g) ?? []).length;

describe("reads", () => {
  test("a workload is listed, fetched, measured, diagnosed and explained", async () => {
    await submit();
    expect(json(await get("/v1/workloads"))).toMatchObject({ workloads: [{ id: "wl-1001" }], next_cursor: null });
    const one = await get("/v1/workloads/wl-1001");
    expect(json(one)).toEqual({
      ...JOB,
      id: "wl-1001",
      env_names: [],
      allocation: null,
      state: "running",
      reference: null,
      version: 1,
      started_at: "2031-11-20T12:00:00.000Z",
      ended_at: null,
      ran_seconds: 0,
      cost_usd: "0.00",
    });
    expect(one.headers["etag"]).toBe('"1"');
    expect(json(await get("/v1/workloads/wl-1001/metrics"))).toMatchObject({ metrics: { gpus: 4 } });
    expect(json(await get("/v1/workloads/wl-1001/diagnosis"))).toMatchObject({ diagnosis: { state: "running" } });
    const explained = await call(plane.url, "POST", "/v1/workloads/wl-1001/explain");
    expect(json(explained)).toMatchObject({ id: "wl-1001", explanation: expect.stringContaining("running") });
  });

  test("logs arrive as several chunks of text", async () => {
    await submit();
    const logs = await get("/v1/workloads/wl-1001/logs?tail=3");
    expect(logs.headers["content-type"]).toBe("text/plain; charset=utf-8");
    expect(logs.headers["transfer-encoding"]).toBe("chunked");
    expect(logs.text.trimEnd().split("\n")).toEqual([
      "wl-1001 step=3 loss=0.667",
      "wl-1001 step=4 loss=0.500",
      "wl-1001 step=5 loss=0.400",
    ]);
    expect(logs.chunks).toBeGreaterThan(1);
  });

  test("a list is paged by cursor and filtered by state and reference", async () => {
    for (const key of ["k-1", "k-2", "k-3"]) await submit({}, keyed(key));
    await call(plane.url, "POST", "/v1/workloads/wl-1002/cancel");
    const ids = async (query: string): Promise<unknown> => {
      const found = json(await get(`/v1/workloads?${query}`));
      return /* only the ids matter */ JSON.stringify(found).match(/wl-\d+/g);
    };
    expect(json(await get("/v1/workloads?limit=2"))).toMatchObject({ next_cursor: "wl-1002" });
    expect(await ids("limit=2&cursor=wl-1002")).toEqual(["wl-1003"]);
    expect(await ids("state=cancelled")).toEqual(["wl-1002"]);
    expect(await ids("state=succeeded")).toBeNull();
    expect(await ids("reference=k-3")).toEqual(["wl-1003"]);
  });

  test("capacity, GPUs, plans and insights follow what runs", async () => {
    await submit({ gpus: 200 });
    expect(json(await get("/v1/capacity"))).toEqual({
      capacity: { total_gpus: 256, used_gpus: 200, free_gpus: 56, queued_gpus: 0 },
    });
    expect(json(await get("/v1/gpus"))).toEqual({ gpus: { total: 256, used: 200, free: 56 } });
    const plan = { gpus: 57, gpu_type: "A100", hours: 1 };
    expect(json(await post("/v1/capacity/plan", plan))).toMatchObject({ plan: { state: "queued", free_gpus: 56 } });
    expect(json(await post("/v1/insights", { question: "why?", workload_ids: ["wl-1001"] }))).toMatchObject({
      workload_ids: ["wl-1001"],
    });
    expect(codeOf(await post("/v1/insights", { question: "why?", workload_ids: ["wl-9"] }))).toBe("404 not_found");
  });
});

test("HEAD answers as GET does, without the body", async () => {
  await submit();
  const [head, full] = [await call(plane.url, "HEAD", "/v1/workloads"), await get("/v1/workloads")];
  expect([head.status, head.text, head.headers["content-length"]]).toEqual([200, "", String(full.text.length)]);
  expect(codeOf(await call(plane.url, "HEAD", "/v1/insights"))).toBe("405 ");
});

describe("capacity", () => {
  test("a job larger than the cluster is refused, one that does not fit now waits, and the queue is first come first served", async () => {
    expect(codeOf(await submit({ gpus: 257 }))).toBe("422 exceeds_cluster");
    expect(json(await submit({ gpus: 256 }))).toMatchObject({ state: "running" });
    expect(json(await submit({ gpus: 200 }))).toMatchObject({ state: "queued" });
    expect(json(await submit({ gpus: 8 }))).toMatchObject({ state: "queued" });
    await call(plane.url, "POST", "/v1/workloads/wl-1001/cancel");
    const { text } = await get("/v1/workloads?state=running");
    expect(text.match(/wl-\d+/g)).toEqual(["wl-1002", "wl-1003"]);
  });

  test("each tenant has its own cluster and never sees the other's objects", async () => {
    await submit({ gpus: 256 });
    const globex = { credential: "cred-globex" };
    expect(json(await submit({ gpus: 256 }, globex))).toMatchObject({ id: "wl-1002", state: "running" });
    expect(codeOf(await get("/v1/workloads/wl-1001", globex))).toBe("404 not_found");
    const stolen = await call(plane.url, "POST", "/v1/workloads/wl-1001/cancel", globex);
    expect(codeOf(stolen)).toBe("404 not_found");
  });
});

describe("writes", () => {
  test("an allocation is made, holds workloads, changes owner and takes its workloads with it", async () => {
    expect(json(await post("/v1/allocations", ALLOCATION))).toMatchObject({ id: "al-1001", gpus: 16, owner: "acme" });
    await submit({ gpus: 8 });
    expect(json(await get("/v1/allocations"))).toMatchObject({
      allocations: [{ id: "al-1001", workloads: [{ id: "wl-1002", gpus: 8, state: "running" }] }],
    });
    expect(json(await post("/v1/allocations/al-1001/transfer", { to: "team-b" }))).toMatchObject({
      owner: "team-b",
      version: 2,
    });
    expect(json(await call(plane.url, "DELETE", "/v1/allocations/al-1001"))).toMatchObject({
      state: "released",
      cancelled_workloads: ["wl-1002"],
    });
    expect(json(await get("/v1/allocations/al-1001"))).toMatchObject({ state: "released", workloads: [] });
    expect(json(await get("/v1/allocations"))).toMatchObject({ allocations: [] });
    expect(json(await get("/v1/allocations?state=released"))).toMatchObject({ allocations: [{ id: "al-1001" }] });
    expect(codeOf(await call(plane.url, "DELETE", "/v1/allocations/al-1001"))).toBe("409 conflict");
    expect(json(await get("/v1/workloads/wl-1002"))).toMatchObject({ state: "cancelled" });
  });

  test("reservations, pools and clusters: what the gate must stop would work here", async () => {
    const reservation = { name: "q3", gpus: 64, gpu_type: "A100", hours: 48 };
    expect((await post("/v1/reservations", reservation)).status).toBe(201);
    expect(json(await get("/v1/reservations"))).toMatchObject({ reservations: [{ id: "rs-1001", gpus: 64 }] });
    await submit();
    expect(json(await call(plane.url, "DELETE", "/v1/pools/pool-h100"))).toMatchObject({ state: "deleted" });
    expect(codeOf(await call(plane.url, "DELETE", "/v1/pools/pool-h100"))).toBe("404 not_found");
    expect(json(await call(plane.url, "DELETE", "/v1/clusters/cluster-1"))).toMatchObject({ state: "destroyed" });
    expect(json(await get("/v1/capacity"))).toMatchObject({ capacity: { used_gpus: 0 } });
  });

  test("a reference finds every write; it is kept and suppresses nothing", async () => {
    await submit({}, keyed('"ref-1"'));
    await submit({}, keyed('"ref-1"'));
    await call(plane.url, "POST", "/v1/workloads/wl-1001/cancel", keyed("ref-2"));
    for (const asked of ["ref-1", "%22ref-1%22"]) {
      expect((await get(`/v1/workloads?reference=${asked}`)).text.match(/wl-\d+/g)).toEqual(["wl-1001", "wl-1002"]);
    }
    expect(json(await get("/v1/workloads/wl-1001"))).toMatchObject({ reference: '"ref-1"' });
    expect(json(await get("/v1/operations?reference=ref-2"))).toEqual({
      operations: [{ reference: "ref-2", kind: "cancel", resource: "wl-1001" }],
      next_cursor: null,
    });
    expect(json(await get("/v1/operations?reference=ref-3"))).toEqual({ operations: [], next_cursor: null });
    expect(json(await get("/v1/operations?reference=ref-1&limit=1"))).toMatchObject({ next_cursor: "1" });
    expect(json(await get("/v1/operations?reference=ref-1&cursor=1"))).toMatchObject({
      operations: [{ kind: "submit", resource: "wl-1002" }],
      next_cursor: null,
    });
  });

  test("a write with If-Match of another version changes nothing", async () => {
    await submit();
    const stale = await call(plane.url, "POST", "/v1/workloads/wl-1001/cancel", { headers: { "if-match": '"2"' } });
    expect(codeOf(stale)).toBe("412 version_mismatch");
    const fresh = await call(plane.url, "POST", "/v1/workloads/wl-1001/cancel", { headers: { "if-match": '"1"' } });
    expect(fresh.status).toBe(200);
    expect(codeOf(await call(plane.url, "POST", "/v1/workloads/wl-1001/cancel"))).toBe("409 conflict");
  });
});

describe("a dry run stores nothing", () => {
  beforeEach(async () => {
    await post("/v1/allocations", ALLOCATION);
    await submit();
  });

  test.each<[string, string, unknown]>([
    ["POST", "/v1/workloads", JOB],
    ["POST", "/v1/workloads/wl-1002/cancel", undefined],
    ["PATCH", "/v1/workloads/wl-1002", { gpus: 8 }],
    ["POST", "/v1/allocations", ALLOCATION],
    ["POST", "/v1/allocations/al-1001/transfer", { to: "team-b" }],
    ["DELETE", "/v1/allocations/al-1001", undefined],
    ["POST", "/v1/reservations", { name: "q3", gpus: 1, gpu_type: "L40S", hours: 1 }],
    ["DELETE", "/v1/pools/pool-h100", undefined],
    ["DELETE", "/v1/clusters/cluster-1", undefined],
  ])("%s %s", async (method, path, body) => {
    const before = await state();
    const options = { ...keyed("dry"), ...(body === undefined ? {} : { body: JSON.stringify(body) }) };
    const planned = await call(plane.url, method, `${path}?dry_run=true`, options);
    expect(planned.status).toBe(200);
    expect(json(planned)).toMatchObject({ dry_run: true, would: expect.any(Object) });
    expect(await state()).toEqual(before);
    expect((await call(plane.url, method, path, options)).status).toBeLessThan(300);
    expect(await state()).not.toEqual(before);
  });

  test("what could never run is refused in the dry run too", async () => {
    expect(codeOf(await post("/v1/workloads?dry_run=true", { ...JOB, gpus: 300 }))).toBe("422 exceeds_cluster");
  });
});

describe("strict reading", () => {
  test.each<[string, object]>([
    ["unknown key", { gpu_count: 8 }],
    ["key in other case", { GPUS: 8 }],
    ["number as a string", { gpus: "4" }],
    ["fraction of a GPU", { gpus: 0.5 }],
    ["no GPUs", { gpus: 0 }],
    ["unknown GPU type", { gpu_type: "h100" }],
    ["unknown job type", { job_type: "spot" }],
    ["no duration", { max_hours: null }],
    ["endless duration", { max_hours: 1e9 }],
    ["env that is not text", { env: { A: 1 } }],
    ["name with a space", { name: "a b" }],
  ])("submit refuses: %s", async (_, over) => {
    expect(codeOf(await submit(over))).toBe("422 invalid_body");
    expect(json(await get("/v1/workloads"))).toEqual({ workloads: [], next_cursor: null });
  });

  test.each<[string, string, string, CallOptions, string]>([
    ["not JSON", "POST", "/v1/workloads", { body: "{" }, "400 invalid_json"],
    ["byte order mark", "POST", "/v1/workloads", { body: `\uFEFF${JSON.stringify(JOB)}` }, "400 invalid_json"],
    [
      "other media type",
      "POST",
      "/v1/workloads",
      { body: "{}", headers: { "content-type": "text/plain" } },
      "415 unsupported_media_type",
    ],
    ["body on a read", "GET", "/v1/workloads", { body: "{}" }, "400 unexpected_body"],
    ["unknown query key", "GET", "/v1/workloads?all=1", {}, "400 unknown_query"],
    ["repeated query key", "GET", "/v1/workloads?limit=1&limit=2", {}, "400 repeated_query"],
    ["limit out of range", "GET", "/v1/workloads?limit=0", {}, "400 invalid_query"],
    ["unknown cursor", "GET", "/v1/workloads?cursor=wl-1", {}, "400 invalid_query"],
    ["unknown state", "GET", "/v1/workloads?state=done", {}, "400 invalid_query"],
    ["unknown allocation state", "GET", "/v1/allocations?state=running", {}, "400 invalid_query"],
    ["operations without a reference", "GET", "/v1/operations", {}, "400 invalid_query"],
    ["dry_run=1", "DELETE", "/v1/pools/pool-h100?dry_run=1", {}, "400 invalid_query"],
    ["dry_run on a read", "GET", "/v1/gpus?dry_run=true", {}, "400 unknown_query"],
    ["unknown route", "GET", "/v1/nodes", {}, "404 unknown_route"],
    ["encoded route", "GET", "/v1/%77orkloads", {}, "404 unknown_route"],
    ["trailing slash", "GET", "/v1/workloads/", {}, "404 unknown_route"],
    ["method that the route does not have", "PUT", "/v1/workloads/wl-1001", {}, "405 method_not_allowed"],
  ])("refuses: %s", async (_, method, target, options, code) => {
    expect(codeOf(await call(plane.url, method, target, options))).toBe(code);
  });
});

describe("only the gate gets in", () => {
  test.each<[string, CallOptions, string]>([
    ["no credential", { headers: { authorization: "" } }, "401 unauthenticated"],
    ["unknown credential", { credential: "guess" }, "401 unauthenticated"],
    ["two credentials", { headers: { authorization: "Bearer cred-acme, Bearer cred-globex" } }, "401 unauthenticated"],
    ["no signature", { sign: null }, "401 signature_invalid"],
    ["signature of another key", { sign: { key: Buffer.alloc(32, 1).toString("base64url") } }, "401 signature_invalid"],
  ])("refuses: %s", async (_, options, code) => {
    expect(codeOf(await submit({}, options))).toBe(code);
    expect(json(await get("/v1/workloads"))).toMatchObject({ workloads: [] });
  });

  test("a captured request cannot be sent again", async () => {
    const authority = new URL(plane.url).host;
    const fields = { authorization: "Bearer cred-acme" };
    const headers = { ...fields, ...signatureHeaders("GET", authority, "/v1/gpus", fields) };
    expect((await send(plane.url, "GET", "/v1/gpus", headers)).status).toBe(200);
    expect(codeOf(await send(plane.url, "GET", "/v1/gpus", headers))).toBe("401 signature_invalid");
  });

  test("a signing key that is too short does not start", async () => {
    await expect(startControlPlane({ port: 0, credentials: {}, signingKey: "c2hvcnQ" })).rejects.toThrow("at least 32");
  });
});

describe("for checks", () => {
  test("health needs no credential", async () => expect((await example("GET", "health")).status).toBe(200));

  test("every request is recorded as it arrived, refused ones too, calls for checks not", async () => {
    const body = '{"name":  "spaced"}';
    await send(plane.url, "POST", "/v1/%77orkloads?a=1&a=2", { "X-Odd": "1", "content-type": "text/plain" }, body);
    const recorded = json(await example("GET", "requests"));
    expect(recorded).toEqual([
      {
        method: "POST",
        path: "/v1/%77orkloads?a=1&a=2",
        headers: expect.objectContaining({ "x-odd": "1", "content-type": "text/plain", host: new URL(plane.url).host }),
        body_base64: Buffer.from(body).toString("base64"),
      },
    ]);
    expect((await example("DELETE", "requests")).status).toBe(200);
    expect(json(await example("GET", "requests"))).toEqual([]);
  });

  test("status: answered instead of executed, as often as said", async () => {
    await fault("POST", "/v1/workloads", "status:500", 2);
    expect(codeOf(await submit())).toBe("500 injected_fault");
    expect(codeOf(await submit())).toBe("500 injected_fault");
    expect(await count()).toBe(0);
    expect((await submit()).status).toBe(201);
  });

  test("drop-after-execute: executed, and the caller sees a cut connection", async () => {
    await fault("*", "*", "drop-after-execute");
    await expect(submit()).rejects.toThrow(/hang up|ECONNRESET/);
    expect(await count()).toBe(1);
  });

  test("reset: not executed, and the caller sees a cut connection", async () => {
    await fault("POST", "/v1/workloads", "reset");
    await expect(submit()).rejects.toThrow(/hang up|ECONNRESET/);
    expect(await count()).toBe(0);
  });

  test("redirect: not executed, location as given", async () => {
    await fault("POST", "/v1/workloads", "redirect:http://elsewhere.example/x");
    const reply = await submit();
    expect([reply.status, reply.headers["location"]]).toEqual([307, "http://elsewhere.example/x"]);
    expect(await count()).toBe(0);
  });

  test("garbage: executed, answered with its own status and text that is not JSON", async () => {
    await fault("POST", "/v1/workloads", "garbage");
    const reply = await submit();
    expect(reply.status).toBe(201);
    expect(() => json(reply)).toThrow(SyntaxError);
    expect(await count()).toBe(1);
  });

  test("delay: executed afterwards; closing the server ends the wait", async () => {
    await fault("POST", "/v1/workloads", "delay:1");
    expect((await submit()).status).toBe(201);
    await fault("POST", "/v1/workloads", "delay:600000");
    const waiting = expect(submit()).rejects.toThrow(/hang up|ECONNRESET/);
    while ((await example("GET", "faults")).text.includes("1")) await Promise.resolve();
    await plane.close();
    await waiting;
    plane = await startPlane();
  });

  test("a fault for a call is not used up by the dry run before it, nor by refused callers", async () => {
    await fault("POST", "/v1/workloads", "status:500");
    expect((await post("/v1/workloads?dry_run=true", JOB)).status).toBe(200);
    expect((await submit({}, { sign: null })).status).toBe(401);
    expect((await submit()).status).toBe(500);
    await fault("POST", "/v1/workloads?dry_run=true", "status:503");
    expect((await post("/v1/workloads?dry_run=true", JOB)).status).toBe(503);
  });

  test("a template meets every id, another route is left alone", async () => {
    await submit();
    await fault("POST", "/v1/workloads/{id}/cancel", "status:500");
    expect((await get("/v1/workloads/wl-1001")).status).toBe(200);
    expect((await call(plane.url, "POST", "/v1/workloads/wl-1001/cancel")).status).toBe(500);
  });

  test.each<[string, unknown]>([
    ["unknown kind", [{ method: "GET", path: "*", times: 1, kind: "explode" }]],
    ["status out of range", [{ method: "GET", path: "*", times: 1, kind: "status:99" }]],
    ["unknown key", [{ method: "GET", path: "*", times: 1, kind: "reset", extra: 1 }]],
    ["no list", { method: "GET", path: "*", times: 1, kind: "reset" }],
  ])("a fault plan is refused as a whole: %s", async (_, plan) => {
    expect((await example("PUT", "faults", plan)).status).toBe(422);
    expect(json(await example("GET", "faults"))).toEqual({ pending: 0 });
  });
});

describe("a server that is stopped and started", () => {
  const first: string[] = [];
  beforeAll(() => first.splice(0));
  afterAll(() => expect(first).toHaveLength(2));

  test.each([1, 2])("gives the same answers to the same calls (run %i)", async () => {
    const replies = [
      await submit({}, keyed("k")),
      await post("/v1/allocations", ALLOCATION),
      await get("/v1/workloads"),
    ];
    first.push(replies.map(({ text }) => text).join(""));
    expect(first.at(-1)).toBe(first[0]);
  });
});
