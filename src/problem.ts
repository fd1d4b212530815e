import { unreachable } from "./platform/assert.ts";
import type { JsonObject, JsonValue } from "./platform/json.ts";
import type { Refusal, RefusalKind, WindowShortage } from "./refusal.ts";
import type { Tier } from "./vocabulary.ts";

/** A refusal as it goes over the wire: RFC 9457 members plus response headers that the status calls for. */
export type Problem = {
  readonly status: number;
  readonly body: JsonObject;
  readonly headers: Readonly<Record<string, string>>;
};

/** What the request was known to be when it was refused. */
export type ProblemContext = {
  readonly requestId: string;
  readonly instance: string;
  readonly action: string | null;
  readonly tier: Tier | null;
};

type Wording = { readonly status: number; readonly title: string; readonly remedy: string };

/** Status, title and remedy of every refusal: the only place that picks them. The remedy is the page at `type`. */
export const PROBLEMS: Readonly<Record<RefusalKind, Wording>> = {
  "malformed-request": {
    status: 400,
    title: "The request is malformed",
    remedy: "Correct what `reason` names and send the request again. Nothing was evaluated or sent.",
  },
  "request-timeout": {
    status: 408,
    title: "The request body took too long",
    remedy: "Send the whole body at once. Nothing was evaluated or sent.",
  },
  "payload-too-large": {
    status: 413,
    title: "The request body is too large",
    remedy:
      "Send a smaller body; `limit_bytes` is the cap. Upload long evidence with POST /_gate/v1/evidence where offered.",
  },
  "uri-too-long": { status: 414, title: "The URL is too long", remedy: "Shorten the URL below `limit_bytes`." },
  "headers-too-large": {
    status: 431,
    title: "The request headers are too large",
    remedy: "Send fewer or shorter headers; `limit_bytes` is the cap of all together.",
  },
  "unsupported-media-type": {
    status: 415,
    title: "The media type is not accepted",
    remedy: "Send one of `accepted`, without content encoding.",
  },
  "expectation-failed": {
    status: 417,
    title: "Expect is not supported",
    remedy: "Send the request without the Expect header.",
  },
  "upgrade-refused": {
    status: 426,
    title: "Upgrade is not supported",
    remedy: "Send the request without the Upgrade header.",
  },
  "method-not-allowed": {
    status: 405,
    title: "The method is not allowed",
    remedy: "Use one of the methods in `allow`.",
  },
  unauthenticated: {
    status: 401,
    title: "The credential was not accepted",
    remedy:
      "Send `Authorization: Bearer <key>` with a valid, unexpired, unrevoked credential of this deployment. The same answer is given for every cause.",
  },
  "unknown-operation": {
    status: 403,
    title: "The operation is not in the catalogue",
    remedy: "Only operations that the control plane's catalogue lists pass the gate. Check method and path.",
  },
  "out-of-scope": {
    status: 403,
    title: "The credential's scopes do not cover this",
    remedy: "Ask an operator for a credential that covers `required_scope`.",
  },
  prohibited: {
    status: 403,
    title: "The operation is prohibited",
    remedy: "Tier 5: no policy and no approval can allow it through the gate. Use the manual runbook.",
  },
  "rate-limited": {
    status: 429,
    title: "Too many requests",
    remedy: "Wait for Retry-After seconds, then send the request again.",
  },
  frozen: {
    status: 403,
    title: "Writes are frozen",
    remedy:
      "Somebody stopped what `scope` names (`frozen_by`, `freeze_reason`). Nothing was spent: an approval or receipt that is still valid when the freeze is lifted can be used then; what the gate runs by itself (`execute: stored`) it then tries again.",
  },
  "not-allowed": {
    status: 403,
    title: "The tenant's policy does not allow this",
    remedy:
      "`rule` says why. What the policy does not name is denied: ask the platform team to add the action. What a guard denies is people's to do, by the `runbook` where it names one.",
  },
  "constraint-exceeded": {
    status: 403,
    title: "The request exceeds what the policy allows",
    remedy:
      "`violations` says which limits were passed: the policy's, or the caller's own (`Gate-Max-Cost`, `Gate-Max-Hours`). `nearest` is the closest request that would be considered.",
  },
  "outside-window": {
    status: 403,
    title: "Outside the maintenance window",
    remedy:
      "The policy lets this run inside `windows` only. Send the request again when one of them opens, at `opens_at`.",
  },
  unsized: {
    status: 403,
    title: "The request cannot be sized",
    remedy: "State the values named in `missing` explicitly, so that the gate can judge the request.",
  },
  unpriced: {
    status: 403,
    title: "The request cannot be priced",
    remedy:
      "There is no price for `missing`. Choose a priced resource or ask the platform team to add the price; where the control plane's own prices could not be had, send the request again later.",
  },
  "reason-required": { status: 428, title: "Context is required", remedy: "Send the headers named in `missing`." },
  "dry-run-required": {
    status: 428,
    title: "A dry run is required first",
    remedy:
      "Send the identical request with `Gate-Dry-Run: ?1`, then send it again with `Gate-Plan: <receipt>` within ten minutes.",
  },
  "idempotency-key-required": {
    status: 400,
    title: "An idempotency key is required",
    remedy: 'Send `Idempotency-Key: "<unique key>"` with every write.',
  },
  "idempotency-in-progress": {
    status: 409,
    title: "The same request is in progress",
    remedy: "Follow `operation_url` until it has an outcome; do not send the request again.",
  },
  "idempotency-key-reused": {
    status: 422,
    title: "The idempotency key belongs to another request",
    remedy: "Use a new key for a different request.",
  },
  "resource-busy": {
    status: 409,
    title: "Another change to this resource is in flight",
    remedy: "Follow `operation_url`, then send the request again.",
  },
  "incident-in-progress": {
    status: 409,
    title: "Somebody else works on this incident",
    remedy:
      "One remediation per incident: `incident` says who is at it, since when and where to follow it (`incident.url` with `wait=30` answers when that changes). Send the request again when it has ended, or ask its owner or an operator to hand it over.",
  },
  "resource-changed": {
    status: 409,
    title: "The request differs from what was approved",
    remedy: "Ask for a new approval of the request as it is now; `differences` says what changed.",
  },
  "budget-exceeded": {
    status: 402,
    title: "The budget has no room for this request",
    remedy:
      "settled + held + requested would pass the cap of each window listed. Ask for less (`nearest` is the nearest request that fits now), wait for `resets_at`, or ask finance for a higher cap: POST `increase_url` {window, cap_usd, reason}.",
  },
  "aggregate-exceeded": {
    status: 403,
    title: "Together with others the request is too much",
    remedy:
      "`current` + `requested` would pass the `limit` of the policy's aggregate `aggregate`, which counts many requests together (`of`, `scope`, `within`). Ask for less (`nearest` is the nearest request that fits now), or wait: an hour or a day slides on, and what ends gives back what runs. Splitting the request changes nothing.",
  },
  "approval-required": {
    status: 428,
    title: "Human approval is required",
    remedy:
      "A proposal is open at `approval.url`. When it has its approvals, send the identical request again (or add Gate-Approval). Complete a draft's `missing` context first.",
  },
  "approval-invalid": {
    status: 403,
    title: "The approval does not fit this request",
    remedy: "Use the token of an approval that was given for exactly this request.",
  },
  "approval-expired": {
    status: 403,
    title: "The approval has expired",
    remedy: "Send the request again to open a new proposal.",
  },
  "approval-consumed": {
    status: 409,
    title: "The receipt or approval was already used",
    remedy: "What it was used for is at `operation_url`. A new execution needs a new dry run or approval.",
  },
  "approval-denied": {
    status: 403,
    title: "The approval was denied",
    remedy: "Talk to `decided_by`. A changed request opens a new proposal.",
  },
  "not-eligible": {
    status: 403,
    title: "This person cannot decide this",
    remedy: "`reason` says why; the attempt was recorded.",
  },
  "already-decided": {
    status: 409,
    title: "Already decided",
    remedy: "Its state is final: see `state`.",
  },
  "not-found": { status: 404, title: "Not found", remedy: "There is nothing here that this credential may see." },
  "policy-invalid": {
    status: 422,
    title: "The document is invalid",
    remedy: "Correct the place at `line`, `column` and `path`. The version in force is unchanged.",
  },
  "upstream-failed": {
    status: 502,
    title: "The control plane failed",
    remedy: "For reads, and for writes of which nothing was sent. Nothing is held; send the request again.",
  },
  "upstream-timeout": {
    status: 504,
    title: "The control plane did not answer in time",
    remedy: "For reads, and for writes of which nothing was sent. Nothing is held; send the request again.",
  },
  "outcome-unknown": {
    status: 504,
    title: "The outcome is not known yet",
    remedy:
      "The request was sent, its outcome was not seen. Its budget stays held while the gate looks it up; follow `operation_url`. Do not repeat it.",
  },
  unavailable: {
    status: 503,
    title: "The gate cannot decide right now",
    remedy: "`dependency` is unavailable. Nothing was sent. Send the request again later.",
  },
};

/**
 * The wire form of a refusal. Causes meant for the audit record only (`unauthenticated`, `unavailable`) are left out, so
 * an answer never tells which check of a credential failed or what a dependency said.
 */
export function toProblem(refusal: Refusal, context: ProblemContext): Problem {
  const { status, title } = PROBLEMS[refusal.kind];
  return {
    status,
    headers: headersOf(refusal),
    body: {
      type: `/_gate/problems/${refusal.kind}`,
      title,
      status,
      detail: detailOf(refusal),
      instance: context.instance,
      slug: refusal.kind,
      request_id: context.requestId,
      ...(context.action === null ? {} : { action: context.action }),
      ...(context.tier === null ? {} : { tier: context.tier }),
      ...membersOf(refusal),
    },
  };
}

function headersOf(refusal: Refusal): Record<string, string> {
  if (refusal.kind === "unauthenticated") return { "www-authenticate": 'Bearer realm="portcullis"' };
  if (refusal.kind === "rate-limited") return { "retry-after": String(refusal.retry_after_s) };
  if (refusal.kind === "method-not-allowed") return { allow: refusal.allow.join(", ") };
  if (refusal.kind === "unavailable") return { "retry-after": "5" };
  return {};
}

/** The extra members that the wire contract names for each refusal. */
function membersOf(refusal: Refusal): Record<string, JsonValue> {
  if (refusal.kind === "unauthenticated") return {};
  if (refusal.kind === "unavailable") return { dependency: refusal.dependency };
  // `reason` of a freeze is a person's text; renamed so that `reason` always means the gate's own wording.
  if (refusal.kind === "frozen") {
    const { scope, frozen_by, reason, since } = refusal;
    return { scope, frozen_by, freeze_reason: reason, since };
  }
  const { kind: _kind, ...members } = refusal;
  return refusal.kind === "budget-exceeded" ? { ...members, increase_url: INCREASE_URL } : members;
}

/** Where a higher cap is asked for. */
const INCREASE_URL = "/_gate/v1/budget/requests";

/** What one cap has no room for, with numbers that add up, and when it begins anew. */
function shortageText(w: WindowShortage): string {
  const cap = w.scope === "window" ? `the ${w.period} cap` : `the ${w.period} cap of ${w.scope}`;
  return `Window ${w.window}: ${w.settled_usd} settled + ${w.held_usd} held + ${w.requested_usd} requested passes ${cap} of ${w.cap_usd} USD by ${w.short_usd}; it resets at ${w.resets_at}.`;
}

const AGGREGATE_TIMES = { hour: "in the last hour", day: "in the last day", running: "running" } as const;

/** One sentence about this very request, for people. */
function detailOf(refusal: Refusal): string {
  switch (refusal.kind) {
    case "malformed-request":
    case "unsupported-media-type":
    case "approval-invalid":
    case "approval-expired":
    case "not-eligible":
    case "upstream-failed":
      return refusal.reason;
    case "dry-run-required":
      return `${refusal.reason} ${refusal.how}`;
    case "policy-invalid":
      return `${refusal.line === null ? "" : `line ${refusal.line}, column ${refusal.column ?? 1}: `}${refusal.reason}`;
    case "payload-too-large":
    case "uri-too-long":
    case "headers-too-large":
      return `The limit is ${refusal.limit_bytes} bytes.`;
    case "unknown-operation":
      return `${refusal.method} ${refusal.path} is not an operation that this gate passes on.`;
    case "out-of-scope":
      return `This needs a credential that covers ${refusal.required_scope}.`;
    case "prohibited":
      return `No policy and no approval can allow this (${refusal.rule}).`;
    case "rate-limited":
      return `The limit is ${refusal.limit}; retry in ${refusal.retry_after_s} s.`;
    case "frozen":
      return `Writes were frozen (${refusal.scope}) by ${refusal.frozen_by} at ${refusal.since}.`;
    case "not-allowed":
      return refusal.runbook === undefined ? `${refusal.rule}.` : `${refusal.rule}, by the runbook ${refusal.runbook}.`;
    case "outside-window":
      return `It may run inside ${refusal.windows.join(" or ")} only${refusal.opens_at === null ? "" : `, which opens at ${refusal.opens_at}`} (${refusal.rule}).`;
    case "constraint-exceeded":
      return violationsText(refusal);
    case "unsized":
    case "unpriced":
      return `Missing: ${refusal.missing.join("; ")}.`;
    case "reason-required":
      return `Missing: ${refusal.missing.join(", ")}.`;
    case "budget-exceeded":
      return `${refusal.windows.map(shortageText).join(" ")} To ask finance for more: POST ${INCREASE_URL}.`;
    case "aggregate-exceeded":
      return `Aggregate ${refusal.aggregate}: ${refusal.current} ${refusal.of} of ${refusal.scope} ${AGGREGATE_TIMES[refusal.within]} + ${refusal.requested} requested passes ${refusal.limit}.`;
    case "approval-required":
      return approvalText(refusal.approval);
    case "approval-denied":
      return `Denied by ${refusal.decided_by.join(", ")}.`;
    case "already-decided":
      return `It is ${refusal.state} already.`;
    case "resource-busy":
      return `Another change to ${refusal.resource} is in flight.`;
    case "incident-in-progress":
      return `${refusal.incident.owner} has worked on ${refusal.incident.key} since ${refusal.incident.started_at}.`;
    case "resource-changed":
      return `Different from what was approved: ${refusal.differences.join(", ")}.`;
    case "unavailable":
      return `Dependency unavailable: ${refusal.dependency}. Nothing was sent.`;
    case "request-timeout":
    case "expectation-failed":
    case "upgrade-refused":
    case "method-not-allowed":
    case "unauthenticated":
    case "idempotency-key-required":
    case "idempotency-in-progress":
    case "idempotency-key-reused":
    case "approval-consumed":
    case "not-found":
    case "upstream-timeout":
    case "outcome-unknown":
      return PROBLEMS[refusal.kind].remedy;
    default:
      return unreachable(refusal);
  }
}

function violationsText(refusal: Extract<Refusal, { kind: "constraint-exceeded" }>): string {
  const broken = refusal.violations
    .map((v) => `${v.constraint} is ${JSON.stringify(v.limit)}, the request has ${JSON.stringify(v.actual)}`)
    .join("; ");
  if (refusal.nearest === null) return `${broken}.`;
  const nearest = Object.entries(refusal.nearest.facts)
    .map(([fact, value]) => `${fact} = ${JSON.stringify(value)}`)
    .join(", ");
  return `${broken}. The nearest request that would be considered: ${nearest} (tier ${refusal.nearest.tier}).`;
}

function approvalText(approval: Extract<Refusal, { kind: "approval-required" }>["approval"]): string {
  if (approval.id === null) {
    return `${approval.needed} approvals are needed but only ${approval.eligible} people may give one; no proposal was opened.`;
  }
  if (approval.state === "draft") return `Draft ${approval.id} still needs ${approval.missing.join(", ")}.`;
  return `Proposal ${approval.id} has ${approval.given} of ${approval.needed} approvals; any of ${approval.approvers.join(", ")} may decide.`;
}
