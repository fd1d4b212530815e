import type { EpochMs } from "../vocabulary.ts";

/** Consecutive connection failures before writes are refused without trying. One answer of any status closes it again. */
const FAILURES_TO_OPEN = 10;

/** While open, one request in this time is let through to see whether upstream is back. */
const PROBE_EVERY_MS = 5_000;

/**
 * Knows from recent attempts of this isolate whether a control plane is down. While it is, writes are refused *before*
 * admission, so that an outage neither eats the budget in unknown holds nor spends approvals. Not a place for anything
 * that must not be wrong: it can only refuse.
 */
export type Breaker = {
  /** Whether a write may be tried now. Grants one probe per interval while open. */
  readonly allows: (now: EpochMs) => boolean;
  readonly answered: () => void;
  readonly failed: (now: EpochMs) => void;
};

export function createBreaker(): Breaker {
  let failures = 0;
  let probeAt: EpochMs = 0;
  return {
    allows: (now) => {
      if (failures < FAILURES_TO_OPEN) return true;
      if (now < probeAt) return false;
      probeAt = now + PROBE_EVERY_MS;
      return true;
    },
    answered: () => {
      failures = 0;
    },
    failed: (now) => {
      failures += 1;
      if (failures === FAILURES_TO_OPEN) probeAt = now + PROBE_EVERY_MS;
    },
  };
}
