import type { ActionSpec } from "../catalogue/types.ts";
import { canonicalJson } from "../platform/canonical-json.ts";
import { digestOf } from "../platform/digest.ts";
import type { JsonValue } from "../platform/json.ts";
import type { Digest, Tier } from "../vocabulary.ts";
import { requiredContext } from "./incidents.ts";
import type { Rule } from "./rules.ts";
import type { CompiledPolicy } from "./types.ts";

type DecidingParts = Pick<CompiledPolicy, "approvers" | "requires" | "incidents" | "approvalTimeoutMs"> & {
  readonly rules: readonly Rule[];
  readonly actions: ReadonlyMap<string, ActionSpec>;
  readonly prohibited: ReadonlyMap<string, string>;
};

/**
 * Builds the rule digest: SHA-256 over what decides one action at one tier. An approval stays valid while this stays the
 * same, so it leaves out whatever other entries, comments and the order of writing say. Entries of every tier belong to
 * it, because one that is added below could have decided instead.
 */
export function compileRuleDigest(parts: DecidingParts): (action: string, tier: Tier) => Digest {
  const byAction: ReadonlyMap<string, readonly Rule[]> = Map.groupBy(parts.rules, (rule) => rule.action);
  // Only named actions are remembered, so the memory is bounded by the document.
  const remembered = new Map<string, Digest>();
  return (action, tier) => {
    const key = `${tier} ${action}`;
    const known = remembered.get(key);
    if (known !== undefined) return known;
    const own = byAction.get(action);
    const digest = digestOf("portcullis/rule/v1", canonicalJson(decides(parts, own ?? [], action, tier)));
    if (own !== undefined) remembered.set(key, digest);
    return digest;
  };
}

function decides(parts: DecidingParts, own: readonly Rule[], action: string, tier: Tier): JsonValue {
  const { needed, people, groups } = parts.approvers(tier);
  const entries = own.map((rule) => ({ tier: rule.tier, constraints: withSortedLists(rule) }));
  return {
    action,
    tier,
    // Sorted by their own text: within a tier any entry that holds decides alike, whatever its place.
    entries: entries.map((entry) => canonicalJson(entry)).toSorted(),
    prohibited: parts.prohibited.has(action),
    approvers: people.map((person) => person.subject).toSorted(),
    needed,
    groups: groups.map((group) => ({ needed: group.needed, subjects: group.subjects.toSorted() })),
    timeout_ms: parts.approvalTimeoutMs,
    requires: [...requiredContext(parts, tier, action)],
    // Also of an action that no entry names: in `mode: shadow` people approve such requests.
    catalogue: parts.actions.get(action)?.digest ?? null,
  };
}

/** A list limit is a set: its order says nothing. */
const withSortedLists = (rule: Rule): JsonValue =>
  Object.fromEntries(
    Object.entries(rule.constraints).map(([name, limit]) => [
      name,
      typeof limit === "object" ? limit.toSorted() : limit,
    ]),
  );
