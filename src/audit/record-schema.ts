import { z } from "zod";
import type { JsonValue } from "../platform/json.ts";
import { plainJson } from "../platform/plain-json.ts";
import { TIERS } from "../vocabulary.ts";
import type { AuditKind, AuditRecord } from "./record.ts";

/** Every kind of record there is. */
export const AUDIT_KINDS = [
  "request",
  "plan",
  "intent",
  "unknown",
  "outcome",
  "proposal",
  "decision",
  "break-glass",
  "settlement",
  "admin",
] as const satisfies readonly AuditKind[];

/** What a gate may have decided about a request. */
export const AUDIT_DECISIONS = ["allow", "plan", "refuse"] as const;

const text = z.string();
const textOrNull = text.nullable();
const count = z.int().nonnegative();
const micros = z.int().meta({ description: "Integer millionths of a US dollar." });
const digest = z
  .templateLiteral(["sha256:", z.string().regex(/[0-9a-f]{64}/)])
  .meta({ description: "SHA-256, in hex." });
const time = text
  .regex(/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/)
  .meta({ format: "date-time", description: "ISO 8601, UTC, milliseconds." });

const reservation = z
  .strictObject({
    id: text,
    state: z.enum(["held", "dispatching", "committed", "unknown", "settled", "released"]),
    daily: text.meta({ description: "The daily window that it counts in, such as 2026-11-20." }),
    monthly: text,
    held_micros: micros,
    settled_micros: micros.nullable(),
  })
  .meta({ description: "The money of this operation or proposal as it stood when the record was made." });

/**
 * One audit record, version 1: the form in which it is hashed, stored, answered and exported. Closed, and every member is in
 * every record. Members may be added; one that is renamed, removed or given another meaning or type is a new `version`.
 */
export const AUDIT_RECORD = z
  .strictObject({
    version: z.literal(1),
    tenant: text,
    log: text.meta({ description: "ledger, or one of the logs of reads and refusals: requests-0 to requests-3." }),
    sequence: z.int().positive().meta({ description: "Place in its log: from 1, without a gap." }),
    previous_hash: digest.meta({ description: "The hash of the record before it in its log; zeros for the first." }),
    hash: digest.meta({
      description:
        "SHA-256 over portcullis/audit/v1, a line feed, and the RFC 8785 text of the record without this member.",
    }),
    kind: z.enum(AUDIT_KINDS),
    request_id: text,
    time,
    principal: textOrNull,
    principal_class: z.enum(["agent", "service", "person", "deployment", "gate"]).nullable().meta({
      description: "deployment: whoever holds the bootstrap secret; gate: the gate's own outbox, and retention.",
    }),
    owner: textOrNull,
    credential_id: textOrNull,
    demo: z.boolean(),
    method: textOrNull,
    path: textOrNull,
    action: textOrNull,
    tier: z.literal(TIERS).nullable(),
    decision: z.enum(AUDIT_DECISIONS).nullable(),
    reason_code: textOrNull.meta({
      description: "Slug of the problem of a refusal, or what a ledger event was about.",
    }),
    detail: textOrNull,
    rule: textOrNull,
    shadow: z.array(z.strictObject({ rule: text, verdict: text })).meta({
      description: "Rules that are judged and not enforced, and what each would have decided: a slug, or a tier.",
    }),
    policy_digest: digest.nullable(),
    facts: z.record(text, z.union([text, z.number(), z.boolean(), z.array(text)])).nullable(),
    cost_micros: micros.nullable(),
    price_version: textOrNull,
    request_digest: digest.nullable(),
    reason: textOrNull,
    evidence: textOrNull,
    back_out: textOrNull,
    incident: textOrNull,
    approval_id: textOrNull,
    approvers: z.array(text),
    reservation: reservation.nullable(),
    outcome: textOrNull,
    upstream_status: z.int().min(100).max(599).nullable(),
    duration_ms: count.nullable(),
    count: z.int().positive().meta({ description: "How many like records this one stands for." }),
  })
  .meta({ title: "Portcullis audit record" }) satisfies z.ZodType<AuditRecord>;

/** JSON Schema 2020-12 of the record, for whoever reads exports. */
export const auditRecordJsonSchema = (): JsonValue =>
  plainJson(z.toJSONSchema(AUDIT_RECORD, { target: "draft-2020-12", io: "output" }));
