import { importJWK } from "jose";
import { describeError } from "../platform/describe-error.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../platform/json.ts";
import type { Result } from "../platform/result.ts";
import { err, ok } from "../platform/result.ts";
import { parseStrictJson } from "../platform/strict-json.ts";
import { KID } from "./compact-jws.ts";
import type { SignatureAlgorithm } from "./issuers.ts";

/** One verification key. It verifies under this one algorithm, whatever a token's header says. */
export type VerificationKey = { readonly alg: SignatureAlgorithm; readonly key: CryptoKey };

/** Usable keys by `kid`. */
export type KeySet = ReadonlyMap<string, VerificationKey>;

/** Large providers publish under ten. */
const MAX_KEYS = 32;
/** RFC 7518, sections 3.3 and 3.5. */
const MIN_RSA_BITS = 2_048;
/** Members that only private or symmetric keys have (RFC 7518, section 6). */
const SECRET_MEMBERS = ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"] as const;

/**
 * Reads a JWK set (RFC 7517). A set that publishes private or shared keys, or uses one `kid` twice, is refused as a whole:
 * whoever publishes that has lost control of it. Keys that the issuer is not registered to use, encryption keys and
 * keys without a `kid` are left out. Keys are imported here, all of them, so that no request waits for another's import.
 */
export async function readKeySet(
  text: string,
  algorithms: readonly SignatureAlgorithm[],
): Promise<Result<KeySet, string>> {
  const document = parseStrictJson(text);
  if (!document.ok) return err(`JWKS: ${document.error.reason}`);
  const keys = isJsonObject(document.value) ? document.value["keys"] : undefined;
  if (!isList(keys) || keys.length === 0) return err("JWKS: no keys");
  if (keys.length > MAX_KEYS) return err(`JWKS: more than ${MAX_KEYS} keys`);
  const seen = new Set<string>();
  const usable = new Map<string, VerificationKey>();
  for (const jwk of keys) {
    if (!isJsonObject(jwk) || jwk["kty"] === "oct") return err("JWKS: a member is not a public key");
    if (SECRET_MEMBERS.some((name) => name in jwk)) return err("JWKS: publishes a private key");
    const { kid } = jwk;
    if (typeof kid !== "string" || !KID.test(kid)) continue;
    if (seen.has(kid)) return err("JWKS: a kid is used twice");
    seen.add(kid);
    const alg = algorithmOf(jwk, algorithms);
    if (alg === null) continue;
    const key = await imported(jwk, alg);
    if (!key.ok) return key;
    usable.set(kid, { alg, key: key.value });
  }
  return usable.size === 0 ? err("JWKS: no key that the issuer is registered to use") : ok(usable);
}

const isList = (value: JsonValue | undefined): value is readonly JsonValue[] => Array.isArray(value);

/** The one algorithm of a key: as it states, else the only registered one that fits its type. Null: not for us. */
function algorithmOf(jwk: JsonObject, algorithms: readonly SignatureAlgorithm[]): SignatureAlgorithm | null {
  const { use, key_ops: operations, alg } = jwk;
  if (use !== undefined && use !== "sig") return null;
  if (operations !== undefined && !(isList(operations) && operations.includes("verify"))) return null;
  const fitting = algorithms.filter((known) => (alg === undefined || alg === known) && fits(known, jwk));
  return fitting.length === 1 ? (fitting[0] ?? null) : null;
}

/** Key type and curve of each algorithm (RFC 7518, section 6; RFC 8037). */
const KEY_TYPES: Readonly<Record<SignatureAlgorithm, { readonly kty: string; readonly crv?: string }>> = {
  Ed25519: { kty: "OKP", crv: "Ed25519" },
  EdDSA: { kty: "OKP", crv: "Ed25519" },
  ES256: { kty: "EC", crv: "P-256" },
  PS256: { kty: "RSA" },
  RS256: { kty: "RSA" },
};

const fits = (alg: SignatureAlgorithm, { kty, crv }: JsonObject): boolean =>
  kty === KEY_TYPES[alg].kty && crv === KEY_TYPES[alg].crv;

async function imported(jwk: JsonObject, alg: SignatureAlgorithm): Promise<Result<CryptoKey, string>> {
  try {
    // A fresh copy of the members that matter: `x5c`, `ext` and the like have no say in what is imported.
    const { kty, crv, x, y, n, e } = jwk;
    const key = await importJWK(textMembers({ kty, crv, x, y, n, e }), alg);
    if (!(key instanceof CryptoKey) || key.type !== "public") return err("JWKS: a member is not a public key");
    return weakRsa(key) ? err(`JWKS: an RSA key is shorter than ${MIN_RSA_BITS} bits`) : ok(key);
  } catch (error) {
    return err(`JWKS: a key does not import: ${describeError(error)}`);
  }
}

function textMembers(members: Readonly<Record<string, JsonValue | undefined>>): {
  kty: string;
  [name: string]: string;
} {
  const text = Object.entries(members).flatMap(([name, value]) => (typeof value === "string" ? [[name, value]] : []));
  return { kty: "", ...Object.fromEntries(text) };
}

const weakRsa = ({ algorithm }: CryptoKey): boolean =>
  "modulusLength" in algorithm && algorithm.modulusLength < MIN_RSA_BITS;
