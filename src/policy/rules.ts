import { checkConstraint, constraintTarget, impliesConstraints } from "../catalogue/constraints.ts";
import type { ConstraintCheck, Constraints } from "../catalogue/constraints.ts";
import type { ActionSpec } from "../catalogue/types.ts";
import type { DocumentProblem } from "../platform/document.ts";
import type { JsonPath } from "../platform/json-pointer.ts";
import type { ParsedDocument } from "../platform/yaml-document.ts";
import type { Fact, Facts, Tier } from "../vocabulary.ts";
import type { PolicyDocument } from "./policy-schema.ts";
import { didYouMean } from "./suggest.ts";
import type { PolicyOutcome } from "./types.ts";

/** One entry of `allowed_tools`, checked against the catalogue and ready to evaluate. */
export type Rule = {
  readonly action: string;
  readonly tier: Tier;
  /** Stable and for people: `allowed_tools.tier_2[0] workloads.submit`. */
  readonly label: string;
  readonly constraints: Constraints;
  /** Judged and recorded, never deciding. */
  readonly isShadow: boolean;
  /** The constraints as closures, in written order. */
  readonly checks: readonly ((facts: Facts) => ConstraintCheck)[];
  readonly spec: ActionSpec;
  /** Where the entry stands in the document. */
  readonly path: JsonPath;
  /** What `evaluate` answers when this entry decides; shared, so that a decision allocates nothing. */
  readonly matched: PolicyOutcome;
};

/** Everything under `allowed_tools`: rules in order of tier and then of writing, prohibited action → its label, mistakes. */
export type ReadRules = {
  readonly rules: readonly Rule[];
  readonly prohibited: ReadonlyMap<string, string>;
  readonly problems: readonly DocumentProblem[];
};

/** The tiers that may carry entries, lowest first: the order in which a request is judged. */
const ENTRY_TIERS = [0, 1, 2, 3, 4] as const;

/** `mode` beside an entry's constraints is its own; no fact can have that name. */
const MODES: ReadonlySet<unknown> = new Set(["enforce", "shadow"]);

type Actions = ReadonlyMap<string, ActionSpec>;
type Document = ParsedDocument<PolicyDocument>;

/** Reads and checks `allowed_tools` against the catalogue's actions, facts and floors. Reports every mistake, not only the first. */
export function readRules(document: Document, actions: Actions): ReadRules {
  const rules: Rule[] = [];
  const problems: DocumentProblem[] = [];
  for (const tier of ENTRY_TIERS) {
    for (const [index, entry] of (document.value.allowed_tools[`tier_${tier}`] ?? []).entries()) {
      const path = ["allowed_tools", `tier_${tier}`, index];
      const named: Readonly<Record<string, Constraints>> = typeof entry === "string" ? { [entry]: {} } : entry;
      for (const [action, constraints] of Object.entries(named)) {
        const spec = actions.get(action);
        if (spec === undefined) {
          problems.push(unknownAction(document, path, action, actions));
          continue;
        }
        if (constraints["mode"] !== undefined && !MODES.has(constraints["mode"])) {
          problems.push(document.problem([...path, action, "mode"], "mode is enforce or shadow"));
        }
        const rule = ruleOf(action, tier, index, constraints, spec, path);
        const mistakes = mistakesOf(document, rule);
        problems.push(...mistakes);
        if (mistakes.length === 0) rules.push(rule);
      }
    }
  }
  const prohibited = new Map<string, string>();
  for (const [index, action] of (document.value.allowed_tools.tier_5 ?? []).entries()) {
    const path = ["allowed_tools", "tier_5", index];
    if (!actions.has(action)) problems.push(unknownAction(document, path, action, actions));
    const allowing = rules.find((rule) => rule.action === action);
    if (allowing !== undefined) {
      problems.push(
        document.problem(path, `${action} is prohibited here and allowed at ${allowing.label}: only one can be meant`),
      );
    }
    prohibited.set(action, `allowed_tools.tier_5[${index}] ${action}`);
  }
  return { rules, prohibited, problems };
}

function ruleOf(
  action: string,
  tier: Tier,
  index: number,
  { mode, ...constraints }: Constraints,
  spec: ActionSpec,
  path: JsonPath,
): Rule {
  const label = `allowed_tools.tier_${tier}[${index}] ${action}`;
  return {
    action,
    tier,
    label,
    constraints,
    isShadow: mode === "shadow",
    checks: Object.entries(constraints).map(
      ([name, limit]) =>
        (facts) =>
          checkConstraint(name, limit, facts),
    ),
    spec,
    path,
    matched: Object.freeze({ kind: "matched", tier, rule: label, open: null, shadow: [] }),
  };
}

const unknownAction = (document: Document, path: JsonPath, action: string, actions: Actions): DocumentProblem =>
  document.problem(path, noSuchAction(action, actions));

/** Says that the catalogue has no such action, and which one was probably meant. */
export const noSuchAction = (action: string, actions: Actions): string =>
  `the catalogue has no action "${action}"${didYouMean(action, actions.keys())}`;

/** What keeps an entry from loading: constraints that mean nothing to the catalogue, or a tier below its floor. */
function mistakesOf(document: Document, rule: Rule): readonly DocumentProblem[] {
  const unclear = Object.entries(rule.constraints).flatMap(([name, limit]) => {
    const message = constraintMistake(name, limit, rule.spec);
    return message === null ? [] : [{ name, message }];
  });
  if (unclear.length > 0) {
    return unclear.map(({ name, message }) => {
      const atKey = message.startsWith(UNKNOWN_FACT);
      return document.problem([...rule.path, rule.action, name], message, atKey ? "key" : "value");
    });
  }
  const reached = rule.spec.floors.some(
    (row) => row.tier <= rule.tier && impliesConstraints(rule.constraints, row.when),
  );
  return reached ? [] : [document.problem(rule.path, belowFloor(rule))];
}

/** How `constraintMistake` begins where the action has no such fact. */
export const UNKNOWN_FACT = "the catalogue extracts no fact";

/** What keeps a constraint from meaning anything to the catalogue, null where it has a meaning. */
export function constraintMistake(name: string, limit: Fact, spec: ActionSpec): string | null {
  const { kind, fact } = constraintTarget(name, limit);
  const type = spec.factNames.get(fact);
  if (type === undefined) {
    return `${UNKNOWN_FACT} "${fact}" for ${spec.action}${didYouMean(fact, spec.factNames.keys())}`;
  }
  if (kind === "max" || kind === "min") {
    if (type !== "number") return `${name} needs a number, and "${fact}" is ${FACT_TYPES[type]}`;
    return typeof limit === "number" ? null : `${name} takes a number`;
  }
  if (kind === "one-of") {
    return type === "string" || type === "strings" ? null : `"${fact}" is ${FACT_TYPES[type]}: a list cannot hold it`;
  }
  if (type === "strings") return `"${fact}" is a list of texts: write the allowed ones as a list`;
  return typeof limit === type ? null : `"${fact}" is ${FACT_TYPES[type]}, not ${JSON.stringify(limit)}`;
}

const FACT_TYPES = {
  number: "a number",
  string: "text",
  boolean: "true or false",
  strings: "a list of texts",
} as const;

/** Says what would load: the conditions under which the catalogue lets this tier carry the action. */
function belowFloor(rule: Rule): string {
  const possible = rule.spec.floors.filter((row) => row.tier <= rule.tier && row.when !== null);
  const lowest = Math.min(...rule.spec.floors.filter((row) => row.when === null).map((row) => row.tier), 5);
  if (lowest === 5 && possible.length === 0 && rule.spec.minimumTier === 5) {
    return `the catalogue prohibits ${rule.action} (tier 5): no policy can allow it`;
  }
  const conditions = possible.map((row) => JSON.stringify(row.when)).join(" or ");
  const wider = `the catalogue puts ${rule.action} at tier ${lowest} or above`;
  return conditions === "" ? wider : `${wider} unless its constraints keep within ${conditions}`;
}
