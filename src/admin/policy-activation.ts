import { z } from "zod";
import type { Schedule } from "../ledger/lifecycle/schedules.ts";
import type { PolicyVersion } from "../ledger/lifecycle/versions.ts";
import type { JsonObject } from "../platform/json.ts";
import { readBody } from "./body.ts";
import { json, refuse, type AdminAnswer, type AdminCall, type AdminRoute } from "./call.ts";
import { instant, reasonText } from "./money.ts";
import { changesJson } from "./policy-changes.ts";
import { versionOf } from "./policy-versions.ts";

const activateBody = z
  .strictObject({
    version: z.int().min(1),
    reason: reasonText.optional(),
    /** The version that has to be in force for this to be done: what somebody looked at is what is changed. */
    replaces: z.int().min(1).optional(),
    /** Absent: now. */
    at: instant.optional(),
  })
  .refine(({ replaces, at }) => replaces === undefined || at === undefined, {
    error: "is for an activation now: what will be in force at a time nobody knows yet",
    path: ["replaces"],
  });

/** Puts versions in force, the new ones and those that were before; now, or by themselves at a time. */
export const policyActivationRoutes: readonly AdminRoute[] = [
  {
    method: "POST",
    path: "/_gate/v1/policy/activate",
    roles: ["security", "finance"],
    body: activateBody,
    handle: activate,
  },
  {
    method: "GET",
    path: "/_gate/v1/policy/schedules",
    roles: ["operator", "security", "finance"],
    handle: schedules,
  },
  {
    method: "DELETE",
    path: "/_gate/v1/policy/schedules/:version",
    roles: ["operator", "security", "finance"],
    handle: cancel,
  },
];

async function activate(call: AdminCall): Promise<AdminAnswer> {
  const body = readBody(call.strict, activateBody);
  if (!body.ok) return refuse(body.error);
  const { version, at } = body.value;
  const reason = call.gate.redactor.text(body.value.reason ?? null);
  // What it changes is said as of before: the ledger judges for itself, in one transaction.
  const [candidate, active] = await Promise.all([
    call.ledger.version(version),
    call.ledger.version(call.context.snapshot.version),
  ]);
  if (at !== undefined) return schedule(call, { version, at: Date.parse(at), reason }, candidate, active);
  const replaces = body.value.replaces ?? null;
  const outcome = await call.ledger.activate(call.actor, call.trail.requestId, version, { reason, replaces });
  call.gate.tenants.forget(call.principal.tenant);
  return outcome.kind === "refused"
    ? outcome
    : json({ version, active: true, at: null, ...(await changed(call, active, candidate)) });
}

async function schedule(
  call: AdminCall,
  ask: { readonly version: number; readonly at: number; readonly reason: string | null },
  candidate: PolicyVersion | null,
  active: PolicyVersion | null,
): Promise<AdminAnswer> {
  const outcome = await call.ledger.scheduleActivation(call.actor, call.trail.requestId, ask);
  if (outcome.kind === "refused") return outcome;
  const { version, at } = ask;
  return json(
    { version, active: false, at: new Date(at).toISOString(), ...(await changed(call, active, candidate)) },
    202,
  );
}

const changed = async (
  { gate, trail }: AdminCall,
  active: PolicyVersion | null,
  candidate: PolicyVersion | null,
): Promise<JsonObject> => ({
  changes: active === null || candidate === null ? null : await changesJson(gate, active, candidate, trail.receivedAt),
});

async function schedules({ ledger }: AdminCall): Promise<AdminAnswer> {
  return json({ records: (await ledger.schedules()).map(scheduleJson), next_cursor: null });
}

async function cancel(call: AdminCall): Promise<AdminAnswer> {
  const found = await versionOf(call, call.param("version"));
  if (found === null) return refuse({ kind: "not-found" });
  const outcome = await call.ledger.cancelSchedule(call.actor, call.trail.requestId, found.version);
  return outcome.kind === "refused" ? outcome : json({ version: found.version, cancelled: true });
}

const scheduleJson = ({ version, at, by, reason, madeAt }: Schedule): JsonObject => ({
  version,
  at: new Date(at).toISOString(),
  by,
  reason,
  made_at: new Date(madeAt).toISOString(),
});
