import { z } from "zod";
import { INCIDENT } from "../gateway/gate-headers.ts";
import { areShownLines } from "../gateway/shown-text.ts";
import type { Escalation } from "../ledger/incidents/incident-port.ts";
import type { JsonObject } from "../platform/json.ts";
import { queryInteger, queryValue, readBody, unknownQuery } from "./body.ts";
import { json, malformed, refuse, type AdminAnswer, type AdminCall, type AdminRoute } from "./call.ts";

export const ESCALATION_LIST_MAX = 200;
export const ESCALATION_STATES: readonly string[] = ["open", "closed"];

const UNSHOWABLE = "text that is not blank, without control characters or direction overrides";
const lines = (max: number): z.ZodString => z.string().min(1).max(max).refine(areShownLines, UNSHOWABLE);

const escalateBody = z.strictObject({
  incident: z.string().regex(INCIDENT).optional(),
  hypothesis: lines(2_048),
  evidence: lines(8_192),
  tried: lines(2_048),
});
const closeBody = z.strictObject({ note: lines(1_024) });

/** What nobody could diagnose, handed over to people (wire contract, section 7). */
export const escalationRoutes: readonly AdminRoute[] = [
  { method: "POST", path: "/_gate/v1/escalations", roles: null, body: escalateBody, handle: escalate },
  { method: "GET", path: "/_gate/v1/escalations", roles: null, handle: list },
  { method: "GET", path: "/_gate/v1/escalations/:id", roles: null, handle: show },
  { method: "POST", path: "/_gate/v1/escalations/:id/close", roles: null, body: closeBody, handle: close },
];

async function escalate(call: AdminCall): Promise<AdminAnswer> {
  const body = readBody(call.strict, escalateBody);
  if (!body.ok) return refuse(body.error);
  const { incident, hypothesis, evidence, tried } = body.value;
  const { redactor } = call.gate;
  const result = await call.ledger.escalate(call.actor, {
    requestId: call.trail.requestId,
    incident: redactor.text(incident ?? null),
    hypothesis: redactor.longText(hypothesis),
    evidence: redactor.longText(evidence),
    tried: redactor.longText(tried),
  });
  return result.kind === "refused" ? refuse(result.refusal) : json(escalationJson(result.escalation), 201);
}

async function list(call: AdminCall): Promise<AdminAnswer> {
  const unknown = unknownQuery(call.strict, ["state", "limit"]);
  if (unknown !== null) return refuse(unknown);
  const state = queryValue(call.strict, "state");
  if (state !== null && !ESCALATION_STATES.includes(state))
    return malformed(`query: state is one of ${ESCALATION_STATES.join(", ")}`);
  const limit = queryInteger(call.strict, "limit", 50, ESCALATION_LIST_MAX);
  if (limit === null) return malformed(`query: limit is a number up to ${ESCALATION_LIST_MAX}`);
  const found = await call.ledger.escalations(state, limit, ofWhom(call));
  return json({ records: found.map(escalationJson), next_cursor: null });
}

async function show(call: AdminCall): Promise<AdminAnswer> {
  const found = await call.ledger.escalation(call.param("id"), ofWhom(call));
  return found === null ? refuse({ kind: "not-found" }) : json(escalationJson(found));
}

async function close(call: AdminCall): Promise<AdminAnswer> {
  const body = readBody(call.strict, closeBody);
  if (!body.ok) return refuse(body.error);
  if (call.principal.class !== "person")
    return refuse({ kind: "out-of-scope", required_scope: "a person: what was handed over to people, people close" });
  const result = await call.ledger.closeEscalation(call.actor, {
    requestId: call.trail.requestId,
    id: call.param("id"),
    note: call.gate.redactor.longText(body.value.note),
  });
  return result.kind === "refused" ? refuse(result.refusal) : json(escalationJson(result.escalation));
}

/**
 * People see all of it; agents and services what they said themselves. What another has found out was handed over to people, and
 * adding a word to it must not be the way to read it.
 */
const ofWhom = ({ principal }: AdminCall): string | null => (principal.class === "person" ? null : principal.subject);

const escalationJson = (escalation: Escalation): JsonObject => ({
  id: escalation.id,
  url: `/_gate/v1/escalations/${escalation.id}`,
  state: escalation.state,
  incident: escalation.incident,
  opened_at: timeText(escalation.openedAt),
  closed_by: escalation.closedBy,
  closed_at: escalation.closedAt === null ? null : timeText(escalation.closedAt),
  note: escalation.note,
  entries: escalation.entries.map(({ at, ...entry }) => ({ ...entry, at: timeText(at) })),
});

const timeText = (at: number): string => new Date(at).toISOString();
