import { describe, expect, test } from "vitest";
import { openApiDocument } from "../../src/admin/openapi/openapi.ts";
import { ROUTE_DESCRIPTIONS } from "../../src/admin/openapi/openapi-routes.ts";
import { ADMIN_ROUTES, app } from "../../src/app.ts";
import { readGateHeaders } from "../../src/gateway/gate-headers.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../../src/platform/json.ts";
import { placedIssues } from "../../src/platform/zod-problems.ts";
import { PROBLEMS } from "../../src/problem.ts";

const document = openApiDocument(ADMIN_ROUTES);

function at(value: JsonValue, ...path: readonly string[]): JsonValue {
  let found: JsonValue | undefined = value;
  for (const name of path)
    found = Array.isArray(found) ? found[Number(name)] : isJsonObject(found) ? found[name] : undefined;
  if (found === undefined) throw new Error(`nothing at ${path.join(" / ")}`);
  return found;
}

function objectAt(value: JsonValue, ...path: readonly string[]): JsonObject {
  const found = at(value, ...path);
  if (!isJsonObject(found)) throw new Error(`no object at ${path.join(" / ")}`);
  return found;
}

const templated = (path: string): string => path.replaceAll(/:([a-zA-Z]+)/g, "{$1}");
const operationOf = (method: string, path: string): JsonObject =>
  objectAt(document, "paths", templated(path), method.toLowerCase());

/** `METHOD path` and the operation, of everything in the document. */
const operations = Object.entries(objectAt(document, "paths")).flatMap(([path, item]) =>
  Object.keys(isJsonObject(item) ? item : {}).map((method) => ({
    name: `${method.toUpperCase()} ${path}`,
    operation: objectAt(document, "paths", path, method),
  })),
);

function everyReference(value: JsonValue): readonly string[] {
  if (Array.isArray(value)) return value.flatMap((item: JsonValue) => everyReference(item));
  if (!isJsonObject(value)) return [];
  return Object.entries(value).flatMap(([name, inner]) =>
    name === "$ref" && typeof inner === "string" ? [inner] : everyReference(inner),
  );
}

test("the document lists every route of the gate's own API, and nothing else", () => {
  const served = app.routes
    .filter(({ method, path }) => method !== "ALL" && path.startsWith("/_gate/"))
    .map(({ method, path }) => `${method} ${templated(path)}`);
  expect(served.length).toBeGreaterThan(ADMIN_ROUTES.length);
  expect(operations.map(({ name }) => name).toSorted()).toEqual([...new Set(served)].toSorted());
});

test("every route is described, and no description outlives its route", () => {
  const routes = ADMIN_ROUTES.map(({ method, path }) => `${method} ${path}`);
  expect(Object.keys(ROUTE_DESCRIPTIONS).toSorted()).toEqual(routes.toSorted());
});

test("operation ids are unique", () => {
  const ids = operations.map(({ operation }) => at(operation, "operationId"));
  expect(new Set(ids).size).toBe(ids.length);
});

test("every reference leads somewhere in the document", () => {
  const references = everyReference(document);
  expect(references.length).toBeGreaterThan(operations.length);
  for (const reference of references) at(document, ...reference.slice("#/".length).split("/"));
});

describe.each(ADMIN_ROUTES)("$method $path", ({ method, path, roles, body }) => {
  const operation = operationOf(method, path);

  test("asks for a credential with one of the route's roles, or for any credential", () => {
    expect(at(operation, "security")).toEqual(
      roles === null ? [{ credential: [] }] : roles.map((role) => ({ credential: [role] })),
    );
    expect("403" in objectAt(operation, "responses") || roles === null).toBe(true);
  });

  test("states a body exactly where the route takes one, closed as the handler reads it", () => {
    expect("requestBody" in operation).toBe(method === "POST" || method === "PUT");
    expect("requestBody" in operation).toBe(body !== undefined);
    if (body === undefined) return;
    const stated = objectAt(operation, "requestBody", "content", "application/json", "schema");
    // Where the root may be an array of the same, the object is the first of the two.
    const schema = "anyOf" in stated ? objectAt(at(stated, "anyOf", "0")) : stated;
    // A map states the form of its names and values instead.
    const isMap = "propertyNames" in schema;
    expect(at(schema, "additionalProperties")).toEqual(isMap ? expect.objectContaining({ type: "string" }) : false);
    const lacking = placedIssues(body.safeParse({}).error?.issues ?? []).map(({ path: [name] }) => name);
    expect("required" in schema ? at(schema, "required") : []).toEqual(lacking);
  });

  test("declares its path parameters as required", () => {
    const declared = at(operation, "parameters");
    const required = Array.isArray(declared) ? declared.filter((one) => at(one, "in") === "path") : [];
    expect(required.map((one) => [at(one, "name"), at(one, "required")])).toEqual(
      [...path.matchAll(/:([a-zA-Z]+)/g)].map(([, name]) => [name, true]),
    );
  });

  test("answers success with a named schema and every refusal with problem details", () => {
    const success = ROUTE_DESCRIPTIONS[`${method} ${path}`]?.file?.[0] ?? "application/json";
    for (const [status, response] of Object.entries(objectAt(operation, "responses"))) {
      const [media, content] = Object.entries(objectAt(response, "content"))[0] ?? [];
      const expected = Number(status) < 300 ? success : "application/problem+json";
      expect([status, media]).toEqual([status, expected]);
      expect(at(content ?? null, "schema", "$ref")).toEqual(expect.stringMatching(/^#\/components\/schemas\/[A-Z]/));
    }
  });
});

test("the problem schema knows every slug and status, and no other", () => {
  const problem = objectAt(document, "components", "schemas", "Problem", "properties");
  expect(at(problem, "slug", "enum")).toEqual(Object.keys(PROBLEMS));
  const statuses = new Set(Object.values(PROBLEMS).map(({ status }) => status));
  expect(at(problem, "status", "enum")).toEqual([...statuses]);
});

test("the request headers of the data plane are those that the gate reads", () => {
  const parameters = objectAt(document, "components", "parameters");
  expect(Object.keys(parameters)).toContain("Gate-Dry-Run");
  for (const name of Object.keys(parameters)) {
    const read = readGateHeaders(new Map([[name.toLowerCase(), ""]]));
    // Known and empty: the reader says what it expects instead of calling the name unknown.
    expect(read).toMatchObject({ ok: false, error: { reason: expect.stringMatching(`^${name}: expected `) } });
  }
});
