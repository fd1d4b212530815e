import { z } from "zod";
import { EVERYTHING } from "../ledger/authority.ts";
import { noSuchAction } from "../policy/rules.ts";
import { holdsSecret } from "../platform/secret-forms.ts";
import { usd } from "../platform/money.ts";
import type { Refusal } from "../refusal.ts";
import { ACTION, SUBJECT } from "../vocabulary.ts";
import { nameText, readBody } from "./body.ts";
import { json, malformed, refuse, type AdminAnswer, type AdminCall, type AdminRoute } from "./call.ts";

const freezeBody = z.strictObject({ reason: z.string().min(1).max(1_024), scope: nameText(160).optional() });

/** Finance stops what costs money, and nothing else. */
const FREEZERS = ["operator", "security", "finance"] as const;
const SCOPE_GRAMMAR = "is tenant, spending, principal:<subject> or action:<action>";

/** What a tenant's people and agents ask about themselves: identity, operations; and the kill switch. */
export const tenantRoutes: readonly AdminRoute[] = [
  { method: "GET", path: "/_gate/v1/whoami", roles: null, billing: true, handle: whoami },
  { method: "GET", path: "/_gate/v1/operations/:id", roles: null, handle: operation },
  { method: "GET", path: "/_gate/v1/freeze", roles: null, handle: freezes },
  { method: "POST", path: "/_gate/v1/freeze", roles: FREEZERS, body: freezeBody, handle: freeze },
  { method: "DELETE", path: "/_gate/v1/freeze", roles: FREEZERS, handle: unfreeze },
];

async function whoami({ principal, context }: AdminCall): Promise<AdminAnswer> {
  return json({
    principal: principal.subject,
    class: principal.class,
    owner: principal.owner,
    tenant: principal.tenant,
    credential_id: principal.credentialId,
    scopes: { actions: [...principal.scopes.actions], max_tier: principal.scopes.maxTier },
    roles: [...principal.roles],
    demo: principal.demo,
    expires_at: new Date(principal.expiresAt).toISOString(),
    policy: { version: context.snapshot.version, digest: context.policy.digest, catalogue: context.catalogue.id },
  });
}

async function operation({ param, principal, ledger }: AdminCall): Promise<AdminAnswer> {
  const found = await ledger.operation(param("id"));
  const mayRead = found?.principal === principal.subject || principal.roles.some((role) => role !== "billing");
  if (found === null || !mayRead) return refuse({ kind: "not-found" });
  const { reservation } = found;
  return json({
    request_id: found.requestId,
    principal: found.principal,
    action: found.action,
    state: found.state,
    resource: found.resource,
    upstream_status: found.upstreamStatus,
    reservation:
      reservation === null
        ? null
        : {
            state: reservation.state,
            ceiling_usd: usd(reservation.ceilingMicros),
            ceiling_micros: reservation.ceilingMicros,
            settled_usd: reservation.settledMicros === null ? null : usd(reservation.settledMicros),
            settled_micros: reservation.settledMicros,
          },
    admitted_at: new Date(found.admittedAt).toISOString(),
    completed_at: found.completedAt === null ? null : new Date(found.completedAt).toISOString(),
  });
}

async function freezes({ context }: AdminCall): Promise<AdminAnswer> {
  return json({
    records: context.snapshot.freezes.map((f) => ({
      scope: f.scope,
      reason: f.reason,
      frozen_by: f.frozenBy,
      since: new Date(f.since).toISOString(),
    })),
    next_cursor: null,
  });
}

async function freeze(call: AdminCall): Promise<AdminAnswer> {
  const target = readFreeze(call);
  if (target.kind === "refused") return target;
  await call.ledger.freeze(call.actor, call.trail.requestId, { scope: target.scope, reason: target.reason });
  call.gate.tenants.forget(call.principal.tenant);
  return json({ frozen: true, scope: target.scope });
}

async function unfreeze(call: AdminCall): Promise<AdminAnswer> {
  const scope = call.strict.query.get("scope") ?? "tenant";
  if (!isScope(scope) || holdsSecret(scope)) return malformed(`query: scope ${SCOPE_GRAMMAR}`);
  const barrier = barrierOf(call, scope);
  if (barrier !== null) return refuse(barrier);
  const outcome = await call.ledger.unfreeze(call.actor, call.trail.requestId, scope);
  call.gate.tenants.forget(call.principal.tenant);
  return outcome.kind === "refused" ? outcome : json({ frozen: false, scope });
}

function readFreeze(
  call: AdminCall,
):
  | { readonly kind: "freeze"; readonly scope: string; readonly reason: string }
  | Extract<AdminAnswer, { kind: "refused" }> {
  const body = readBody(call.strict, freezeBody);
  if (!body.ok) return { kind: "refused", refusal: body.error };
  const scope = body.value.scope ?? "tenant";
  if (!isScope(scope)) {
    return { kind: "refused", refusal: { kind: "malformed-request", reason: `body /scope: ${SCOPE_GRAMMAR}` } };
  }
  const barrier = barrierOf(call, scope);
  if (barrier !== null) return { kind: "refused", refusal: barrier };
  const [, action] = /^action:(.+)$/.exec(scope) ?? [];
  if (action !== undefined && !call.context.catalogue.actions.has(action)) {
    const reason = `body /scope: ${noSuchAction(action, call.context.catalogue.actions)}`;
    return { kind: "refused", refusal: { kind: "malformed-request", reason } };
  }
  return { kind: "freeze", scope, reason: call.gate.redactor.text(body.value.reason) ?? "" };
}

/** Why the caller's roles do not reach this scope, null where they do. */
function barrierOf({ principal }: AdminCall, scope: string): Refusal | null {
  if (scope === EVERYTHING) return { kind: "out-of-scope", required_scope: "the deployment's own secret" };
  if (scope === "spending" || principal.roles.some((role) => role === "operator" || role === "security")) return null;
  return { kind: "out-of-scope", required_scope: "role operator or security; finance freezes and lifts spending" };
}

/** A scope that could never match would be a kill switch that does nothing. */
function isScope(scope: string): boolean {
  // `everything` is a scope, and never a tenant's: who asks for it is told so.
  if (scope === "tenant" || scope === "spending" || scope === EVERYTHING) return true;
  if (scope.startsWith("principal:")) return SUBJECT.test(scope.slice("principal:".length));
  return scope.startsWith("action:") && ACTION.test(scope.slice("action:".length));
}
