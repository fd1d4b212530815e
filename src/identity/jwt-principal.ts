import { isJsonObject, type JsonObject } from "../platform/json.ts";
import type { Result } from "../platform/result.ts";
import { err, ok } from "../platform/result.ts";
import { TIERS, type EpochMs, type Tier } from "../vocabulary.ts";
import type { IssuerRegistration } from "./issuers.ts";
import type { Principal } from "./principal.ts";
import { narrowed } from "./scopes.ts";
import { isSubjectOf } from "./subject-class.ts";

/** UUIDs, ULIDs, base64 and URNs; part of what revocation and the audit record name. */
const JTI = /^[A-Za-z0-9._~:|/+=@-]{1,128}$/;
const CLIENT_ID = /^[\x21-\x7E]{1,256}$/;

/**
 * The principal of a token whose signature, issuer, audience and dates have been verified. `requested` is the token's
 * scope claim: it narrows what the registration allows and widens nothing; without the claim (null) the registration
 * stands as it is. No token gives a role: those come from the gate's own keys alone.
 */
export function principalOfToken(
  claims: JsonObject,
  issuer: IssuerRegistration,
  requested: readonly string[] | null,
  expiresAt: EpochMs,
): Result<Principal, string> {
  const { sub, jti, client_id: clientId } = claims;
  // A bound token (RFC 9449, RFC 8705) is worthless to whoever cannot prove possession, and the gate cannot ask for the proof.
  if (claims["cnf"] !== undefined) return err("token: bound to a key whose possession is not proven");
  if (typeof jti !== "string" || !JTI.test(jti)) return err("token: jti is not an id");
  if (typeof clientId !== "string" || !CLIENT_ID.test(clientId)) return err("token: client_id is not an id");
  const subject = `${issuer.subject_prefix}${typeof sub === "string" ? sub : ""}`;
  if (typeof sub !== "string" || sub === "" || !isSubjectOf(issuer.class, subject)) {
    return err(`token: sub does not make a subject of class ${issuer.class}`);
  }
  const owner = ownerOf(claims, issuer, subject);
  if (owner === null) return err("token: names no person as its owner");
  const delegation = delegationOf(claims, issuer);
  if (delegation === null) return err("token: act is not a chain of subjects");
  return ok({
    tenant: issuer.tenant,
    subject,
    class: issuer.class,
    owner,
    issuer: `issuer:${issuer.id}`,
    delegation,
    credentialId: `jwt:${issuer.id}:${jti}`,
    scopes: {
      actions: requested === null ? issuer.actions : narrowed(issuer.actions, requested),
      maxTier: tierOf(issuer),
    },
    roles: [],
    expiresAt,
    authenticatedAt: authTimeOf(claims),
    demo: false,
  });
}

/** Longer chains than this are nobody's; a bound, so that no token makes the gate dig. */
const DELEGATION_MAX = 8;

/**
 * Everybody in the chain of `act` claims (RFC 8693, section 4.1), each in every way in which a people document may know them:
 * as the token writes it, with the issuer's prefix, and as `issuer|sub`. Null for a chain that has another form.
 */
function delegationOf(claims: JsonObject, issuer: IssuerRegistration): readonly string[] | null {
  const chain: string[] = [];
  let link = claims["act"];
  for (let depth = 0; link !== undefined; depth++) {
    if (depth === DELEGATION_MAX || !isJsonObject(link)) return null;
    const { sub, iss = issuer.issuer } = link;
    if (typeof sub !== "string" || sub === "" || sub.length > 256 || typeof iss !== "string") return null;
    chain.push(sub, `${issuer.subject_prefix}${sub}`, `${iss}|${sub}`);
    link = link["act"];
  }
  return [...new Set(chain)];
}

/** RFC 9068, section 2.2.1: when the person signed in, in whole seconds. One in another form says nothing. */
function authTimeOf({ auth_time: authTime }: JsonObject): EpochMs | null {
  return typeof authTime === "number" && Number.isSafeInteger(authTime) && authTime > 0 ? authTime * 1_000 : null;
}

function ownerOf(claims: JsonObject, { owner }: IssuerRegistration, subject: string): string | null {
  if (owner === null) return subject;
  const named = "subject" in owner ? owner.subject : claims[owner.claim];
  return typeof named === "string" && isSubjectOf("person", named) ? named : null;
}

const tierOf = (issuer: IssuerRegistration): Tier => TIERS.find((tier) => tier === issuer.max_tier) ?? 0;
