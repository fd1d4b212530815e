import type { Violation } from "../refusal.ts";
import type { Tier } from "../vocabulary.ts";
import type { GuardRefusal, OpenWindow, PolicyOutcome } from "./types.ts";

/** A decision, and all that was looked at on the way to it, in order. Made by the evaluation itself, never beside it. */
export type PolicyExplanation = { readonly outcome: PolicyOutcome; readonly steps: readonly PolicyStep[] };

/** One thing that was looked at. */
export type PolicyStep =
  /** `rule`: what prohibits the action, whatever its facts; null where nothing does, and then nothing else is looked at. */
  | { readonly kind: "prohibition"; readonly rule: string | null }
  | EntryStep
  /** Environments that the request may be in; none where the policy names none. */
  | { readonly kind: "environments"; readonly possible: readonly string[] }
  | GuardStep
  /** `mode: shadow` of the whole policy: what stands above decides nothing, the catalogue's floor does. */
  | { readonly kind: "mode"; readonly rule: string };

export type EntryStep = {
  readonly kind: "entry";
  readonly rule: string;
  readonly tier: Tier;
  /**
   * `decides`: the lowest that holds. `shadow`: holds, and is only recorded. `after`: holds, and one before it has decided.
   * `below-floor`: the catalogue puts this request at a higher tier. `broken`: it does not hold.
   */
  readonly verdict: "decides" | "shadow" | "after" | "below-floor" | "broken";
  /** What it asks that the request does not meet, and facts that it asks about and that are not known. */
  readonly violations: readonly Violation[];
  readonly missing: readonly string[];
};

export type GuardStep = {
  readonly kind: "guard";
  readonly rule: string;
  readonly isShadow: boolean;
  /** Where it holds; null: everywhere. */
  readonly environments: readonly string[] | null;
  /** Windows outside of which it denies; null where it has another reason. */
  readonly windows: readonly string[] | null;
  readonly verdict:
    /** No entry lets the request through, or it is no write. */
    | { readonly kind: "not-asked" }
    /** The action's mistakes do not reach that far, or something undoes it. */
    | { readonly kind: "other-writes" }
    | { readonly kind: "other-environments" }
    | { readonly kind: "open"; readonly open: OpenWindow }
    | { readonly kind: "objects"; readonly refusal: GuardRefusal };
};

/** Is told each step. */
export type Note = (step: PolicyStep) => void;
