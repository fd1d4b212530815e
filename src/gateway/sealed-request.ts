import { z } from "zod";
import type { UpstreamCall } from "../catalogue/types.ts";
import type { Principal } from "../identity/principal.ts";
import { ROLES } from "../identity/principal.ts";
import { open, seal } from "../identity/sealed.ts";
import type { SecretKey } from "../identity/secret-key.ts";
import { err, ok, type Result } from "../platform/result.ts";
import { parseStrictJson } from "../platform/strict-json.ts";
import { METHODS, type StrictRequest } from "../strict-request.ts";
import { NO_GATE_HEADERS } from "./gate-headers.ts";

/**
 * A request that the ledger keeps: for a look-up of its outcome, or (with its requester) for the gate to run once approved.
 * Bodies may hold what nobody should read in a database, so the ledger only ever sees them sealed.
 */
const keptCall = z.strictObject({
  method: z.enum(METHODS),
  path: z.string(),
  query: z.array(z.tuple([z.string(), z.string()])),
  headers: z.record(z.string(), z.string()),
  contentType: z.string().nullable(),
  body: z.string().nullable(),
});

const keptPrincipal = z.strictObject({
  tenant: z.string(),
  subject: z.string(),
  class: z.enum(["agent", "service", "person"]),
  owner: z.string(),
  issuer: z.string(),
  delegation: z.array(z.string()),
  credentialId: z.string(),
  scopes: z.strictObject({ actions: z.array(z.string()), maxTier: z.literal([0, 1, 2, 3, 4, 5]) }),
  roles: z.array(z.enum(ROLES)),
  expiresAt: z.int(),
  authenticatedAt: z.int().nullable(),
  demo: z.boolean(),
});

/** What a kept request is sealed for: it opens for no other tenant and no other use. */
const contextOf = (tenant: string, use: "look-up" | "execution"): string => `request/${use}/${tenant}`;

/** Seals a dispatched request for its look-up. */
export const sealCall = (call: UpstreamCall, tenant: string, key: SecretKey): Promise<string> =>
  seal(asJson(call), key, contextOf(tenant, "look-up"));

/** Seals a proposed request, with who asked for it, for the gate to run. */
export const sealProposed = (call: UpstreamCall, principal: Principal, key: SecretKey): Promise<string> =>
  seal(
    {
      call: asJson(call),
      principal: {
        ...principal,
        scopes: { actions: [...principal.scopes.actions], maxTier: principal.scopes.maxTier },
        roles: [...principal.roles],
        delegation: [...principal.delegation],
      },
    },
    key,
    contextOf(principal.tenant, "execution"),
  );

export async function openCall(sealed: string, tenant: string, key: SecretKey): Promise<Result<UpstreamCall, string>> {
  const opened = await open(sealed, key, contextOf(tenant, "look-up"));
  if (!opened.ok) return opened;
  const call = keptCall.safeParse(opened.value);
  return call.success ? ok(call.data) : err("a kept request has another form");
}

export async function openProposed(
  sealed: string,
  tenant: string,
  key: SecretKey,
): Promise<Result<{ readonly call: UpstreamCall; readonly principal: Principal }, string>> {
  const opened = await open(sealed, key, contextOf(tenant, "execution"));
  if (!opened.ok) return opened;
  const kept = z.strictObject({ call: keptCall, principal: keptPrincipal }).safeParse(opened.value);
  if (!kept.success || kept.data.principal.tenant !== tenant) return err("a kept request has another form");
  return ok(kept.data);
}

const asJson = (call: UpstreamCall) => ({
  ...call,
  query: call.query.map(([name, value]) => [name, value]),
  headers: { ...call.headers },
});

/** The request that was judged, read back from what was sent: the catalogue finds its operation again. */
export function requestOf(call: UpstreamCall): StrictRequest {
  const body = call.body === null ? undefined : parseStrictJson(call.body);
  return {
    method: call.method,
    path: call.path,
    segments: call.path.split("/").slice(1),
    query: new Map(call.query),
    contentType: call.contentType,
    body: body?.ok === true ? body.value : undefined,
    bodyBytes: call.body?.length ?? 0,
    gate: NO_GATE_HEADERS,
    header: (name) => call.headers[name] ?? null,
  };
}
