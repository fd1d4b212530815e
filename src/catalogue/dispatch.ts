import { assert } from "../platform/assert.ts";
import { canonicalJson } from "../platform/canonical-json.ts";
import type { JsonValue } from "../platform/json.ts";
import { parsePointer, withValueAt } from "../platform/json-pointer.ts";
import type { JsonPath } from "../platform/json-pointer.ts";
import type { DryRunDocument, ReferenceDocument, RouteDocument } from "./document-schema.ts";
import { checkBodyPointer } from "./expression-context.ts";
import type { ExpressionContext } from "./expression-context.ts";
import { sortedQuery, withReference } from "./outcome.ts";
import { expandPath } from "./path-template.ts";
import type { Scope } from "./scope.ts";
import type { MatchedOperation, UpstreamCall } from "./types.ts";

/** Adds the gate's reference to the call that is dispatched. */
export type Inject = (call: UpstreamCall, body: JsonValue | undefined, reference: string) => UpstreamCall;

/** Compiles where the reference goes. It is the gate's alone: a body key that carries it must not be the caller's. */
export function compileReference(
  reference: ReferenceDocument,
  route: RouteDocument,
  path: JsonPath,
  context: ExpressionContext,
): Inject {
  if (reference === "none") return (call) => call;
  const template = reference.template ?? "{reference}";
  if ("header" in reference) {
    return (call, _body, value) => ({
      ...call,
      headers: { ...call.headers, [reference.header]: withReference(template, value) },
    });
  }
  const tokens = parsePointer(reference.body) ?? [];
  if (route.body === undefined) context.report(path, `route ${route.id} has no body to put the reference into`);
  else {
    checkBodyPointer(reference.body.slice(0, reference.body.lastIndexOf("/")), [...path, "body"], context);
    if (declares(route.body, tokens))
      context.report([...path, "body"], "the caller may set this key too: leave it out of the body schema");
  }
  return (call, body, value) => {
    const injected = withValueAt(body, tokens, withReference(template, value));
    assert(injected !== undefined, "the reference's parent is a required object of the body");
    return { ...call, body: canonicalJson(injected) };
  };
}

function declares(body: NonNullable<RouteDocument["body"]>, tokens: readonly string[]): boolean {
  const [token, ...rest] = tokens;
  const child = token === undefined ? undefined : body.keys[token];
  if (child === undefined) return false;
  return rest.length === 0 || (child.type === "object" && declares(child, rest));
}

export type DryRunFor = (call: UpstreamCall, scope: Scope) => MatchedOperation["dryRun"];

/** Compiles how the upstream's own dry run is asked for. The caller can never ask for it itself. */
export function compileDryRun(
  dryRun: DryRunDocument,
  route: RouteDocument,
  path: JsonPath,
  context: ExpressionContext,
): DryRunFor {
  if (dryRun === "none") return () => null;
  const successStatuses = new Set(dryRun.success);
  switch (dryRun.kind) {
    case "query": {
      if (Object.hasOwn(route.query ?? {}, dryRun.name))
        context.report([...path, "name"], "the caller may set this query key too: leave it out of the route");
      return (call) => ({
        call: { ...call, query: sortedQuery([...call.query, [dryRun.name, dryRun.value]]) },
        successStatuses,
      });
    }
    case "body": {
      if (route.body === undefined) context.report(path, `route ${route.id} has no body to put the dry run into`);
      const sets = Object.entries(dryRun.set).map(([pointer, value]) => [parsePointer(pointer) ?? [], value] as const);
      return (call, scope) => {
        const body = sets.reduce<JsonValue | undefined>(
          (before, [tokens, value]) => withValueAt(before, tokens, value),
          scope.body,
        );
        return body === undefined ? null : { call: { ...call, body: canonicalJson(body) }, successStatuses };
      };
    }
    default:
      return (call, scope) => ({
        call: {
          ...call,
          method: dryRun.method,
          path: expandPath(dryRun.path, scope.params),
          ...(dryRun.body === "same" ? {} : { body: null, contentType: null }),
        },
        successStatuses,
      });
  }
}
