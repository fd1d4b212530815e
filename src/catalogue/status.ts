import type { JsonValue } from "../platform/json.ts";
import { parsePointer, valueAt } from "../platform/json-pointer.ts";
import type { JsonPath } from "../platform/json-pointer.ts";
import { compileCondition } from "./condition.ts";
import type { Test } from "./condition.ts";
import { microsOf, wholeNumber } from "./cost.ts";
import type { OutcomeDocument } from "./document-schema.ts";
import { compileExpression } from "./expression.ts";
import { REQUEST_SOURCES } from "./expression-context.ts";
import type { ExpressionContext } from "./expression-context.ts";
import { sortedQuery, withReference } from "./outcome.ts";
import type { Evaluate, Scope } from "./scope.ts";
import { EMPTY_SCOPE } from "./scope.ts";
import type { StatusDocument } from "./status-schema.ts";
import type { StatusRule, StatusVerdict } from "./types.ts";

/** The one status whose body is read. */
const OK = 200;
const SECOND_MS = 1000;
const UNKNOWN: StatusVerdict = { verdict: "unknown", actualMicros: null, ranMs: null };
const RUNNING: StatusVerdict = { ...UNKNOWN, verdict: "running" };

/**
 * Compiles how the status of what a write made is read. It outlives the request, so its expressions may read the answer
 * alone. Null where the outcome declares no such read.
 */
export function compileStatus(outcome: OutcomeDocument, path: JsonPath, outer: ExpressionContext): StatusRule | null {
  const { status } = outcome;
  if (status === undefined || status === "none") return null;
  const place = [...path, "status"];
  const barred = { sources: [...REQUEST_SOURCES, "look_up"], why: "`status` can read the response alone" };
  const context = { ...outer, response: true, barred };
  const ended = compileCondition(status.ended_when, [...place, "ended_when"], context);
  const running: Test =
    status.running_when === undefined
      ? () => false
      : compileCondition(status.running_when, [...place, "running_when"], context);
  const run = (name: "ran_seconds" | "actual_usd"): Evaluate | null => {
    const expression = status[name];
    return expression === undefined ? null : compileExpression(expression, [...place, name], context).run;
  };
  const ranSeconds = run("ran_seconds");
  const actualUsd = run("actual_usd");
  const isOurs = compileMadeBy(status);
  return {
    call: (resource) => callOf(status, resource),
    judge: (code, body, reference) => {
      if (code !== OK || !isOurs(body, reference)) return UNKNOWN;
      const scope: Scope = { ...EMPTY_SCOPE, response: body };
      const hasEnded = ended(scope);
      const isRunning = running(scope);
      // An answer that says both, or that an operand is missing of, says nothing.
      if (hasEnded === true && isRunning === false)
        return { verdict: "ended", actualMicros: microsIn(actualUsd, scope), ranMs: millisIn(ranSeconds, scope) };
      return hasEnded === false && isRunning === true ? RUNNING : UNKNOWN;
    },
  };
}

function callOf({ method, path, query }: StatusDocument, resource: string): ReturnType<StatusRule["call"]> {
  const segment = pathSegment(resource);
  if (segment === null) return null;
  return {
    method,
    path: path.replace("{resource}", () => segment),
    query: sortedQuery(Object.entries(query ?? {})),
    headers: {},
    contentType: null,
    body: null,
  };
}

/** The id as one segment, percent-encoded; null for what a URL parser would resolve away, or cannot be encoded. */
const pathSegment = (resource: string): string | null =>
  resource === "" || resource === "." || resource === ".." || !resource.isWellFormed()
    ? null
    : encodeURIComponent(resource);

function compileMadeBy({
  made_by: madeBy,
}: StatusDocument): (body: JsonValue | undefined, reference: string) => boolean {
  if (madeBy === undefined) return () => true;
  const tokens = parsePointer(madeBy.at) ?? [];
  return (body, reference) => valueAt(body, tokens) === withReference(madeBy.equals, reference);
}

function microsIn(run: Evaluate | null, scope: Scope): StatusVerdict["actualMicros"] {
  const result = run?.(scope);
  if (result?.kind !== "value") return null;
  const { value } = result;
  return typeof value === "string" || typeof value === "number" ? microsOf(String(value), "usd") : null;
}

function millisIn(run: Evaluate | null, scope: Scope): number | null {
  const seconds = run === null ? null : wholeNumber(run, scope);
  if (typeof seconds !== "number") return null;
  return Number.isSafeInteger(seconds * SECOND_MS) ? seconds * SECOND_MS : null;
}
