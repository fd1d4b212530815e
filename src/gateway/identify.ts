import { API_KEY_ID_PREFIX } from "../identity/api-key-claims.ts";
import { authenticate } from "../identity/authenticate.ts";
import { extractCredential } from "../identity/carriers.ts";
import type { Principal } from "../identity/principal.ts";
import { err, ok, type Result } from "../platform/result.ts";
import type { Refusal } from "../refusal.ts";
import type { Gate } from "./gate.ts";

/** Who asks, from the credential alone. A store that cannot be asked is 503, never a pass. */
export async function identify(
  header: (name: string) => string | null,
  gate: Gate,
  now: number,
): Promise<Result<Principal, Refusal>> {
  const credential = extractCredential(header);
  if (!credential.ok) return credential;
  if (credential.value === null) return err({ kind: "unauthenticated", cause: "no credential was sent" });
  const outcome = await authenticate(credential.value, {
    environment: gate.config.environment,
    credentialKey: gate.keys.credential,
    cache: gate.credentials,
    issuers: gate.issuers,
    jwks: gate.jwks,
    now,
  });
  if (outcome.kind === "verified") return ok(outcome.principal);
  return err(outcome.kind === "unauthenticated" ? { kind: "unauthenticated", cause: outcome.cause } : { ...outcome });
}

/** What the ledger confirms a credential by: API keys must stand on its list, tokens must not be on its revoked list. */
export const confirmable = ({
  credentialId,
  subject,
}: Principal): { readonly credentialId: string; readonly subject: string; readonly listed: boolean } => ({
  credentialId,
  subject,
  listed: credentialId.startsWith(API_KEY_ID_PREFIX),
});
