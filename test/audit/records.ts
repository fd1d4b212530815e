import { GENESIS, hashRecord } from "../../src/audit/journal.ts";
import { blankEntry, type AuditEntry, type AuditRecord } from "../../src/audit/record.ts";
import { canonicalJson } from "../../src/platform/canonical-json.ts";
import type { Digest } from "../../src/vocabulary.ts";

/** 2026-11-20T08:00:00Z. */
export const RECORDS_START = Date.UTC(2026, 10, 20, 8);

type Over = Partial<AuditEntry> & { readonly tenant?: string; readonly log?: string; readonly sequence?: number };

/** One record on its own, hashed as the journal hashes it: a write of tier 2, unless something else is said. */
export function auditRecord(over: Over = {}, previous: Digest = GENESIS): AuditRecord {
  const sequence = over.sequence ?? 1;
  const unhashed = {
    ...blankEntry("intent", `req_${String(sequence).padStart(26, "0")}`, RECORDS_START + sequence * 1_000),
    principal: "agent:trainer",
    principal_class: "agent",
    owner: "person:dana",
    credential_id: "key_1",
    method: "POST",
    path: "/v1/workloads",
    action: "workloads.submit",
    tier: 2 as const,
    decision: "allow" as const,
    rule: "allowed_tools.tier_2[0] workloads.submit",
    facts: { gpus: 4, job_type: "elastic" },
    cost_micros: 20_000_000,
    price_version: "2026-11-01",
    reason: "weekly retraining",
    outcome: "dispatching",
    tenant: "acme",
    log: "ledger",
    ...over,
    sequence,
    previous_hash: previous,
  };
  return { ...unhashed, hash: hashRecord(unhashed) };
}

/** A log of records, chained from the first on. */
export function auditLog(entries: readonly Over[], log = "ledger", tenant = "acme"): readonly AuditRecord[] {
  let previous = GENESIS;
  return entries.map((over, index) => {
    const record = auditRecord({ ...over, tenant, log, sequence: index + 1 }, previous);
    previous = record.hash;
    return record;
  });
}

/** The exact text that is stored and exported. */
export const recordText = (record: AuditRecord): string => canonicalJson({ ...record });
