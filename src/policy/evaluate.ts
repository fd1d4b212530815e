import type { ShadowVerdict } from "../audit/record.ts";
import { checkConstraints } from "../catalogue/constraints.ts";
import type { ActionSpec } from "../catalogue/types.ts";
import { isWrite, type Facts } from "../vocabulary.ts";
import type { Guard } from "./guards.ts";
import { closestRule } from "./nearest.ts";
import type { Rule } from "./rules.ts";
import type { GuardRefusal, OpenWindow, PolicyOutcome, PolicyRequest } from "./types.ts";

/** Tier 5: the catalogue's word against any policy. */
const PROHIBITED_FLOOR = 5;

type Matched = Extract<PolicyOutcome, { kind: "matched" }>;

/** What decides: the entries in order of tier, the bans, the guards in order of writing, and whether all that is in shadow. */
export type Deciding = {
  readonly rules: readonly Rule[];
  readonly prohibited: ReadonlyMap<string, string>;
  readonly guards: readonly Guard[];
  readonly actions: ReadonlyMap<string, ActionSpec>;
  readonly mode: "enforce" | "shadow";
};

/**
 * Builds the decision function: rules are grouped by action once, so a decision costs the same under 10 rules and
 * 1,000. The function is pure and never throws.
 */
export function compileEvaluator(deciding: Deciding): (request: PolicyRequest) => PolicyOutcome {
  const { prohibited, actions } = deciding;
  const byAction: ReadonlyMap<string, readonly Rule[]> = Map.groupBy(deciding.rules, (rule) => rule.action);
  const guardsOf: ReadonlyMap<string, readonly Guard[]> = new Map(
    [...actions.values()].map((spec) => [spec.action, deciding.guards.filter((guard) => guard.covers(spec))]),
  );
  return (request) => {
    const ban = prohibited.get(request.action);
    if (ban !== undefined) return { kind: "prohibited", rule: ban };
    if (request.floor === PROHIBITED_FLOOR) {
      return { kind: "prohibited", rule: `catalogue floor ${PROHIBITED_FLOOR} ${request.action}` };
    }
    const facts = knownFacts(request);
    const entry = byEntries(byAction.get(request.action), facts, request);
    const spec = actions.get(request.action);
    const outcome =
      entry.kind === "matched" && isWrite(entry.tier) && spec !== undefined
        ? byGuards(guardsOf.get(request.action) ?? [], entry, spec, facts, request)
        : entry;
    return deciding.mode === "shadow" ? unenforced(outcome, request) : outcome;
  };
}

/** A fact that is reported missing is not used, even where a value came with it. */
function knownFacts(request: PolicyRequest): Facts {
  if (request.missing.length === 0) return request.facts;
  const missing = new Set(request.missing.map(({ fact }) => fact));
  return Object.fromEntries(Object.entries(request.facts).filter(([name]) => !missing.has(name)));
}

/** What `allowed_tools` says: the first entry at or above the floor that holds, or why there is none. */
function byEntries(own: readonly Rule[] | undefined, facts: Facts, request: PolicyRequest): PolicyOutcome {
  if (own === undefined) return { kind: "not-allowed", rule: `allowed_tools does not name ${request.action}` };
  let shadow: readonly ShadowVerdict[] = [];
  for (const rule of own) {
    // Loading has refused entries below the floor; were one to get this far, it still decides nothing.
    if (rule.tier < request.floor || !rule.checks.every((check) => check(facts).kind === "holds")) continue;
    if (!rule.isShadow) return shadow.length === 0 ? rule.matched : { ...rule.matched, shadow };
    // Only the first that holds would have decided.
    if (shadow.length === 0) shadow = [{ rule: rule.label, verdict: `tier ${rule.tier}` }];
  }
  const enforced = own.filter((rule) => !rule.isShadow);
  const refused =
    enforced.length === 0
      ? { kind: "not-allowed" as const, rule: `allowed_tools names ${request.action} in shadow only` }
      : refusal(enforced, facts, request);
  return shadow.length === 0 ? refused : { ...refused, shadow };
}

/** Says why no rule of the action decided. Where one breaks nothing and only lacks facts, those are what to supply. */
function refusal(rules: readonly Rule[], facts: Facts, request: PolicyRequest): PolicyOutcome {
  for (const rule of rules) {
    const { violations, missing } = checkConstraints(rule.constraints, facts);
    if (violations.length === 0 && missing.length > 0) return { kind: "unsized", missing: [...new Set(missing)] };
  }
  const closest = closestRule(rules, facts, request.floor);
  if (closest === null) {
    return {
      kind: "not-allowed",
      rule: `allowed_tools has no entry for ${request.action} at tier ${request.floor} or above`,
    };
  }
  const { rule, violations, nearest } = closest;
  return { kind: "constraint-exceeded", rule: rule.label, violations, nearest };
}

/** What the guards say to a write that an entry allows. A denial goes before a window that is closed (contract, section 6). */
function byGuards(
  guards: readonly Guard[],
  entry: Matched,
  spec: ActionSpec,
  facts: Facts,
  { now }: PolicyRequest,
): PolicyOutcome {
  if (guards.length === 0) return entry;
  const shadow = [...entry.shadow];
  const objections: GuardRefusal[] = [];
  let open: OpenWindow | null = null;
  for (const guard of guards) {
    const verdict = guard.judge(spec, facts, now);
    if (verdict === null) continue;
    if ("open" in verdict) {
      if (!guard.isShadow && (open === null || verdict.open.closesAt < open.closesAt)) open = verdict.open;
    } else if (guard.isShadow) shadow.push({ rule: guard.label, verdict: verdict.kind });
    else objections.push(verdict);
  }
  return objections.find(({ kind }) => kind === "not-allowed") ?? objections[0] ?? { ...entry, open, shadow };
}

/** `mode: shadow`: the catalogue's floor decides, and what the policy would have said is kept beside it. */
function unenforced(outcome: PolicyOutcome, { floor }: PolicyRequest): PolicyOutcome {
  // Bans are tier 5, and a size that is not known is not the policy's to let pass.
  if (outcome.kind === "prohibited" || outcome.kind === "unsized") return outcome;
  const rule = `mode shadow: catalogue floor ${floor}`;
  if (outcome.kind !== "matched") {
    const verdict = { rule: outcome.rule, verdict: outcome.kind };
    return { kind: "matched", tier: floor, rule, open: null, shadow: [...(outcome.shadow ?? []), verdict] };
  }
  const raised = outcome.tier > floor ? [{ rule: outcome.rule, verdict: `tier ${outcome.tier}` }] : [];
  return { kind: "matched", tier: floor, rule, open: null, shadow: [...outcome.shadow, ...raised] };
}
