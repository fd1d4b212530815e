import type { EpochMs } from "../vocabulary.ts";

/** Longest time that leased requests wait in an isolate. Longer hoards what other isolates need; shorter wastes hops. */
export const LEASE_LIFETIME_MS = 2_000;

/** What one isolate holds of one bucket. Mutable, isolate-local, never shared between buckets. */
export type LeasePouch = {
  /** Uses up one leased request, oldest first; false when none is left. */
  readonly spend: (now: EpochMs) => boolean;
  readonly store: (count: number, leasedAtMs: EpochMs) => void;
  /** Requests on hand at `now`. */
  readonly onHand: (now: EpochMs) => number;
};

/**
 * Leased requests by age. Each lease keeps its own expiry, so topping up never prolongs an older one: whatever is spent was
 * taken from the bucket less than `LEASE_LIFETIME_MS` ago. A clock that steps back before a lease began ends that lease.
 */
export function leasePouch(): LeasePouch {
  let leases: { left: number; readonly leasedAtMs: EpochMs }[] = [];
  const expire = (now: EpochMs): void => {
    leases = leases.filter(
      (lease) => lease.left > 0 && now >= lease.leasedAtMs && now < lease.leasedAtMs + LEASE_LIFETIME_MS,
    );
  };
  return {
    spend: (now) => {
      expire(now);
      const oldest = leases[0];
      if (oldest === undefined) return false;
      oldest.left -= 1;
      return true;
    },
    store: (count, leasedAtMs) => {
      if (count > 0) leases.push({ left: count, leasedAtMs });
    },
    onHand: (now) => {
      expire(now);
      return leases.reduce((sum, lease) => sum + lease.left, 0);
    },
  };
}
