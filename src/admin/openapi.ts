import type { JsonObject } from "../platform/json.ts";
import type { AdminRoute } from "./call.ts";

/** The OpenAPI 3.1 document of the gate's own API, made from its route table. */
export function openApiDocument(routes: readonly AdminRoute[]): JsonObject {
  const paths: Record<string, Record<string, JsonObject>> = {};
  for (const route of routes) {
    const path = route.path.replaceAll(/:([a-zA-Z]+)/g, "{$1}");
    paths[path] = {
      ...paths[path],
      [route.method.toLowerCase()]: {
        summary: route.roles === null ? "Any credential of the tenant" : `People with role ${route.roles.join(" or ")}`,
        responses: { default: { description: "JSON, or RFC 9457 problem details" } },
      },
    };
  }
  return { openapi: "3.1.0", info: { title: "Portcullis", version: "1" }, paths };
}
