import type { Result } from "../platform/result.ts";
import { err, ok } from "../platform/result.ts";
import { ACTION, type Tier } from "../vocabulary.ts";
import type { Scopes } from "./principal.ts";

/** `workloads.*`: whole segments and then the wildcard, which stands for one or more further segments. */
const PREFIX_PATTERN = /^[a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)*\.\*$/;
/** As long as any action name in a catalogue may be. */
const MAX_PATTERN_CHARS = 128;
/** Far more than a catalogue has groups of actions; bounds the work per request. */
export const MAX_SCOPES = 64;

/** Accepts `*`, `workloads.*` and exact action names. Case-sensitive, no other wildcard, no surrounding space. */
export function parseScope(text: string): Result<string, string> {
  if (text.length > MAX_PATTERN_CHARS) return err(`a scope has at most ${MAX_PATTERN_CHARS} characters`);
  if (text === "*" || PREFIX_PATTERN.test(text) || ACTION.test(text)) return ok(text);
  return err(`${JSON.stringify(text)} is not a scope: expected *, group.* or an action name`);
}

/** Whether one of the patterns names the action. Says nothing about its tier: see `reaches`. */
export const covers = (scopes: Pick<Scopes, "actions">, action: string): boolean =>
  scopes.actions.some((pattern) => patternCovers(pattern, action));

/** Whether the credential may ask for requests of this tier at all. */
export const reaches = (scopes: Pick<Scopes, "maxTier">, tier: Tier): boolean => tier <= scopes.maxTier;

/** What `out-of-scope` names: the scope that the credential would need, with the tier where that is what it lacks. */
export const requiredScope = (action: string, tier?: Tier): string =>
  tier === undefined ? action : `${action} up to tier ${tier}`;

/**
 * What both lists allow. A requested pattern that is no scope of ours (`openid`, `Workloads.*`) grants nothing; one wider
 * than what is allowed shrinks to it. The result never covers an action that `allowed` does not cover.
 */
export function narrowed(allowed: readonly string[], requested: readonly string[]): readonly string[] {
  const both = new Set<string>();
  for (const wanted of requested) {
    if (!parseScope(wanted).ok) continue;
    for (const pattern of allowed) {
      if (patternCovers(pattern, wanted)) both.add(wanted);
      else if (patternCovers(wanted, pattern)) both.add(pattern);
    }
  }
  return [...both];
}

/** `name` is an action or itself a pattern: `workloads.*` covers `workloads.cancel`, `workloads.gpu.*` and itself. */
function patternCovers(pattern: string, name: string): boolean {
  if (pattern === "*" || pattern === name) return true;
  return pattern.endsWith(".*") && name.startsWith(pattern.slice(0, -1));
}
