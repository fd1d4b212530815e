import type { DocumentProblem } from "../../platform/document.ts";
import { canonicalJson } from "../../platform/canonical-json.ts";
import { plainJson } from "../../platform/plain-json.ts";
import { err, ok, type Result } from "../../platform/result.ts";
import { parseYamlDocument } from "../../platform/yaml-document.ts";
import {
  POLICY_TESTS,
  type Expectation,
  type PolicyTestCase,
  type PolicyTests,
} from "../../policy/policy-tests-schema.ts";
import { decideOffline, type Documents } from "./decide-offline.ts";
import { viewOf, type DecisionView } from "../decision-view.ts";

/** One member that came out otherwise. */
export type Difference = { readonly member: string; readonly expected: string; readonly actual: string };

export type CaseResult = {
  readonly name: string;
  readonly line: number;
  /** What was decided, in words: `approval at tier 3`. */
  readonly decided: string;
  readonly differences: readonly Difference[];
};

export type PolicyTestReport = {
  readonly passed: number;
  readonly failed: number;
  readonly cases: readonly CaseResult[];
};

/** Members of which a case states a part: `rule: tier_2[0]`. */
const PARTS: ReadonlySet<string> = new Set(["rule", "detail"]);
/** Members of which a case states some: `facts: { gpus: 4 }`. */
const SOME: ReadonlySet<string> = new Set(["facts", "aggregates"]);
const MOMENTS: ReadonlySet<string> = new Set(["opens_at", "closes_at"]);

/** Runs a policy's own table of requests. A mistake in the table is the result. */
export async function runPolicyTests(
  documents: Documents,
  testsText: string,
): Promise<Result<PolicyTestReport, readonly DocumentProblem[]>> {
  const parsed = parseYamlDocument(testsText, POLICY_TESTS);
  if (!parsed.ok) return parsed;
  const { value, problem, locate } = parsed.value;
  if (value.catalogue !== documents.catalogue.id)
    return err([
      problem(["catalogue"], `these tests are for catalogue ${value.catalogue}, this is ${documents.catalogue.id}`),
    ]);
  const cases: CaseResult[] = [];
  for (const [index, test] of value.tests.entries())
    cases.push({ ...(await runCase(documents, value, test)), line: locate(["tests", index]).line });
  const failed = cases.filter(({ differences }) => differences.length > 0).length;
  return ok({ passed: cases.length - failed, failed, cases });
}

async function runCase(
  documents: Documents,
  table: PolicyTests,
  test: PolicyTestCase,
): Promise<Omit<CaseResult, "line">> {
  const { method, path, query, headers, content_type: contentType, body } = test.request;
  const decided = await decideOffline(documents, {
    as: test.as ?? table.as,
    at: Date.parse(test.at ?? table.at),
    request: { method, path, query, headers, contentType, body: body === undefined ? undefined : JSON.stringify(body) },
    lookedUp: new Map(Object.entries(test.looked_up ?? {})),
  });
  const view = viewOf(decided, documents.policy);
  return { name: test.name, decided: inWords(view), differences: differencesOf(test.expect, view) };
}

const inWords = ({ decision, reason_code: code, tier }: DecisionView): string =>
  decision === "refuse" ? `refuse: ${code}` : `${decision}, tier ${tier}`;

/** Only what is stated is compared. */
function differencesOf(expected: Expectation, actual: DecisionView): readonly Difference[] {
  const has = new Map<string, unknown>(Object.entries(actual));
  return Object.entries(expected).flatMap(([member, wanted]) => {
    const found = has.get(member);
    return isMet(member, wanted, found) ? [] : [{ member, expected: readable(wanted), actual: readable(found) }];
  });
}

function isMet(member: string, wanted: unknown, found: unknown): boolean {
  if (PARTS.has(member)) return typeof wanted === "string" && typeof found === "string" && found.includes(wanted);
  if (MOMENTS.has(member)) return Date.parse(String(wanted)) === Date.parse(String(found));
  if (SOME.has(member) && isMap(wanted) && isMap(found)) {
    const has = new Map(Object.entries(found));
    return Object.entries(wanted).every(([name, value]) => shown(value) === shown(has.get(name)));
  }
  return shown(wanted) === shown(found);
}

const isMap = (value: unknown): value is object => typeof value === "object" && value !== null && !Array.isArray(value);

/** A value as a table would state it, in one line. */
function readable(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(readable).join(", ")}]`;
  if (!isMap(value)) return shown(value);
  const members = Object.entries(value).map(([name, one]) => `${name}: ${readable(one)}`);
  return `{ ${members.join(", ")} }`;
}

/** The same text for the same value, whatever the order of its members. */
function shown(value: unknown): string {
  if (value === undefined || value === null) return "nothing";
  if (typeof value === "string") return value;
  return canonicalJson(plainJson(value));
}
