import type { EpochMs } from "../vocabulary.ts";
import { API_KEY_PREFIX, principalOfKey, verifyApiKey, type Environment } from "./api-key.ts";
import { COMPACT_JWS } from "./compact-jws.ts";
import type { CredentialCache } from "./credential-cache.ts";
import type { IssuerDirectory } from "./issuers.ts";
import type { JwksSource } from "./jwks-cache.ts";
import { verifyJwt } from "./jwt.ts";
import type { AuthOutcome } from "./principal.ts";
import type { SecretKey } from "./secret-key.ts";

/** What authenticating depends on. `cache` lives as long as the isolate; `now` is this request's. */
export type AuthDependencies = {
  readonly environment: Environment;
  readonly credentialKey: SecretKey;
  readonly cache: CredentialCache;
  readonly issuers: IssuerDirectory;
  readonly jwks: JwksSource;
  readonly now: EpochMs;
};

/**
 * Who asks, from the credential alone: an API key of this deployment or an access token of a registered issuer. Never
 * throws for what a client sent. Revocation is not decided here: the caller compares `credentialId` with the tenant's
 * revoked set, and for writes the ledger has the last word.
 */
export async function authenticate(credential: string, dependencies: AuthDependencies): Promise<AuthOutcome> {
  const { cache, now } = dependencies;
  const cached = cache.get(credential, now);
  if (cached !== null) return { kind: "verified", principal: cached };
  const outcome = await verify(credential, dependencies);
  if (outcome.kind === "verified") cache.put(credential, outcome.principal, now);
  return outcome;
}

async function verify(credential: string, dependencies: AuthDependencies): Promise<AuthOutcome> {
  const { credentialKey, environment, issuers, jwks, now } = dependencies;
  if (credential.startsWith(API_KEY_PREFIX)) {
    const claims = verifyApiKey(credential, credentialKey, environment, now);
    if (!claims.ok) return { kind: "unauthenticated", cause: claims.error };
    return { kind: "verified", principal: principalOfKey(claims.value) };
  }
  if (COMPACT_JWS.test(credential)) return verifyJwt(credential, issuers, jwks, now);
  return { kind: "unauthenticated", cause: "credential: neither an API key nor a compact JWS" };
}
