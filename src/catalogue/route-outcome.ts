import type { JsonPath } from "../platform/json-pointer.ts";
import type { OutcomeDocument, ReferenceDocument, RouteDocument } from "./document-schema.ts";
import type { ExpressionContext } from "./expression-context.ts";
import { compileOutcome, READ_OUTCOME } from "./outcome.ts";
import type { OutcomeFor } from "./outcome.ts";
import { parameterNames } from "./path-template.ts";
import type { RouteEnvironment } from "./route.ts";
import { compileStatus } from "./status.ts";
import type { StatusRule } from "./types.ts";

/** What ends a request of a route, and how it is known whether what it made still runs. */
export type RouteOutcome = { readonly outcome: OutcomeFor; readonly status: StatusRule | null };

const READ: RouteOutcome = { outcome: () => READ_OUTCOME, status: null };

/** Where the gate's reference goes: the route's own rule, or for a write the catalogue's. */
export const referenceOf = (route: RouteDocument, write: boolean, { document }: RouteEnvironment): ReferenceDocument =>
  route.reference ?? (write ? document.reference : undefined) ?? "none";

/** Compiles the outcome that a route states or names; what the two do not have for each other is reported. */
export function outcomeOf(
  route: RouteDocument,
  path: JsonPath,
  context: ExpressionContext,
  env: RouteEnvironment,
): RouteOutcome {
  if (route.outcome === undefined) return READ;
  const { document, report } = env;
  const name = typeof route.outcome === "string" ? route.outcome : null;
  const outcome: OutcomeDocument | undefined =
    typeof route.outcome === "string" ? document.outcomes?.[route.outcome] : route.outcome;
  const place = name === null ? [...path, "outcome"] : ["outcomes", name];
  if (outcome === undefined) {
    report([...path, "outcome"], `the catalogue has no outcome "${name}"`);
    return READ;
  }
  const usesReference = outcome.look_up !== "none" && JSON.stringify(outcome.look_up).includes("{reference}");
  if (usesReference && referenceOf(route, true, env) === "none") {
    report([...path, "outcome"], "the outcome is looked up by a reference that this route does not inject");
  }
  for (const parameter of outcome.look_up === "none" ? [] : parameterNames(outcome.look_up.path)) {
    if (!context.params.has(parameter))
      report([...path, "outcome"], `its look-up needs a path parameter "${parameter}" that this route does not have`);
  }
  checkStatus(route, outcome, [...path, "outcome"], env);
  return { outcome: compileOutcome(outcome, place, context), status: compileStatus(outcome, place, context) };
}

/** What is paid by the hour needs somebody who says when it has ended, and something to ask about. */
function checkStatus(route: RouteDocument, outcome: OutcomeDocument, place: JsonPath, env: RouteEnvironment): void {
  const { cost = "none" } = route;
  if (cost === "none" || cost.duration === undefined) return;
  const { status } = outcome;
  if (status === undefined) {
    env.warn(
      place,
      `nothing says when what route ${route.id} made has ended: it settles at its ceiling unless usage is reported. State \`status\`, or \`status: none\``,
    );
  } else if (status !== "none") {
    if (outcome.resource === undefined && route.facts?.["resource"] === undefined)
      env.report(place, "its status is read by an id that neither its `resource` nor a fact `resource` tells");
    if (status.made_by !== undefined && referenceOf(route, true, env) === "none")
      env.report(place, "its status is told by a reference that this route does not inject");
  }
}
