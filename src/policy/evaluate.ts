import { checkConstraints } from "../catalogue/constraints.ts";
import type { ActionSpec } from "../catalogue/types.ts";
import { isWrite, type Facts, type ShadowVerdict } from "../vocabulary.ts";
import type { Environments } from "./environments.ts";
import type { EntryStep, GuardStep, Note, PolicyExplanation, PolicyStep } from "./explanation.ts";
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
  readonly environments: Environments;
  readonly actions: ReadonlyMap<string, ActionSpec>;
  readonly mode: "enforce" | "shadow";
};

/** Decides, and decides while telling each step: one walk through the policy, so that an explanation cannot differ. */
export type Evaluator = {
  readonly evaluate: (request: PolicyRequest) => PolicyOutcome;
  readonly explain: (request: PolicyRequest) => PolicyExplanation;
};

/**
 * Builds the decision function: rules are grouped by action once, so a decision costs the same under 10 rules and
 * 1,000. Pure, and never throws.
 */
export function compileEvaluator(deciding: Deciding): Evaluator {
  const { prohibited, actions } = deciding;
  const byAction: ReadonlyMap<string, readonly Rule[]> = Map.groupBy(deciding.rules, (rule) => rule.action);
  const guardsOf: ReadonlyMap<string, readonly Guard[]> = new Map(
    [...actions.values()].map((spec) => [spec.action, deciding.guards.filter((guard) => guard.covers(spec))]),
  );
  const walk = (request: PolicyRequest, note: Note | null): PolicyOutcome => {
    const ban = banOf(prohibited, request);
    note?.({ kind: "prohibition", rule: ban });
    if (ban !== null) return { kind: "prohibited", rule: ban };
    const facts = knownFacts(request);
    const spec = actions.get(request.action);
    const covering = guardsOf.get(request.action) ?? [];
    const entry = honest(byEntries(byAction.get(request.action), facts, request, note), covering, spec, facts, request);
    const asksGuards = entry.kind === "matched" && isWrite(entry.tier) && spec !== undefined;
    if (note !== null && spec !== undefined)
      note({ kind: "environments", possible: [...deciding.environments.of(spec, facts)] });
    // An explanation tells of those as well that do not cover the action.
    const guards = note === null ? covering : deciding.guards;
    if (!asksGuards) for (const guard of guards) note?.(guardStep(guard, { kind: "not-asked" }));
    const outcome = asksGuards ? byGuards(guards, entry, spec, facts, request, note) : entry;
    return deciding.mode === "shadow" ? unenforced(outcome, request, note) : outcome;
  };
  return {
    evaluate: (request) => walk(request, null),
    explain: (request) => {
      const steps: PolicyStep[] = [];
      return { outcome: walk(request, (step) => void steps.push(step)), steps };
    },
  };
}

/** What prohibits the action whatever its facts, null where nothing does. */
function banOf(prohibited: ReadonlyMap<string, string>, { action, floor }: PolicyRequest): string | null {
  const ban = prohibited.get(action);
  if (ban !== undefined) return ban;
  return floor === PROHIBITED_FLOOR ? `catalogue floor ${PROHIBITED_FLOOR} ${action}` : null;
}

/** A fact that is reported missing is not used, even where a value came with it. */
function knownFacts(request: PolicyRequest): Facts {
  if (request.missing.length === 0) return request.facts;
  const missing = new Set(request.missing.map(({ fact }) => fact));
  return Object.fromEntries(Object.entries(request.facts).filter(([name]) => !missing.has(name)));
}

/** What `allowed_tools` says: the first entry at or above the floor that holds, or why there is none. */
function byEntries(
  own: readonly Rule[] | undefined,
  facts: Facts,
  request: PolicyRequest,
  note: Note | null,
): PolicyOutcome {
  if (own === undefined) return { kind: "not-allowed", rule: `allowed_tools does not name ${request.action}` };
  let shadow: readonly ShadowVerdict[] = [];
  let decided: PolicyOutcome | null = null;
  for (const rule of own) {
    // Loading has refused entries below the floor; were one to get this far, it still decides nothing.
    const isBelow = rule.tier < request.floor;
    const holds = !isBelow && rule.checks.every((check) => check(facts).kind === "holds");
    note?.(entryStep(rule, facts, { isBelow, holds, isDecided: decided !== null }));
    if (!holds || decided !== null) continue;
    if (!rule.isShadow) {
      decided = shadow.length === 0 ? rule.matched : { ...rule.matched, shadow };
      // Nothing after it has a say; an explanation looks on.
      if (note === null) return decided;
    } else if (shadow.length === 0) {
      // Only the first that holds would have decided.
      shadow = [{ rule: rule.label, verdict: `tier ${rule.tier}` }];
    }
  }
  if (decided !== null) return decided;
  const enforced = own.filter((rule) => !rule.isShadow);
  const refused =
    enforced.length === 0
      ? { kind: "not-allowed" as const, rule: `allowed_tools names ${request.action} in shadow only` }
      : refusal(enforced, facts, request);
  return shadow.length === 0 ? refused : { ...refused, shadow };
}

type Held = { readonly isBelow: boolean; readonly holds: boolean; readonly isDecided: boolean };

function entryStep({ label, tier, constraints, isShadow }: Rule, facts: Facts, held: Held): EntryStep {
  const { violations, missing } = checkConstraints(constraints, facts);
  return { kind: "entry", rule: label, tier, verdict: entryVerdict(isShadow, held), violations, missing };
}

function entryVerdict(isShadow: boolean, { isBelow, holds, isDecided }: Held): EntryStep["verdict"] {
  if (isBelow) return "below-floor";
  if (!holds) return "broken";
  if (isDecided) return "after";
  return isShadow ? "shadow" : "decides";
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

/** A nearest request that the entries would let pass and a guard would not is none. */
function honest(
  outcome: PolicyOutcome,
  guards: readonly Guard[],
  spec: ActionSpec | undefined,
  facts: Facts,
  { now }: PolicyRequest,
): PolicyOutcome {
  if (outcome.kind !== "constraint-exceeded" || outcome.nearest === null || spec === undefined) return outcome;
  const { tier, facts: changes } = outcome.nearest;
  if (!isWrite(tier)) return outcome;
  const changed = { ...facts, ...changes };
  const isBarred = guards.some((guard) => {
    const verdict = guard.isShadow ? null : guard.judge(spec, changed, now);
    return verdict !== null && !("open" in verdict);
  });
  return isBarred ? { ...outcome, nearest: null } : outcome;
}

/** What the guards say to a write that an entry allows. A denial goes before a window that is closed (contract, section 6). */
function byGuards(
  guards: readonly Guard[],
  entry: Matched,
  spec: ActionSpec,
  facts: Facts,
  { now }: PolicyRequest,
  note: Note | null,
): PolicyOutcome {
  if (guards.length === 0) return entry;
  const shadow = [...entry.shadow];
  const objections: GuardRefusal[] = [];
  let open: OpenWindow | null = null;
  for (const guard of guards) {
    if (note !== null && !guard.covers(spec)) {
      note(guardStep(guard, { kind: "other-writes" }));
      continue;
    }
    const verdict = guard.judge(spec, facts, now);
    note?.(guardStep(guard, verdictStep(verdict)));
    if (verdict === null) continue;
    if ("open" in verdict) {
      if (!guard.isShadow && (open === null || verdict.open.closesAt < open.closesAt)) open = verdict.open;
    } else if (guard.isShadow) shadow.push({ rule: guard.label, verdict: verdict.kind });
    else objections.push(verdict);
  }
  return objections.find(({ kind }) => kind === "not-allowed") ?? objections[0] ?? { ...entry, open, shadow };
}

const guardStep = ({ label, isShadow, environments, windows }: Guard, verdict: GuardStep["verdict"]): GuardStep => ({
  kind: "guard",
  rule: label,
  isShadow,
  environments,
  windows,
  verdict,
});

function verdictStep(verdict: ReturnType<Guard["judge"]>): GuardStep["verdict"] {
  if (verdict === null) return { kind: "other-environments" };
  return "open" in verdict ? { kind: "open", open: verdict.open } : { kind: "objects", refusal: verdict };
}

/** `mode: shadow`: the catalogue's floor decides, and what the policy would have said is kept beside it. */
function unenforced(
  outcome: PolicyOutcome,
  { action, floor, missing }: PolicyRequest,
  note: Note | null,
): PolicyOutcome {
  // Bans are tier 5, and a size that is not known is not the policy's to let pass. What the policy alone asks to be stated is.
  if (outcome.kind === "prohibited") return outcome;
  if (outcome.kind === "unsized" && missing.some(({ fact }) => outcome.missing.includes(fact))) return outcome;
  const rule = `mode shadow: catalogue floor ${floor}`;
  note?.({ kind: "mode", rule });
  if (outcome.kind !== "matched") {
    const verdict = { rule: "rule" in outcome ? outcome.rule : `allowed_tools ${action}`, verdict: outcome.kind };
    return { kind: "matched", tier: floor, rule, open: null, shadow: [...(outcome.shadow ?? []), verdict] };
  }
  const raised = outcome.tier > floor ? [{ rule: outcome.rule, verdict: `tier ${outcome.tier}` }] : [];
  return { kind: "matched", tier: floor, rule, open: null, shadow: [...outcome.shadow, ...raised] };
}
