import type { EpochMs } from "../vocabulary.ts";
import type { IssuerRegistration } from "./issuers.ts";
import { readKeySet, type KeySet, type VerificationKey } from "./jwks-document.ts";
import { fetchJwks, type Fetch } from "./jwks-fetch.ts";

/** After this age a set is fetched again; until then a withdrawn key may still verify. */
export const JWKS_REFRESH_MS = 5 * 60_000;
/** A set that could not be refreshed serves until this age, and then nothing does. New keys must be published this long before use. */
export const JWKS_MAX_AGE_MS = 10 * 60_000;
/** With a set in hand, one fetch per issuer in this time, however many unknown key ids arrive. */
export const JWKS_COOL_DOWN_MS = 30_000;
/** Without one, requests may not wait for each other's fetch, so several run at once; this many per cool-down. */
export const MAX_COLD_FETCHES = 8;

/** The answer to "which key is this?". `unknown`: the issuer was asked recently and publishes no such key. */
export type KeyLookUp =
  | { readonly kind: "found"; readonly key: VerificationKey }
  | { readonly kind: "unknown" }
  | { readonly kind: "unavailable"; readonly cause: string };

/** Whose keys are asked for. `issuer` names the entry: an origin that is used for another purpose has another name. */
export type KeyOrigin = Pick<IssuerRegistration, "issuer" | "jwks_uri" | "algorithms">;

/** Where verification keys come from. Never throws. */
export type JwksSource = (issuer: KeyOrigin, kid: string, now: EpochMs) => Promise<KeyLookUp>;

type Entry = {
  /** Address and algorithms it was read for: a changed registration starts anew. */
  readonly source: string;
  keys: KeySet | null;
  fetchedAt: EpochMs;
  /** Starts of recent fetches, oldest first. */
  attempts: EpochMs[];
  /** Why the last fetch failed, null after a success. */
  failure: string | null;
};

/**
 * Keys of registered issuers, fetched when needed and kept for one isolate. There are as many entries as registered
 * issuers. A promise is never shared between requests: on Workers it would die with the client of the request that
 * started it. So each request that needs a fetch makes its own, within the bounds above.
 */
export function createJwksCache(fetch: Fetch): JwksSource {
  const entries = new Map<string, Entry>();
  return async (issuer, kid, now) => {
    const entry = entryOf(entries, issuer);
    const key = usableKeys(entry, now)?.get(kid);
    const fresh = age(entry, now) < JWKS_REFRESH_MS;
    if (key !== undefined && fresh) return { kind: "found", key };
    if (mayFetch(entry, now)) await refresh(entry, issuer, fetch, now);
    return lookUp(entry, kid, now);
  };
}

function entryOf(entries: Map<string, Entry>, issuer: KeyOrigin): Entry {
  const source = JSON.stringify([issuer.jwks_uri, issuer.algorithms]);
  const known = entries.get(issuer.issuer);
  if (known?.source === source) return known;
  const entry: Entry = { source, keys: null, fetchedAt: 0, attempts: [], failure: null };
  entries.set(issuer.issuer, entry);
  return entry;
}

const age = (entry: Entry, now: EpochMs): number => now - entry.fetchedAt;
const usableKeys = (entry: Entry, now: EpochMs): KeySet | null =>
  age(entry, now) < JWKS_MAX_AGE_MS ? entry.keys : null;

function mayFetch(entry: Entry, now: EpochMs): boolean {
  entry.attempts = entry.attempts.filter((start) => now - start < JWKS_COOL_DOWN_MS);
  return entry.attempts.length < (usableKeys(entry, now) === null ? MAX_COLD_FETCHES : 1);
}

async function refresh(entry: Entry, issuer: KeyOrigin, fetch: Fetch, now: EpochMs): Promise<void> {
  // Counted before it starts: a request that dies while waiting has still used its turn.
  entry.attempts.push(now);
  const text = await fetchJwks(fetch, issuer.jwks_uri);
  const keys = text.ok ? await readKeySet(text.value, issuer.algorithms) : text;
  entry.failure = keys.ok ? null : keys.error;
  if (!keys.ok || now < entry.fetchedAt) return;
  entry.keys = keys.value;
  entry.fetchedAt = now;
}

function lookUp(entry: Entry, kid: string, now: EpochMs): KeyLookUp {
  const keys = usableKeys(entry, now);
  const key = keys?.get(kid);
  if (key !== undefined) return { kind: "found", key };
  // A key that the last good set lacks may be a new one that could not be fetched: nobody knows.
  if (keys === null || entry.failure !== null) {
    return { kind: "unavailable", cause: entry.failure ?? "JWKS: too many fetches in flight" };
  }
  return { kind: "unknown" };
}
