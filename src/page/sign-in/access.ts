import type { Gate } from "../../gateway/gate.ts";
import { verifyAssertion } from "../../identity/assertion.ts";
import { readCompactJws } from "../../identity/compact-jws.ts";
import { digestOf } from "../../platform/digest.ts";
import type { JsonObject } from "../../platform/json.ts";
import { err, ok, type Result } from "../../platform/result.ts";
import type { Refusal } from "../../refusal.ts";
import type { EpochMs } from "../../vocabulary.ts";
import type { Visitor } from "../session.ts";
import { readSignInSettings, subjectOf, tenantsOfApplication } from "./settings.ts";

/** The header by which Cloudflare Access says who a request's person is. Believed for its signature, never for being there. */
export const ASSERTION_HEADER = "cf-access-jwt-assertion";

/** What Access gives sessions unless told otherwise. One that lasts longer is refused: its person signs in once a day at least. */
const MAX_LIFETIME_S = 86_400;

/** Access signs with RSA keys and SHA-256 (Cloudflare One, "Application token"). */
const ALGORITHMS = ["RS256"] as const;

/**
 * Who an Access assertion stands for, on this request; null where its application is none that a tenant registered. Issuer and audience in it choose the tenant, and are then verified with
 * the signature under that team's keys. Its `iat` is when Access made it, not when the person signed in, so it is no fresh
 * sign-in however young it is.
 */
export async function readAccessAssertion(
  gate: Gate,
  assertion: string,
  now: EpochMs,
): Promise<Result<Visitor | null, Refusal>> {
  const jws = readCompactJws(assertion);
  if (!jws.ok) return unauthenticated(jws.error);
  const { iss, aud } = jws.value.payload;
  const audience = Array.isArray(aud) && aud.length === 1 ? aud[0] : aud;
  if (typeof iss !== "string" || typeof audience !== "string") return unauthenticated("assertion: no iss or no aud");
  const tenants = await tenantsOfApplication(gate, iss, audience);
  if (!tenants.ok) return unavailable("d1", tenants.error);
  const [tenant, another] = tenants.value;
  if (tenant === undefined || another !== undefined) return ok(null);
  const settings = await readSignInSettings(gate, tenant);
  if (!settings.ok) return unavailable("d1", settings.error);
  const access = settings.value?.access ?? null;
  // The row's address is signed with its settings; this only says so where it is used.
  if (access?.team_domain !== iss || access.audience !== audience) return ok(null);
  const verified = await verifyAssertion(
    assertion,
    {
      issuer: access.team_domain,
      audience: access.audience,
      keys: {
        issuer: `access ${tenant}`,
        jwks_uri: `${access.team_domain}/cdn-cgi/access/certs`,
        algorithms: [...ALGORITHMS],
      },
      maxLifetimeS: MAX_LIFETIME_S,
      maxAgeS: MAX_LIFETIME_S,
    },
    gate.jwks,
    now,
  );
  if (verified.kind === "unavailable") return unavailable("jwks", verified.cause);
  if (verified.kind === "unauthenticated") return unauthenticated(verified.cause);
  return visitorOf(verified.claims, tenant, access.subject_prefix, assertion);
}

function visitorOf(claims: JsonObject, tenant: string, prefix: string, assertion: string): Result<Visitor, Refusal> {
  // `org` is the team's session, and a service token has a common name and no subject: neither is a person at this page.
  if (claims["type"] !== "app" || claims["common_name"] !== undefined)
    return unauthenticated("assertion: not a person's for an application");
  const subject = subjectOf(prefix, claims["sub"]);
  const { exp } = claims;
  if (subject === null || typeof exp !== "number")
    return unauthenticated("assertion: sub makes no subject of a person");
  return ok({
    tenant,
    subject,
    // Stable while the assertion is, so that forms stay good until it is renewed.
    sessionId: `access-${digestOf("portcullis/access-assertion/v1", assertion).slice(-32)}`,
    via: "access",
    authenticatedAt: null,
    demo: false,
    expiresAt: exp * 1_000,
  });
}

const unauthenticated = (cause: string): Result<never, Refusal> => err({ kind: "unauthenticated", cause });
const unavailable = (dependency: string, cause: string): Result<never, Refusal> =>
  err({ kind: "unavailable", dependency, cause });
