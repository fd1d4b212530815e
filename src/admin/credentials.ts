import { z } from "zod";
import { KEY_RANDOM_BYTES, mintApiKey, type ApiKeyRecord } from "../identity/api-key.ts";
import { ROLES, type Role } from "../identity/principal.ts";
import type { CredentialRow } from "../ledger/ledger-port.ts";
import { newId } from "../platform/ids.ts";
import type { JsonObject } from "../platform/json.ts";
import { nameText, readBody } from "./body.ts";
import { json, malformed, refuse, type AdminAnswer, type AdminCall, type AdminRoute } from "./call.ts";

const DAY_MS = 86_400_000;
/** As `newId` makes them. */
const KEY_ID = /^key_[0-9a-z]{26}$/;

const credentialBody = z.strictObject({
  subject: nameText(128),
  class: z.enum(["agent", "service", "person"]),
  owner: nameText(128).optional(),
  actions: z.array(z.string()).max(64).default([]),
  max_tier: z.union([z.literal(0), z.literal(1), z.literal(2), z.literal(3), z.literal(4)]).default(0),
  roles: z.array(z.enum(ROLES)).max(ROLES.length).default([]),
  expires_in_days: z.int().min(1).max(366).default(90),
  demo: z.boolean().default(false),
});

/** API keys of the tenant. The secret is shown once; what is kept cannot rebuild it. */
export const credentialRoutes: readonly AdminRoute[] = [
  { method: "GET", path: "/_gate/v1/credentials", roles: ["operator", "security"], handle: list },
  {
    method: "POST",
    path: "/_gate/v1/credentials",
    roles: ["operator", "finance", "security"],
    body: credentialBody,
    handle: create,
  },
  { method: "DELETE", path: "/_gate/v1/credentials/:id", roles: ["operator", "security"], handle: revoke },
];

async function list({ ledger }: AdminCall): Promise<AdminAnswer> {
  const rows = await ledger.credentials();
  return json({ records: rows.map(view), next_cursor: null });
}

async function create(call: AdminCall): Promise<AdminAnswer> {
  const body = readBody(call.strict, credentialBody);
  if (!body.ok) return refuse(body.error);
  const wanted = body.value;
  const forbidden = roleProblem(call, wanted.roles);
  if (forbidden !== null) return refuse({ kind: "not-eligible", reason: forbidden });
  // A demonstration key may decide in the name of the person it names: only a demonstration hands them out.
  if (wanted.demo && !call.principal.demo)
    return refuse({
      kind: "not-eligible",
      reason: "Only a demonstration credential creates demonstration credentials.",
    });
  const now = call.trail.receivedAt;
  const minted = mintApiKey(
    {
      keyId: newId("key"),
      tenant: call.principal.tenant,
      subject: wanted.subject,
      class: wanted.class,
      owner: wanted.owner ?? wanted.subject,
      issuer: call.principal.subject,
      scopes: { actions: wanted.actions, maxTier: wanted.max_tier },
      roles: wanted.roles,
      issuedAt: now,
      expiresAt: now + wanted.expires_in_days * DAY_MS,
      demo: wanted.demo,
    },
    crypto.getRandomValues(new Uint8Array(KEY_RANDOM_BYTES)),
    call.gate.keys.credential,
    call.gate.config.environment,
  );
  if (!minted.ok) return malformed(`body: ${minted.error}`);
  const { key, record } = minted.value;
  // A crash before this leaves a key that nobody has seen and that no write would accept: it is not on the list.
  await call.ledger.addCredential(call.actor, call.trail.requestId, {
    credentialId: record.keyId,
    subject: record.subject,
    record: JSON.stringify(record),
    expiresAt: record.expiresAt,
  });
  return json({ key_id: record.keyId, key, expires_at: new Date(record.expiresAt).toISOString() }, 201);
}

async function revoke(call: AdminCall): Promise<AdminAnswer> {
  // What is no key's id is nothing to write down.
  if (!KEY_ID.test(call.param("id"))) return refuse({ kind: "not-found" });
  const revoked = await call.ledger.revokeCredential(call.actor, call.trail.requestId, call.param("id"));
  call.gate.tenants.forget(call.principal.tenant);
  return revoked ? json({ revoked: true, key_id: call.param("id") }) : refuse({ kind: "not-found" });
}

/** Which roles a holder of each role may hand out. Nobody hands out a role that they do not hold. */
const MAY_GRANT: Readonly<Record<Role, readonly Role[]>> = {
  operator: ["operator"],
  security: ["security"],
  finance: ["finance", "billing"],
  billing: [],
};

/**
 * Why this caller may not mint a credential with these roles, null where it may. An operator could otherwise mint itself a
 * finance colleague. Credentials without a role (agents, approvers) are the operator's to mint.
 */
function roleProblem(call: AdminCall, roles: readonly Role[]): string | null {
  if (roles.length === 0)
    return call.principal.roles.includes("operator") ? null : "Only an operator mints credentials without a role.";
  const grantable = new Set(call.principal.roles.flatMap((role) => MAY_GRANT[role]));
  const foreign = roles.filter((role) => !grantable.has(role));
  return foreign.length === 0 ? null : `Only a holder of ${foreign.join(", ")} hands that role out.`;
}

function view(row: CredentialRow): JsonObject {
  const record: Partial<ApiKeyRecord> = JSON.parse(row.record);
  const { scopes, roles = [] } = record;
  return {
    key_id: row.credentialId,
    subject: row.subject,
    class: record.class ?? null,
    owner: record.owner ?? null,
    issuer: record.issuer ?? null,
    scopes: scopes === undefined ? null : { actions: [...scopes.actions], max_tier: scopes.maxTier },
    roles: [...roles],
    last4: record.last4 ?? null,
    demo: record.demo ?? false,
    created_at: new Date(row.createdAt).toISOString(),
    expires_at: new Date(row.expiresAt).toISOString(),
    revoked_at: row.revokedAt === null ? null : new Date(row.revokedAt).toISOString(),
  };
}
