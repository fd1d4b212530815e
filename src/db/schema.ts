import { sql, type SQL } from "drizzle-orm";
import { index, integer, primaryKey, sqliteTable, text } from "drizzle-orm/sqlite-core";

const fromRecord = (path: string): SQL => sql.raw(`json_extract(record, '$.${path}')`);

/**
 * Kinds of audit records that are few: an index of their own finds them at once and costs the many others no row. SQLite uses a
 * partial index only where the query says the same, so filters by kind repeat exactly this text.
 */
export const RARE_KINDS = ["admin", "break-glass", "decision", "proposal", "settlement", "unknown"] as const;
export const IS_RARE_KIND: SQL = sql.raw(`kind IN (${RARE_KINDS.map((kind) => `'${kind}'`).join(", ")})`);

/**
 * The audit table that security teams query. `record` is the exact canonical text that was hashed; the columns beside it
 * are computed from it, so a column can never disagree with the record. Written by the projection, and by retention, which leaves of
 * an old record its place, its hash and the leaf of the log's tree: `record` is `{}` then, and the computed columns are null.
 */
export const audit = sqliteTable(
  "audit",
  {
    tenant: text("tenant").notNull(),
    log: text("log").notNull(),
    sequence: integer("sequence").notNull(),
    hash: text("hash").notNull(),
    record: text("record").notNull(),
    /** Base64; null while the text is there. */
    leafHash: text("leaf_hash"),
    /** When retention took the text away; null while it is there. */
    deletedAt: text("deleted_at"),
    previousHash: text("previous_hash").generatedAlwaysAs(fromRecord("previous_hash"), { mode: "virtual" }),
    time: text("time").generatedAlwaysAs(fromRecord("time"), { mode: "virtual" }),
    kind: text("kind").generatedAlwaysAs(fromRecord("kind"), { mode: "virtual" }),
    requestId: text("request_id").generatedAlwaysAs(fromRecord("request_id"), { mode: "virtual" }),
    principal: text("principal").generatedAlwaysAs(fromRecord("principal"), { mode: "virtual" }),
    owner: text("owner").generatedAlwaysAs(fromRecord("owner"), { mode: "virtual" }),
    credentialId: text("credential_id").generatedAlwaysAs(fromRecord("credential_id"), { mode: "virtual" }),
    action: text("action").generatedAlwaysAs(fromRecord("action"), { mode: "virtual" }),
    tier: integer("tier").generatedAlwaysAs(fromRecord("tier"), { mode: "virtual" }),
    decision: text("decision").generatedAlwaysAs(fromRecord("decision"), { mode: "virtual" }),
    reasonCode: text("reason_code").generatedAlwaysAs(fromRecord("reason_code"), { mode: "virtual" }),
    rule: text("rule").generatedAlwaysAs(fromRecord("rule"), { mode: "virtual" }),
    facts: text("facts").generatedAlwaysAs(fromRecord("facts"), { mode: "virtual" }),
    costMicros: integer("cost_micros").generatedAlwaysAs(fromRecord("cost_micros"), { mode: "virtual" }),
    priceVersion: text("price_version").generatedAlwaysAs(fromRecord("price_version"), { mode: "virtual" }),
    requestDigest: text("request_digest").generatedAlwaysAs(fromRecord("request_digest"), { mode: "virtual" }),
    reason: text("reason").generatedAlwaysAs(fromRecord("reason"), { mode: "virtual" }),
    evidence: text("evidence").generatedAlwaysAs(fromRecord("evidence"), { mode: "virtual" }),
    backOut: text("back_out").generatedAlwaysAs(fromRecord("back_out"), { mode: "virtual" }),
    incident: text("incident").generatedAlwaysAs(fromRecord("incident"), { mode: "virtual" }),
    approvalId: text("approval_id").generatedAlwaysAs(fromRecord("approval_id"), { mode: "virtual" }),
    approvers: text("approvers").generatedAlwaysAs(fromRecord("approvers"), { mode: "virtual" }),
    reservation: text("reservation").generatedAlwaysAs(fromRecord("reservation"), { mode: "virtual" }),
    outcome: text("outcome").generatedAlwaysAs(fromRecord("outcome"), { mode: "virtual" }),
    upstreamStatus: integer("upstream_status").generatedAlwaysAs(fromRecord("upstream_status"), { mode: "virtual" }),
    durationMs: integer("duration_ms").generatedAlwaysAs(fromRecord("duration_ms"), { mode: "virtual" }),
    /** 1 where there is anything to search free text in: most reads have nothing. */
    hasText: integer("has_text").generatedAlwaysAs(
      sql.raw(
        "coalesce(json_extract(record, '$.reason'), json_extract(record, '$.evidence'), json_extract(record, '$.detail')) IS NOT NULL",
      ),
      { mode: "virtual" },
    ),
    approverCount: integer("approver_count").generatedAlwaysAs(
      sql.raw("coalesce(json_array_length(record, '$.approvers'), 0)"),
      { mode: "virtual" },
    ),
  },
  (table) => [
    primaryKey({ columns: [table.tenant, table.log, table.sequence] }),
    // The order of every list. What people filter by stands behind it, so that a record that does not match is passed over
    // without being read: one row written for all of them, where an index for each would be one row each.
    index("audit_by_time").on(
      table.tenant,
      table.time,
      table.log,
      table.sequence,
      table.kind,
      table.decision,
      table.tier,
      table.action,
      table.principal,
      table.credentialId,
      table.owner,
      table.reasonCode,
      table.outcome,
      table.hasText,
      table.approverCount,
    ),
    // The others end in the list's order too, so that what they find needs no sorting. Without statistics, which D1 has none of,
    // SQLite would pass them over for the list's own: `db/audit-rows.ts` names the one to use.
    index("audit_by_request").on(table.tenant, table.requestId),
    index("audit_by_approval")
      .on(table.tenant, table.approvalId, table.time, table.log, table.sequence)
      .where(sql`approval_id IS NOT NULL`),
    index("audit_by_incident")
      .on(table.tenant, table.incident, table.time, table.log, table.sequence)
      .where(sql`incident IS NOT NULL`),
    index("audit_by_rare_kind").on(table.tenant, table.kind, table.time, table.log, table.sequence).where(IS_RARE_KIND),
  ],
);

/** Policies, people, catalogues and price tables by the digest of their exact text. Immutable; checked against the digest when read. */
export const documents = sqliteTable("documents", {
  digest: text("digest").primaryKey(),
  kind: text("kind", { enum: ["policy", "people", "catalogue", "prices"] }).notNull(),
  body: text("body").notNull(),
  createdAt: text("created_at").notNull(),
});

/** Evidence uploaded before the request that names it: redacted text by the digest of exactly that text. */
export const evidence = sqliteTable(
  "evidence",
  {
    tenant: text("tenant").notNull(),
    digest: text("digest").notNull(),
    body: text("body").notNull(),
    createdBy: text("created_by").notNull(),
    createdAt: text("created_at").notNull(),
    /** When a request named it last; when it was stored, if none has. */
    namedAt: text("named_at"),
  },
  (table) => [
    primaryKey({ columns: [table.tenant, table.digest] }),
    index("evidence_by_named").on(table.tenant, table.namedAt),
  ],
);

/** One row per tenant: its sealed upstream credential. `mac` is an HMAC under RECORD_PEPPER: edit rights here mint nothing. */
export const tenants = sqliteTable("tenants", {
  id: text("id").primaryKey(),
  upstreamCredential: text("upstream_credential").notNull(),
  createdAt: text("created_at").notNull(),
  mac: text("mac").notNull(),
});

/** Registered JWT issuers: an issuer belongs to exactly one tenant. `mac` as above, over the exact text of `registration`. */
export const issuers = sqliteTable("issuers", {
  issuer: text("issuer").primaryKey(),
  tenant: text("tenant").notNull(),
  registration: text("registration").notNull(),
  createdAt: text("created_at").notNull(),
  mac: text("mac").notNull(),
});

/**
 * Registered approval authorities: whose tokens count as decisions of one tenant's people. `mac` as above, over the exact text
 * of `registration`.
 */
export const approvalIssuers = sqliteTable(
  "approval_issuers",
  {
    tenant: text("tenant").notNull(),
    issuer: text("issuer").notNull(),
    registration: text("registration").notNull(),
    createdAt: text("created_at").notNull(),
    mac: text("mac").notNull(),
  },
  (table) => [primaryKey({ columns: [table.tenant, table.issuer] })],
);

/**
 * How a tenant's people are reached: its Slack workspace, its webhook, its OpenID provider. `sealed` holds tokens and secrets
 * under SEALING_KEY; `mac` as above.
 */
export const channels = sqliteTable(
  "channels",
  {
    tenant: text("tenant").notNull(),
    name: text("name", { enum: ["slack", "webhook", "audit-webhook", "sign-in"] }).notNull(),
    /** What a message that comes in names its channel by: the Slack workspace. Empty where nothing comes in. */
    address: text("address").notNull(),
    sealed: text("sealed").notNull(),
    createdAt: text("created_at").notNull(),
    mac: text("mac").notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.tenant, table.name] }),
    index("channels_by_address").on(table.name, table.address),
  ],
);

/** Open sessions of the approval page, and links that make one: positive records (db/sign-in-rows.ts). */
export const signIns = sqliteTable(
  "sign_ins",
  {
    id: text("id").primaryKey(),
    kind: text("kind", { enum: ["session", "link"] }).notNull(),
    tenant: text("tenant").notNull(),
    subject: text("subject").notNull(),
    /** Milliseconds since the epoch. */
    expiresAt: integer("expires_at").notNull(),
  },
  (table) => [
    index("sign_ins_by_person").on(table.tenant, table.subject),
    index("sign_ins_by_expiry").on(table.expiresAt),
  ],
);

/**
 * Whether the deployment's owner has frozen all tenants: one row. What holds is what each ledger has heard of it; this says what
 * those that are told later are told. `generation` grows with every change, so that an order that was overtaken is known as such.
 */
export const deploymentFreeze = sqliteTable("deployment_freeze", {
  only: integer("only").primaryKey(),
  generation: integer("generation").notNull(),
  frozen: integer("frozen", { mode: "boolean" }).notNull(),
  reason: text("reason").notNull(),
  /** Milliseconds since the epoch. */
  since: integer("since").notNull(),
});

/** Logs whose second copy is late. No row for those in time: they write nothing here. */
export const lateCopies = sqliteTable(
  "late_copies",
  {
    tenant: text("tenant").notNull(),
    log: text("log").notNull(),
    /** How many wait, as of the newest word. */
    records: integer("records").notNull(),
    /** Milliseconds since the epoch. */
    since: integer("since").notNull(),
  },
  (table) => [primaryKey({ columns: [table.tenant, table.log] })],
);
