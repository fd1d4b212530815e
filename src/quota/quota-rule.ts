import { isWrite } from "../vocabulary.ts";
import type { Tier } from "../vocabulary.ts";
import type { QuotaRule } from "./port.ts";

/** Policies state limits per minute. */
const WINDOW_MS = 60_000;

/** The rule that a request of `tier` falls under: tiers 0–1 draw on reads, tier 2 and above on writes. */
export const quotaRule = (
  tier: Tier,
  limits: { readonly readsPerMinute: number; readonly writesPerMinute: number },
): QuotaRule =>
  isWrite(tier)
    ? { class: "write", limit: limits.writesPerMinute, windowMs: WINDOW_MS }
    : { class: "read", limit: limits.readsPerMinute, windowMs: WINDOW_MS };
