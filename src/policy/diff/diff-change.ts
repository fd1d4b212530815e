import type { CompiledPrices } from "../../catalogue/prices.ts";
import type { CompiledCatalogue } from "../../catalogue/types.ts";
import type { Facts } from "../../vocabulary.ts";
import type { CompiledPeople } from "../people.ts";
import type { CompiledPolicy } from "../types.ts";

/** The documents that decide together. Prices are null where they are not compared. */
export type PolicyWorld = {
  readonly policy: CompiledPolicy;
  readonly people: CompiledPeople;
  readonly catalogue: Pick<CompiledCatalogue, "actions" | "digest">;
  readonly prices: CompiledPrices | null;
};

/** What a change is about. The first four are about requests; `unknown`: the two sides cannot be compared there. */
export const CHANGE_KINDS = [
  "newly-allowed",
  "newly-denied",
  "tier-lowered",
  "tier-raised",
  "unknown",
  "mode",
  "guard",
  "window",
  "approvers",
  "people",
  "break-glass",
  "approval",
  "context",
  "protocol",
  "incidents",
  "budget",
  "teams",
  "prices",
  "aggregate",
  "rate-limit",
  "shadow",
  "notify",
  "signals",
  "retention",
  "catalogue",
] as const;
export type ChangeKind = (typeof CHANGE_KINDS)[number];

/** One difference in meaning between two policies. */
export type PolicyChange = {
  readonly kind: ChangeKind;
  /**
   * Whether more is allowed, fewer or other people decide, more may be spent, or less is watched, or it may be so: what cannot be
   * compared is never harmless.
   */
  readonly widens: boolean;
  /** The action that it is about; null where it is about more than one. */
  readonly action: string | null;
  /** For which requests, in words: `5 ≤ gpus ≤ 8, job_type elastic`. Null: all of them. */
  readonly where: string | null;
  /** As it was and as it would be; null: not there. */
  readonly before: string | null;
  readonly after: string | null;
  /** All that in one line, for people. */
  readonly text: string;
  /** One request that is decided differently, with the time of asking; null where the change is not about requests. */
  readonly example: { readonly facts: Facts; readonly at: string } | null;
};

/** A change that is not about requests of one action. `subject`: what it is of, `approvers of tier 4`. */
export function change(
  kind: ChangeKind,
  subject: string,
  widens: boolean,
  before: string | null,
  after: string | null,
  action: string | null = null,
): PolicyChange {
  const text = `${subject}: ${before ?? "none"} → ${after ?? "none"}`;
  return { kind, widens, action, where: null, before, after, text, example: null };
}

/** As `change`; nothing where both sides are the same. */
export const changed = (
  kind: ChangeKind,
  subject: string,
  widens: boolean,
  before: string | null,
  after: string | null,
): readonly PolicyChange[] => (before === after ? [] : [change(kind, subject, widens, before, after)]);
