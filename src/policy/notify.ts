import type { ActionSpec } from "../catalogue/types.ts";
import type { ParsedDocument } from "../platform/yaml-document.ts";
import type { EpochMs, Tier } from "../vocabulary.ts";
import type { Report } from "./limits.ts";
import type { PolicyDocument } from "./policy-schema.ts";
import { noSuchAction } from "./rules.ts";

/** What people are told of although nothing of it waits for them: requests that were let through, in one message per period. */
export type Notify = {
  /** Slack channel, as written; null where the policy names none. The webhook needs none. */
  readonly channel: string | null;
  /** Tiers whose requests are told. */
  readonly tiers: readonly Tier[];
  /** Actions whose requests are told besides, whatever their tier. */
  readonly actions: readonly string[];
  /** Length of a period: at most one message in each. */
  readonly everyMs: EpochMs;
};

/** Tier 1 is *inform*: allowed, and people hear of it. */
const DEFAULT_TIERS: readonly Tier[] = [1];
const DEFAULT_EVERY_MINUTES = 5;
const MS_PER_MINUTE = 60_000;

/** What the document says of such messages. Reports actions that the catalogue does not have, and what is named twice, at their place. */
export function readNotify(
  document: ParsedDocument<PolicyDocument>,
  actions: ReadonlyMap<string, ActionSpec>,
  report: Report,
): Notify {
  const { channel, tiers, actions: named = [], every_minutes: minutes } = document.value.notify ?? {};
  for (const [index, action] of named.entries()) {
    if (!actions.has(action)) report(document.problem(["notify", "actions", index], noSuchAction(action, actions)));
    else if (named.indexOf(action) < index)
      report(document.problem(["notify", "actions", index], `${action} stands here already`));
  }
  for (const [index, tier] of (tiers ?? []).entries())
    if (tiers?.indexOf(tier) !== index)
      report(document.problem(["notify", "tiers", index], `tier ${tier} stands here already`));
  return {
    channel: channel ?? null,
    tiers: tiers ?? DEFAULT_TIERS,
    actions: named,
    everyMs: (minutes ?? DEFAULT_EVERY_MINUTES) * MS_PER_MINUTE,
  };
}

/** Within which time people are told of a request that was let through; null where they are not. */
export const tellAfterMs = ({ tiers, actions, everyMs }: Notify, action: string, tier: Tier): EpochMs | null =>
  tiers.includes(tier) || actions.includes(action) ? everyMs : null;
