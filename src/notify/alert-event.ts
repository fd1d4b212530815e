import { budgetChangeJson } from "../approval/budget-change-json.ts";
import { unreachable } from "../platform/assert.ts";
import type { JsonObject } from "../platform/json.ts";
import { usd } from "../platform/money.ts";
import type { ActivityAlert } from "./activity.ts";
import type { AnchoredCheckpoint } from "./alert.ts";
import type { AlertCall, ShownAlert } from "./delivery.ts";
import { incidentUrl } from "../ledger/incidents/incident-url.ts";
import type { EscalationAlert, IncidentAlert } from "./incident-alert.ts";
import type { Signal } from "./signal.ts";
import { EVENT_VERSION } from "./webhook-event.ts";

/**
 * What a webhook is told about money and audit logs, in the same envelope as about proposals. `_micros` are exact integers,
 * `_usd` the same amounts for people.
 */
export const alertEvent = ({
  tenant: { tenant },
  at,
  alert,
}: Pick<AlertCall, "at" | "alert"> & WithTenant): JsonObject => ({
  version: EVENT_VERSION,
  // `budget-threshold` → `budget.threshold`.
  type: typeOf(alert),
  timestamp: new Date(at).toISOString(),
  tenant,
  data: factsOf(alert),
});

const typeOf = (alert: ShownAlert): string =>
  alert.kind === "incident" || alert.kind === "escalation"
    ? // Identifiers of event types have no hyphen.
      `${alert.kind}.${alert.event.replaceAll("-", "_")}`
    : alert.kind.replace("-", ".");

type WithTenant = { readonly tenant: Pick<AlertCall["tenant"], "tenant"> };

function factsOf(alert: ShownAlert): JsonObject {
  switch (alert.kind) {
    case "budget-threshold":
      return {
        window: alert.window,
        percent: alert.percent,
        used_usd: usd(alert.usedMicros),
        used_micros: alert.usedMicros,
        cap_usd: usd(alert.capMicros),
        cap_micros: alert.capMicros,
      };
    case "budget-refused":
      return {
        principal: alert.principal,
        action: alert.action,
        windows: alert.windows.map((window) => ({ ...window })),
      };
    case "budget-overrun":
      return {
        request_id: alert.requestId,
        held_usd: usd(alert.heldMicros),
        held_micros: alert.heldMicros,
        actual_usd: usd(alert.actualMicros),
        actual_micros: alert.actualMicros,
      };
    case "budget-change":
      return { event: alert.event, ...budgetChangeJson(alert.change) };
    case "audit-checkpoint":
      return checkpointJson(alert);
    case "audit-anchor":
      return { checkpoints: alert.checkpoints.map(checkpointJson) };
    case "audit-signal":
      return signalJson(alert);
    case "incident":
      return incidentJson(alert);
    case "escalation":
      return escalationJson(alert);
    case "activity":
      return activityJson(alert);
    default:
      return unreachable(alert);
  }
}

function signalJson(alert: Signal): JsonObject {
  const since = new Date(alert.since).toISOString();
  switch (alert.signal) {
    case "denials":
      return { signal: alert.signal, principal: alert.principal, count: alert.count, minutes: alert.minutes, since };
    case "ineligible-approvals":
      return { signal: alert.signal, person: alert.person, count: alert.count, minutes: alert.minutes, since };
    case "frozen":
      return { signal: alert.signal, scope: alert.scope, by: alert.by, reason: alert.reason, since };
    case "unfrozen":
      return { signal: alert.signal, scope: alert.scope, by: alert.by, since };
    case "policy-activated": {
      const { signal, version, previous, author, by, reason, scheduled } = alert;
      return { signal, version, previous, author, by, reason, scheduled, since };
    }
    case "policy-scheduled": {
      const { signal, version, by, reason, at } = alert;
      return { signal, version, by, reason, at: new Date(at).toISOString(), since };
    }
    case "policy-not-activated":
      return { signal: alert.signal, version: alert.version, by: alert.by, cause: alert.cause, since };
    case "issuer-asked":
    case "issuer-confirmed":
    case "issuer-removed": {
      const { signal, registration, id, issuer, by } = alert;
      return { signal, registration, id, issuer, by, since };
    }
    case "audit-backlog":
      return { signal: alert.signal, log: alert.log, rows: alert.rows, since };
    case "audit-halted":
      return { signal: alert.signal, log: alert.log, cause: alert.cause, since };
    case "audit-unsigned":
      return { signal: alert.signal, log: alert.log, cause: alert.cause, since };
    case "audit-copy-late": {
      const { signal, log, copy, rows, minutes } = alert;
      return { signal, log, copy, rows, minutes, since };
    }
    case "outcome-unknown":
      return {
        signal: alert.signal,
        request_id: alert.requestId,
        action: alert.action,
        principal: alert.principal,
        since,
      };
    default:
      return unreachable(alert);
  }
}

const activityJson = ({ requests, since, until, lines, more }: ActivityAlert): JsonObject => ({
  requests,
  since: new Date(since).toISOString(),
  until: new Date(until).toISOString(),
  lines: lines.map((line) => ({
    action: line.action,
    principal: line.principal,
    tier: line.tier,
    count: line.count,
    first_request_id: line.firstRequestId,
    first_at: new Date(line.firstAt).toISOString(),
    last_request_id: line.lastRequestId,
    last_at: new Date(line.lastAt).toISOString(),
    reason: line.reason,
  })),
  more: { ...more },
});

const incidentJson = (alert: IncidentAlert): JsonObject => ({
  key: alert.key,
  url: incidentUrl(alert.key),
  owner: alert.owner,
  action: alert.action,
  request_id: alert.requestId,
  started_at: new Date(alert.startedAt).toISOString(),
  by: alert.by,
  outcome: alert.outcome,
  note: alert.note,
});

const escalationJson = ({ id, incident, by, hypothesis, evidence, tried, note }: EscalationAlert): JsonObject => ({
  id,
  url: `/_gate/v1/escalations/${id}`,
  incident,
  by,
  hypothesis,
  evidence,
  tried,
  note,
});

const checkpointJson = ({ log, size, root, note, verifierKey, signedAt }: AnchoredCheckpoint): JsonObject => ({
  log,
  size,
  root,
  note,
  verifier_key: verifierKey,
  signed_at: new Date(signedAt).toISOString(),
});
