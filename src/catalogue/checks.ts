import { parsePointer } from "../platform/json-pointer.ts";
import type { CompiledTemplate } from "./compile.ts";
import type { CatalogueDocument, RouteDocument } from "./document-schema.ts";
import { checkBodyPointer } from "./expression-context.ts";
import { overlap, parameterNames } from "./path-template.ts";
import type { Report } from "./text-rules.ts";

/** Headers that a catalogue can neither pass on nor return: they frame the message, carry credentials or name the hop. */
const NEVER_COPIED: ReadonlySet<string> = new Set([
  "authorization",
  "connection",
  "content-encoding",
  "content-length",
  "cookie",
  "forwarded",
  "host",
  "keep-alive",
  "proxy-authorization",
  "set-cookie",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "x-forwarded-for",
  "x-forwarded-host",
]);

/** Checks that concern the document as a whole or several routes at once. */
export function checkCatalogue(
  document: CatalogueDocument,
  templates: readonly CompiledTemplate[],
  report: Report,
): void {
  checkHeaders(document, report);
  checkIds(document, report);
  for (const [index, route] of document.routes.entries()) checkRoute(route, index, report);
  checkOverlaps(templates, report);
}

function checkHeaders(
  { headers, credential_carriers: carriers, upstream_auth: auth }: CatalogueDocument,
  report: Report,
): void {
  const reserved = new Set([
    ...carriers.map(({ header }) => header),
    ...(auth.kind === "headers" ? Object.keys(auth.headers) : []),
  ]);
  for (const [list, names] of [
    ["pass", headers.pass],
    ["return", headers.return],
  ] as const) {
    for (const [index, name] of names.entries()) {
      if (NEVER_COPIED.has(name) || name.startsWith("gate-"))
        report(["headers", list, index], `"${name}" is never copied from one side to the other`);
      if (reserved.has(name)) report(["headers", list, index], `"${name}" carries a credential`);
    }
  }
  for (const [index, name] of headers.refuse.entries()) {
    if (carriers.some(({ header }) => header === name))
      report(["headers", "refuse", index], `"${name}" is a credential carrier of this catalogue`);
  }
}

function checkIds({ actions, routes }: CatalogueDocument, report: Report): void {
  const seen = new Set<string>();
  for (const [index, { id }] of routes.entries()) {
    if (seen.has(id)) report(["routes", index, "id"], `another route has the id "${id}"`);
    seen.add(id);
  }
  for (const name of Object.keys(actions)) {
    if (!routes.some((route) => route.action === name)) report(["actions", name], "no route has this action", "key");
  }
}

function checkRoute(route: RouteDocument, index: number, report: Report): void {
  const path = ["routes", index];
  const names = parameterNames(route.path);
  if (new Set(names).size !== names.length) report([...path, "path"], "a path parameter is named twice");
  for (const name of Object.keys(route.params ?? {})) {
    if (!names.includes(name)) report([...path, "params", name], `the path has no parameter "${name}"`, "key");
  }
  for (const [twin, template] of (route.twins ?? []).entries()) {
    if (parameterNames(template).join() !== names.join())
      report([...path, "twins", twin], "a twin path must have the same parameters in the same order");
  }
  for (const template of [route.path, ...(route.twins ?? [])]) {
    if (/\/\.{1,2}(\/|$)/.test(template)) report([...path, "path"], "a path cannot have dot segments");
    if (template === "/_gate" || template.startsWith("/_gate/")) report([...path, "path"], "/_gate/ is the gate's own");
  }
  if (route.head === true && route.method !== "GET") report([...path, "head"], "only a GET route can answer HEAD");
  for (const [name, lookUp] of Object.entries(route.look_ups ?? {})) {
    for (const parameter of parameterNames(lookUp.path)) {
      if (!names.includes(parameter))
        report([...path, "look_ups", name, "path"], `the route's path has no parameter "${parameter}"`);
    }
  }
  checkDiscriminators(route, path, report);
}

function checkDiscriminators(route: RouteDocument, path: readonly (string | number)[], report: Report): void {
  const context = {
    report,
    tables: new Map(),
    params: new Set<string>(),
    query: new Set<string>(),
    headers: new Set<string>(),
    lookUps: new Set<string>(),
    facts: new Map(),
    body: route.body ?? null,
    response: false,
    item: false,
    barred: null,
  };
  for (const pointer of Object.keys(route.when?.body ?? {}))
    checkBodyPointer(pointer, [...path, "when", "body", pointer], context);
}

/** Reports every pair of routes that one request could match both of. */
function checkOverlaps(templates: readonly CompiledTemplate[], report: Report): void {
  for (const [position, right] of templates.entries()) {
    for (const left of templates.slice(0, position)) {
      if (left.route.method !== right.route.method || !overlap(left.segments, right.segments)) continue;
      if (left.index === right.index)
        report(["routes", right.index, "twins"], "a twin path repeats the route's own path");
      else if (!exclusive(left.route, right.route)) {
        report(
          ["routes", right.index, "path"],
          `a request could be this route or route "${left.route.id}": narrow a parameter or add a discriminator`,
        );
      }
    }
  }
}

/** Whether the two routes demand different values of the same header or body key. */
function exclusive(left: RouteDocument, right: RouteDocument): boolean {
  return (
    Object.entries(left.when?.header ?? {}).some(([name, values]) => disjoint(values, right.when?.header?.[name])) ||
    Object.entries(left.when?.body ?? {}).some(
      ([pointer, values]) => parsePointer(pointer) !== null && disjoint(values, right.when?.body?.[pointer]),
    )
  );
}

const disjoint = (first: readonly unknown[], second: readonly unknown[] | undefined): boolean =>
  second !== undefined && !first.some((value) => second.includes(value));
