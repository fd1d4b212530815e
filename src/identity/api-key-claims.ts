import type { Result } from "../platform/result.ts";
import { err, ok } from "../platform/result.ts";
import { SUBJECT, TENANT_ID, TIERS, type EpochMs } from "../vocabulary.ts";
import { ROLES, type PrincipalClass, type Role, type Scopes } from "./principal.ts";
import { MAX_SCOPES, parseScope } from "./scopes.ts";
import { isSubjectOf } from "./subject-class.ts";

/** What an API key says about its bearer: the whole of it, so that no look-up is needed. */
export type ApiKeyClaims = {
  /** `key_` and 26 characters (`newId`): what revocation names. */
  readonly keyId: string;
  readonly tenant: string;
  readonly subject: string;
  readonly class: PrincipalClass;
  readonly owner: string;
  /** Subject of the operator who had it minted. */
  readonly issuer: string;
  readonly scopes: Scopes;
  readonly roles: readonly Role[];
  readonly issuedAt: EpochMs;
  readonly expiresAt: EpochMs;
  readonly demo: boolean;
};

/** First element of the encoding; another layout gets another number. */
const LAYOUT = 1;
/** API keys are on the ledger's list by their id; the ids of tokens start otherwise. */
export const API_KEY_ID_PREFIX = "key_";
const KEY_ID = /^key_[0-9a-hjkmnp-tv-z]{26}$/;
const CLASSES: readonly PrincipalClass[] = ["agent", "service", "person"];
/** A leap year: nobody has to renew on a day that the year does not have. */
export const MAX_KEY_LIFETIME_MS = 366 * 86_400_000;
/** Tier 5 is prohibited for everybody, so no credential reaches it. */
const HIGHEST_SCOPE_TIER = 4;

/** The rules that every key obeys, at minting and again at each verification. Returns the broken one, null for none. */
export function brokenRule(claims: ApiKeyClaims): string | null {
  if (!KEY_ID.test(claims.keyId)) return "the key id is not one";
  if (!TENANT_ID.test(claims.tenant)) return "the tenant id is not one";
  if (!SUBJECT.test(claims.issuer)) return "the issuer is not a subject";
  return brokenClassRule(claims) ?? brokenScopeRule(claims.scopes) ?? brokenLifetime(claims);
}

function brokenClassRule(claims: ApiKeyClaims): string | null {
  if (!isSubjectOf(claims.class, claims.subject)) return `the subject is not one of class ${claims.class}`;
  if (!isSubjectOf("person", claims.owner)) return "the owner is not a person's subject";
  if (new Set(claims.roles).size !== claims.roles.length) return "a role is repeated";
  if (claims.roles.includes("billing") && (claims.roles.length > 1 || claims.scopes.actions.length > 0)) {
    return "a billing credential holds nothing else";
  }
  if (claims.class === "person") {
    if (claims.owner !== claims.subject) return "a person's credential is the person's own";
    return claims.scopes.actions.length > 0 ? "a person's credential has no data-plane scope" : null;
  }
  const allowed: readonly Role[] = claims.class === "service" ? ["billing"] : [];
  return claims.roles.every((role) => allowed.includes(role)) ? null : `class ${claims.class} cannot hold that role`;
}

function brokenScopeRule(scopes: Scopes): string | null {
  if (scopes.maxTier > HIGHEST_SCOPE_TIER) return `no scope reaches above tier ${HIGHEST_SCOPE_TIER}`;
  if (scopes.actions.length > MAX_SCOPES) return `more than ${MAX_SCOPES} scopes`;
  if (new Set(scopes.actions).size !== scopes.actions.length) return "a scope is repeated";
  for (const action of scopes.actions) {
    const scope = parseScope(action);
    if (!scope.ok) return scope.error;
  }
  return null;
}

function brokenLifetime({ issuedAt, expiresAt }: ApiKeyClaims): string | null {
  if (!Number.isSafeInteger(issuedAt) || !Number.isSafeInteger(expiresAt) || issuedAt < 0) return "a date is not one";
  if (expiresAt <= issuedAt) return "the key expires before it is issued";
  return expiresAt - issuedAt > MAX_KEY_LIFETIME_MS ? "the key lives longer than 366 days" : null;
}

/** Compact text of the claims: a JSON array in fixed order. Each value of the type has exactly one text. */
export const encodeClaims = (claims: ApiKeyClaims): string =>
  JSON.stringify([
    LAYOUT,
    claims.keyId,
    claims.tenant,
    claims.subject,
    claims.class,
    claims.owner,
    claims.issuer,
    claims.scopes.actions,
    claims.scopes.maxTier,
    claims.roles,
    claims.issuedAt,
    claims.expiresAt,
    claims.demo,
  ]);

/** Reads what `encodeClaims` wrote; any other text, even of the same value, is refused. */
export function decodeClaims(text: string): Result<ApiKeyClaims, string> {
  const fields = parsedArray(text);
  const [layout, keyId, tenant, subject, classText, owner, issuer, actions, maxTier, roleTexts, ...rest] = fields;
  const [issuedAt, expiresAt, demo] = rest;
  const principalClass = CLASSES.find((known) => known === classText);
  const roles = rolesOf(roleTexts);
  const tier = TIERS.find((known) => known === maxTier);
  if (layout !== LAYOUT || rest.length !== 3 || principalClass === undefined || roles === null) return err(UNREADABLE);
  if (typeof keyId !== "string" || typeof tenant !== "string" || typeof subject !== "string") return err(UNREADABLE);
  if (typeof owner !== "string" || typeof issuer !== "string" || typeof demo !== "boolean") return err(UNREADABLE);
  if (!isTextList(actions) || tier === undefined) return err(UNREADABLE);
  if (typeof issuedAt !== "number" || typeof expiresAt !== "number") return err(UNREADABLE);
  const scopes: Scopes = { actions, maxTier: tier };
  const claims = {
    keyId,
    tenant,
    subject,
    class: principalClass,
    owner,
    issuer,
    scopes,
    roles,
    issuedAt,
    expiresAt,
    demo,
  };
  return encodeClaims(claims) === text ? ok(claims) : err(UNREADABLE);
}

const UNREADABLE = "the key's claims are not in their canonical form";

function parsedArray(text: string): readonly unknown[] {
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) ? value : [];
  } catch {
    return [];
  }
}

const isTextList = (value: unknown): value is readonly string[] =>
  Array.isArray(value) && value.every((item) => typeof item === "string");

function rolesOf(value: unknown): readonly Role[] | null {
  if (!isTextList(value)) return null;
  const roles = value.flatMap((text) => ROLES.filter((role) => role === text));
  return roles.length === value.length ? roles : null;
}
