import { z } from "zod";
import type { Gate } from "../gateway/gate.ts";
import { ledgerOf } from "../ledger/ledger-port.ts";
import type { RegistrationKind, WaitingRegistration } from "../ledger/lifecycle/registrations.ts";
import { digestOf } from "../platform/digest.ts";
import type { JsonObject } from "../platform/json.ts";
import { err, ok, type Result } from "../platform/result.ts";
import type { Refusal } from "../refusal.ts";
import type { StrictRequest } from "../strict-request.ts";
import { readBody } from "./body.ts";
import { json, malformed, refuse, type AdminAnswer, type AdminCall, type AdminRoute } from "./call.ts";
import { answerDeployment, DEPLOYMENT } from "./deployment-call.ts";

/** A registration as it was read. `text`: as it is stored. */
export type Registration = {
  readonly tenant: string;
  readonly id: string;
  readonly issuer: string;
  readonly text: string;
};

/** One that counts. `json`: what people are shown of it; no secret. */
export type Registered = { readonly id: string; readonly issuer: string; readonly json: JsonObject };

/** What is registered: one entry per kind of thing that speaks for people. */
export type Registry = {
  readonly kind: RegistrationKind;
  /** Where it is registered and listed. */
  readonly path: string;
  readonly read: (strict: StrictRequest, gate: Gate) => Promise<Result<Registration, Refusal>>;
  /** Why this text cannot be this tenant's, null where it can: what it names may be another's. */
  readonly taken: (gate: Gate, tenant: string, text: string) => Promise<Refusal | null>;
  /** Stores it, and says which issuer it names. */
  readonly store: (gate: Gate, tenant: string, text: string, now: number) => Promise<string>;
  readonly list: (gate: Gate, tenant: string) => Promise<readonly Registered[]>;
  /** What people are shown of one that waits. */
  readonly shown: (gate: Gate, tenant: string, text: string) => Promise<JsonObject>;
  readonly remove: (gate: Gate, tenant: string, issuer: string) => Promise<void>;
  /** What its answers say besides. */
  readonly more: (tenant: string) => JsonObject;
};

type WaitUntil = (work: Promise<unknown>) => void;

/**
 * Asks for a registration, with the deployment's bootstrap secret. Whoever it lets speak for people, one person alone does not let
 * them: it waits for a person of the tenant with role security.
 */
export function askToRegister(
  registry: Registry,
  request: Request,
  gate: Gate,
  waitUntil: WaitUntil,
): Promise<Response> {
  const act = async (strict: StrictRequest, requestId: string): Promise<Result<JsonObject, Refusal>> => {
    const read = await registry.read(strict, gate);
    if (!read.ok) return read;
    const { tenant, id, issuer, text } = read.value;
    const ledger = ledgerOf(gate.env.LEDGER, tenant);
    if ((await ledger.snapshot()) === null) return err({ kind: "not-found" });
    const taken = await registry.taken(gate, tenant, text);
    if (taken !== null) return err(taken);
    const digest = digestOf("portcullis/registration/v1", text);
    await ledger.askRegistration(DEPLOYMENT, requestId, { kind: registry.kind, id, issuer, text, digest });
    return ok({ registered: false, tenant, id, issuer, digest, waits_for: "security", ...registry.more(tenant) });
  };
  return answerDeployment(request, gate, waitUntil, act, 202);
}

/** Body of the call that confirms: what was looked at, by its digest. */
const confirmBody = z.strictObject({ digest: z.string().regex(/^sha256:[0-9a-f]{64}$/) });

/** The tenant's own routes: look, confirm, remove. `single`: there is one at most, without an id of its own. */
export function registrationRoutes(registry: Registry, single: string | null = null): readonly AdminRoute[] {
  const one = single === null ? `${registry.path}/:id` : registry.path;
  const idOf = (call: AdminCall): string => single ?? call.param("id");
  return [
    { method: "GET", path: registry.path, roles: ["operator", "security"], handle: (call) => list(registry, call) },
    {
      method: "POST",
      path: `${one}/confirm`,
      roles: ["security"],
      body: confirmBody,
      handle: (call) => confirm(registry, call, idOf(call)),
    },
    {
      method: "DELETE",
      path: one,
      roles: ["operator", "security"],
      handle: (call) => remove(registry, call, idOf(call)),
    },
  ];
}

async function list(registry: Registry, { gate, ledger, principal: { tenant } }: AdminCall): Promise<AdminAnswer> {
  const [standing, waiting] = await Promise.all([
    registry.list(gate, tenant),
    ledger.waitingRegistrations(registry.kind),
  ]);
  const asked = await Promise.all(
    waiting.map(async (ask) => ({ ...waitingJson(ask), registration: await registry.shown(gate, tenant, ask.text) })),
  );
  const inForce = standing.map(({ id, issuer, json: registration }) => ({
    id,
    issuer,
    state: "in-force",
    digest: null,
    asked_by: null,
    asked_at: null,
    registration,
  }));
  return json({ records: [...inForce, ...asked], next_cursor: null });
}

const waitingJson = ({ id, issuer, digest, askedBy, askedAt }: WaitingRegistration): JsonObject => ({
  id,
  issuer,
  state: "waiting",
  digest,
  asked_by: askedBy,
  asked_at: new Date(askedAt).toISOString(),
});

async function confirm(registry: Registry, call: AdminCall, id: string): Promise<AdminAnswer> {
  const body = readBody(call.strict, confirmBody);
  if (!body.ok) return refuse(body.error);
  const { gate, ledger, actor, trail, principal } = call;
  const { tenant } = principal;
  const ref = { kind: registry.kind, id, digest: body.value.digest };
  const waiting = (await ledger.waitingRegistrations(registry.kind)).find((one) => one.id === id);
  const taken = waiting === undefined ? null : await registry.taken(gate, tenant, waiting.text);
  if (taken !== null) return refuse(taken);
  const outcome = await ledger.confirmRegistration(actor, trail.requestId, ref);
  if (outcome.kind === "refused") return outcome;
  // A crash here leaves it confirmed and not stored: the same call again stores it.
  const issuer = await registry.store(gate, tenant, outcome.text, trail.receivedAt);
  const standing = await registry.list(gate, tenant);
  // Another tenant was faster by the moment between the look and the store.
  if (!standing.some((one) => one.id === id && one.issuer === issuer))
    return malformed("body: what it names is another tenant's by now");
  for (const one of standing)
    if (one.id === id && one.issuer !== issuer) await registry.remove(gate, tenant, one.issuer);
  return json({ registered: true, tenant, id, issuer, ...registry.more(tenant) });
}

async function remove(registry: Registry, call: AdminCall, id: string): Promise<AdminAnswer> {
  const { gate, ledger, actor, trail, principal } = call;
  const { tenant } = principal;
  const standing = (await registry.list(gate, tenant)).filter((one) => one.id === id);
  const ref = { kind: registry.kind, id, issuer: standing[0]?.issuer ?? null };
  // The ledger first: from here on nothing is admitted by it, whatever D1 still holds.
  if (!(await ledger.removeRegistration(actor, trail.requestId, ref))) return refuse({ kind: "not-found" });
  for (const one of standing) await registry.remove(gate, tenant, one.issuer);
  gate.tenants.forget(tenant);
  return json({ id, removed: true });
}
