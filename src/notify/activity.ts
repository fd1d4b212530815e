import type { EpochMs, Tier } from "../vocabulary.ts";

/**
 * Requests that were let through within a period and that people are told of, because the policy's `notify` says so. Nobody has to
 * do anything. `lines`: per action, principal and tier, graver first; `more`: what these leave out.
 */
export type ActivityAlert = {
  readonly kind: "activity";
  /** All of them, whether a line shows them or not. */
  readonly requests: number;
  readonly since: EpochMs;
  readonly until: EpochMs;
  readonly lines: readonly {
    readonly action: string;
    readonly principal: string;
    readonly tier: Tier;
    readonly count: number;
    readonly firstRequestId: string;
    readonly firstAt: EpochMs;
    readonly lastRequestId: string;
    readonly lastAt: EpochMs;
    /** The newest one given, redacted (in a message also cut); null where none was. */
    readonly reason: string | null;
  }[];
  readonly more: { readonly lines: number; readonly requests: number };
};
