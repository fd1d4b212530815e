import { digestOf } from "../platform/digest.ts";
import type { JsonPath } from "../platform/json-pointer.ts";
import { holdsSecret } from "../platform/secret-forms.ts";
import type { RouteDocument } from "./document-schema.ts";
import { typed } from "./expression.ts";
import type { ExpressionContext } from "./expression-context.ts";
import type { Scope } from "./scope.ts";
import type { DerivedIncident } from "./types.ts";

/** What every key that a catalogue derives begins with. A caller's own key cannot: nobody can take one that is not theirs. */
export const CATALOGUE_INCIDENT = "catalogue:";

/** Together with the prefix as long as a caller's key may be, and of the same characters. */
const PLAIN = /^[A-Za-z0-9][A-Za-z0-9._:/-]{0,117}$/;

/**
 * Compiles the key of the incident that a route's requests work on. Without a rule, and where what it reads is absent, there is
 * none; what is there and cannot be understood is `unsized`, never a key.
 */
export function compileIncident(
  { incident }: Pick<RouteDocument, "incident">,
  path: JsonPath,
  context: ExpressionContext,
): (scope: Scope) => DerivedIncident {
  if (incident === undefined) return () => ({ kind: "none" });
  const run = typed(incident, [...path, "incident"], context, "string");
  return (scope) => {
    const result = run(scope);
    if (result.kind === "absent") return { kind: "none" };
    if (result.kind === "unsized") return result;
    return typeof result.value === "string" && result.value !== ""
      ? { kind: "key", key: derivedKey(result.value) }
      : { kind: "unsized", reason: "not text" };
  };
}

/** What cannot be told from a plain key, is no key by its form, or must not stand in records is known by its digest. */
const derivedKey = (text: string): string =>
  `${CATALOGUE_INCIDENT}${PLAIN.test(text) && !holdsSecret(text) ? text : `/${digestOf("portcullis/incident/v1", text)}`}`;
