import { canonicalJson } from "../platform/canonical-json.ts";
import { digestOf } from "../platform/digest.ts";
import type { DocumentProblem } from "../platform/document.ts";
import { plainJson } from "../platform/plain-json.ts";
import { err, ok } from "../platform/result.ts";
import type { Result } from "../platform/result.ts";
import { parseYamlDocument } from "../platform/yaml-document.ts";
import type { Refusal } from "../refusal.ts";
import type { StrictRequest } from "../strict-request.ts";
import type { Tier } from "../vocabulary.ts";
import { boundsOf } from "./bounds.ts";
import { checkCatalogue } from "./checks.ts";
import { compileCostOfFacts } from "./cost-of-facts.ts";
import { catalogueSchema } from "./document-schema.ts";
import type { ActionDocument, CatalogueDocument, RouteDocument } from "./document-schema.ts";
import { declaredFacts } from "./facts.ts";
import type { FactDeclaration } from "./facts.ts";
import { compileFloors } from "./floors.ts";
import { PathMatcher } from "./matcher.ts";
import { segmentsOf } from "./path-template.ts";
import type { Segment } from "./path-template.ts";
import { compileRoute, malformed } from "./route.ts";
import type { CompiledRoute, RouteEnvironment } from "./route.ts";
import { BUILT_IN_GRAMMARS, compileGrammars, compileText } from "./text-rules.ts";
import type { Report, TextCheck } from "./text-rules.ts";
import type { ActionSpec, CompiledCatalogue, MatchedOperation, StatusRule } from "./types.ts";

type Action = {
  readonly spec: Omit<ActionSpec, "digest" | "free">;
  readonly facts: ReadonlyMap<string, FactDeclaration>;
};

/** Routes of one template, told apart by their discriminators. */
type Leaf = { readonly template: string; readonly routes: CompiledRoute[] };

/**
 * Compiles a catalogue document to closures. Everything that can be wrong with it is found here, with line and column:
 * unknown keys and operations, facts nobody declared, writes without a price, routes that overlap. Pure.
 */
export function compileCatalogue(text: string): Result<CompiledCatalogue, readonly DocumentProblem[]> {
  const parsed = parseYamlDocument(text, catalogueSchema);
  if (!parsed.ok) return parsed;
  const document = parsed.value.value;
  const problems = new Map<string, DocumentProblem>();
  const report: Report = (path, message, at) => {
    const problem = parsed.value.problem(path, message, at);
    // Rules that several routes share are compiled once per route: one mistake is one problem.
    problems.set(`${problem.line}:${problem.column} ${message}`, problem);
  };
  const warnings = new Map<string, DocumentProblem>();
  const warn: Report = (path, message, at) =>
    void warnings.set(message, { ...parsed.value.problem(path, message, at), severity: "warning" });
  const env: RouteEnvironment = {
    document,
    report,
    warn,
    grammars: compileGrammars(document.grammars ?? {}, report),
    tables: tablesOf(document),
  };
  const actions = compileActions(document, report);
  const routes = compileRoutes(document, actions, env);
  checkCatalogue(document, routes.templates, report);
  if (problems.size > 0) return err(inOrder([...problems.values()]));
  return ok({
    id: document.catalogue,
    controlPlane: document.control_plane,
    digest: digestOf("portcullis/catalogue/v1", text),
    actions: new Map([...actions].map(([name, { spec }]) => [name, completeSpec(spec, document)])),
    blastRadii: document.blast_radii ?? [],
    credentialCarriers: document.credential_carriers,
    upstreamAuth: document.upstream_auth,
    requestHeaders: document.headers.pass,
    responseHeaders: document.headers.return,
    refusedHeaders: document.headers.refuse,
    errorDialect: document.error_dialect,
    match: matchWith(routes.matcher, document.headers.refuse),
    costOfFacts: compileCostOfFacts(document, env.tables),
    status: (routeId) => routes.statuses.get(routeId) ?? null,
    bounds: () => boundsOf(document),
    warnings: inOrder([...warnings.values()]),
  });
}

const inOrder = (problems: readonly DocumentProblem[]): readonly DocumentProblem[] =>
  problems.toSorted((a, b) => (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0));

const tablesOf = (document: CatalogueDocument): RouteEnvironment["tables"] =>
  new Map(Object.entries(document.tables ?? {}).map(([name, rows]) => [name, new Map(Object.entries(rows))]));

function compileActions(document: CatalogueDocument, report: Report): ReadonlyMap<string, Action> {
  const radii = document.blast_radii ?? [];
  for (const [index, radius] of radii.entries()) {
    if (radii.indexOf(radius) < index) report(["blast_radii", index], `"${radius}" is listed twice`);
  }
  return new Map(
    Object.entries(document.actions).map(([name, action]) => {
      const path = ["actions", name];
      const facts = declaredFacts(action);
      for (const fact of facts.keys()) {
        if (/^(max|min)_/.test(fact))
          report([...path, "facts", fact], "a fact's name cannot begin with max_ or min_: constraints do", "key");
      }
      const floors = compileFloors(action, facts, path, report);
      const minimumTier: Tier = floors[0]?.tier ?? 5;
      const factNames = new Map([...facts].map(([fact, { type }]) => [fact, type]));
      const { blast_radius: blastRadius = null, reversible = null } = action;
      if (blastRadius !== null && !radii.includes(blastRadius))
        report([...path, "blast_radius"], `the catalogue's blast_radii do not list "${blastRadius}"`);
      const elevated = blastRadius !== null && radii.indexOf(blastRadius) > 0;
      const spec = { action: name, floors, minimumTier, factNames, blastRadius, elevated, reversible };
      return [name, { spec, facts }];
    }),
  );
}

function completeSpec(spec: Action["spec"], document: CatalogueDocument): ActionSpec {
  const routes = document.routes.filter((route) => route.action === spec.action);
  return {
    ...spec,
    free: routes.every((route) => (route.cost ?? "none") === "none"),
    digest: actionDigest(document, document.actions[spec.action], routes),
  };
}

/** Covers this action, its routes and everything shared that they could use; routes of other actions stay out. */
function actionDigest(
  document: CatalogueDocument,
  action: ActionDocument | undefined,
  routes: readonly RouteDocument[],
): ActionSpec["digest"] {
  const { actions: _actions, routes: _routes, title: _title, version: _version, ...shared } = document;
  return digestOf("portcullis/catalogue-action/v1", canonicalJson(plainJson({ shared, action, routes })));
}

/** A template as compiled, for the overlap check. */
export type CompiledTemplate = {
  readonly index: number;
  readonly route: RouteDocument;
  readonly segments: readonly Segment[];
};

type CompiledRoutes = {
  readonly matcher: PathMatcher<Leaf>;
  readonly templates: readonly CompiledTemplate[];
  /** By route id. */
  readonly statuses: ReadonlyMap<string, StatusRule>;
};

function compileRoutes(
  document: CatalogueDocument,
  actions: ReadonlyMap<string, Action>,
  env: RouteEnvironment,
): CompiledRoutes {
  const statuses = new Map<string, StatusRule>();
  const matcher = new PathMatcher<Leaf>();
  const templates: CompiledTemplate[] = [];
  for (const [index, route] of document.routes.entries()) {
    const path = ["routes", index];
    const action = actions.get(route.action);
    if (action === undefined) {
      env.report([...path, "action"], `the catalogue declares no action "${route.action}"`);
      continue;
    }
    const compiled = compileRoute(route, action, path, env);
    if (compiled.status !== null) statuses.set(route.id, compiled.status);
    const checkOf = paramChecks(route, path, env);
    for (const template of [route.path, ...(route.twins ?? [])]) {
      const segments = segmentsOf(template, checkOf);
      templates.push({ index, route, segments });
      for (const method of route.head === true ? (["GET", "HEAD"] as const) : [route.method]) {
        const keyOf = (name: string): string => `${name} ${JSON.stringify(route.params?.[name] ?? null)}`;
        matcher.add(method, segments, keyOf, () => ({ template, routes: [] })).routes.push(compiled);
      }
    }
  }
  return { matcher, templates, statuses };
}

function paramChecks(
  route: RouteDocument,
  path: readonly (string | number)[],
  env: RouteEnvironment,
): (name: string) => TextCheck {
  const checks = new Map(
    Object.entries(route.params ?? {}).map(([name, rules]) => [
      name,
      compileText(rules, [...path, "params", name], env.grammars, env.report),
    ]),
  );
  const id = BUILT_IN_GRAMMARS.get("id");
  return (name) => checks.get(name) ?? ((text) => (id?.test(text) === true ? null : "an id"));
}

function matchWith(
  matcher: PathMatcher<Leaf>,
  refusedHeaders: readonly string[],
): (request: StrictRequest) => Result<MatchedOperation, Refusal> {
  return (request) => {
    const refused = refusedHeaders.find((name) => request.header(name) !== null);
    if (refused !== undefined) return err(malformed(`header "${refused}" is set by the gate alone: do not send it`));
    const hit = matcher.find(request.method, request.segments, ({ template, routes }) => {
      const route = routes.find((candidate) => candidate.selects(request));
      return route === undefined ? null : { template, route };
    });
    if (hit === null) return err({ kind: "unknown-operation", method: request.method, path: request.path });
    return hit.picked.route.open(request, hit.picked.template, hit.params);
  };
}
