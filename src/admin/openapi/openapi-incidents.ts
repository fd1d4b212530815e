import { z } from "zod";
import { INCIDENT_STATES } from "../../ledger/incidents/incident-port.ts";
import { ESCALATION_LIST_MAX, ESCALATION_STATES } from "../escalations.ts";
import { INCIDENT_LIST_MAX, INCIDENT_WAIT_MAX_S } from "../incidents.ts";
import { count, listOf, named, text, textOrNull, time, timeOrNull } from "./openapi-answers.ts";
import type { RouteDescription } from "./openapi-routes.ts";

const incident = named(
  "Incident",
  z.object({
    key: text,
    url: text,
    state: z.enum(INCIDENT_STATES).meta({
      description: "released: given up before anything was run; expired: nothing was heard of its owner for long.",
    }),
    owner: text.meta({ description: "The principal that works on it." }),
    person: textOrNull.meta({ description: "Who answers for the owner." }),
    action: textOrNull,
    request_id: text.meta({ description: "The request that claimed it." }),
    approval_id: textOrNull.meta({ description: "The proposal by which it was claimed." }),
    started_at: time,
    expires_at: timeOrNull.meta({ description: "Null while something is open under it, and when it is over." }),
    open: z.array(text).meta({ description: "Proposals and operations that are open under it." }),
    outcome: textOrNull.meta({
      description: "fixed, not-fixed or false-alarm, as somebody said; succeeded or failed, as its operation ended.",
    }),
    note: textOrNull,
    ended_by: textOrNull,
    ended_at: timeOrNull,
  }),
);

const escalation = named(
  "Escalation",
  z.object({
    id: text,
    url: text,
    state: z.enum(["open", "closed"]),
    incident: textOrNull,
    opened_at: time,
    closed_by: textOrNull,
    closed_at: timeOrNull,
    note: textOrNull,
    entries: z
      .array(z.object({ number: count, principal: text, hypothesis: text, evidence: text, tried: text, at: time }))
      .meta({
        description:
          "Each time that it was handed over, in order; in a list the first. Agents and services see what they said themselves.",
      }),
  }),
);

/** The key of a claim that is no segment of a path. */
const key = text.meta({ description: "The incident's key, where the path has ~ for it." });
const ACTING = ["not-found", "not-eligible", "already-decided"] as const;

/** By `METHOD path`: incidents and escalations. */
export const INCIDENT_ROUTES: Readonly<Record<string, RouteDescription>> = {
  "GET /_gate/v1/incidents": {
    operationId: "listIncidents",
    summary: "Who works on what: the latest claim of each incident, newest first",
    answer: listOf("Incidents", incident),
    query: { state: z.enum(INCIDENT_STATES), limit: z.int().min(0).max(INCIDENT_LIST_MAX) },
  },
  "GET /_gate/v1/incidents/:key": {
    operationId: "getIncident",
    summary: "The latest claim of one incident",
    answer: incident,
    query: {
      key,
      wait: z
        .int()
        .min(0)
        .max(INCIDENT_WAIT_MAX_S)
        .meta({ description: "Seconds to wait for the claim to end or to become somebody else's." }),
    },
    refusals: ["not-found"],
  },
  "POST /_gate/v1/incidents/:key/resolve": {
    operationId: "resolveIncident",
    summary: "Says what became of it: its owner, the person behind it, or an operator",
    answer: incident,
    query: { key },
    refusals: ACTING,
  },
  "POST /_gate/v1/incidents/:key/hand-over": {
    operationId: "handOverIncident",
    summary: "Gives it to somebody else of the tenant: its owner, the person behind it, or an operator",
    answer: incident,
    query: { key },
    refusals: ACTING,
  },
  "POST /_gate/v1/escalations": {
    operationId: "escalate",
    summary: "Hands over to people what could not be diagnosed; what is open for the same incident is added to",
    answer: escalation,
    status: 201,
    refusals: ["rate-limited"],
  },
  "GET /_gate/v1/escalations": {
    operationId: "listEscalations",
    summary: "Escalations, newest first: people see all, agents and services their own",
    answer: listOf("Escalations", escalation),
    query: { state: z.enum(ESCALATION_STATES), limit: z.int().min(0).max(ESCALATION_LIST_MAX) },
  },
  "GET /_gate/v1/escalations/:id": {
    operationId: "getEscalation",
    summary: "One escalation with everything that was said",
    answer: escalation,
    refusals: ["not-found"],
  },
  "POST /_gate/v1/escalations/:id/close": {
    operationId: "closeEscalation",
    summary: "Closes it: people only; the next one for the same incident is told of again",
    answer: escalation,
    refusals: ["not-found", "already-decided"],
  },
};
