import type { JsonObject } from "../platform/json.ts";
import type { AuditRecord } from "./record.ts";

/** Version of the Open Cybersecurity Schema Framework that the events below are made after. */
export const OCSF_VERSION = "1.9.0-dev";

/** Category Application Activity, class API Activity. */
const CATEGORY_UID = 6;
const CLASS_UID = 6_003;

/** A number of an OCSF enumeration with its caption: the schema wants both to say the same. */
type Caption = readonly [id: number, caption: string];

const ACTIVITY = { create: [1, "Create"], read: [2, "Read"], update: [3, "Update"], delete: [4, "Delete"] } as const;
const SEVERITY = {
  informational: [1, "Informational"],
  low: [2, "Low"],
  medium: [3, "Medium"],
  high: [4, "High"],
} as const;
const STATUS = { unknown: [0, "Unknown"], success: [1, "Success"], failure: [2, "Failure"] } as const;
const ACTION = {
  unknown: [0, "Unknown"],
  allowed: [1, "Allowed"],
  denied: [2, "Denied"],
  observed: [3, "Observed"],
} as const;
const DISPOSITION = {
  unknown: [0, "Unknown"],
  allowed: [1, "Allowed"],
  blocked: [2, "Blocked"],
  approved: [8, "Approved"],
  logged: [17, "Logged"],
  rejected: [25, "Rejected"],
  unauthorized: [26, "Unauthorized"],
  error: [27, "Error"],
} as const;
const USER_TYPE = { user: [1, "User"], system: [3, "System"], service: [4, "Service"], other: [99, "Agent"] } as const;

/**
 * One audit record as an OCSF API Activity event, profiles `security_control` and `ai_operation`. What OCSF has no place for is in
 * `unmapped` under the record's own names. `metadata.uid` names the record, `metadata.correlation_uid` the request.
 *
 * The record's hash is over the record and not over this event, so it is no OCSF attestation: it is in `unmapped`, and the export as
 * NDJSON is what verifies.
 */
export function ocsfEvent(record: AuditRecord): JsonObject {
  const [activityId, activity] = activityOf(record);
  return {
    activity_id: activityId,
    activity_name: activity,
    category_uid: CATEGORY_UID,
    category_name: "Application Activity",
    class_uid: CLASS_UID,
    class_name: "API Activity",
    type_uid: CLASS_UID * 100 + activityId,
    type_name: `API Activity: ${activity}`,
    time: Date.parse(record.time),
    ...sibling("severity", severityOf(record)),
    ...sibling("status", statusOf(record)),
    ...known({ status_code: statusCodeOf(record), status_detail: record.detail }),
    ...sibling("action", actionOf(record)),
    ...sibling("disposition", dispositionOf(record)),
    is_alert: isAlert(record),
    message: messageOf(record),
    ...(record.count > 1 ? { count: record.count } : {}),
    metadata: metadataOf(record),
    actor: actorOf(record),
    ...(record.principal_class === "agent" && record.principal !== null
      ? { ai_agent: { uid: record.principal, name: record.principal } }
      : {}),
    api: apiOf(record),
    // Where a caller's packets came from is no part of a record: a credential is what the gate knows a caller by.
    src_endpoint: { name: record.principal ?? "unknown", ...known({ uid: record.credential_id }) },
    ...httpOf(record),
    ...resourcesOf(record),
    ...(record.rule === null && record.policy_digest === null
      ? {}
      : { policy: { ...known({ name: record.rule, uid: record.policy_digest }), is_applied: true } }),
    unmapped: unmappedOf(record),
  };
}

const sibling = (name: string, [id, caption]: Caption): JsonObject => ({ [`${name}_id`]: id, [name]: caption });

/** The members that are not null: OCSF has no nulls. */
const known = (members: JsonObject): JsonObject =>
  Object.fromEntries(Object.entries(members).filter(([, value]) => value !== null));

/** What is asked for. The gate's own events about a request (a proposal, a decision, a settlement) are none of the four. */
function activityOf({ kind, method, tier }: AuditRecord): Caption {
  if (kind === "proposal" || kind === "decision" || kind === "break-glass" || kind === "settlement" || kind === "admin")
    return [99, kind];
  // A read may be a POST: the tier says whether anything is changed.
  if (method === "GET" || method === "HEAD" || (tier !== null && tier < 2)) return ACTIVITY.read;
  if (method === "POST") return ACTIVITY.create;
  if (method === "PUT" || method === "PATCH") return ACTIVITY.update;
  return method === "DELETE" ? ACTIVITY.delete : [99, kind];
}

function severityOf({ kind, decision, tier }: AuditRecord): Caption {
  if (kind === "break-glass") return SEVERITY.high;
  if (kind === "unknown" || tier === 4 || tier === 5) return SEVERITY.medium;
  return decision === "refuse" || kind === "admin" ? SEVERITY.low : SEVERITY.informational;
}

function statusOf({ kind, decision, outcome, reason_code: code }: AuditRecord): Caption {
  if (decision === "refuse" || outcome === "failed" || outcome === "not-sent" || code === "not-eligible")
    return STATUS.failure;
  // What became of the others is not known by this record.
  return kind === "unknown" || outcome === "dispatching" || outcome === "unknown" || outcome === "not-seen"
    ? STATUS.unknown
    : STATUS.success;
}

const statusCodeOf = ({ reason_code: code, upstream_status: status }: AuditRecord): string | null =>
  code ?? (status === null ? null : String(status));

function actionOf({ decision }: AuditRecord): Caption {
  if (decision === "allow") return ACTION.allowed;
  if (decision === "refuse") return ACTION.denied;
  return decision === "plan" ? ACTION.observed : ACTION.unknown;
}

/** Refusals that say who somebody is not, or what their credential may not do. */
const UNAUTHORIZED: ReadonlySet<string | null> = new Set(["unauthenticated", "out-of-scope", "not-eligible"]);

/** What people decided, by the code of its record. */
const DECIDED: ReadonlyMap<string, Caption> = new Map<string, Caption>([
  ["approve", DISPOSITION.approved],
  ["approved", DISPOSITION.approved],
  ["break-glass", DISPOSITION.approved],
  ["deny", DISPOSITION.rejected],
  ["denied", DISPOSITION.rejected],
  ["not-eligible", DISPOSITION.unauthorized],
]);

function dispositionOf({ kind, decision, reason_code: code }: AuditRecord): Caption {
  if (decision === "refuse") {
    if (UNAUTHORIZED.has(code)) return DISPOSITION.unauthorized;
    return code === "unavailable" || code === "upstream-error" ? DISPOSITION.error : DISPOSITION.blocked;
  }
  if (kind === "decision" || kind === "break-glass") return DECIDED.get(code ?? "") ?? DISPOSITION.logged;
  if (decision === "allow") return DISPOSITION.allowed;
  return DISPOSITION.logged;
}

const isAlert = ({ kind }: AuditRecord): boolean => kind === "break-glass" || kind === "unknown";

/** `agent:trainer: workloads.submit: refuse: budget-exceeded`. */
const messageOf = ({ principal, action, kind, decision, reason_code: code, outcome }: AuditRecord): string =>
  [principal ?? "nobody known", action ?? kind, decision, code ?? outcome].filter((part) => part !== null).join(": ");

const metadataOf = (record: AuditRecord): JsonObject => ({
  version: OCSF_VERSION,
  product: { name: "Portcullis", vendor_name: "Portcullis" },
  profiles: ["security_control", "ai_operation"],
  uid: `${record.tenant}/${record.log}/${record.sequence}`,
  sequence: record.sequence,
  log_name: record.log,
  log_version: String(record.version),
  tenant_uid: record.tenant,
  correlation_uid: record.request_id,
  event_code: record.kind,
  original_time: record.time,
  ...(record.demo ? { labels: ["demo"] } : {}),
});

function actorOf({ principal, principal_class: principalClass, credential_id: credential }: AuditRecord): JsonObject {
  if (principal === null) return { app_name: "unauthenticated" };
  return {
    user: {
      uid: principal,
      name: principal,
      ...sibling("type", userTypeOf(principalClass)),
      ...(credential === null
        ? {}
        : { programmatic_credentials: [{ uid: credential, type: "API key or access token" }] }),
    },
  };
}

function userTypeOf(principalClass: string | null): Caption {
  if (principalClass === "person") return USER_TYPE.user;
  if (principalClass === "service") return USER_TYPE.service;
  return principalClass === "agent" ? USER_TYPE.other : USER_TYPE.system;
}

const apiOf = (record: AuditRecord): JsonObject => ({
  operation: record.action ?? record.reason_code ?? record.kind,
  request: { uid: record.request_id },
  ...(record.upstream_status === null ? {} : { response: { code: record.upstream_status } }),
  service: { name: "portcullis" },
});

/** The methods that the gate lets in; anything else is in `unmapped`. */
const HTTP_METHODS: ReadonlySet<string | null> = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]);

function httpOf({
  method,
  path,
  request_id: requestId,
  upstream_status: status,
  duration_ms: latency,
}: AuditRecord): JsonObject {
  const [before = "", ...query] = path?.split("?") ?? [];
  return {
    ...(path === null
      ? {}
      : {
          http_request: {
            uid: requestId,
            ...(HTTP_METHODS.has(method) ? { http_method: method } : {}),
            url: { path: before, ...(query.length === 0 ? {} : { query_string: query.join("?") }) },
          },
        }),
    ...(status === null ? {} : { http_response: { code: status, ...known({ latency }) } }),
  };
}

/** What the request was about, as far as its facts say. */
function resourcesOf({ facts, action, owner }: AuditRecord): JsonObject {
  if (facts === null) return {};
  const { resource } = facts;
  const named = typeof resource === "string" && resource !== "" ? resource : (action ?? "request");
  const data = Object.fromEntries(
    Object.entries(facts).map(([name, fact]) => [name, typeof fact === "object" ? [...fact] : fact]),
  );
  return { resources: [{ name: named, data, ...(owner === null ? {} : { owner: { uid: owner, name: owner } }) }] };
}

const unmappedOf = (record: AuditRecord): JsonObject => ({
  kind: record.kind,
  hash: record.hash,
  previous_hash: record.previous_hash,
  ...known({
    owner: record.owner,
    principal_class: record.principal_class,
    method: HTTP_METHODS.has(record.method) ? null : record.method,
    tier: record.tier,
    decision: record.decision,
    reason_code: record.reason_code,
    cost_micros: record.cost_micros,
    price_version: record.price_version,
    request_digest: record.request_digest,
    reason: record.reason,
    evidence: record.evidence,
    back_out: record.back_out,
    incident: record.incident,
    approval_id: record.approval_id,
    reservation: record.reservation,
    outcome: record.outcome,
    duration_ms: record.duration_ms,
  }),
  ...(record.approvers.length === 0 ? {} : { approvers: [...record.approvers] }),
});
