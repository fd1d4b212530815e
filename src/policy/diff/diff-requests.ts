import type { EpochMs } from "../../vocabulary.ts";
import { differingRegions, decidingText, type Region, type Verdict } from "./diff-cells.ts";
import { change, changed, type ChangeKind, type PolicyChange, type PolicyWorld } from "./diff-change.ts";
import { momentsOf, windowsOf } from "./diff-windows.ts";
import type { Guard } from "../guards.ts";
import type { PolicyParts } from "../parts.ts";

/** Most ranges of one action that are told one by one; nobody reads more. */
const MAX_RANGES = 100;

/** Which requests are let through, refused, or put before people, and were not. */
export function requestChanges(before: PolicyWorld, after: PolicyWorld, now: EpochMs): readonly PolicyChange[] {
  const moments = momentsOf(windowsOf(before.policy.parts.windows, after.policy.parts.windows), now);
  const actions = new Set([before, after].flatMap(({ catalogue }) => [...catalogue.actions.keys()]));
  return [...actions].flatMap((action) => {
    if (decidingText(action, before) === decidingText(action, after)) return [];
    const regions = differingRegions(action, before, after, moments);
    return regions === null ? [unknown(action)] : regionChanges(action, regions);
  });
}

function unknown(action: string): PolicyChange {
  const text = `${action}: it has too many different requests, or facts of other types, to compare them all`;
  return { ...change("unknown", action, true, null, null, action), text };
}

function regionChanges(action: string, regions: readonly Region[]): readonly PolicyChange[] {
  if (regions.length <= MAX_RANGES) return regions.map((region) => ofRegion(action, region, region.where));
  const byKind = Map.groupBy(regions, ({ before, after }) => `${before} ${after}`);
  return [...byKind.values()].flatMap((alike) => {
    const [first] = alike;
    if (first === undefined) return [];
    const where = alike.length === 1 ? first.where : `${alike.length} ranges, first: ${first.where ?? "all"}`;
    return [ofRegion(action, first, where)];
  });
}

function ofRegion(action: string, { before, after, example }: Region, where: string | null): PolicyChange {
  const kind = kindOf(before, after);
  const [was, is] = [verdictText(before), verdictText(after)];
  return {
    kind,
    widens: kind === "newly-allowed" || kind === "tier-lowered",
    action,
    where,
    before: was,
    after: is,
    text: `${action}${where === null ? "" : `, ${where}`}: ${was} → ${is}`,
    example: { facts: example.facts, at: new Date(example.now).toISOString() },
  };
}

function kindOf(before: Verdict, after: Verdict): ChangeKind {
  if (before === null) return "newly-allowed";
  if (after === null) return "newly-denied";
  return after < before ? "tier-lowered" : "tier-raised";
}

const verdictText = (verdict: Verdict): string => (verdict === null ? "refused" : `tier ${verdict}`);

/** Windows by name, the guards that ask for them, and what is in shadow. */
export function ruleChanges(before: PolicyWorld, after: PolicyWorld): readonly PolicyChange[] {
  const [was, is] = [before.policy.parts, after.policy.parts];
  const names = new Set([...was.windows.keys(), ...is.windows.keys()]);
  const windows = [...names].flatMap((name) => {
    const [from, to] = [was, is].map((parts) => parts.windows.get(name)?.definition ?? null);
    const both = from !== null && to !== null;
    return changed("window", `window ${name}`, both, from ?? null, to ?? null);
  });
  return [...windows, ...windowGuards(before, after), ...shadows(was, is)];
}

/**
 * Guards that ask for windows. What they let through is compared at the times that are looked at; here also for a window that opens
 * later than that. Narrower is only a guard of the same reach with fewer windows.
 */
function windowGuards(before: PolicyWorld, after: PolicyWorld): readonly PolicyChange[] {
  const common = [...before.catalogue.actions.keys()].filter((action) => after.catalogue.actions.has(action));
  const [was, is] = [guardsWithWindows(before, common), guardsWithWindows(after, common)];
  const widens = was.some((guard) => !is.some((other) => isNarrower(guard, other)));
  const [wasText, isText] = [guardsText(was), guardsText(is)];
  // A window of another time under the same name is told as such.
  return changed("guard", "writes only inside of windows", widens, wasText, isText);
}

type WindowGuard = { readonly reach: string; readonly windows: readonly string[]; readonly text: string };

const isNarrower = (guard: WindowGuard, other: WindowGuard): boolean =>
  other.reach === guard.reach && other.windows.every((one) => guard.windows.includes(one));

const guardsText = (guards: readonly WindowGuard[]): string | null =>
  guards.length === 0 ? null : [...new Set(guards.map(({ text }) => text))].toSorted().join("; ");

function guardsWithWindows(
  { policy: { parts }, catalogue }: PolicyWorld,
  actions: readonly string[],
): readonly WindowGuard[] {
  return parts.guards.flatMap((guard): WindowGuard[] => {
    if (guard.windows === null || guard.isShadow) return [];
    const covered = actions.filter((action) => {
      const spec = catalogue.actions.get(action);
      return spec !== undefined && guard.covers(spec);
    });
    const windows = guard.windows.map((name) => `${name} ${parts.windows.get(name)?.definition ?? ""}`);
    const environments = guard.environments?.toSorted() ?? null;
    const where = environments === null ? "everywhere" : `in ${environments.join(", ")}`;
    const text = `${covered.length} actions ${where}: ${guard.windows.toSorted().join(", ")}`;
    return [{ reach: JSON.stringify([covered, environments, definitionsOf(parts, guard)]), windows, text }];
  });
}

/** All of them: a request that is in none of the others may be in any. */
const definitionsOf = ({ environments }: PolicyParts, guard: Guard): readonly unknown[] =>
  guard.environments === null ? [] : [...environments.definitions];

/** What is judged and not enforced decides nothing; whoever reads the divergence report wants to know all the same. */
function shadows(was: PolicyParts, is: PolicyParts): readonly PolicyChange[] {
  return changed("shadow", "rules in shadow", false, shadowText(was), shadowText(is));
}

function shadowText({ rules, guards }: PolicyParts): string | null {
  const entries = rules
    .filter(({ isShadow }) => isShadow)
    .map(({ action, tier, constraints }) => `${action} at tier ${tier} ${JSON.stringify(constraints)}`);
  const texts = [...entries, ...guards.filter(({ isShadow }) => isShadow).map(({ label }) => label)];
  return texts.length === 0 ? null : texts.join("; ");
}
