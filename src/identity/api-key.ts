import { Buffer } from "node:buffer";
import type { Result } from "../platform/result.ts";
import { err, ok } from "../platform/result.ts";
import type { EpochMs } from "../vocabulary.ts";
import { brokenRule, decodeClaims, encodeClaims, type ApiKeyClaims } from "./api-key-claims.ts";
import { fromBase64url, fromUtf8, toBase64url } from "./base64url.ts";
import { checksum } from "./checksum.ts";
import type { Principal } from "./principal.ts";
import { equalBytes, macOf, type SecretKey } from "./secret-key.ts";

/**
 * API keys: `pcl_<env>_<payload>_<mac>_<checksum>`.
 *
 * payload   base64url of 32 random bytes followed by the claims' text
 * mac       base64url of HMAC-SHA-256 under CREDENTIAL_KEY over `pcl_<env>_<payload>`; 43 characters
 * checksum  base 62 of CRC-32 over everything before it; 6 characters
 *
 * Payload and MAC may contain `_` themselves; the two tails have fixed lengths and the environment is one of three
 * words, so there is one way to take a key apart. Verifying needs no look-up and no clock but the caller's.
 */
export const ENVIRONMENTS = ["live", "test", "local"] as const;
/** Deployments of different environments never accept each other's keys, even under the same secret. */
export type Environment = (typeof ENVIRONMENTS)[number];

export const API_KEY_PREFIX = "pcl_";

/** Finds keys in source code and logs. For secret scanners: published, stable, and followed by the checksum to confirm. */
export const API_KEY_PATTERN = /\bpcl_(?:live|test|local)_[A-Za-z0-9_-]{150,1980}_[A-Za-z0-9_-]{43}_[0-9A-Za-z]{6}\b/;

/** Longest key. A header line stays far below the 8 KiB that common proxies allow. */
export const MAX_API_KEY_CHARS = 2_048;
/** 256 bits: two keys with equal claims still differ, and no part of a key can be guessed from what it says. */
export const KEY_RANDOM_BYTES = 32;

const SHAPE = /^(pcl_(live|test|local)_([A-Za-z0-9_-]+))_([A-Za-z0-9_-]{43})_([0-9A-Za-z]{6})$/;
const MAC_DOMAIN = "portcullis/api-key/v1";
/** Clocks of the minting and the verifying machine may differ by this much. */
const CLOCK_TOLERANCE_MS = 60_000;

/**
 * What is kept of a key. Nothing from which it could be rebuilt, and no fingerprint either: a key proves itself by its
 * MAC, and revocation names its id, so a stored hash would answer no question and only help to recognise keys.
 */
export type ApiKeyRecord = ApiKeyClaims & {
  readonly environment: Environment;
  /** Last four characters (part of the checksum), for a person to tell keys apart. */
  readonly last4: string;
};

/**
 * Makes a key for `claims`. `random` is 32 fresh bytes from a cryptographic generator. Refuses claims that no
 * verification would accept, saying which rule they break. The key itself is returned once and stored nowhere.
 */
export function mintApiKey(
  claims: ApiKeyClaims,
  random: Uint8Array,
  secret: SecretKey,
  environment: Environment,
): Result<{ readonly key: string; readonly record: ApiKeyRecord }, string> {
  const broken = brokenRule(claims) ?? brokenEnvironmentRule(claims, environment);
  if (broken !== null) return err(broken);
  if (random.length !== KEY_RANDOM_BYTES) return err(`a key needs ${KEY_RANDOM_BYTES} random bytes`);
  const payload = toBase64url(Buffer.concat([random, Buffer.from(encodeClaims(claims), "utf8")]));
  const signed = `${API_KEY_PREFIX}${environment}_${payload}`;
  const checked = `${signed}_${toBase64url(macOf(secret, MAC_DOMAIN, signed))}`;
  const key = `${checked}_${checksum(checked)}`;
  if (key.length > MAX_API_KEY_CHARS) return err(`the key would be longer than ${MAX_API_KEY_CHARS} characters`);
  return ok({ key, record: { ...claims, environment, last4: key.slice(-4) } });
}

/**
 * The claims of a genuine, unexpired key of this environment. The error says which check failed, for the audit record.
 * The checksum comes first, so that a typing mistake costs no MAC. Whether the key was revoked is not decided here.
 */
export function verifyApiKey(
  key: string,
  secret: SecretKey,
  environment: Environment,
  now: EpochMs,
): Result<ApiKeyClaims, string> {
  if (key.length > MAX_API_KEY_CHARS) return err("api key: too long");
  const [whole, signed, keyEnvironment, payload, mac, sum] = SHAPE.exec(key) ?? [];
  if (whole === undefined || signed === undefined || payload === undefined || mac === undefined) {
    return err("api key: not the form of a key");
  }
  if (sum !== checksum(`${signed}_${mac}`)) return err("api key: wrong checksum");
  if (keyEnvironment !== environment) return err("api key: of another environment");
  // Compared as text: the one canonical encoding of the right MAC is accepted, not every text that decodes to it.
  const expected = toBase64url(macOf(secret, MAC_DOMAIN, signed));
  if (!equalBytes(Buffer.from(mac), Buffer.from(expected))) return err("api key: wrong MAC");
  return verifiedClaims(payload, environment, now);
}

function verifiedClaims(payload: string, environment: Environment, now: EpochMs): Result<ApiKeyClaims, string> {
  const text = fromUtf8(fromBase64url(payload)?.subarray(KEY_RANDOM_BYTES) ?? new Uint8Array());
  const claims = decodeClaims(text ?? "");
  if (!claims.ok) return err(`api key: ${claims.error}`);
  const broken = brokenRule(claims.value) ?? brokenEnvironmentRule(claims.value, environment);
  if (broken !== null) return err(`api key: ${broken}`);
  if (now >= claims.value.expiresAt) return err("api key: expired");
  if (claims.value.issuedAt > now + CLOCK_TOLERANCE_MS) return err("api key: issued in the future");
  return claims;
}

/** Demonstration keys are printed to a terminal: a live deployment neither mints nor accepts one. */
const brokenEnvironmentRule = (claims: ApiKeyClaims, environment: Environment): string | null =>
  claims.demo && environment === "live" ? "a demonstration key has no place in a live deployment" : null;

/** The principal that a verified key stands for. */
export const principalOfKey = (claims: ApiKeyClaims): Principal => ({
  tenant: claims.tenant,
  subject: claims.subject,
  class: claims.class,
  owner: claims.owner,
  issuer: claims.issuer,
  credentialId: claims.keyId,
  scopes: claims.scopes,
  roles: claims.roles,
  expiresAt: claims.expiresAt,
  delegation: [],
  // A key says nothing about when its holder last signed in.
  authenticatedAt: null,
  demo: claims.demo,
});
