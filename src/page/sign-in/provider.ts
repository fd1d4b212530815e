import {
  allowInsecureRequests,
  ClientSecretBasic,
  ClientSecretPost,
  customFetch,
  discoveryRequest,
  processDiscoveryResponse,
  type AuthorizationServer,
  type ClientAuth,
} from "oauth4webapi";
import type { Environment } from "../../identity/api-key.ts";
import { isFetchable } from "../../identity/issuers.ts";
import { createBoundedCache } from "../../platform/bounded-cache.ts";
import { describeError } from "../../platform/describe-error.ts";
import { err, ok, type Result } from "../../platform/result.ts";
import type { EpochMs } from "../../vocabulary.ts";
import type { OidcSettings } from "./settings.ts";

/** Metadata of large providers is 5 KiB, an answer with tokens under 20. */
const ANSWER_MAX_BYTES = 64 * 1024;
/** Covers connection and body of one call. */
const CALL_TIMEOUT_MS = 5_000;
/** How long an isolate believes a provider's metadata: whoever presses "sign in" over and over asks it no more often. */
const METADATA_MAX_AGE_MS = 5 * 60_000;
const PROVIDERS_MAX = 200;

/** A provider as its own metadata describes it, every address in it judged. */
export type Provider = {
  readonly server: AuthorizationServer;
  readonly authorizationEndpoint: string;
  readonly jwksUri: string;
};

type Known = { readonly provider: Provider; readonly readAt: EpochMs };
const providers = createBoundedCache<Known>(PROVIDERS_MAX);

/**
 * The metadata of a registered provider (OpenID Connect Discovery, section 4). Its issuer must be the registered one, and the
 * gate calls no address in it that it would not call for an issuer. The error says what is wrong with it.
 */
export async function discoverProvider(
  { issuer }: OidcSettings,
  environment: Environment,
  now: EpochMs,
): Promise<Result<Provider, string>> {
  const key = `${environment} ${issuer}`;
  const known = providers.get(key);
  if (known !== undefined && now >= known.readAt && now - known.readAt < METADATA_MAX_AGE_MS) return ok(known.provider);
  const provider = await askProvider(issuer, environment);
  if (provider.ok) providers.set(key, { provider: provider.value, readAt: now });
  return provider;
}

async function askProvider(issuer: string, environment: Environment): Promise<Result<Provider, string>> {
  try {
    const address = new URL(issuer);
    const answer = await discoveryRequest(address, { algorithm: "oidc", ...callOptions(environment) });
    const server = await processDiscoveryResponse(address, answer);
    const { authorization_endpoint: authorizationEndpoint, token_endpoint: tokenEndpoint, jwks_uri: jwksUri } = server;
    if (server.issuer !== issuer) return err("provider: its metadata names another issuer");
    if (authorizationEndpoint === undefined || !isWebAddress(authorizationEndpoint, environment))
      return err("provider: no usable authorization_endpoint");
    if (tokenEndpoint === undefined || !isFetchable(tokenEndpoint, environment))
      return err("provider: no usable token_endpoint");
    if (jwksUri === undefined || !isFetchable(jwksUri, environment)) return err("provider: no usable jwks_uri");
    return ok({ server, authorizationEndpoint, jwksUri });
  } catch (error) {
    return err(`provider: ${describeError(error)}`);
  }
}

/** The browser goes there, not the gate; it must still be where nobody reads along. */
const isWebAddress = (address: string, environment: Environment): boolean =>
  URL.parse(address)?.protocol === "https:" || isFetchable(address, environment);

/** How the client proves itself: by what the provider says it takes, Basic where it says nothing (RFC 6749, section 2.3.1). */
export function clientAuthentication({ server }: Provider, { client_secret: secret }: OidcSettings): ClientAuth {
  const { token_endpoint_auth_methods_supported: methods } = server;
  return methods === undefined || methods.includes("client_secret_basic")
    ? ClientSecretBasic(secret)
    : ClientSecretPost(secret);
}

/** Options of every call to a provider. The library follows no redirect; plain http is for loopback of a local gate. */
export const callOptions = (environment: Environment) => ({
  [customFetch]: boundedFetch,
  // Marked deprecated so that nobody uses it by accident; `isFetchable` has judged the address already.
  // oxlint-disable-next-line typescript/no-deprecated
  [allowInsecureRequests]: environment === "local",
  signal: () => AbortSignal.timeout(CALL_TIMEOUT_MS),
});

/** `fetch` with an answer of bounded size, read to its end within the call's time. */
async function boundedFetch(url: string, init: object): Promise<Response> {
  const response = await fetch(url, init);
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.byteLength;
    if (size > ANSWER_MAX_BYTES) throw new Error(`the answer is longer than ${ANSWER_MAX_BYTES} bytes`);
    chunks.push(chunk);
  }
  const body = new Uint8Array(size);
  let offset = 0;
  for (const chunk of chunks) {
    body.set(chunk, offset);
    offset += chunk.byteLength;
  }
  const { status, headers } = response;
  return new Response(size === 0 ? null : body, { status, headers });
}
