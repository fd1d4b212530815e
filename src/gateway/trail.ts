import { blankEntry, type AuditEntry, type AuditKind } from "../audit/record.ts";
import type { Redactor } from "../audit/redact.ts";
import type { MatchedOperation, UpstreamCall } from "../catalogue/types.ts";
import type { Principal } from "../identity/principal.ts";
import { newId } from "../platform/ids.ts";
import type { Refusal } from "../refusal.ts";
import type { GateHeaders } from "../strict-request.ts";
import { NO_GATE_HEADERS } from "./gate-headers.ts";
import type { Digest, EpochMs, Facts, Micros, ShadowVerdict, Tier } from "../vocabulary.ts";

/** Longest path that a record or an answer has: unknown paths are an attacker's text. */
const PATH_LIMIT = 512;

/**
 * What is known of one request so far. Steps of the pipeline add to it as they learn; whichever step ends the request, the
 * record and the response headers are made from what is here. Mutable on purpose, owned by one request.
 */
export type Trail = {
  readonly requestId: string;
  readonly receivedAt: EpochMs;
  readonly method: string;
  /** Path and query as received, whole: cut only once it is redacted, because half a secret no longer looks like one. */
  readonly path: string;
  principal: Principal | null;
  operation: MatchedOperation | null;
  tier: Tier | null;
  rule: string | null;
  shadow: readonly ShadowVerdict[];
  policyDigest: Digest | null;
  facts: Facts | null;
  costMicros: Micros | null;
  priceVersion: string | null;
  requestDigest: Digest | null;
  /** The key that the catalogue derives for what the request works on. */
  derivedIncident: string | null;
  gate: GateHeaders | null;
  /** Response headers that steps have earned (quota, budget). */
  readonly headers: Record<string, string>;
};

/** A trail at the start of a request. `path` is the received one, for the record only. */
export const openTrail = (request: Request, now: EpochMs): Trail =>
  blankTrail(newId("req"), request.method.slice(0, 16), pathOf(request.url), now);

/** A trail of a request that the gate itself sends, for the principal who proposed it. */
export const storedTrail = (requestId: string, call: UpstreamCall, principal: Principal, now: EpochMs): Trail => ({
  ...blankTrail(requestId, call.method, call.path, now),
  principal,
  gate: NO_GATE_HEADERS,
});

const blankTrail = (requestId: string, method: string, path: string, now: EpochMs): Trail => ({
  requestId,
  receivedAt: now,
  method,
  path,
  principal: null,
  operation: null,
  tier: null,
  rule: null,
  shadow: [],
  policyDigest: null,
  facts: null,
  costMicros: null,
  priceVersion: null,
  requestDigest: null,
  derivedIncident: null,
  gate: null,
  headers: {},
});

function pathOf(url: string): string {
  const from = url.indexOf("/", url.indexOf("//") + 2);
  return from < 0 ? "/" : url.slice(from);
}

/** The path as its own sender is told it (RFC 9457, `instance`). */
export const instanceOf = ({ path }: Trail): string => path.slice(0, PATH_LIMIT);

/** The audit entry of what is known. Free text and paths pass the redactor; nothing else of the request is in it. */
export function entryOf(trail: Trail, redactor: Redactor, kind: AuditKind, now: EpochMs): AuditEntry {
  const { principal, operation, gate } = trail;
  return {
    ...blankEntry(kind, trail.requestId, now),
    principal: principal?.subject ?? null,
    principal_class: principal?.class ?? null,
    owner: principal?.owner ?? null,
    credential_id: principal?.credentialId ?? null,
    demo: principal?.demo ?? false,
    method: trail.method,
    path: redactor.path(trail.path).slice(0, PATH_LIMIT),
    action: operation?.action ?? null,
    tier: trail.tier,
    rule: trail.rule,
    shadow: trail.shadow,
    policy_digest: trail.policyDigest,
    facts: trail.facts === null ? null : redactor.facts(trail.facts),
    cost_micros: trail.costMicros,
    price_version: trail.priceVersion,
    request_digest: trail.requestDigest,
    reason: redactor.text(gate?.reason ?? null),
    evidence: redactor.text(gate?.evidence ?? gate?.evidenceRef ?? null),
    back_out: redactor.text(gate?.backOut ?? null),
    incident: redactor.text(gate?.incident ?? null) ?? trail.derivedIncident,
    duration_ms: Math.max(0, now - trail.receivedAt),
  };
}

/** The same for a request that was refused. What the wire does not show (`cause`) is kept as detail. */
export function refusalEntry(trail: Trail, redactor: Redactor, refusal: Refusal, now: EpochMs): AuditEntry {
  return {
    ...entryOf(trail, redactor, "request", now),
    decision: "refuse",
    reason_code: refusal.kind,
    detail: redactDetail("cause" in refusal ? refusal.cause : "reason" in refusal ? refusal.reason : null, redactor),
    approval_id: refusal.kind === "approval-required" ? refusal.approval.id : null,
    outcome: "refused",
  };
}

/** A detail may name a place by its JSON pointer (RFC 6901), where a secret's slashes are written `~1`. */
function redactDetail(detail: string | null, redactor: Redactor): string | null {
  if (detail === null || !detail.includes("~")) return redactor.text(detail);
  const plain = detail.replaceAll("~1", "/").replaceAll("~0", "~");
  const shown = redactor.text(plain);
  return shown === plain ? redactor.text(detail) : shown;
}
