import type { EpochMs } from "../vocabulary.ts";
import type { Principal } from "./principal.ts";

/** The stated bound within which a revocation must reach reads (writes ask the ledger). */
export const CREDENTIAL_CACHE_MS = 30_000;
/** An isolate serves far fewer distinct credentials within 30 s. */
export const MAX_CACHED_CREDENTIALS = 10_000;
/** The longest tokens are 8 KiB: ten thousand of them would be 80 MB of a 128 MB isolate. */
export const MAX_CACHED_CHARS = 8 * 1024 * 1024;

type Entry = { readonly principal: Principal; readonly verifiedAt: EpochMs };

/** Verified credentials of one isolate. */
export type CredentialCache = {
  /** The principal verified for exactly this text within the last 30 s and not expired at `now`, else null. */
  readonly get: (credential: string, now: EpochMs) => Principal | null;
  readonly put: (credential: string, principal: Principal, now: EpochMs) => void;
  readonly size: () => number;
};

/**
 * Keyed by the exact text of the credential, and only verified ones are in it. That is safe here and nowhere else: a
 * mutated twin of a cached token is simply not found, and strict verification then refuses it. What must catch every
 * twin (revocation, single use, the audit record) is keyed by the verified id. A digest of the text as key would cost
 * as much as verifying an API key does; the map's seeded hash tells an attacker nothing about cached text.
 *
 * Refusals are not kept: guesses must not push out honest entries, nor a key rotation be hidden by an old answer.
 * Oldest entries leave first, which with one lifetime for all is also the order in which they expire.
 */
export function createCredentialCache(): CredentialCache {
  const entries = new Map<string, Entry>();
  let chars = 0;
  const remove = (credential: string): void => {
    if (entries.delete(credential)) chars -= credential.length;
  };
  return {
    get(credential, now) {
      const entry = entries.get(credential);
      if (entry === undefined) return null;
      const age = now - entry.verifiedAt;
      if (age >= 0 && age < CREDENTIAL_CACHE_MS && now < entry.principal.expiresAt) return entry.principal;
      remove(credential);
      return null;
    },
    put(credential, principal, now) {
      remove(credential);
      entries.set(credential, { principal, verifiedAt: now });
      chars += credential.length;
      for (const oldest of entries.keys()) {
        if (entries.size <= MAX_CACHED_CREDENTIALS && chars <= MAX_CACHED_CHARS) break;
        remove(oldest);
      }
    },
    size: () => entries.size,
  };
}
