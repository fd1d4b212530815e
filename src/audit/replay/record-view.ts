import { z } from "zod";
import { TIERS } from "../../vocabulary.ts";
import { AUDIT_KINDS } from "../record-schema.ts";

const textOrNull = z.string().nullable();

/**
 * The members of an audit record that say what was asked and decided. Open, unlike `AUDIT_RECORD`: an export of a newer or older gate is
 * read as far as it is understood.
 */
export const RECORD_VIEW = z.object({
  kind: z.enum(AUDIT_KINDS),
  request_id: z.string(),
  time: z.string().refine((text) => !Number.isNaN(Date.parse(text)), { error: "is no time" }),
  principal: textOrNull,
  owner: textOrNull,
  path: textOrNull,
  action: textOrNull,
  tier: z.literal(TIERS).nullable(),
  decision: textOrNull,
  reason_code: textOrNull,
  rule: textOrNull,
  shadow: z.array(z.object({ rule: z.string(), verdict: z.string() })),
  facts: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.array(z.string())])).nullable(),
  cost_micros: z.int().nullable(),
  approval_id: textOrNull,
  count: z.int().positive(),
});
export type RecordView = z.infer<typeof RECORD_VIEW>;

/** What a line of an export in NDJSON is. */
export type ExportLine =
  | { readonly kind: "record"; readonly record: RecordView }
  /** Retention has taken its text away. */
  | { readonly kind: "deleted" }
  /** The manifest at the end, or where to go on. */
  | { readonly kind: "end"; readonly after: string | null }
  | { readonly kind: "unreadable" };

const ENDING = z.union([
  z.object({ manifest: z.unknown().refine((value) => value !== undefined) }).transform(() => null),
  z.object({ next: z.object({ after: z.string() }) }).transform(({ next }) => next.after),
]);
const DELETED = z.object({ deleted: z.literal(true) });

/** Reads one line. Never throws. */
export function readExportLine(line: string): ExportLine {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return { kind: "unreadable" };
  }
  const record = RECORD_VIEW.safeParse(value);
  if (record.success) return { kind: "record", record: record.data };
  if (DELETED.safeParse(value).success) return { kind: "deleted" };
  const ending = ENDING.safeParse(value);
  return ending.success ? { kind: "end", after: ending.data } : { kind: "unreadable" };
}
