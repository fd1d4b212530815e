import { canonicalJson } from "../platform/canonical-json.ts";
import { parsePointer, valueAt } from "../platform/json-pointer.ts";
import type { JsonPath } from "../platform/json-pointer.ts";
import { err, ok } from "../platform/result.ts";
import type { Result } from "../platform/result.ts";
import type { Refusal } from "../refusal.ts";
import type { StrictRequest } from "../strict-request.ts";
import { isWrite } from "../vocabulary.ts";
import { compileValue } from "./body.ts";
import { compileCost } from "./cost.ts";
import { compileDryRun, compileReference } from "./dispatch.ts";
import type { CatalogueDocument, RouteDocument } from "./document-schema.ts";
import type { ExpressionContext, Tables } from "./expression-context.ts";
import { compileFacts } from "./facts.ts";
import type { FactDeclaration } from "./facts.ts";
import { floorOf } from "./floors.ts";
import { compileIncident } from "./incident-key.ts";
import { compileObservation } from "./observation.ts";
import { sortedQuery } from "./outcome.ts";
import { expandPath, parameterNames } from "./path-template.ts";
import { compileQuery } from "./query.ts";
import { outcomeOf, referenceOf } from "./route-outcome.ts";
import { EMPTY_SCOPE } from "./scope.ts";
import type { Scope } from "./scope.ts";
import type { Report, TextCheck } from "./text-rules.ts";
import type { ActionSpec, LookUp, MatchedOperation, StatusRule, UpstreamCall } from "./types.ts";
import { checkPriceLookUps, lookUpsOfPrices } from "./upstream-prices.ts";

/** What all routes of a document share. */
export type RouteEnvironment = {
  readonly document: CatalogueDocument;
  readonly grammars: ReadonlyMap<string, TextCheck>;
  readonly tables: Tables;
  readonly report: Report;
  /** Reports what is no mistake and can hardly be meant. */
  readonly warn: Report;
};

/** One route, ready to judge requests whose method and path have been found to be its own. */
export type CompiledRoute = {
  readonly id: string;
  readonly document: RouteDocument;
  /** How the status of what it made is read; null where the catalogue does not say. */
  readonly status: StatusRule | null;
  /** Whether header and body discriminators select this route. */
  readonly selects: (request: StrictRequest) => boolean;
  /** Checks query, content type and body, and rebuilds the operation from the validated values. */
  readonly open: (
    request: StrictRequest,
    template: string,
    params: ReadonlyMap<string, string>,
  ) => Result<MatchedOperation, Refusal>;
};

/** Compiles one route of `action`; every mistake is reported at its place. */
export function compileRoute(
  route: RouteDocument,
  action: { readonly spec: Omit<ActionSpec, "digest" | "free">; readonly facts: ReadonlyMap<string, FactDeclaration> },
  path: JsonPath,
  env: RouteEnvironment,
): CompiledRoute {
  const { spec } = action;
  const base = contextOf(route, env);
  const facts = compileFacts(route, action.facts, path, base);
  const write = isWrite(spec.minimumTier);
  if (write) requireWriteRules(route, path, env);
  else refuseWriteRules(route, path, env);
  const cost = compileCost(route.cost ?? "none", [...path, "cost"], facts.context);
  const incident = compileIncident(route, path, facts.context);
  const { outcome, status } = outcomeOf(route, path, facts.context, env);
  const own = route.dry_run === undefined;
  const dryRun = compileDryRun(
    route.dry_run ?? (write ? env.document.dry_run : undefined) ?? "none",
    route,
    own ? ["dry_run"] : [...path, "dry_run"],
    base,
  );
  const inject = compileReference(
    referenceOf(route, write, env),
    route,
    route.reference === undefined ? ["reference"] : [...path, "reference"],
    base,
  );
  const open = compileOpening(route, path, env);
  checkPriceLookUps(route, path, env.report);
  const lookUps = compileLookUps(route);
  const observation = compileObservation(route, path, base);
  const streaming = (route.streaming ?? "none") !== "none";

  return {
    id: route.id,
    document: route,
    status,
    selects: compileSelection(route),
    open: (request, template, params) => {
      const problem = open(request);
      if (problem !== null) return err(problem);
      const call = callOf(request, route, expandPath(template, params));
      const scope: Scope = { ...EMPTY_SCOPE, params, query: request.query, header: request.header, body: request.body };
      return ok({
        routeId: route.id,
        action: spec.action,
        minimumTier: spec.minimumTier,
        lookUps: lookUps(params),
        facts: (lookedUp) => facts.extract({ ...scope, lookedUp }),
        floor: (extracted) => floorOf(spec.floors, extracted),
        incident: (extracted, lookedUp) => incident({ ...scope, facts: extracted, lookedUp }),
        cost: (extracted, lookedUp, prices, now) => cost({ ...scope, facts: extracted, lookedUp }, prices, now),
        call,
        dispatch: (reference) => inject(call, request.body, reference),
        dryRun: dryRun(call, scope),
        outcome: outcome(scope),
        observation: observation(scope),
        streaming,
      });
    },
  };
}

function contextOf(route: RouteDocument, { report, tables, document }: RouteEnvironment): ExpressionContext {
  return {
    report,
    tables,
    params: new Set(parameterNames(route.path)),
    query: new Set(Object.keys(route.query ?? {})),
    headers: new Set([...document.headers.pass, ...Object.keys(route.when?.header ?? {})]),
    lookUps: new Set(Object.keys(route.look_ups ?? {})),
    facts: new Map(),
    body: route.body ?? null,
    response: false,
    item: false,
    barred: null,
  };
}

/** A write says everything explicitly: what it costs, how it ends, whether the upstream has a dry run. */
function requireWriteRules(route: RouteDocument, path: JsonPath, { document, report }: RouteEnvironment): void {
  const place = [...path, "id"];
  if (route.cost === undefined) report(place, `route ${route.id} is a write: state its cost, or \`cost: none\``);
  if (route.outcome === undefined) report(place, `route ${route.id} is a write: state its outcome`);
  if (route.dry_run === undefined && document.dry_run === undefined)
    report(place, `route ${route.id} is a write: state its dry_run, or \`dry_run: none\``);
  if (route.reference === undefined && document.reference === undefined) {
    report(place, `route ${route.id} is a write: state where the gate's reference goes, or \`reference: none\``);
  }
  if ((route.streaming ?? "none") !== "none")
    report([...path, "streaming"], "a write cannot be streamed: its outcome must be known");
}

function refuseWriteRules(route: RouteDocument, path: JsonPath, { report }: RouteEnvironment): void {
  for (const key of ["affected", "version"] as const) {
    if (route[key] !== undefined) report([...path, key], `route ${route.id} is a read: it affects nothing`, "key");
  }
  if (route.incident !== undefined)
    report([...path, "incident"], `route ${route.id} is a read: it claims nothing`, "key");
}

/** Query, content type and body, in this order; null when all are as the route says. */
function compileOpening(
  route: RouteDocument,
  path: JsonPath,
  { grammars, report }: RouteEnvironment,
): (request: StrictRequest) => Refusal | null {
  const checkQuery = compileQuery(route.query ?? {}, [...path, "query"], grammars, report);
  const checkBody = route.body === undefined ? null : compileValue(route.body, [...path, "body"], { grammars, report });
  const accepted = route.content_types ?? ["application/json"];
  const optional = route.body?.optional === true;
  return (request) => {
    const queryProblem = checkQuery(request.query);
    if (queryProblem !== null) return malformed(queryProblem);
    if (request.body === undefined) {
      return checkBody === null || optional ? null : malformed("body: required and missing");
    }
    if (checkBody === null) return malformed("body: this operation takes none");
    if (request.contentType === null || !accepted.includes(request.contentType)) {
      return { kind: "unsupported-media-type", reason: `the body must be ${accepted.join(" or ")}`, accepted };
    }
    const bodyProblem = checkBody(request.body, []);
    return bodyProblem === null ? null : malformed(bodyProblem);
  };
}

export const malformed = (reason: string): Refusal => ({ kind: "malformed-request", reason });

function compileSelection(route: RouteDocument): (request: StrictRequest) => boolean {
  const byHeader = Object.entries(route.when?.header ?? {}).map(([name, values]) => ({
    name,
    values: new Set(values),
  }));
  const byBody = Object.entries(route.when?.body ?? {}).map(([pointer, values]) => ({
    tokens: parsePointer(pointer) ?? [],
    values: new Set<unknown>(values),
  }));
  return (request) =>
    byHeader.every(({ name, values }) => values.has(request.header(name) ?? "")) &&
    byBody.every(({ tokens, values }) => values.has(valueAt(request.body, tokens)));
}

/** The upstream call, rebuilt: path from the template, sorted query, RFC 8785 body, discriminator headers as matched. */
function callOf(request: StrictRequest, route: RouteDocument, path: string): UpstreamCall {
  const headers = Object.fromEntries(
    Object.keys(route.when?.header ?? {}).map((name) => [name, request.header(name) ?? ""]),
  );
  return {
    method: request.method,
    path,
    query: sortedQuery([...request.query]),
    headers,
    contentType: request.body === undefined ? null : request.contentType,
    body: request.body === undefined ? null : canonicalJson(request.body),
  };
}

function compileLookUps(route: RouteDocument): (params: ReadonlyMap<string, string>) => readonly LookUp[] {
  const entries = Object.entries(route.look_ups ?? {});
  const prices = lookUpsOfPrices(route);
  return (params) =>
    entries.map(([name, { method, path, query, max_age_s: maxAgeS }]) => ({
      name,
      price: prices.has(name),
      maxAgeMs: (maxAgeS ?? 0) * 1000,
      call: {
        method,
        path: expandPath(path, params),
        query: sortedQuery(Object.entries(query ?? {})),
        headers: {},
        contentType: null,
        body: null,
      },
    }));
}
