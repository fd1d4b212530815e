import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { CompiledCatalogue, LookUpJudge, UpstreamCall } from "../../src/catalogue/types.ts";
import { lookUpOutcome } from "../../src/outbox/look-up.ts";
import { createBreaker } from "../../src/upstream/breaker.ts";
import type { Upstream } from "../../src/upstream/send.ts";

const SENT: UpstreamCall = {
  method: "POST",
  path: "/v1/workloads",
  query: [["dry_run", "false"]],
  headers: {},
  contentType: "application/json",
  body: '{"name":"train"}',
};

const LOOK_UP: UpstreamCall = {
  method: "GET",
  path: "/v1/workloads",
  query: [["reference", "req_1"]],
  headers: {},
  contentType: null,
  body: null,
};

const JOB = { requestId: "req_1", call: SENT };

const UPSTREAM: Upstream = {
  name: "example",
  origin: "http://127.0.0.1:1",
  credentialHeaders: { authorization: "Bearer upstream" },
  signingKey: new Uint8Array(32),
  deadlineMs: 50,
  breaker: createBreaker(),
};

/** What the length of a complete list proves. */
const judge: LookUpJudge = (status, body) =>
  status !== 200 || !Array.isArray(body) ? "unknown" : body.length > 0 ? "happened" : "absent";

const find = (reference: string) => ({
  call: { ...LOOK_UP, query: [["reference", reference]] },
  judge,
  resource: () => "wl-1",
});

/** A catalogue of one operation that looks outcomes up by reference, by the list's length. */
function catalogueWith(lookUp: "by reference" | "none" | "unknown operation"): {
  readonly catalogue: CompiledCatalogue;
  readonly asked: unknown[];
} {
  const asked: unknown[] = [];
  const match = (request: {
    readonly method: string;
    readonly path: string;
    readonly body: unknown;
    readonly query: unknown;
  }) => {
    asked.push({ method: request.method, path: request.path, body: request.body, query: request.query });
    if (lookUp === "unknown operation")
      return { ok: false, error: { kind: "unknown-operation", method: "", path: "" } };
    return { ok: true, value: { outcome: { lookUp: lookUp === "none" ? null : find } } };
  };
  // Only `match` and the look-up of what it finds take part here.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  return { catalogue: { match } as unknown as CompiledCatalogue, asked };
}

const fetched = vi.fn<(request: Request) => Promise<Response>>();

beforeEach(() => {
  fetched.mockReset();
  vi.stubGlobal("fetch", (url: string, init: RequestInit) => fetched(new Request(url, init)));
});
afterEach(() => void vi.unstubAllGlobals());

const lookUp = (catalogue: CompiledCatalogue) => lookUpOutcome(JOB, catalogue, UPSTREAM, "lku_1");

/** A body that breaks off after its first bytes. */
const brokenBody = (): ReadableStream =>
  new ReadableStream({
    start: (controller) => {
      controller.enqueue(new TextEncoder().encode("[]"));
      controller.error(new Error("Network connection lost."));
    },
  });

describe("a look-up", () => {
  it("asks once, with the operation's own reference and the tenant's upstream credential", async () => {
    const { catalogue, asked } = catalogueWith("by reference");
    fetched.mockResolvedValue(Response.json([{ id: "w-1" }]));
    expect(await lookUp(catalogue)).toEqual({ verdict: "happened", resource: "wl-1" });
    expect(fetched).toHaveBeenCalledTimes(1);
    const request = fetched.mock.calls[0]?.[0];
    expect([request?.method, request?.url]).toEqual(["GET", "http://127.0.0.1:1/v1/workloads?reference=req_1"]);
    expect(request?.headers.get("authorization")).toBe("Bearer upstream");
    expect(request?.redirect).toBe("manual");
    expect(asked).toEqual([
      { method: "POST", path: "/v1/workloads", body: { name: "train" }, query: new Map([["dry_run", "false"]]) },
    ]);
  });

  it.each<[string, "happened" | "absent" | "unknown", () => Promise<Response>]>([
    ["a complete list with it", "happened", async () => Response.json([{}])],
    ["a complete list without it", "absent", async () => Response.json([])],
    ["404", "unknown", async () => Response.json({}, { status: 404 })],
    ["500", "unknown", async () => Response.json([], { status: 500 })],
    ["a redirect", "unknown", async () => new Response(null, { status: 302, headers: { location: "/v1/other" } })],
    ["something that is not JSON", "unknown", async () => new Response("<html>")],
    ["nothing", "unknown", async () => new Response("")],
    ["an answer that breaks off", "unknown", async () => new Response(brokenBody())],
    ["an answer that never ends", "unknown", async () => new Response(new ReadableStream({}))],
    ["more than can be read", "unknown", async () => new Response("[]".padEnd(4 * 1024 * 1024 + 1))],
    ["a refused connection", "unknown", async () => Promise.reject(new TypeError("Network connection lost."))],
    [
      "no answer within the deadline",
      "unknown",
      () => Promise.reject(new DOMException("The operation was aborted", "AbortError")),
    ],
  ])("that is answered with %s says %s", async (_, verdict, answer) => {
    fetched.mockImplementation(answer);
    // Only what happened made something.
    const resource = verdict === "happened" ? "wl-1" : null;
    expect(await lookUp(catalogueWith("by reference").catalogue)).toEqual({ verdict, resource });
  });

  it.each(["none", "unknown operation"] as const)(
    "is not made where the catalogue has %s: that proves nothing",
    async (kind) => {
      expect(await lookUp(catalogueWith(kind).catalogue)).toEqual({ verdict: "unknown", resource: null });
      expect(fetched).not.toHaveBeenCalled();
    },
  );
});
