import { z } from "zod";
import { isJsonObject, type JsonObject } from "../../platform/json.ts";
import { ok, type Result } from "../../platform/result.ts";
import { readAs } from "../client.ts";
import type { Failure } from "../failure.ts";
import type { Cell } from "../print.ts";

const text = z.string().nullish();

/** What people are shown of a record. */
const recordSchema = z.object({
  request_id: z.string(),
  log: z.string(),
  sequence: z.int(),
  time: z.string(),
  kind: z.string(),
  principal: text,
  owner: text,
  credential_id: text,
  method: text,
  path: text,
  action: text,
  tier: z.number().nullish(),
  decision: text,
  reason_code: text,
  detail: text,
  rule: text,
  facts: z.record(z.string(), z.json()).nullish(),
  cost_micros: z.int().nullish(),
  reason: text,
  evidence: text,
  back_out: text,
  incident: text,
  approval_id: text,
  approvers: z.array(z.string()).nullish(),
  reservation: z
    .object({ state: z.string(), held_micros: z.int().nullish(), settled_micros: z.int().nullish() })
    .nullish(),
  outcome: text,
  upstream_status: z.int().nullish(),
  count: z.int().nullish(),
});
export type AuditLine = z.infer<typeof recordSchema>;

const answerSchema = z.object({ records: z.array(recordSchema), next_cursor: z.string().nullable() });

/** One page of records: as they came, and as they are shown. */
export type AuditLines = {
  readonly raw: readonly JsonObject[];
  readonly lines: readonly AuditLine[];
  readonly cursor: string | null;
};

/** Reads an answer of `GET /_gate/v1/audit`. */
export function readLines(answer: JsonObject): Result<AuditLines, Failure> {
  const view = readAs(answerSchema, answer);
  if (!view.ok) return view;
  const { records } = answer;
  const raw = Array.isArray(records) ? records.filter(isJsonObject) : [];
  return ok({ raw, lines: view.value.records, cursor: view.value.next_cursor });
}

/** `refuse: budget-exceeded`, `allow: succeeded`. */
export function resultCell({ decision, reason_code: reason, outcome, kind }: AuditLine): Cell {
  const why = reason ?? outcome;
  const shown = [decision ?? (why ? null : kind), why].filter(Boolean).join(": ");
  if (decision === "refuse") return { text: shown, style: "bad" };
  return decision === "allow" ? { text: shown, style: "good" } : shown;
}

/** The tier, or a dash where the request never got that far. */
export const tierCell = ({ tier }: AuditLine): string => (tier === null || tier === undefined ? "–" : String(tier));

/** `2026-11-20 15:28:09Z`. */
export const exactTime = (iso: string): string =>
  /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}/.test(iso) ? `${iso.slice(0, 10)} ${iso.slice(11, 19)}Z` : iso;
