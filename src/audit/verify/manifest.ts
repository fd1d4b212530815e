import { z } from "zod";
import { isJsonObject, type JsonObject } from "../../platform/json.ts";
import { jsonOf } from "./line.ts";

const sequence = z.int().min(0).nullable();
const MANIFEST_LOG = z.object({
  log: z.string(),
  first_sequence: sequence,
  last_sequence: sequence,
  count: z.int().min(0),
  /** Absent in exports from before there was retention. */
  deleted: z.int().min(0).default(0),
  first_previous_hash: z.string().nullable(),
  last_hash: z.string().nullable(),
  checkpoint: z.string().nullable(),
});
const MANIFEST = z.object({
  version: z.literal(1),
  tenant: z.string(),
  since: z.string().nullable(),
  until: z.string(),
  generated_at: z.string(),
  count: z.int().min(0),
  logs: z.array(MANIFEST_LOG),
});

/** What an export says of itself about one log. */
export type ManifestLog = z.infer<typeof MANIFEST_LOG>;
/** The last line of an export. Members beyond these are not looked at. */
export type Manifest = z.infer<typeof MANIFEST>;

const BEGINNING = '{"manifest":';

/**
 * Whether an export was asked for up to a time before it was made: then its logs may well have more records. One that ends
 * when it was made has all there were.
 */
export const isBounded = ({ until, generated_at: generatedAt }: Manifest): boolean =>
  Date.parse(until) < Date.parse(generatedAt);

/** Where an answer that ended before its manifest is to be gone on with (`ledger:1200`); null for any other line. */
export function readNext(line: string): string | null {
  const value = line.startsWith('{"next":') ? jsonOf(line) : undefined;
  const next = isJsonObject(value) ? value["next"] : undefined;
  const after = isJsonObject(next) ? next["after"] : undefined;
  return typeof after === "string" ? after : null;
}

/** Whether a line is meant as a manifest. No record begins like this: its members come in order, `action` first. */
export const isManifestLine = (line: string): boolean => line.startsWith(BEGINNING);

/** What a manifest line states, whatever that is: members that `readManifest` does not look at are signed, too. */
export function statedBy(line: string): JsonObject | null {
  const value = isManifestLine(line) ? jsonOf(line) : undefined;
  const stated = isJsonObject(value) ? value["manifest"] : undefined;
  return isJsonObject(stated) ? stated : null;
}

/** Reads the manifest of an export; null for another line, or for one that has not the form of a manifest. */
export function readManifest(line: string): Manifest | null {
  const read = MANIFEST.safeParse(statedBy(line));
  return read.success ? read.data : null;
}
