import type { JsonValue } from "../platform/json.ts";
import { parsePointer, valueAt } from "../platform/json-pointer.ts";
import type { JsonPath } from "../platform/json-pointer.ts";
import { compileCondition } from "./condition.ts";
import type { Test } from "./condition.ts";
import { microsOf } from "./cost.ts";
import type { OutcomeDocument } from "./document-schema.ts";
import { compileExpression } from "./expression.ts";
import type { ExpressionContext } from "./expression-context.ts";
import { expandPath } from "./path-template.ts";
import type { Scope } from "./scope.ts";
import type { OutcomeLookUp, OutcomeRules, UpstreamCall } from "./types.ts";

/** Makes the outcome rules of one request; they may read that request (path parameters, body) and the response. */
export type OutcomeFor = (scope: Scope) => OutcomeRules;

type LookUpDocument = Exclude<OutcomeDocument["look_up"], "none">;
type Read = (scope: Scope, body: JsonValue | undefined) => JsonValue | undefined;

/** The one success status that has no body by definition (RFC 9110, 15.3.5). */
const NO_CONTENT = 204;

/** Compiles outcome rules. A response that no rule recognises is `unknown`, which keeps the hold. */
export function compileOutcome(outcome: OutcomeDocument, path: JsonPath, outer: ExpressionContext): OutcomeFor {
  const context = { ...outer, response: true };
  const definiteFailures = new Set(outcome.definite_failures);
  const success = new Set(outcome.success);
  for (const [index, status] of outcome.definite_failures.entries()) {
    if (status < 400 || status > 499)
      context.report(
        [...path, "definite_failures", index],
        "only a 4xx status proves by itself that nothing was changed",
      );
  }
  const successWhen =
    outcome.success_when === undefined
      ? null
      : compileCondition(outcome.success_when, [...path, "success_when"], context);
  const failures = (outcome.definite_failure_when ?? []).map(({ status, when }, index) => ({
    status,
    test: compileCondition(when, [...path, "definite_failure_when", index, "when"], context),
  }));
  const resource = reader(outcome.resource, [...path, "resource"], context);
  const version = reader(outcome.version, [...path, "version"], context);
  const actual = reader(outcome.actual_usd, [...path, "actual_usd"], context);
  const lookUp = outcome.look_up === "none" ? null : compileLookUp(outcome.look_up, [...path, "look_up"], context);

  const judge = (scope: Scope, status: number, body: JsonValue | undefined): "succeeded" | "failed" | "unknown" => {
    const inner = { ...scope, response: body };
    if (definiteFailures.has(status)) return "failed";
    if (failures.some((failure) => failure.status === status && failure.test(inner) === true)) return "failed";
    if (!success.has(status)) return "unknown";
    if (successWhen !== null) return successWhen(inner) === true ? "succeeded" : "unknown";
    return body !== undefined || status === NO_CONTENT || outcome.success_body === "any" ? "succeeded" : "unknown";
  };
  return (scope) => ({
    definiteFailures,
    judge: (status, body) => judge(scope, status, body),
    resource: (body) => asId(resource(scope, body)),
    version: (body) => asId(version(scope, body)),
    actualMicros: (body) => {
      const value = actual(scope, body);
      return typeof value === "string" || typeof value === "number" ? microsOf(String(value), "usd") : null;
    },
    lookUp: lookUp === null ? null : (reference) => lookUp(scope, reference),
  });
}

function reader(expression: OutcomeDocument["resource"], path: JsonPath, context: ExpressionContext): Read {
  if (expression === undefined) return () => undefined;
  const { run } = compileExpression(expression, path, context);
  return (scope, body) => {
    const result = run({ ...scope, response: body });
    return result.kind === "value" ? result.value : undefined;
  };
}

/** Longest id or version that is kept from a response. */
const MAX_ID_CHARS = 256;
/** The value as an id or version: short text, or a whole number in decimal; null where it is neither. */
export const asId = (value: JsonValue | undefined): string | null => {
  if (typeof value === "number" && Number.isSafeInteger(value)) return String(value);
  return typeof value === "string" && value.length > 0 && value.length <= MAX_ID_CHARS ? value : null;
};

type LookUpFor = (scope: Scope, reference: string) => OutcomeLookUp;

function compileLookUp(lookUp: LookUpDocument, path: JsonPath, context: ExpressionContext): LookUpFor {
  if (lookUp.found === undefined && lookUp.happened_when === undefined) {
    context.report(path, "a look-up needs `found` or `happened_when`, otherwise it can prove nothing");
  }
  const test = (name: "happened_when" | "absent_when"): Test | null => {
    const condition = lookUp[name];
    return condition === undefined ? null : compileCondition(condition, [...path, name], context);
  };
  const happened = test("happened_when");
  const absent = test("absent_when");
  const search = lookUp.found === undefined ? null : compileSearch(lookUp.found);
  const judgeBody = (
    scope: Scope,
    reference: string,
    body: JsonValue | undefined,
  ): "happened" | "absent" | "unknown" => {
    const inner = { ...scope, response: body };
    if (search !== null) {
      const members = search.made(reference, body);
      if (members === null) return "unknown";
      if (members.length > 0) return "happened";
    }
    if (happened?.(inner) === true) return "happened";
    // A list that was read whole and does not contain the reference proves absence, unless the catalogue asks for more.
    if (absent !== null) return absent(inner) === true ? "absent" : "unknown";
    return search !== null ? "absent" : "unknown";
  };
  return (scope, reference) => ({
    call: {
      method: lookUp.method,
      path: expandPath(lookUp.path, scope.params),
      query: queryOf(lookUp.query ?? {}, reference),
      headers: {},
      contentType: null,
      body: null,
    },
    judge: (status, body) => (status === 200 ? judgeBody(scope, reference, body) : "unknown"),
    resource: (body) => search?.resource(reference, body) ?? null,
  });
}

type Search = {
  /** The members that carry the reference and are no record of a refusal; null where there is no such list. */
  readonly made: (reference: string, body: JsonValue | undefined) => readonly JsonValue[] | null;
  /** The one id that they name. */
  readonly resource: (reference: string, body: JsonValue | undefined) => string | null;
};

function compileSearch(found: NonNullable<LookUpDocument["found"]>): Search {
  const list = parsePointer(found.list) ?? [];
  const where = parsePointer(found.where) ?? [];
  const id = found.resource === undefined ? null : (parsePointer(found.resource) ?? []);
  const isRefusal = refusalTest(found.unless ?? {});
  const made: Search["made"] = (reference, body) => {
    const members = valueAt(body, list);
    if (!Array.isArray(members)) return null;
    const wanted = withReference(found.equals, reference);
    return members.filter((member) => valueAt(member, where) === wanted && !isRefusal(member));
  };
  return {
    made,
    resource: (reference, body) => {
      if (id === null) return null;
      const ids = new Set((made(reference, body) ?? []).map((member) => asId(valueAt(member, id))));
      const [first = null] = ids;
      return ids.size === 1 ? first : null;
    },
  };
}

/** Whether a member has all the values by which the catalogue knows the record of a refused request. */
function refusalTest(unless: Readonly<Record<string, JsonValue>>): (member: JsonValue) => boolean {
  const values = Object.entries(unless).map(([pointer, value]) => ({ tokens: parsePointer(pointer) ?? [], value }));
  return (member) => values.length > 0 && values.every(({ tokens, value }) => valueAt(member, tokens) === value);
}

const queryOf = (query: Readonly<Record<string, string>>, reference: string): UpstreamCall["query"] =>
  sortedQuery(Object.entries(query).map(([name, value]) => [name, withReference(value, reference)]));

/** Replaces `{reference}`; the reference is taken as it is, `$` included. */
export const withReference = (template: string, reference: string): string =>
  template.replaceAll("{reference}", () => reference);

/** Query pairs in the one order that is judged, digested and sent: by UTF-16 code units of the name. */
export const sortedQuery = (pairs: readonly (readonly [string, string])[]): UpstreamCall["query"] =>
  pairs.toSorted(([left], [right]) => (left < right ? -1 : left > right ? 1 : 0));

/** Rules of a read whose catalogue entry states none: any 2xx succeeded, a 4xx failed, anything else is unknown. */
export const READ_OUTCOME: OutcomeRules = {
  definiteFailures: new Set(),
  judge: (status) =>
    status >= 200 && status < 300 ? "succeeded" : status >= 400 && status < 500 ? "failed" : "unknown",
  resource: () => null,
  version: () => null,
  actualMicros: () => null,
  lookUp: null,
};
