import { z } from "zod";
import { canonicalJson } from "../platform/canonical-json.ts";
import type { DocumentProblem } from "../platform/document.ts";
import type { JsonValue } from "../platform/json.ts";
import { formatUsd } from "../platform/money.ts";
import { err, ok } from "../platform/result.ts";
import type { Result } from "../platform/result.ts";
import { parseYamlDocument } from "../platform/yaml-document.ts";
import { METHODS } from "../strict-request.ts";
import type { StrictRequest } from "../strict-request.ts";
import { isWrite } from "../vocabulary.ts";
import { compileCatalogue } from "./compile.ts";
import { jsonSchema } from "./expression-schema.ts";
import { compilePrices } from "./prices.ts";
import type { CompiledPrices } from "./prices.ts";
import type { CompiledCatalogue, MatchedOperation } from "./types.ts";

const fact = z.union([z.number(), z.string(), z.boolean(), z.array(z.string())]);

const requestSchema = z.strictObject({
  method: z.enum(METHODS),
  path: z.string(),
  query: z.record(z.string(), z.string()).optional(),
  headers: z.record(z.string(), z.string()).optional(),
  content_type: z.string().optional(),
  body: jsonSchema.optional(),
});

const callSchema = z.strictObject({
  path: z.string().optional(),
  query: z.record(z.string(), z.string()).optional(),
  headers: z.record(z.string(), z.string()).optional(),
  body: jsonSchema.optional(),
});

const judged = z.strictObject({
  action: z.string(),
  tier: z.literal([0, 1, 2, 3, 4, 5]),
  facts: z.record(z.string(), fact).optional(),
  missing: z.array(z.string()).optional(),
  ceiling_usd: z.string().optional(),
  duration_minutes: z.number().optional(),
  /** The upstream call, and the same with the reference `ref` injected. Compared exactly where given. */
  call: callSchema.optional(),
  dispatch: callSchema.optional(),
});

const refused = z.strictObject({
  refused: z.enum(["unknown-operation", "malformed-request", "unsupported-media-type", "unsized", "unpriced"]),
  reason: z.string().optional(),
});

const caseSchema = z.strictObject({
  name: z.string().min(1),
  request: requestSchema,
  look_ups: z.record(z.string(), jsonSchema).optional(),
  expect: z.union([judged, refused]),
});

/** A table of real requests and near-misses that stands beside a catalogue. */
export const catalogueTestsSchema = z.strictObject({ catalogue: z.string(), tests: z.array(caseSchema).min(1) });

type TestCase = z.infer<typeof caseSchema>;
type Judged = z.infer<typeof judged>;

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
    differences: differencesOf(test, catalogue.value, prices.value),
  }));
  const failed = cases.filter(({ differences }) => differences.length > 0).length;
  return ok({ catalogue: catalogue.value.id, passed: cases.length - failed, failed, cases });
}

function differencesOf(test: TestCase, catalogue: CompiledCatalogue, prices: CompiledPrices): readonly string[] {
  const outcome = judge(test, catalogue, prices);
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
    ["action", "tier", "facts", "missing", "ceiling_usd", "duration_minutes", "call", "dispatch"] as const
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

function judge(test: TestCase, catalogue: CompiledCatalogue, prices: CompiledPrices): Outcome {
  const request = strictRequest(test.request);
  if (request === null) return { refused: "malformed-request", reason: "the path is not canonical" };
  const matched = catalogue.match(request);
  if (!matched.ok)
    return { refused: matched.error.kind, reason: "reason" in matched.error ? matched.error.reason : "" };
  const operation = matched.value;
  const lookedUp = new Map(Object.entries(test.look_ups ?? {}));
  const { facts, missing } = operation.facts(lookedUp);
  const cost = operation.cost(facts, lookedUp, prices);
  if (cost.kind === "unpriced" && isWrite(operation.minimumTier)) {
    // Missing facts are why there is no price: the request is unsized, and only otherwise unpriced.
    if (missing.length > 0)
      return { refused: "unsized", reason: missing.map((one) => `${one.fact}: ${one.reason}`).join("; ") };
    return { refused: "unpriced", reason: cost.missing.join("; ") };
  }
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
    call: shownCall(operation.call),
    dispatch: shownCall(operation.dispatch("ref")),
  };
}

const shownCall = (call: MatchedOperation["call"]): z.infer<typeof callSchema> => ({
  path: call.path,
  query: Object.fromEntries(call.query),
  headers: call.headers,
  ...(call.body === null ? {} : { body: parsedJson(call.body) }),
});

/** The canonical path grammar that the strict reader enforces before a catalogue sees a request. */
const CANONICAL_PATH = /^(\/|(\/[A-Za-z0-9._~-]{0,127}[A-Za-z0-9_~-])+)$/;

function strictRequest(request: z.infer<typeof requestSchema>): StrictRequest | null {
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
};
