import type { z } from "zod";
import { canonicalJson } from "../platform/canonical-json.ts";
import type { DocumentProblem } from "../platform/document.ts";
import type { JsonValue } from "../platform/json.ts";
import { formatUsd } from "../platform/money.ts";
import { err, ok } from "../platform/result.ts";
import type { Result } from "../platform/result.ts";
import { parseYamlDocument } from "../platform/yaml-document.ts";
import type { StrictRequest } from "../strict-request.ts";
import { isWrite, type EpochMs } from "../vocabulary.ts";
import { catalogueTestsSchema } from "./catalogue-tests-schema.ts";
import type { callSchema, Judged, TestCase } from "./catalogue-tests-schema.ts";
import { compileCatalogue } from "./compile.ts";
import { compilePrices } from "./prices.ts";
import type { CompiledPrices } from "./prices.ts";
import type { CompiledCatalogue, CostOutcome, LookedUp, MatchedOperation } from "./types.ts";

export type CatalogueTestReport = {
  readonly catalogue: string;
  readonly passed: number;
  readonly failed: number;
  readonly cases: readonly CatalogueTestCase[];
};

/** `differences` says what was expected and what came instead; empty when the case passed. */
export type CatalogueTestCase = {
  readonly name: string;
  readonly line: number;
  readonly differences: readonly string[];
};

/** What the gate sends along in these tables. */
const REFERENCE = "ref";

/** Runs a catalogue's own table of requests against it. The three documents are compiled first: a mistake in one is the result. */
export function runCatalogueTests(
  catalogueText: string,
  pricesText: string,
  testsText: string,
): Result<CatalogueTestReport, readonly DocumentProblem[]> {
  const catalogue = compileCatalogue(catalogueText);
  if (!catalogue.ok) return catalogue;
  const prices = compilePrices(pricesText);
  if (!prices.ok) return prices;
  const tests = parseYamlDocument(testsText, catalogueTestsSchema);
  if (!tests.ok) return tests;
  const { value, problem, locate } = tests.value;
  if (value.catalogue !== catalogue.value.id)
    return err([problem(["catalogue"], `these are the tests of another catalogue than ${catalogue.value.id}`)]);
  const cases = value.tests.map((test, index) => ({
    name: test.name,
    line: locate(["tests", index]).line,
    differences: differencesOf(test, catalogue.value, prices.value, Date.parse(value.prices_at)),
  }));
  const failed = cases.filter(({ differences }) => differences.length > 0).length;
  return ok({ catalogue: catalogue.value.id, passed: cases.length - failed, failed, cases });
}

function differencesOf(
  test: TestCase,
  catalogue: CompiledCatalogue,
  prices: CompiledPrices,
  now: EpochMs,
): readonly string[] {
  const outcome = judge(test, catalogue, prices, now);
  const { expect } = test;
  if ("refused" in expect) {
    if (!("refused" in outcome))
      return [`expected refused ${expect.refused}, got ${outcome.action} at tier ${outcome.tier}`];
    if (outcome.refused !== expect.refused)
      return [`expected refused ${expect.refused}, got ${outcome.refused}: ${outcome.reason}`];
    const differs = expect.reason !== undefined && !outcome.reason.includes(expect.reason);
    return differs ? [`expected a reason with "${expect.reason}", got "${outcome.reason}"`] : [];
  }
  if ("refused" in outcome) return [`expected ${expect.action}, got refused ${outcome.refused}: ${outcome.reason}`];
  return (
    [
      "action",
      "tier",
      "facts",
      "missing",
      "ceiling_usd",
      "duration_minutes",
      "incident",
      "call",
      "dispatch",
      "asks",
      "affected",
      "version",
      "current_usd",
      "status",
    ] as const
  ).flatMap((member) => (expect[member] === undefined ? [] : compare(member, expect[member], outcome[member])));
}

/** Objects are compared member by member, so that a table states only what matters; everything below exactly. */
function compare(place: string, expected: unknown, actual: unknown): readonly string[] {
  if (
    typeof expected === "object" &&
    expected !== null &&
    !Array.isArray(expected) &&
    typeof actual === "object" &&
    actual !== null
  ) {
    const members = new Map<string, unknown>(Object.entries(actual));
    return Object.entries(expected).flatMap(([key, value]) =>
      canonicalText(value) === canonicalText(members.get(key))
        ? []
        : [`${place}.${key}: expected ${canonicalText(value)}, got ${canonicalText(members.get(key))}`],
    );
  }
  return canonicalText(expected) === canonicalText(actual)
    ? []
    : [`${place}: expected ${canonicalText(expected)}, got ${canonicalText(actual)}`];
}

const canonicalText = (value: unknown): string =>
  value === undefined ? "nothing" : canonicalJson(parsedJson(JSON.stringify(value)));

function parsedJson(text: string): JsonValue {
  const value: JsonValue = JSON.parse(text);
  return value;
}

type Outcome = { readonly [K in keyof Judged]: Judged[K] } | { readonly refused: string; readonly reason: string };

function judge(test: TestCase, catalogue: CompiledCatalogue, prices: CompiledPrices, now: EpochMs): Outcome {
  const request = strictRequest(test.request);
  if (request === null) return { refused: "malformed-request", reason: "the path is not canonical" };
  const matched = catalogue.match(request);
  if (!matched.ok)
    return { refused: matched.error.kind, reason: "reason" in matched.error ? matched.error.reason : "" };
  const operation = matched.value;
  const lookedUp = new Map(Object.entries(test.look_ups ?? {}));
  const { facts, missing } = operation.facts(lookedUp);
  const cost = operation.cost(facts, lookedUp, prices, now);
  if (cost.kind === "unpriced" && isWrite(operation.minimumTier)) {
    // Missing facts are why there is no price: the request is unsized, and only otherwise unpriced.
    if (missing.length > 0)
      return { refused: "unsized", reason: missing.map((one) => `${one.fact}: ${one.reason}`).join("; ") };
    return { refused: "unpriced", reason: cost.missing.join("; ") };
  }
  const incident = operation.incident(facts, lookedUp);
  if (incident.kind === "unsized") return { refused: "unsized", reason: `incident: ${incident.reason}` };
  const observed = observe(test, operation, lookedUp);
  if (!observed.ok) return { refused: "unavailable", reason: observed.error };
  const duration =
    cost.kind === "priced" && cost.durationMs !== null ? { duration_minutes: cost.durationMs / 60_000 } : {};
  return {
    action: operation.action,
    tier: operation.floor(facts),
    facts: Object.fromEntries(
      Object.entries(facts).map(([name, value]) => [name, typeof value === "object" ? [...value] : value]),
    ),
    missing: missing.map((one) => one.fact),
    ceiling_usd: cost.kind === "priced" ? formatUsd(cost.ceilingMicros) : "none",
    ...duration,
    incident: incident.kind === "key" ? incident.key : "none",
    call: shownCall(operation.call),
    dispatch: shownCall(operation.dispatch(REFERENCE)),
    ...observed.value,
    ...currentOf(cost),
    ...statusOf(test, catalogue, operation.routeId),
  };
}

const currentOf = (cost: CostOutcome): Pick<Judged, "current_usd"> =>
  cost.kind === "priced" && cost.currentMicros !== null ? { current_usd: formatUsd(cost.currentMicros) } : {};

/** What the later read says, where the case has its answer. */
function statusOf({ status }: TestCase, catalogue: CompiledCatalogue, routeId: string): Pick<Judged, "status"> {
  const rule = catalogue.status(routeId);
  if (status === undefined || rule === null) return {};
  const call = rule.call(status.resource);
  const { verdict, actualMicros, ranMs } = rule.judge(status.answer.status ?? 200, status.answer.body, REFERENCE);
  return {
    status: {
      ...(call === null ? {} : { path: call.path }),
      verdict,
      ran_seconds: ranMs === null ? "none" : ranMs / 1000,
      actual_usd: actualMicros === null ? "none" : formatUsd(actualMicros),
    },
  };
}

/** What approvers would be shown, where the case says what the control plane answers or which version it expects. */
function observe(
  { answer, expect }: TestCase,
  { observation }: MatchedOperation,
  lookedUp: LookedUp,
): Result<Pick<Judged, "asks" | "affected" | "version">, string> {
  if (observation === null) return ok({});
  const asks = observation.call === null ? {} : { asks: shownCall(observation.call) };
  if (answer === undefined && !("version" in expect)) return ok(asks);
  const read = observation.read(
    answer === undefined ? null : { status: answer.status ?? 200, body: answer.body },
    lookedUp,
  );
  if (!read.ok) return read;
  const { affected, version } = read.value;
  return ok({
    ...asks,
    ...(affected === null ? {} : { affected: [...affected] }),
    ...(version === null ? {} : { version }),
  });
}

const shownCall = (call: MatchedOperation["call"]): z.infer<typeof callSchema> => ({
  path: call.path,
  query: Object.fromEntries(call.query),
  headers: call.headers,
  ...(call.body === null ? {} : { body: parsedJson(call.body) }),
});

/** The canonical path grammar that the strict reader enforces before a catalogue sees a request. */
const CANONICAL_PATH = /^(\/|(\/[A-Za-z0-9._~-]{0,127}[A-Za-z0-9_~-])+)$/;

function strictRequest(request: TestCase["request"]): StrictRequest | null {
  if (!CANONICAL_PATH.test(request.path)) return null;
  const headers = new Map(Object.entries(request.headers ?? {}).map(([name, value]) => [name.toLowerCase(), value]));
  const { body } = request;
  return {
    method: request.method,
    path: request.path,
    segments: request.path === "/" ? [] : request.path.slice(1).split("/"),
    query: new Map(Object.entries(request.query ?? {})),
    contentType: body === undefined ? null : (request.content_type ?? "application/json"),
    body,
    bodyBytes: body === undefined ? 0 : canonicalJson(body).length,
    gate: NO_GATE_HEADERS,
    header: (name) => headers.get(name) ?? null,
  };
}

const NO_GATE_HEADERS: StrictRequest["gate"] = {
  dryRun: false,
  plan: null,
  approvals: [],
  reason: null,
  evidence: null,
  evidenceRef: null,
  backOut: null,
  incident: null,
  idempotencyKey: null,
  maxCostMicros: null,
  maxRunMs: null,
};
