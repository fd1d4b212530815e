import { z } from "zod";
import { endSignInsOf } from "../db/sign-in-rows.ts";
import { SUBJECT } from "../vocabulary.ts";
import { nameText, readBody } from "./body.ts";
import { json, refuse, type AdminAnswer, type AdminCall, type AdminRoute } from "./call.ts";

const revokeBody = z.strictObject({ subject: nameText(128).regex(SUBJECT) });

/** Ends what somebody opened at the approval page: a lost laptop, a person who leaves. */
export const sessionRoutes: readonly AdminRoute[] = [
  {
    method: "POST",
    path: "/_gate/v1/sessions/revoke",
    roles: ["security", "operator"],
    body: revokeBody,
    handle: revoke,
  },
];

async function revoke(call: AdminCall): Promise<AdminAnswer> {
  const body = readBody(call.strict, revokeBody);
  if (!body.ok) return refuse(body.error);
  const { subject } = body.value;
  const ended = await endSignInsOf(call.gate.env.DB, call.principal.tenant, subject);
  if (!ended.ok) return refuse({ kind: "unavailable", dependency: "d1", cause: ended.error });
  await call.ledger.recordAct(call.actor, call.trail.requestId, "sessions-revoked", `${subject}: ${ended.value}`);
  return json({ subject, ended: ended.value });
}
