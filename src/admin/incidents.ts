import { z } from "zod";
import { areShownLines } from "../gateway/shown-text.ts";
import {
  INCIDENT_OUTCOMES,
  INCIDENT_STATES,
  type Incident,
  type IncidentResult,
} from "../ledger/incidents/incident-port.ts";
import { incidentUrl } from "../ledger/incidents/incident-url.ts";
import type { JsonObject } from "../platform/json.ts";
import { err, ok, type Result } from "../platform/result.ts";
import type { Refusal } from "../refusal.ts";
import { SUBJECT } from "../vocabulary.ts";
import { nameText, queryInteger, queryValue, readBody, unknownQuery } from "./body.ts";
import { json, malformed, refuse, type AdminAnswer, type AdminCall, type AdminRoute } from "./call.ts";
import { longPoll } from "./long-poll.ts";

/** Longest wait of a long poll. */
export const INCIDENT_WAIT_MAX_S = 30;
export const INCIDENT_LIST_MAX = 200;

const UNSHOWABLE = "text that is not blank, without control characters or direction overrides";
const note = z.string().min(1).max(1_024).refine(areShownLines, UNSHOWABLE).optional();

const resolveBody = z.strictObject({ outcome: z.enum(INCIDENT_OUTCOMES), note });
const handOverBody = z.strictObject({
  to: nameText(128).regex(SUBJECT, { error: "a subject such as agent:NAME or person:NAME" }),
  note,
});

/** Who works on what (wire contract, section 7). Everybody of the tenant sees it: whoever was refused has to. */
export const incidentRoutes: readonly AdminRoute[] = [
  { method: "GET", path: "/_gate/v1/incidents", roles: null, handle: list },
  { method: "GET", path: "/_gate/v1/incidents/:key", roles: null, handle: show },
  { method: "POST", path: "/_gate/v1/incidents/:key/resolve", roles: null, body: resolveBody, handle: resolve },
  { method: "POST", path: "/_gate/v1/incidents/:key/hand-over", roles: null, body: handOverBody, handle: handOver },
];

async function list(call: AdminCall): Promise<AdminAnswer> {
  const unknown = unknownQuery(call.strict, ["state", "limit"]);
  if (unknown !== null) return refuse(unknown);
  const state = queryValue(call.strict, "state");
  if (state !== null && !INCIDENT_STATES.some((known) => known === state))
    return malformed(`query: state is one of ${INCIDENT_STATES.join(", ")}`);
  const limit = queryInteger(call.strict, "limit", 50, INCIDENT_LIST_MAX);
  if (limit === null) return malformed(`query: limit is a number up to ${INCIDENT_LIST_MAX}`);
  const found = await call.ledger.incidents(state, limit);
  return json({ records: found.map(incidentJson), next_cursor: null });
}

/** With `wait`: answers when the claim has ended or is somebody else's, or when the time is over. */
async function show(call: AdminCall): Promise<AdminAnswer> {
  const key = keyOf(call, ["wait"]);
  if (!key.ok) return refuse(key.error);
  const waitS = queryInteger(call.strict, "wait", 0, INCIDENT_WAIT_MAX_S);
  if (waitS === null) return malformed(`query: wait is a number of seconds up to ${INCIDENT_WAIT_MAX_S}`);
  const first = await call.ledger.incident(key.value);
  const found =
    first?.state !== "claimed"
      ? first
      : await longPoll(
          call.principal,
          waitS,
          () => call.ledger.incident(key.value),
          (one) => one?.state === "claimed" && isSame(one, first),
        );
  return found === null ? refuse({ kind: "not-found" }) : json(incidentJson(found));
}

const isSame = (one: Incident, other: Incident | null): boolean =>
  one.serial === other?.serial && one.owner === other.owner;

async function resolve(call: AdminCall): Promise<AdminAnswer> {
  const body = readBody(call.strict, resolveBody);
  if (!body.ok) return refuse(body.error);
  const key = keyOf(call);
  if (!key.ok) return refuse(key.error);
  const { outcome, note: said } = body.value;
  return answer(
    await call.ledger.resolveIncident(call.actor, {
      requestId: call.trail.requestId,
      key: key.value,
      outcome,
      note: call.gate.redactor.text(said ?? null),
    }),
  );
}

async function handOver(call: AdminCall): Promise<AdminAnswer> {
  const body = readBody(call.strict, handOverBody);
  if (!body.ok) return refuse(body.error);
  const key = keyOf(call);
  if (!key.ok) return refuse(key.error);
  const { to, note: said } = body.value;
  return answer(
    await call.ledger.handOverIncident(call.actor, {
      requestId: call.trail.requestId,
      key: key.value,
      to,
      isPerson: call.context.people.bySubject(to) !== null,
      note: call.gate.redactor.text(said ?? null),
    }),
  );
}

const answer = (result: IncidentResult): AdminAnswer =>
  result.kind === "refused" ? refuse(result.refusal) : json(incidentJson(result.incident));

/** The key in the path, or in the query where it is no segment of a path. */
function keyOf({ strict, param }: AdminCall, query: readonly string[] = []): Result<string, Refusal> {
  const inPath = param("key");
  const isElsewhere = inPath === "~";
  const unknown = unknownQuery(strict, isElsewhere ? ["key", ...query] : query);
  if (unknown !== null) return err(unknown);
  const key = isElsewhere ? queryValue(strict, "key") : inPath;
  return key === null || key === ""
    ? err({ kind: "malformed-request", reason: "query: key is the incident's, where the path has ~" })
    : ok(key);
}

function incidentJson(incident: Incident): JsonObject {
  const { key, state, open, startedAt, expiresAt, endedAt } = incident;
  return {
    key,
    url: incidentUrl(key),
    state,
    owner: incident.owner,
    person: incident.person,
    action: incident.action,
    request_id: incident.requestId,
    approval_id: incident.approvalId,
    started_at: timeText(startedAt),
    expires_at: state === "claimed" && open.length === 0 ? timeText(expiresAt) : null,
    open: [...open],
    outcome: incident.outcome,
    note: incident.note,
    ended_by: incident.endedBy,
    ended_at: endedAt === null ? null : timeText(endedAt),
  };
}

const timeText = (at: number): string => new Date(at).toISOString();
