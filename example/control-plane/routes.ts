import { refusal } from "./answer.ts";
import type { Answer } from "./answer.ts";
import type { Handler } from "./calls.ts";
import * as reads from "./reads.ts";
import * as writes from "./writes.ts";

/** One route: method, path template, the query keys it knows, and whether it changes something. */
export type Route = {
  readonly method: "GET" | "POST" | "PATCH" | "DELETE";
  readonly template: string;
  readonly query: readonly string[];
  readonly writes: boolean;
  readonly handler: Handler;
};

const LIST = ["limit", "cursor", "reference"];

const read = (method: "GET" | "POST", template: string, handler: Handler, query: readonly string[] = []): Route => ({
  method,
  template,
  query,
  writes: false,
  handler,
});

const write = (method: "POST" | "PATCH" | "DELETE", template: string, handler: Handler): Route => ({
  method,
  template,
  query: ["dry_run"],
  writes: true,
  handler,
});

/** Everything that this control plane can do. */
export const ROUTES: readonly Route[] = [
  read("GET", "/v1/workloads", reads.listWorkloads, [...LIST, "state"]),
  read("GET", "/v1/workloads/{id}", reads.getWorkload),
  read("GET", "/v1/workloads/{id}/logs", reads.getLogs, ["tail"]),
  read("GET", "/v1/workloads/{id}/metrics", reads.getMetrics),
  read("GET", "/v1/workloads/{id}/diagnosis", reads.getDiagnosis),
  read("GET", "/v1/gpus", reads.gpuStatus),
  read("GET", "/v1/capacity", reads.getCapacity),
  read("GET", "/v1/allocations", reads.listAllocations, [...LIST, "state"]),
  read("GET", "/v1/allocations/{id}", reads.getAllocation),
  read("GET", "/v1/reservations", reads.listReservations, LIST),
  read("GET", "/v1/operations", reads.listOperations, LIST),
  read("POST", "/v1/workloads/{id}/explain", reads.explain),
  read("POST", "/v1/insights", reads.insights),
  read("POST", "/v1/capacity/plan", reads.planCapacity),
  write("POST", "/v1/workloads", writes.submit),
  write("PATCH", "/v1/workloads/{id}", writes.scale),
  write("POST", "/v1/workloads/{id}/cancel", writes.cancel),
  write("POST", "/v1/allocations", writes.allocate),
  write("POST", "/v1/allocations/{id}/transfer", writes.transfer),
  write("DELETE", "/v1/allocations/{id}", writes.release),
  write("POST", "/v1/reservations", writes.reserve),
  write("DELETE", "/v1/pools/{id}", writes.deletePool),
  write("DELETE", "/v1/clusters/{id}", writes.destroyCluster),
];

/**
 * The route of a call with the `{id}` of its path, or 404, or 405 with `Allow`. HEAD is GET without its body. The path is
 * matched undecoded.
 */
export function findRoute(method: string, path: string): { readonly route: Route; readonly id: string } | Answer {
  const allowed: string[] = [];
  for (const route of ROUTES) {
    const id = matchTemplate(route.template, path);
    if (id === null) continue;
    if (route.method === (method === "HEAD" ? "GET" : method)) return { route, id };
    allowed.push(route.method);
  }
  if (allowed.length === 0) return refusal(404, "unknown_route", "no such route");
  return { ...refusal(405, "method_not_allowed", `${method} is not offered`), headers: { allow: allowed.join(", ") } };
}

/** The `{id}` of `path` where it fits `template` (empty where the template has none), null where it does not fit. */
export function matchTemplate(template: string, path: string): string | null {
  const wanted = template.split("/");
  const given = path.split("/");
  if (wanted.length !== given.length) return null;
  let id = "";
  for (const [index, segment] of wanted.entries()) {
    const actual = given[index] ?? "";
    if (segment !== "{id}") {
      if (segment !== actual) return null;
    } else {
      if (!/^[A-Za-z0-9._-]{1,128}$/.test(actual)) return null;
      id = actual;
    }
  }
  return id;
}
