import type { JsonValue } from "../platform/json.ts";
import { parsePointer, valueAt } from "../platform/json-pointer.ts";
import type { JsonPath } from "../platform/json-pointer.ts";
import { err, ok } from "../platform/result.ts";
import type { Result } from "../platform/result.ts";
import { compileCondition } from "./condition.ts";
import type { Test } from "./condition.ts";
import type { RouteDocument } from "./document-schema.ts";
import { compileExpression } from "./expression.ts";
import type { ExpressionContext } from "./expression-context.ts";
import type { AffectedDocument } from "./observation-schema.ts";
import { asId, sortedQuery } from "./outcome.ts";
import { expandPath, parameterNames } from "./path-template.ts";
import type { Evaluate, Scope } from "./scope.ts";
import type { ObservationRules, ObservedAnswer, UpstreamCall } from "./types.ts";

/** Makes the observation rules of one request; they may read that request, the answer of `affected` and the look-ups. */
export type ObservationFor = (scope: Scope) => ObservationRules | null;

type Affected = {
  readonly call: (params: Scope["params"]) => UpstreamCall;
  /** Whether the answer proves that there is no such resource. */
  readonly provesNothing: (status: number, scope: Scope) => boolean;
  /** Names of the members that count, sorted; fails where the answer does not have the declared form. */
  readonly items: (status: number, scope: Scope) => Result<readonly string[], string>;
};

/** The one status whose body is read as the list. */
const OK = 200;

/** Compiles what is asked of the control plane before people decide: what the change affects, and a version. */
export function compileObservation(route: RouteDocument, path: JsonPath, outer: ExpressionContext): ObservationFor {
  const { affected, version } = route;
  if (affected === undefined && version === undefined) return () => null;
  const context = { ...outer, response: affected !== undefined };
  const list = affected === undefined ? null : compileAffected(affected, [...path, "affected"], context);
  const runVersion = version === undefined ? null : compileExpression(version, [...path, "version"], context).run;
  return (request) => ({
    call: list === null ? null : list.call(request.params),
    read: (answer, lookedUp) => {
      const scope: Scope = { ...request, lookedUp, response: answer?.body };
      if (list !== null && answer !== null && list.provesNothing(answer.status, scope))
        return ok({ affected: [], version: null });
      const items = list === null ? ok(null) : itemsOf(list, answer, scope);
      if (!items.ok) return items;
      const found = runVersion === null ? ok(null) : versionOf(runVersion, scope);
      return found.ok ? ok({ affected: items.value, version: found.value }) : found;
    },
  });
}

const itemsOf = (list: Affected, answer: ObservedAnswer | null, scope: Scope): Result<readonly string[], string> =>
  answer === null ? err("what it affects was not asked") : list.items(answer.status, scope);

function versionOf(run: Evaluate, scope: Scope): Result<string, string> {
  const result = run(scope);
  if (result.kind !== "value") return err(`no version: ${result.reason}`);
  const version = asId(result.value);
  return version === null || !version.isWellFormed()
    ? err("no version: neither short text nor a whole number")
    : ok(version);
}

function compileAffected(affected: AffectedDocument, path: JsonPath, context: ExpressionContext): Affected {
  checkParameters(affected, path, context);
  const perItem = { ...context, item: true };
  const tokens = affected.list === undefined ? null : (parsePointer(affected.list) ?? []);
  const test = (name: "where" | "complete_when", inner: ExpressionContext): Test | null => {
    const condition = affected[name];
    return condition === undefined ? null : compileCondition(condition, [...path, name], inner);
  };
  const where = test("where", perItem);
  const complete = test("complete_when", context);
  const { run: nameOf, type } = compileExpression(affected.item, [...path, "item"], perItem);
  if (type === "boolean" || type === "strings")
    context.report([...path, "item"], `text or a whole number is required here, this is ${type}`);
  return {
    call: (params) => ({
      method: affected.method,
      path: expandPath(affected.path, params),
      query: sortedQuery(Object.entries(affected.query ?? {}).map(([key, value]) => [key, expandPath(value, params)])),
      headers: {},
      contentType: null,
      body: null,
    }),
    provesNothing: compileNothing(affected, path, context),
    items: (status, scope) => {
      if (status !== OK) return err(`answered with status ${status}`);
      if (scope.response === undefined) return err("the answer is not JSON");
      const members = tokens === null ? [scope.response] : valueAt(scope.response, tokens);
      if (!Array.isArray(members)) return err(`the answer has no list at "${affected.list}"`);
      if (complete !== null && complete(scope) !== true) return err("the list is not known to be complete");
      return namesOf(members, where, nameOf, scope);
    },
  };
}

/** The names of the members that count. A member that cannot be told or named fails the whole: it may be what matters. */
function namesOf(
  members: readonly JsonValue[],
  where: Test | null,
  nameOf: Evaluate,
  request: Scope,
): Result<readonly string[], string> {
  const names: string[] = [];
  for (const item of members) {
    const scope = { ...request, item };
    const counts = where === null ? true : where(scope);
    if (typeof counts !== "boolean") return err(`a member of the list cannot be told: ${counts.reason}`);
    if (!counts) continue;
    const result = nameOf(scope);
    if (result.kind !== "value") return err(`a member of the list has no name: ${result.reason}`);
    const name = typeof result.value === "string" ? result.value : asId(result.value);
    if (name === null || name === "" || !name.isWellFormed())
      return err("a member of the list is named by neither text nor a whole number");
    names.push(name);
  }
  // By UTF-16 code units: whoever answers in another order has not changed anything.
  return ok(names.toSorted());
}

function compileNothing(
  affected: AffectedDocument,
  path: JsonPath,
  context: ExpressionContext,
): Affected["provesNothing"] {
  const proofs = (affected.nothing_when ?? []).map(({ status, when }, index) => {
    const place = [...path, "nothing_when", index];
    if (when === undefined && (status < 400 || status > 499))
      context.report(
        [...place, "status"],
        "only a 4xx status proves by itself that there is no such resource: add `when`",
      );
    return { status, test: when === undefined ? null : compileCondition(when, [...place, "when"], context) };
  });
  return (status, scope) =>
    proofs.some((proof) => proof.status === status && (proof.test === null || proof.test(scope) === true));
}

function checkParameters(affected: AffectedDocument, path: JsonPath, { params, report }: ExpressionContext): void {
  const templates: readonly (readonly [JsonPath, string])[] = [
    [[...path, "path"], affected.path],
    ...Object.entries(affected.query ?? {}).map(([key, value]) => [[...path, "query", key], value] as const),
  ];
  for (const [place, template] of templates) {
    for (const name of parameterNames(template)) {
      if (!params.has(name)) report(place, `the route's path has no parameter "${name}"`);
    }
  }
}
