import type { EpochMs, Tier } from "../vocabulary.ts";

/** What a credential stands for. Agents and services act on the data plane; people only on the gate's own routes. */
export type PrincipalClass = "agent" | "service" | "person";

/** Roles of people on the gate's own routes. A credential of class `agent` cannot hold one. */
export const ROLES = ["operator", "finance", "security", "billing"] as const;
export type Role = (typeof ROLES)[number];

/** Who asks, as verified from the credential alone. Nothing in it comes from the rest of the request. */
export type Principal = {
  readonly tenant: string;
  /** Immutable id, never a display name. */
  readonly subject: string;
  readonly class: PrincipalClass;
  /** Subject of the person accountable for the credential; equals `subject` for people. Excluded from approving. */
  readonly owner: string;
  /** Who created the credential (a subject) or which registered issuer signed it. Excluded from approving when a subject. */
  readonly issuer: string;
  /** Subjects on whose behalf or through whom it acts (`act` of RFC 8693), as the token names them. Excluded from approving. */
  readonly delegation: readonly string[];
  /** Key id, or `jwt:<issuer id>:<jti>`: what revocation and the audit record name. */
  readonly credentialId: string;
  readonly scopes: Scopes;
  readonly roles: readonly Role[];
  readonly expiresAt: EpochMs;
  /** When the person last signed in (`auth_time` of an OpenID provider); null where the credential does not say. */
  readonly authenticatedAt: EpochMs | null;
  /** Seeded by `npm start` and nothing else: flagged in every record. */
  readonly demo: boolean;
};

/** Action patterns (`workloads.*`, `*`, `gpus.status`) plus the highest tier they reach. */
export type Scopes = { readonly actions: readonly string[]; readonly maxTier: Tier };

/**
 * What checking a credential can end in. `cause` is for the audit record only: the wire shows one body for every
 * `unauthenticated`. `unavailable`: what the check depends on could not be asked, so nothing is known about the credential.
 */
export type AuthOutcome =
  | { readonly kind: "verified"; readonly principal: Principal }
  | { readonly kind: "unauthenticated"; readonly cause: string }
  | { readonly kind: "unavailable"; readonly dependency: string; readonly cause: string };
