import { z } from "zod";
import { writeUpstreamCredential } from "../db/tenant-rows.ts";
import { sealingContext } from "../gateway/tenant-context.ts";
import { seal } from "../identity/sealed.ts";
import { credentialHeaders } from "../upstream/credential.ts";
import { readBody } from "./body.ts";
import { json, malformed, refuse, type AdminAnswer, type AdminCall, type AdminRoute } from "./call.ts";

/** The fields of an upstream credential, as the catalogue's authentication scheme names them. */
export const upstreamCredentialSchema = z.record(z.string().regex(/^[a-z][a-z0-9_]{0,31}$/), z.string().max(8_192));

/** Replacing the credential by which the gate reaches the control plane: tokens of control planes expire. */
export const upstreamCredentialRoutes: readonly AdminRoute[] = [
  {
    method: "PUT",
    path: "/_gate/v1/upstream-credential",
    roles: ["operator"],
    body: upstreamCredentialSchema,
    handle: replace,
  },
];

/** Stores it sealed; other isolates use it within their snapshot's age. It is never shown again, and never journaled. */
async function replace(call: AdminCall): Promise<AdminAnswer> {
  const body = readBody(call.strict, upstreamCredentialSchema);
  if (!body.ok) return refuse(body.error);
  const { gate, principal, context, trail } = call;
  const usable = credentialHeaders(context.catalogue.upstreamAuth, body.value);
  if (!usable.ok) return malformed(`body: ${usable.error}`);
  const sealed = await seal(body.value, gate.keys.sealing, sealingContext(principal.tenant));
  await writeUpstreamCredential(gate.env.DB, principal.tenant, sealed, gate.keys.pepper, trail.receivedAt);
  await call.ledger.recordAct(
    call.actor,
    trail.requestId,
    "upstream-credential-replaced",
    context.catalogue.controlPlane,
  );
  gate.tenants.forget(principal.tenant);
  return json({ replaced: true, control_plane: context.catalogue.controlPlane });
}
