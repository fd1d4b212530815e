import type { z } from "zod";
import type { Principal, Role } from "../identity/principal.ts";
import type { Gate } from "../gateway/gate.ts";
import { confirmable, identify } from "../gateway/identify.ts";
import { quotaRefusal } from "../gateway/quota-refusal.ts";
import type { BodyForms } from "../gateway/read-body.ts";
import { READ_LIMITS, readRequest } from "../gateway/read-request.ts";
import { problemResponse } from "../gateway/respond.ts";
import type { TenantContext } from "../gateway/tenant-context.ts";
import { entryOf, openTrail, refusalEntry, type Trail } from "../gateway/trail.ts";
import { NO_TENANT } from "../audit/recorder.ts";
import type { Actor, LedgerPort } from "../ledger/ledger-port.ts";
import { ledgerOf } from "../ledger/ledger-port.ts";
import type { JsonObject } from "../platform/json.ts";
import { quotaRule } from "../quota/quota-rule.ts";
import type { Refusal } from "../refusal.ts";
import type { StrictRequest } from "../strict-request.ts";
import { withSignInRoles } from "./sign-in-roles.ts";

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

/** 202: recorded, and waiting for somebody else. */
type Status = 200 | 201 | 202;

export type AdminAnswer =
  | { readonly kind: "json"; readonly status: Status; readonly body: JsonObject }
  /** A file for people to keep, sent as it is made. */
  | {
      readonly kind: "file";
      readonly contentType: string;
      readonly fileName: string;
      readonly body: ReadableStream<Uint8Array>;
    }
  | { readonly kind: "refused"; readonly refusal: Refusal };

export const json = (body: JsonObject, status: Status = 200): AdminAnswer => ({ kind: "json", status, body });
export const refuse = (refusal: Refusal): AdminAnswer => ({ kind: "refused", refusal });
export const malformed = (reason: string): AdminAnswer => refuse({ kind: "malformed-request", reason });

/**
 * One route of the gate's own API. `roles`: any of them suffices; `null` means every credential of the tenant, the handler
 * deciding by subject. A route with roles is closed to agents and services whatever their key says; a credential with role
 * `billing` reaches the routes that say so, and no other.
 */
export type AdminRoute = {
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  readonly path: string;
  readonly roles: readonly Role[] | null;
  /** Open to credentials with role `billing`, services among them. Absent: closed to them. */
  readonly billing?: true;
  /** Largest body where it is not the data plane's 64 KiB. */
  readonly bodyBytes?: number;
  /** What the body may be besides an object in JSON. */
  readonly bodyForms?: BodyForms;
  /** The schema that the handler reads the body with; absent: it reads none. The OpenAPI document states it. */
  readonly body?: z.ZodType;
  /** Whether the ledger journals what the call does, in the same transaction. Absent: all do but GET. */
  readonly journaled?: boolean;
  readonly handle: (call: AdminCall) => Promise<AdminAnswer>;
};

/**
 * Runs one route: strict reading, authentication, role, handler. Every ending is recorded: refusals like any other, what the
 * ledger does by the ledger, and the rest (who read what) here.
 */
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
  if (answer.kind !== "refused") {
    if (!(route.journaled ?? route.method !== "GET")) recordServed(gate, trail, now, waitUntil);
    const headers = { "gate-request-id": trail.requestId, "cache-control": "no-store" };
    if (answer.kind === "json") return Response.json(answer.body, { status: answer.status, headers });
    const disposition = `attachment; filename="${answer.fileName}"`;
    return new Response(answer.body, {
      headers: {
        ...headers,
        "content-type": answer.contentType,
        "content-disposition": disposition,
        "x-content-type-options": "nosniff",
      },
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

function recordServed(gate: Gate, trail: Trail, now: number, waitUntil: WaitUntil): void {
  const entry = entryOf(trail, gate.redactor, "request", now);
  const served = { ...entry, decision: "allow" as const, outcome: "succeeded" };
  const tenant = trail.principal?.tenant ?? NO_TENANT;
  waitUntil(gate.recorder.append(tenant, `${trail.requestId}/request`, served, false, waitUntil));
}

async function run(
  route: AdminRoute,
  request: Request,
  gate: Gate,
  trail: Trail,
  param: (name: string) => string,
  waitUntil: WaitUntil,
): Promise<AdminAnswer> {
  const rawHeader = (name: string): string | null => request.headers.get(name);
  // Nobody unknown makes the gate read more than the data plane's 64 KiB.
  if (route.bodyBytes !== undefined) {
    const early = await identify(rawHeader, gate, trail.receivedAt);
    if (!early.ok) return refuse(early.error);
  }
  const limits = {
    ...READ_LIMITS,
    ...(route.bodyBytes === undefined ? {} : { bodyBytes: route.bodyBytes }),
    ...(route.bodyForms === undefined ? {} : { forms: route.bodyForms }),
  };
  const strict = await readRequest(request, limits);
  if (!strict.ok) return refuse(strict.error);
  const identified = await identify(strict.value.header, gate, trail.receivedAt);
  if (!identified.ok) return refuse(identified.error);
  const { tenant } = identified.value;
  // The gate's own API is no hot path: it judges by the ledger as it is now, not by a cached snapshot.
  gate.tenants.forget(tenant);
  const context = await gate.tenants.get(tenant, trail.receivedAt, waitUntil);
  if (!context.ok) return refuse(context.error);
  const principal = withSignInRoles(identified.value, context.value.people);
  const ledger = ledgerOf(gate.env.LEDGER, tenant);
  // Known before the rest: what a revoked credential still tries stands in its own tenant's record.
  trail.principal = principal;
  const fault = await ledger.credentialFault(confirmable(principal));
  if (fault !== null) return refuse({ kind: "unauthenticated", cause: fault });
  const barrier = barrierOf(route, principal);
  if (barrier !== null) return refuse({ kind: "out-of-scope", required_scope: barrier });
  const limited = await takeQuota(route, gate, context.value, principal, trail.receivedAt, waitUntil);
  if (limited !== null) return refuse(limited);
  const { subject, class: principalClass, credentialId, demo, roles } = principal;
  return route.handle({
    gate,
    trail,
    strict: strict.value,
    principal,
    context: context.value,
    ledger,
    actor: { subject, class: principalClass, credentialId, demo, roles },
    waitUntil,
    param,
  });
}

/** What a credential would need to reach the route, null where it does. */
function barrierOf(route: AdminRoute, { class: principalClass, roles }: Principal): string | null {
  const bills = roles.includes("billing");
  if (bills && route.billing !== true) return "something other than role billing, which reports usage and nothing else";
  if (route.roles === null) return null;
  const enters = (principalClass === "person" || bills) && route.roles.some((role) => roles.includes(role));
  return enters ? null : `role ${route.roles.join(" or ")}`;
}

/**
 * Agents and services draw on the tenant's limits here as on the data plane, or one of them could fill the stores behind
 * these routes. People do not: nobody must be kept from the kill switch by an agent that used the limit up.
 */
async function takeQuota(
  route: AdminRoute,
  gate: Gate,
  context: TenantContext,
  principal: Principal,
  now: number,
  waitUntil: WaitUntil,
): Promise<Refusal | null> {
  if (principal.class === "person") return null;
  const rule = quotaRule(route.method === "GET" ? 0 : 2, context.policy.rateLimits);
  const outcome = await gate.limiter.take(principal.tenant, rule, now, waitUntil);
  return quotaRefusal(rule, outcome);
}
