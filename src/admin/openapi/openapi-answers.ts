import { z } from "zod";
import { AUDIT_EXPORT_FORMATS } from "../../audit/manifest.ts";
import { AUDIT_RECORD } from "../../audit/record-schema.ts";
import type { JsonValue } from "../../platform/json.ts";
import { ROLES } from "../../identity/principal.ts";
import { TIERS } from "../../vocabulary.ts";

/** Schemas of the bodies that the gate's own API answers with. For its OpenAPI document only: answers are not parsed. */
export const ANSWERS = z.registry<{ id: string }>();

/** Gives a schema the name that the document has it under. */
export const named = <T extends z.ZodType>(id: string, schema: T): T => {
  ANSWERS.add(schema, { id });
  return schema;
};

export const text = z.string();
export const textOrNull = text.nullable();
export const count = z.int().nonnegative();
export const time = text.meta({ format: "date-time", description: "ISO 8601, UTC." });
export const timeOrNull = time.nullable();
export const micros = z.int().meta({ description: "Integer millionths of a US dollar." });
export const usd = z.number().meta({ description: "The same amount in US dollars, for people." });
const digest = z.templateLiteral(["sha256:", z.string()]).meta({ pattern: "^sha256:[0-9a-f]{64}$" });
const base64Hash = text.meta({ pattern: "^[A-Za-z0-9+/]{43}=$", description: "SHA-256 in base64." });
const tier = z.literal(TIERS);
export const anything = z.custom<JsonValue>();
const object = z.record(text, anything);
const principalClass = z.enum(["agent", "service", "person"]);
export const digests = z.object({ policy: digest, people: digest, catalogue: digest, prices: digest });

/** A list as every answer has them. */
export const listOf = <T extends z.ZodType>(id: string, record: T) =>
  named(id, z.object({ records: z.array(record), next_cursor: textOrNull }));

const decision = z.object({
  subject: text,
  handle: textOrNull,
  decision: z.enum(["approve", "deny", "break-glass"]),
  comment: textOrNull,
  demo: z.boolean(),
  decided_at: time,
});

const approval = z.object({
  id: text,
  url: text,
  state: z.enum(["draft", "pending", "approved", "denied", "expired", "withdrawn", "invalidated", "consumed"]),
  action: text,
  tier,
  rule: textOrNull,
  facts: object,
  resource: textOrNull,
  request: z
    .object({ method: text, path: text, query: object, body: anything })
    .meta({ description: "The rebuilt request as it would be sent, secrets redacted." }),
  cost: z.object({ ceiling_usd: usd, ceiling_micros: micros }),
  reason: textOrNull,
  evidence: textOrNull,
  back_out: textOrNull,
  incident: textOrNull,
  requester: text,
  owner: text,
  needed: count,
  given: count,
  eligible: count,
  approvers: z.array(text).meta({ description: "Handles of the people who may decide." }),
  decisions: z.array(decision),
  attempts: z
    .array(z.object({ subject: text, handle: textOrNull, decision: text, reason: text, attempted_at: time }))
    .meta({ description: "People whose word does not count and who tried all the same; the last try of each." }),
  review: z
    .object({ state: z.enum(["due", "done"]), broken_by: text, reviewed_by: textOrNull, comment: textOrNull })
    .nullable()
    .meta({ description: "The review that a broken glass needs afterwards; null where nobody broke it." }),
  opened_at: time,
  expires_at: time,
  request_digest: digest,
  approval_digest: digest,
  affected: z
    .object({ count: z.int(), items: z.array(text) })
    .nullable()
    .meta({ description: "What the change would affect; null where the catalogue declares no look-up." }),
  blast_radius: textOrNull,
  elevated: z.boolean().meta({ description: "Whether it reaches further than the catalogue's smallest radius." }),
  reversible: z.boolean().nullable(),
  window: z.object({ name: text, closes_at: time }).nullable().meta({
    description: "The maintenance window open when it was proposed: it runs in one only; null where at any time.",
  }),
  shadow: z
    .array(z.object({ rule: text, verdict: text }))
    .meta({ description: "What rules in shadow would have decided: recorded, not enforced." }),
  confirm: textOrNull.meta({ description: "What an approver has to send as confirm, where the policy asks for it." }),
  page_url: text.meta({ description: "The proposal's page for signed-in approvers." }),
  consumed_by: textOrNull,
  standing: z
    .object({
      pins: object,
      uses: count,
      uses_left: count,
      cap_usd: usd,
      cap_micros: micros,
      left_usd: usd,
      left_micros: micros,
      expires_at: time,
    })
    .nullable()
    .meta({ description: "What a standing approval allows beyond one request; null where it is for one." }),
  token: text.optional().meta({ description: "The approval token: for the requester, while state is approved." }),
});

const openCount = z.object({ count, oldest: timeOrNull });

const credential = z.object({
  key_id: text,
  subject: text,
  class: principalClass,
  owner: text,
  issuer: text,
  scopes: z.object({ actions: z.array(text), max_tier: tier }),
  roles: z.array(z.enum(ROLES)),
  last4: text,
  demo: z.boolean(),
  created_at: time,
  expires_at: time,
  revoked_at: timeOrNull,
});

const auditRecord = named("AuditRecord", AUDIT_RECORD);

const manifest = z.object({
  version: z.literal(1),
  tenant: text,
  format: z.enum(AUDIT_EXPORT_FORMATS),
  since: timeOrNull,
  until: time,
  generated_at: time,
  complete: z.literal(true),
  count,
  deleted: count.meta({
    description: "Of these, records that retention has deleted: hashes in NDJSON, left out elsewhere.",
  }),
  logs: z.array(
    z.object({
      log: text,
      first_sequence: count,
      last_sequence: count,
      count,
      deleted: count,
      first_previous_hash: digest.nullable(),
      last_hash: digest,
      checkpoint: textOrNull.meta({ description: "A signed checkpoint of the log (C2SP signed note)." }),
      verifier_key: textOrNull,
    }),
  ),
  signature: text.meta({
    description: "A note (C2SP signed-note) over the digest of all other members, by the key of the checkpoints.",
  }),
});

const warning = z.object({
  line: count.nullable(),
  column: count.nullable(),
  path: text,
  message: text,
  severity: z.literal("warning"),
});
export const warnings = z.array(warning);

const issuedKey = z.object({ key: text, key_id: text });

/** One schema per answer, under the name that the OpenAPI document gives it. */
export const ANSWER = {
  health: named("Health", z.object({ status: z.literal("ok") })),
  readiness: named(
    "Readiness",
    z.object({
      ready: z.boolean(),
      dependencies: z.record(text, z.enum(["ok", "unavailable"])),
      bootstrap_secret: text,
      second_copy: z.object({
        state: z.enum(["off", "in-time", "late", "unknown"]),
        logs: count,
        records: count,
        since: text.nullable(),
      }),
    }),
  ),
  problemPage: named("ProblemPage", z.object({ slug: text, status: z.int(), title: text, what_to_do: text })),
  bootstrapped: named(
    "Bootstrapped",
    z.object({ tenant: text, operator: issuedKey, security: issuedKey, finance: issuedKey, warnings }),
  ),
  signInLink: named("SignInLink", z.object({ path: text, expires_at: text })),
  sessionsRevoked: named("SessionsRevoked", z.object({ subject: text, ended: count })),
  whoami: named(
    "WhoAmI",
    z.object({
      principal: text,
      class: principalClass,
      owner: text,
      tenant: text,
      credential_id: text,
      scopes: z.object({ actions: z.array(text), max_tier: tier }),
      roles: z.array(z.enum(ROLES)),
      demo: z.boolean(),
      expires_at: time,
      policy: z.object({ version: count, digest, catalogue: text }),
    }),
  ),
  openOperations: named(
    "OpenOperations",
    z.object({
      dispatching: openCount.meta({ description: "Past their dispatch deadline, and not swept yet." }),
      unknown: openCount.meta({ description: "Swept: nobody has seen what became of them." }),
      records: z.array(
        z.object({
          request_id: text,
          state: z.enum(["dispatching", "unknown"]),
          principal: text,
          action: textOrNull,
          admitted_at: time,
          look_ups: count,
        }),
      ),
      next_cursor: z.null(),
    }),
  ),
  operation: named(
    "Operation",
    z.object({
      request_id: text,
      principal: text,
      action: textOrNull,
      state: z.enum(["dispatching", "succeeded", "failed", "unknown", "not-sent"]),
      resource: textOrNull,
      upstream_status: z.int().nullable(),
      reservation: z
        .object({
          state: z.enum(["held", "dispatching", "committed", "unknown", "settled", "released"]),
          ceiling_usd: usd,
          ceiling_micros: micros,
          settled_usd: usd.nullable(),
          settled_micros: micros.nullable(),
        })
        .nullable(),
      admitted_at: time,
      completed_at: timeOrNull,
    }),
  ),
  freezes: listOf("Freezes", z.object({ scope: text, reason: text, frozen_by: text, since: time })),
  channels: listOf("Channels", z.object({ name: text, set_at: text })),
  slackChannel: named("SlackChannel", z.object({ name: z.literal("slack"), team_id: text })),
  webhookChannel: named("WebhookChannel", z.object({ name: z.enum(["webhook", "audit-webhook"]), origin: text })),
  channelRemoved: named("ChannelRemoved", z.object({ name: text, removed: z.boolean() })),
  upstreamCredential: named("UpstreamCredentialState", z.object({ replaced: z.boolean(), control_plane: text })),
  freeze: named("FreezeState", z.object({ frozen: z.boolean(), scope: text })),
  deploymentFreeze: named(
    "DeploymentFreeze",
    z.object({ frozen: z.boolean(), reason: text.optional(), since: time.optional() }),
  ),
  deploymentFreezeStep: named(
    "DeploymentFreezeStep",
    z.object({
      frozen: z.boolean(),
      reason: text.optional(),
      since: time.optional(),
      changed: z.int().meta({ description: "Tenants that follow since this call." }),
      unchanged: z.int().meta({ description: "Tenants that did so already." }),
      failed: z.array(text).meta({ description: "Tenants whose ledger did not answer: repeat the call for them." }),
      next_cursor: text.nullable().meta({ description: "Where to go on; null when every tenant was asked." }),
    }),
  ),
  approval: named("Approval", approval),
  approvals: listOf("Approvals", approval),
  evidenceStored: named("EvidenceStored", z.object({ ref: digest, bytes: count, use: text })),
  evidence: named("Evidence", z.object({ ref: digest, evidence: text })),
  auditRecord,
  audit: listOf("AuditRecords", auditRecord),
  auditCheckpoint: named(
    "AuditCheckpoint",
    z.object({
      log: text,
      size: count.meta({ description: "The log's first records, as many as this." }),
      root: base64Hash,
      note: text.meta({ description: "C2SP signed note: origin, size, root, Ed25519 signature." }),
      signed_at: time,
      verifier_key: text.meta({ description: "What the note verifies with: <name>+<key id>+<base64>." }),
    }),
  ),
  auditProof: named(
    "AuditProof",
    z.object({
      log: text,
      sequence: count,
      size: count,
      leaf_hash: base64Hash,
      hashes: z.array(base64Hash).meta({ description: "RFC 9162, section 2.1.3: from the leaf upwards." }),
      checkpoint: textOrNull.meta({ description: "The signed note of this size; null where none of it is kept." }),
    }),
  ),
  auditConsistency: named(
    "AuditConsistency",
    z.object({
      log: text,
      from: count,
      to: count,
      hashes: z.array(base64Hash).meta({ description: "RFC 9162, section 2.1.4." }),
    }),
  ),
  auditManifest: named("AuditManifest", z.object({ manifest })),
  credentials: listOf("Credentials", credential),
  credentialCreated: named("CredentialCreated", z.object({ key_id: text, key: text, expires_at: time })),
  credentialRevoked: named("CredentialRevoked", z.object({ revoked: z.literal(true), key_id: text })),
} as const;
