import type { z } from "zod";
import { authenticate } from "../identity/authenticate.ts";
import { extractCredential } from "../identity/carriers.ts";
import type { Principal, Role } from "../identity/principal.ts";
import type { Gate } from "../gateway/gate.ts";
import { READ_LIMITS, readRequest } from "../gateway/read-request.ts";
import { problemResponse } from "../gateway/respond.ts";
import type { TenantContext } from "../gateway/tenant-context.ts";
import { openTrail, refusalEntry, type Trail } from "../gateway/trail.ts";
import { NO_TENANT } from "../audit/recorder.ts";
import type { Actor, LedgerPort } from "../ledger/ledger-port.ts";
import { ledgerOf } from "../ledger/ledger-port.ts";
import type { JsonObject } from "../platform/json.ts";
import type { Refusal } from "../refusal.ts";
import type { StrictRequest } from "../strict-request.ts";

type WaitUntil = (work: Promise<unknown>) => void;

/** One call to the gate's own API, read strictly and authenticated. The tenant is the credential's. */
export type AdminCall = {
  readonly gate: Gate;
  readonly trail: Trail;
  readonly strict: StrictRequest;
  readonly principal: Principal;
  readonly context: TenantContext;
  readonly ledger: LedgerPort;
  readonly actor: Actor;
  readonly waitUntil: WaitUntil;
  /** A path parameter; the reader has limited its grammar. */
  readonly param: (name: string) => string;
};

export type AdminAnswer =
  | { readonly kind: "json"; readonly status: 200 | 201; readonly body: JsonObject }
  | { readonly kind: "refused"; readonly refusal: Refusal };

export const json = (body: JsonObject, status: 200 | 201 = 200): AdminAnswer => ({ kind: "json", status, body });
export const refuse = (refusal: Refusal): AdminAnswer => ({ kind: "refused", refusal });
export const malformed = (reason: string): AdminAnswer => refuse({ kind: "malformed-request", reason });

/**
 * One route of the gate's own API. `roles`: any of them suffices; `null` means every credential of the tenant, the handler
 * deciding by subject. A route with roles is closed to agents and services whatever their key says.
 */
export type AdminRoute = {
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  readonly path: string;
  readonly roles: readonly Role[] | null;
  /** Largest body where it is not the data plane's 64 KiB. */
  readonly bodyBytes?: number;
  /** The schema that the handler reads the body with; absent: it reads none. The OpenAPI document states it. */
  readonly body?: z.ZodType;
  readonly handle: (call: AdminCall) => Promise<AdminAnswer>;
};

/** Runs one route: strict reading, authentication, role, handler. Refusals are recorded like any other. */
export async function answerAdmin(
  route: AdminRoute,
  request: Request,
  gate: Gate,
  param: (name: string) => string,
  waitUntil: WaitUntil,
): Promise<Response> {
  const trail = openTrail(request, Date.now());
  const answer = await run(route, request, gate, trail, param, waitUntil);
  const now = Date.now();
  if (answer.kind === "json") {
    return Response.json(answer.body, {
      status: answer.status,
      headers: { "gate-request-id": trail.requestId, "cache-control": "no-store" },
    });
  }
  gate.recorder.refusal(
    trail.principal?.tenant ?? NO_TENANT,
    `${trail.requestId}/request`,
    refusalEntry(trail, gate.redactor, answer.refusal, now),
    waitUntil,
  );
  return problemResponse(trail, answer.refusal, "problem", now);
}

async function run(
  route: AdminRoute,
  request: Request,
  gate: Gate,
  trail: Trail,
  param: (name: string) => string,
  waitUntil: WaitUntil,
): Promise<AdminAnswer> {
  const limits = { ...READ_LIMITS, ...(route.bodyBytes === undefined ? {} : { bodyBytes: route.bodyBytes }) };
  const strict = await readRequest(request, limits);
  if (!strict.ok) return refuse(strict.error);
  const credential = extractCredential(strict.value.header);
  if (!credential.ok) return refuse(credential.error);
  if (credential.value === null) return refuse({ kind: "unauthenticated", cause: "no credential was sent" });
  const { config, keys, credentials: cache, issuers, jwks } = gate;
  const outcome = await authenticate(credential.value, {
    environment: config.environment,
    credentialKey: keys.credential,
    cache,
    issuers,
    jwks,
    now: trail.receivedAt,
  });
  if (outcome.kind !== "verified") {
    return refuse(
      outcome.kind === "unauthenticated" ? { kind: "unauthenticated", cause: outcome.cause } : { ...outcome },
    );
  }
  const { principal } = outcome;
  // The gate's own API is no hot path: it judges by the ledger as it is now, not by a cached snapshot.
  gate.tenants.forget(principal.tenant);
  const context = await gate.tenants.get(principal.tenant, trail.receivedAt, waitUntil);
  if (!context.ok) return refuse(context.error);
  if (context.value.revoked.has(principal.credentialId))
    return refuse({ kind: "unauthenticated", cause: "credential is revoked" });
  trail.principal = principal;
  if (
    route.roles !== null &&
    (principal.class !== "person" || !route.roles.some((role) => principal.roles.includes(role)))
  ) {
    return refuse({ kind: "out-of-scope", required_scope: `role ${route.roles.join(" or ")}` });
  }
  const { subject, class: principalClass, credentialId, demo, roles } = principal;
  return route.handle({
    gate,
    trail,
    strict: strict.value,
    principal,
    context: context.value,
    ledger: ledgerOf(gate.env.LEDGER, principal.tenant),
    actor: { subject, class: principalClass, credentialId, demo, roles },
    waitUntil,
    param,
  });
}
