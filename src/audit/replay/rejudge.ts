import { constraintTarget } from "../../catalogue/constraints.ts";
import { floorOf } from "../../catalogue/floors.ts";
import type { CompiledCatalogue } from "../../catalogue/types.ts";
import { constraintsOn } from "../../policy/diff/diff-cells.ts";
import type { PolicyWorld } from "../../policy/diff/diff-change.ts";
import { isWrite, type EpochMs, type Facts, type Micros, type Tier } from "../../vocabulary.ts";
import type { RecordView } from "./record-view.ts";

/** The documents that decide, as they are compiled for a gate. */
export type ReplayWorld = PolicyWorld & { readonly catalogue: CompiledCatalogue };

/** Why a record says nothing about what the policy decides. */
export type Skipped =
  /** A later word on a request or proposal that another record stands for; or no request. */
  | "not-a-decision"
  | "dry-run"
  | "repeat"
  /** Refused before the policy was asked, or after it had said yes: money, freezes, limits, context. */
  | "refused-otherwise";

/** Why a decision cannot be made again. Nothing is guessed. */
export type Unjudged =
  /** It was refused before its facts were read, and the candidate asks about them. */
  | "facts-unknown"
  /** A fact that the candidate asks about held a secret. */
  | "facts-redacted"
  /** It was refused because a fact could not be read; which one is not in the record. */
  | "facts-unreadable";

/** What was decided: `ran`: dispatched; `read`: answered; `asked`: put before people; `refused`: by the policy. */
export type Was = {
  readonly kind: "ran" | "read" | "asked" | "refused";
  readonly tier: Tier | null;
  readonly rule: string | null;
};

/** What the candidate decides. `tier`: null where it refuses, and then `reason` says how. */
export type Would = { readonly tier: Tier | null; readonly rule: string | null; readonly reason: string | null };

export type Rejudged =
  | { readonly kind: "skipped"; readonly why: Skipped }
  | { readonly kind: "unjudged"; readonly why: Unjudged; readonly action: string }
  | {
      readonly kind: "judged";
      readonly action: string;
      readonly was: Was;
      readonly would: Would;
      /** What was or would be held; null where it has no price, or none that can be told any more. */
      readonly costMicros: Micros | null;
    };

/** Refusals that are the policy's own. */
const BY_POLICY: ReadonlySet<string | null> = new Set([
  "not-allowed",
  "constraint-exceeded",
  "outside-window",
  "prohibited",
  "unsized",
]);
/** The caller's own bounds (`Gate-Max-Cost`) refuse under any policy. */
const CALLERS_RULE = /^Gate-Max-/;
/** Asks of the gate's own API are no requests of the control plane. */
const OWN_PATH = "/_gate/";
const REDACTED = /\[redacted(?::[0-9a-f]{16})?\]/;

/** Decides each record's request again under a candidate: with its facts, the floor of the candidate's catalogue, and its own time. */
export function rejudgeWith(world: ReplayWorld): (record: RecordView) => Rejudged {
  const asksAbout = memoized((action) => factsAskedAbout(action, world));
  return (record) => {
    const was = wasOf(record);
    if (typeof was === "string") return { kind: "skipped", why: was };
    const { action, facts } = record;
    if (action === null) return { kind: "skipped", why: "refused-otherwise" };
    const unknown = unjudged(record, asksAbout(action), world);
    if (unknown !== null) return { kind: "unjudged", why: unknown, action };
    const at = Date.parse(record.time);
    const would = decide(world, action, facts ?? {}, at);
    // Which fact was missing is not in the record, and a write without it stays refused.
    if (was.kind === "refused" && record.reason_code === "unsized" && would.tier !== null && isWrite(would.tier))
      return { kind: "unjudged", why: "facts-unreadable", action };
    return { kind: "judged", action, was, would, costMicros: costOf(world, record, was, action, at) };
  };
}

/** What a record says was decided; the reason why it says nothing where it does not. */
function wasOf({ kind, decision, reason_code: reason, path, tier, rule }: RecordView): Was | Skipped {
  if (kind === "plan") return "dry-run";
  if (kind === "intent") return { kind: "ran", tier, rule };
  // A draft is completed under the same id: what has stood before people once is counted once, by `ReplayReport`.
  if (kind === "proposal" && (reason === "opened" || reason === "draft") && path?.startsWith(OWN_PATH) !== true)
    return { kind: "asked", tier, rule };
  if (kind !== "request" || path?.startsWith(OWN_PATH) === true) return "not-a-decision";
  if (reason === "replayed") return "repeat";
  if (decision === "allow") return { kind: "read", tier, rule };
  // The proposal's own record stands for it.
  if (reason === "approval-required") return "not-a-decision";
  return BY_POLICY.has(reason) && !CALLERS_RULE.test(rule ?? "")
    ? { kind: "refused", tier: null, rule: rule ?? reason }
    : "refused-otherwise";
}

function unjudged({ facts, action }: RecordView, asked: ReadonlySet<string>, { policy }: ReplayWorld): Unjudged | null {
  if (asked.size === 0 || action === null || !policy.names(action) || policy.prohibits(action) !== null) return null;
  if (facts === null) return "facts-unknown";
  const isHidden = (fact: string): boolean => {
    const value = facts[fact];
    return typeof value === "string"
      ? REDACTED.test(value)
      : Array.isArray(value) && value.some((one) => REDACTED.test(one));
  };
  return [...asked].some(isHidden) ? "facts-redacted" : null;
}

const factsAskedAbout = (action: string, world: ReplayWorld): ReadonlySet<string> =>
  new Set(
    constraintsOn(action, world).flatMap((constraints) =>
      Object.entries(constraints).map(([name, limit]) => constraintTarget(name, limit).fact),
    ),
  );

function decide({ policy, catalogue }: ReplayWorld, action: string, facts: Facts, now: EpochMs): Would {
  const spec = catalogue.actions.get(action);
  if (spec === undefined) return { tier: null, rule: null, reason: "unknown-operation" };
  const outcome = policy.evaluate({ action, facts, missing: [], floor: floorOf(spec.floors, facts), now });
  if (outcome.kind === "matched") return { tier: outcome.tier, rule: outcome.rule, reason: null };
  return { tier: null, rule: "rule" in outcome ? outcome.rule : null, reason: outcome.kind };
}

/** What was held; for what never had a price, what the candidate's table says of its facts. */
function costOf(
  { catalogue, prices }: ReplayWorld,
  record: RecordView,
  was: Was,
  action: string,
  at: EpochMs,
): Micros | null {
  if (was.kind !== "refused" || record.cost_micros !== null) return record.cost_micros;
  if (record.facts === null) return catalogue.actions.get(action)?.free === true ? 0 : null;
  const cost = prices === null ? null : catalogue.costOfFacts(action, record.facts, prices, at);
  if (cost?.kind === "none") return 0;
  return cost?.kind === "priced" ? cost.ceilingMicros : null;
}

function memoized<T>(of: (key: string) => T): (key: string) => T {
  const known = new Map<string, T>();
  return (key) => {
    const value = known.get(key) ?? of(key);
    known.set(key, value);
    return value;
  };
}
