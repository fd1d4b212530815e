import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { StatusCheck } from "../../src/ledger/money/finance-port.ts";
import { readStatus } from "../../src/outbox/read-status.ts";
import { digestOf } from "../../src/platform/digest.ts";
import { createBreaker } from "../../src/upstream/breaker.ts";
import type { Upstream } from "../../src/upstream/send.ts";
import { exampleCatalogue } from "../catalogue/shipped.ts";

const CATALOGUE = exampleCatalogue();
const CHECK: StatusCheck = {
  requestId: "req_1",
  catalogue: digestOf("portcullis/test", "catalogue"),
  route: "workloads.submit",
  resource: "wl-1",
};
const ENDED = { id: "wl-1", reference: "req_1", state: "succeeded", ran_seconds: 60, cost_usd: "0.25" };
const NOTHING = { requestId: "req_1", verdict: "unknown", actualMicros: null, ranMs: null };

const UPSTREAM: Upstream = {
  name: "example",
  origin: "http://127.0.0.1:1",
  credentialHeaders: { authorization: "Bearer upstream" },
  signingKey: new Uint8Array(32),
  deadlineMs: 50,
  breaker: createBreaker(),
};

const fetched = vi.fn<(request: Request) => Promise<Response>>();

beforeEach(() => {
  fetched.mockReset();
  vi.stubGlobal("fetch", (url: string, init: RequestInit) => fetched(new Request(url, init)));
});
afterEach(() => void vi.unstubAllGlobals());

const read = (over: Partial<StatusCheck> = {}) => readStatus({ ...CHECK, ...over }, CATALOGUE, UPSTREAM, "sts_1");

describe("the status of what a request made", () => {
  it("is read once, as the tenant, and tells what was found of that request", async () => {
    fetched.mockResolvedValue(Response.json(ENDED));
    expect(await read()).toEqual({ requestId: "req_1", verdict: "ended", actualMicros: 250_000, ranMs: 60_000 });
    expect(fetched).toHaveBeenCalledTimes(1);
    const request = fetched.mock.calls[0]?.[0];
    expect([request?.method, request?.url]).toEqual(["GET", "http://127.0.0.1:1/v1/workloads/wl-1"]);
    expect(request?.headers.get("authorization")).toBe("Bearer upstream");
    expect(request?.headers.get("signature")).not.toBeNull();
    expect(request?.redirect).toBe("manual");
  });

  it.each<[string, () => Promise<Response>]>([
    ["404", async () => Response.json(ENDED, { status: 404 })],
    ["500", async () => Response.json(ENDED, { status: 500 })],
    ["a redirect", async () => new Response(null, { status: 302, headers: { location: "/v1/other" } })],
    ["something that is not JSON", async () => new Response("<html>")],
    ["another request's workload", async () => Response.json({ ...ENDED, reference: "req_2" })],
    ["an answer that never ends", async () => new Response(new ReadableStream({}))],
    ["a refused connection", async () => Promise.reject(new TypeError("Network connection lost."))],
  ])("is unknown where the answer is %s", async (_, answer) => {
    fetched.mockImplementation(answer);
    expect(await read()).toEqual(NOTHING);
  });

  it.each<[string, Partial<StatusCheck>]>([
    ["the catalogue has no such read", { route: "reservations.create" }],
    ["the catalogue has no such route any more", { route: "jobs.submit" }],
    ["the id is no path segment", { resource: ".." }],
  ])("is not asked for, and unknown, where %s", async (_, over) => {
    expect(await read(over)).toEqual(NOTHING);
    expect(fetched).not.toHaveBeenCalled();
  });
});
