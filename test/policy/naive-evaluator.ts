import { parse } from "yaml";
import type { Facts, Tier } from "../../src/vocabulary.ts";

type Verdict = { readonly kind: string; readonly tier: Tier | null };
type Limits = Readonly<Record<string, unknown>>;

type Tiers = Readonly<Record<string, readonly unknown[] | undefined>>;

/**
 * A second reading of the policy language, deliberately simple and apart from `src/`: it parses the YAML for itself,
 * walks all of it for every question and knows nothing of catalogues but the floor that it is told. For comparison only.
 */
export function naivePolicy(text: string): (action: string, facts: Facts, floor: Tier) => Verdict {
  const tiers: Tiers = parse(text).allowed_tools;
  return (action, facts, floor) => verdict(tiers, action, facts, floor);
}

function verdict(tiers: Tiers, action: string, facts: Facts, floor: Tier): Verdict {
  if ((tiers["tier_5"] ?? []).includes(action) || floor === 5) return { kind: "prohibited", tier: null };
  const standings: string[] = [];
  for (const tier of [0, 1, 2, 3, 4] as const) {
    for (const entry of tiers[`tier_${tier}`] ?? []) {
      const limits = limitsOn(entry, action);
      if (limits === null) continue;
      const standing = standingOf(limits, facts);
      if (standing === "holds" && tier >= floor) return { kind: "matched", tier };
      standings.push(standing);
    }
  }
  if (standings.includes("missing")) return { kind: "unsized", tier: null };
  return { kind: standings.includes("broken") ? "constraint-exceeded" : "not-allowed", tier: null };
}

/** The constraints that an entry puts on `action`, null where it speaks of another one. */
function limitsOn(entry: unknown, action: string): Limits | null {
  if (typeof entry === "string") return entry === action ? {} : null;
  if (typeof entry !== "object" || entry === null) return null;
  return Object.entries(entry).find(([name]) => name === action)?.[1] ?? null;
}

function standingOf(limits: Limits, facts: Facts): "holds" | "missing" | "broken" {
  let missing = false;
  for (const [name, limit] of Object.entries(limits)) {
    const [, bound, bounded] = /^(max|min)_(.+)$/.exec(name) ?? [];
    const actual = facts[bounded ?? name];
    if (actual === undefined) missing = true;
    else if (bound === "max" && !(Number(actual) <= Number(limit))) return "broken";
    else if (bound === "min" && !(Number(actual) >= Number(limit))) return "broken";
    else if (bound === undefined && !within(actual, limit)) return "broken";
  }
  return missing ? "missing" : "holds";
}

function within(actual: unknown, limit: unknown): boolean {
  if (!Array.isArray(limit)) return actual === limit;
  return Array.isArray(actual)
    ? actual.length > 0 && actual.every((one) => limit.includes(one))
    : limit.includes(actual);
}
