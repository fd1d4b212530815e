import {
  authorizationCodeGrantRequest,
  calculatePKCECodeChallenge,
  generateRandomCodeVerifier,
  generateRandomNonce,
  generateRandomState,
  OperationProcessingError,
  AuthorizationResponseError,
  processAuthorizationCodeResponse,
  ResponseBodyError,
  validateAuthResponse,
  WWWAuthenticateChallengeError,
  type Client,
} from "oauth4webapi";
import type { Gate } from "../../gateway/gate.ts";
import { verifyAssertion } from "../../identity/assertion.ts";
import { CLOCK_TOLERANCE_S } from "../../identity/numeric-dates.ts";
import { describeError } from "../../platform/describe-error.ts";
import type { JsonObject } from "../../platform/json.ts";
import { err, ok, type Result } from "../../platform/result.ts";
import type { Refusal } from "../../refusal.ts";
import type { EpochMs } from "../../vocabulary.ts";
import { callOptions, clientAuthentication, discoverProvider, type Provider } from "./provider.ts";
import { subjectOf, type OidcSettings } from "./settings.ts";
import type { Transaction } from "./transaction.ts";

/** Where providers send the browser back to; registered with each of them. */
export const CALLBACK_PATH = "/_gate/sign-in/callback";

/** An ID token is read the moment it is made; one that is older was kept somewhere. */
const ID_TOKEN_MAX_AGE_S = 300;
/** Some providers give ID tokens ten hours, as if they were sessions. Nothing here lasts because of it. */
const ID_TOKEN_MAX_LIFETIME_S = 86_400;

export type Started = { readonly transaction: Transaction; readonly location: string };

/**
 * Begins a sign-in: authorization code flow with PKCE, state and nonce (OpenID Connect Core, section 3.1; RFC 7636). `again`
 * asks the provider to have the person sign in anew, whatever it remembers (`max_age=0`, `prompt=login`).
 */
export async function startOidc(
  gate: Gate,
  settings: OidcSettings,
  wanted: Pick<Transaction, "tenant" | "to" | "again" | "replaces">,
  redirectUri: string,
  now: EpochMs,
): Promise<Result<Started, Refusal>> {
  const provider = await discoverProvider(settings, gate.config.environment, now);
  if (!provider.ok) return err(unavailable(provider.error));
  const transaction: Transaction = {
    ...wanted,
    state: generateRandomState(),
    nonce: generateRandomNonce(),
    verifier: generateRandomCodeVerifier(),
    started_at: now,
  };
  const location = new URL(provider.value.authorizationEndpoint);
  const parameters = {
    response_type: "code",
    client_id: settings.client_id,
    redirect_uri: redirectUri,
    scope: "openid",
    state: transaction.state,
    nonce: transaction.nonce,
    code_challenge: await calculatePKCECodeChallenge(transaction.verifier),
    code_challenge_method: "S256",
    ...(wanted.again ? { max_age: "0", prompt: "login" } : {}),
  };
  for (const [name, value] of Object.entries(parameters)) location.searchParams.set(name, value);
  return ok({ transaction, location: location.href });
}

/** A person whom the provider vouches for. `authenticatedAt`: when they signed in there, null where it does not say. */
export type SignedIn = { readonly subject: string; readonly authenticatedAt: EpochMs | null };

/**
 * Ends a sign-in that `startOidc` began: state, code, PKCE, nonce, then the ID token itself, signature and all, against what
 * is registered. Refuses with one body for every cause; the cause is for the record.
 */
export async function finishOidc(
  gate: Gate,
  settings: OidcSettings,
  transaction: Transaction,
  answer: URLSearchParams,
  redirectUri: string,
  now: EpochMs,
): Promise<Result<SignedIn, Refusal>> {
  const { environment } = gate.config;
  const provider = await discoverProvider(settings, environment, now);
  if (!provider.ok) return err(unavailable(provider.error));
  const idToken = await exchange(provider.value, settings, transaction, answer, redirectUri, callOptions(environment));
  if (!idToken.ok) return idToken;
  const verified = await verifyAssertion(
    idToken.value,
    {
      issuer: settings.issuer,
      audience: settings.client_id,
      keys: { issuer: `oidc ${transaction.tenant}`, jwks_uri: provider.value.jwksUri, algorithms: settings.algorithms },
      maxLifetimeS: ID_TOKEN_MAX_LIFETIME_S,
      maxAgeS: ID_TOKEN_MAX_AGE_S,
    },
    gate.jwks,
    now,
  );
  if (verified.kind === "unavailable") return err(unavailable(verified.cause));
  if (verified.kind === "unauthenticated") return err(unauthenticated(verified.cause));
  return signedIn(verified.claims, settings, transaction);
}

/** The library's share: the provider's redirect, the code for tokens, and the claims that bind them to this transaction. */
async function exchange(
  provider: Provider,
  settings: OidcSettings,
  { state, nonce, verifier }: Transaction,
  answer: URLSearchParams,
  redirectUri: string,
  options: ReturnType<typeof callOptions>,
): Promise<Result<string, Refusal>> {
  const { server } = provider;
  const client: Client = { client_id: settings.client_id };
  try {
    const parameters = validateAuthResponse(server, client, answer, state);
    const authentication = clientAuthentication(provider, settings);
    const response = await authorizationCodeGrantRequest(
      server,
      client,
      authentication,
      parameters,
      redirectUri,
      verifier,
      options,
    );
    const tokens = await processAuthorizationCodeResponse(server, client, response, {
      expectedNonce: nonce,
      requireIdToken: true,
    });
    return tokens.id_token === undefined ? err(unauthenticated("provider: no ID token")) : ok(tokens.id_token);
  } catch (error) {
    return err(isRefusal(error) ? unauthenticated(causeOf(error)) : unavailable(describeError(error)));
  }
}

const REFUSALS = [
  AuthorizationResponseError,
  OperationProcessingError,
  ResponseBodyError,
  WWWAuthenticateChallengeError,
];
const isRefusal = (error: unknown): error is Error => REFUSALS.some((one) => error instanceof one);

/** What the library says, and the provider's own error code; its free text is somebody's and goes nowhere. */
const causeOf = (error: Error): string =>
  error instanceof AuthorizationResponseError || error instanceof ResponseBodyError
    ? `provider: ${error.error.length <= 64 ? error.error : "an error code of its own"}`
    : `provider: ${describeError(error)}`;

function signedIn(
  claims: JsonObject,
  settings: OidcSettings,
  { again, started_at: startedAt }: Transaction,
): Result<SignedIn, Refusal> {
  const { auth_time: authTime, azp } = claims;
  // OpenID Connect Core, section 3.1.3.7, step 5. The library asks for it only where there are several audiences.
  if (azp !== undefined && azp !== settings.client_id) return err(unauthenticated("token: azp is another client"));
  const subject = subjectOf(settings.subject_prefix, claims["sub"]);
  if (subject === null) return err(unauthenticated("token: sub makes no subject of a person"));
  const authenticatedAt =
    typeof authTime === "number" && Number.isSafeInteger(authTime) && authTime > 0 ? authTime * 1_000 : null;
  // Asked for a new sign-in, some providers answer with the old one: only the time they state tells.
  if (again && (authenticatedAt === null || authenticatedAt < startedAt - CLOCK_TOLERANCE_S * 1_000))
    return err({ kind: "not-eligible", reason: NOT_FRESH });
  return ok({ subject, authenticatedAt });
}

export const NOT_FRESH =
  "Your identity provider did not say that you signed in just now. Without that, tier 4 can only be approved in Slack.";

const unauthenticated = (cause: string): Refusal => ({ kind: "unauthenticated", cause });
const unavailable = (cause: string): Refusal => ({ kind: "unavailable", dependency: "identity-provider", cause });
