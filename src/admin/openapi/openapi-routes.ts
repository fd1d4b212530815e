import { z } from "zod";
import { AUDIT_EXPORT_FORMATS } from "../../audit/manifest.ts";
import { AUDIT_DECISIONS, AUDIT_KINDS } from "../../audit/record-schema.ts";
import { AUDIT_LOGS } from "../../audit/tree-port.ts";
import type { RefusalKind } from "../../refusal.ts";
import { ANSWER } from "./openapi-answers.ts";
import { APPROVAL_LIST_MAX, APPROVAL_STATES, APPROVAL_WAIT_MAX_S } from "../approvals.ts";
import { AUDIT_OPEN_MAX } from "../audit-open.ts";
import { TEXT_DAYS_MAX, TEXT_MAX, TEXT_MIN } from "../audit-query.ts";
import { AUDIT_LIST_MAX } from "../audit.ts";
import { INCIDENT_ROUTES } from "./openapi-incidents.ts";
import { MONEY_ROUTES } from "./openapi-money.ts";
import { MONEY_ANSWER } from "./openapi-money-answers.ts";
import { POLICY_ROUTES } from "./openapi-policy.ts";
import { REGISTRATION_ROUTES } from "./openapi-registrations.ts";

/** What the OpenAPI document says of one route besides its path, roles and body. */
export type RouteDescription = {
  /** Unique, in camel case: the method name that generators give it. */
  readonly operationId: string;
  readonly summary: string;
  readonly answer: z.ZodType;
  /** 200 unless stated. */
  readonly status?: 201;
  /** A second status of the same answer. */
  readonly also?: 202;
  /** Media type that the answer may have instead of JSON. */
  readonly text?: string;
  /** The answer is a file of one of these media types and never JSON; a line of the first is what `answer` describes. */
  readonly file?: readonly [string, ...string[]];
  /** Query parameters, all optional. */
  readonly query?: Readonly<Record<string, z.ZodType>>;
  /** Refusals of this route beyond those that every authenticated route may give. */
  readonly refusals?: readonly RefusalKind[];
};

const id = (prefix: string) => z.string().regex(new RegExp(`^${prefix}_[0-9a-z]{26}$`));
const text = z.string();
const utc = z.string().meta({ description: "UTC, e.g. 2026-11-20 or 2026-11-20T08:00:00Z." });

const EXPORTED = {
  since: utc,
  until: utc,
  log: text.meta({ description: "One log: ledger, or requests-0 to requests-3." }),
};

const auditLog = z.enum(AUDIT_LOGS).meta({ description: "ledger when absent." });

const versionNumber = z.string().regex(/^[1-9][0-9]{0,8}$/);

/** Form of each path parameter, by the path's segment before it. */
export const PATH_PARAMETERS: Readonly<Record<string, z.ZodType>> = {
  approvals: z.string().regex(/^(?:apr|bud)_[0-9a-z]{26}$/),
  requests: id("bud"),
  operations: z.string().meta({ description: "The Gate-Request-Id of the request." }),
  credentials: id("key"),
  incidents: z
    .string()
    .meta({ description: "The incident's key; ~ where it is no segment of a path and stands in the query." }),
  escalations: id("esc"),
  issuers: z.string().regex(/^[a-z][a-z0-9-]{0,62}$/),
  channels: z.enum(["slack", "webhook"]),
  versions: versionNumber,
  schedules: versionNumber,
  evidence: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .meta({ description: "The evidence reference without its sha256: prefix." }),
};

const DECISION = ["not-found", "not-eligible", "already-decided", "approval-expired"] as const;

/** By `METHOD path`. A route without an entry is described by its roles alone, and a test fails. */
export const ROUTE_DESCRIPTIONS: Readonly<Record<string, RouteDescription>> = {
  "GET /_gate/v1/whoami": {
    operationId: "whoami",
    summary: "The credential's principal, scopes and roles, and the policy version in force",
    answer: ANSWER.whoami,
  },
  ...MONEY_ROUTES,
  ...INCIDENT_ROUTES,
  "GET /_gate/v1/operations/:id": {
    operationId: "getOperation",
    summary:
      "What became of a dispatched request: for its own principal, and for people with a role other than billing",
    answer: ANSWER.operation,
    refusals: ["not-found"],
  },
  "GET /_gate/v1/audit/open": {
    operationId: "listOpenOperations",
    summary: "Dispatched requests whose outcome is missing past its bound: how many, since when, oldest first",
    answer: ANSWER.openOperations,
    query: { limit: z.int().min(1).max(AUDIT_OPEN_MAX) },
  },
  "GET /_gate/v1/freeze": { operationId: "listFreezes", summary: "The freezes in force", answer: ANSWER.freezes },
  "POST /_gate/v1/freeze": {
    operationId: "freeze",
    summary:
      "Stops writes of the tenant, one principal or one action, or all that costs money, from the next admission on; finance: scope spending",
    answer: ANSWER.freeze,
  },
  "DELETE /_gate/v1/freeze": {
    operationId: "unfreeze",
    summary: "Lifts a freeze: needs the role that set it, or security",
    answer: ANSWER.freeze,
    query: {
      scope: text.meta({ description: "tenant (when absent), spending, principal:<subject> or action:<action>." }),
    },
    refusals: ["not-found", "not-eligible"],
  },
  "PUT /_gate/v1/upstream-credential": {
    operationId: "replaceUpstreamCredential",
    summary: "Replaces the sealed credential by which the gate reaches the control plane; it is never shown",
    answer: ANSWER.upstreamCredential,
  },
  "GET /_gate/v1/approvals": {
    operationId: "listApprovals",
    summary: "Proposals that the credential may see, newest first",
    answer: ANSWER.approvals,
    query: { state: z.enum(APPROVAL_STATES), limit: z.int().min(0).max(APPROVAL_LIST_MAX) },
  },
  "GET /_gate/v1/approvals/:id": {
    operationId: "getApproval",
    summary: "One proposal, with its approval token for the requester once approved; or one change of a cap",
    answer: MONEY_ANSWER.decidable,
    query: {
      wait: z
        .int()
        .min(0)
        .max(APPROVAL_WAIT_MAX_S)
        .meta({ description: "Seconds to wait for it to leave the states draft and pending." }),
    },
    refusals: ["not-found"],
  },
  "DELETE /_gate/v1/approvals/:id": {
    operationId: "withdrawApproval",
    summary:
      "Withdraws a draft, proposal or unused grant and releases its hold: its requester or the owner of its credential. Takes a change of a cap back: who asked, or finance",
    answer: MONEY_ANSWER.decidable,
    refusals: ["not-found", "not-eligible", "already-decided"],
  },
  "POST /_gate/v1/approvals/:id/decisions": {
    operationId: "decideApproval",
    summary:
      "Approves or denies as the authenticated person: approvers of the tier, never requester, owner or issuer; of a change of a cap: finance",
    answer: MONEY_ANSWER.decidable,
    refusals: DECISION,
  },
  "POST /_gate/v1/approvals/:id/tokens": {
    operationId: "handInSignedDecision",
    summary: "Hands in a decision that an approval authority has signed: counts as its subject's own, once",
    answer: ANSWER.approval,
    refusals: [...DECISION, "approval-invalid"],
  },
  "PUT /_gate/v1/approvals/:id/context": {
    operationId: "completeDraft",
    summary:
      "Completes a draft into a pending proposal and holds its money: its requester or the owner of its credential",
    answer: ANSWER.approval,
    refusals: ["not-found", "already-decided", "approval-expired", "reason-required", "budget-exceeded"],
  },
  "POST /_gate/v1/standing-approvals": {
    operationId: "askStandingApproval",
    summary:
      "Asks for an approval of requests that come again: people only; decided like a proposal, at /approvals/{id}/decisions",
    answer: ANSWER.approval,
    status: 201,
    refusals: ["out-of-scope", "prohibited", "not-allowed", "approval-required", "approval-denied", "rate-limited"],
  },
  "GET /_gate/v1/standing-approvals": {
    operationId: "listStandingApprovals",
    summary: "Standing approvals that the credential may see or use, newest first",
    answer: ANSWER.approvals,
    query: { state: z.enum(APPROVAL_STATES), limit: z.int().min(0).max(APPROVAL_LIST_MAX) },
  },
  "GET /_gate/v1/standing-approvals/:id": {
    operationId: "getStandingApproval",
    summary: "One standing approval, with the uses and USD that are left",
    answer: ANSWER.approval,
    refusals: ["not-found"],
  },
  "DELETE /_gate/v1/standing-approvals/:id": {
    operationId: "endStandingApproval",
    summary: "Ends a standing approval at once: its asker, its approvers, security",
    answer: ANSWER.approval,
    refusals: ["not-found", "already-decided"],
  },
  "POST /_gate/v1/evidence": {
    operationId: "storeEvidence",
    summary: "Stores evidence too long for a header, redacted; answers the reference for Gate-Evidence-Ref",
    answer: ANSWER.evidenceStored,
    status: 201,
  },
  "GET /_gate/v1/evidence/:digest": {
    operationId: "getEvidence",
    summary: "The stored evidence text: people of the tenant only",
    answer: ANSWER.evidence,
    refusals: ["not-found"],
  },
  "GET /_gate/v1/audit/checkpoint": {
    operationId: "getAuditCheckpoint",
    summary: "The log as it stands, signed now: size, root and a note that verifies with the public key alone",
    answer: ANSWER.auditCheckpoint,
    query: { log: auditLog },
    refusals: ["not-found"],
  },
  "GET /_gate/v1/audit/proof": {
    operationId: "proveAuditRecord",
    summary: "An inclusion proof: that a record is in the log that was signed",
    answer: ANSWER.auditProof,
    query: {
      log: auditLog,
      seq: z.int().min(1).meta({ description: "The record's sequence. Required." }),
      size: z.int().min(1).meta({ description: "The newest checkpoint's, or one's that is signed now." }),
    },
    refusals: ["not-found"],
  },
  "GET /_gate/v1/audit/consistency": {
    operationId: "proveAuditConsistency",
    summary: "A consistency proof: that the log of one checkpoint is how the log of a later one begins",
    answer: ANSWER.auditConsistency,
    query: {
      log: auditLog,
      from: z.int().min(1).meta({ description: "The smaller size. Required." }),
      to: z.int().min(1).meta({ description: "The larger size; the newest checkpoint's when absent." }),
    },
    refusals: ["not-found"],
  },
  "GET /_gate/v1/audit": {
    operationId: "listAudit",
    summary: "Audit records as stored in D1, newest first, exactly as they were hashed",
    answer: ANSWER.audit,
    query: {
      since: utc,
      until: utc,
      action: text,
      kind: z.enum(AUDIT_KINDS),
      tier: z.string().regex(/^[0-5]$/),
      decision: z.enum(AUDIT_DECISIONS),
      reason_code: text,
      outcome: text,
      principal: text,
      owner: text,
      credential_id: text,
      approver: text,
      approval_id: text,
      incident: text,
      request_id: text,
      q: z
        .string()
        .min(TEXT_MIN)
        .max(TEXT_MAX)
        .meta({
          description:
            "Literal text within reason, evidence or detail; A to Z count as a to z. " +
            `Needs since, at most ${TEXT_DAYS_MAX} days before until (or before now).`,
        }),
      limit: z.int().min(1).max(AUDIT_LIST_MAX),
      cursor: text.meta({ description: "The next_cursor of an earlier answer." }),
    },
  },
  "GET /_gate/v1/audit/export": {
    operationId: "exportAudit",
    summary: "Audit records as a file, oldest first: NDJSON as hashed, CSV (formula-safe), or OCSF API Activity events",
    answer: ANSWER.auditRecord,
    file: ["application/x-ndjson", "text/csv"],
    query: {
      format: z.enum(AUDIT_EXPORT_FORMATS),
      ...EXPORTED,
      after: text.meta({ description: "Goes on behind this place, log:sequence: that of the last record had." }),
    },
  },
  "GET /_gate/v1/audit/export/manifest": {
    operationId: "auditExportManifest",
    summary: "What an export of these times consists of: the last line of the other formats, for CSV",
    answer: ANSWER.auditManifest,
    query: { format: z.enum(AUDIT_EXPORT_FORMATS), ...EXPORTED },
  },
  "GET /_gate/v1/credentials": {
    operationId: "listCredentials",
    summary: "API keys of the tenant, without their secrets",
    answer: ANSWER.credentials,
  },
  "POST /_gate/v1/credentials": {
    operationId: "createCredential",
    summary: "Mints an API key, shown this once; nobody hands out a role that they do not hold while others hold it",
    answer: ANSWER.credentialCreated,
    status: 201,
    refusals: ["not-eligible"],
  },
  "DELETE /_gate/v1/credentials/:id": {
    operationId: "revokeCredential",
    summary: "Revokes an API key: at once for writes, within 30 s for reads",
    answer: ANSWER.credentialRevoked,
    refusals: ["not-found"],
  },
  "POST /_gate/v1/approvals/:id/review": {
    operationId: "reviewBrokenGlass",
    summary: "Says what the review of a broken glass found: another approver of its tier, or security",
    answer: ANSWER.approval,
    refusals: ["not-found", "not-eligible", "already-decided"],
  },
  "GET /_gate/v1/channels": {
    operationId: "listChannels",
    summary: "The channels by which people are told, and when each was set up",
    answer: ANSWER.channels,
  },
  "PUT /_gate/v1/channels/slack": {
    operationId: "setUpSlack",
    summary: "Sets up the tenant's Slack workspace; the token is never shown again",
    answer: ANSWER.slackChannel,
  },
  "PUT /_gate/v1/channels/webhook": {
    operationId: "setUpWebhook",
    summary: "Sets up the tenant's webhook at one of the deployment's origins; the secret is never shown again",
    answer: ANSWER.webhookChannel,
  },
  "PUT /_gate/v1/channels/audit-webhook": {
    operationId: "setUpAuditWebhook",
    summary: "Has every audit record from the next one on sent to an address at one of the deployment's origins",
    answer: ANSWER.webhookChannel,
  },
  "DELETE /_gate/v1/channels/audit-webhook": {
    operationId: "removeAuditWebhook",
    summary: "Ends the sending of audit records",
    answer: ANSWER.channelRemoved,
  },
  "DELETE /_gate/v1/channels/:name": {
    operationId: "removeChannel",
    summary: "Removes a channel and its secrets",
    answer: ANSWER.channelRemoved,
    refusals: ["not-found"],
  },
  "POST /_gate/v1/sessions/revoke": {
    operationId: "revokeSessions",
    summary: "Ends every session that a person has at the approval page",
    answer: ANSWER.sessionsRevoked,
  },
  ...POLICY_ROUTES,
  ...REGISTRATION_ROUTES,
};

/** Response headers of the data plane (wire contract, section 4). */
export const RESPONSE_HEADERS: Readonly<Record<string, string>> = {
  "Gate-Request-Id": "Id of the request: what audit records and operations name.",
  "Gate-Decision": "allow, plan or refuse.",
  "Gate-Action": "The action that the catalogue found; absent before that.",
  "Gate-Tier": "The tier as far as it was decided; absent before that.",
  "Gate-Budget":
    "daily;cap_micros=…;held_micros=…;settled_micros=…;remaining_micros=…, monthly;… (RFC 9651 list), where the ledger was asked.",
  "RateLimit-Policy": '"reads" or "writes";q=<limit>;w=<seconds>.',
  RateLimit: '"reads" or "writes";r=<remaining>;t=<seconds>.',
  "Retry-After": "Seconds, on 429 and 503.",
  "Idempotency-Replayed": "?1 where the answer is a stored one.",
  "Server-Timing": "gate;dur=<milliseconds in the gate>.",
};
