import type { JsonObject } from "../platform/json.ts";

/** The forms in which records are exported. */
export const AUDIT_EXPORT_FORMATS = ["ndjson", "csv", "ocsf"] as const;
export type AuditExportFormat = (typeof AUDIT_EXPORT_FORMATS)[number];

/** One log's part of an export: an unbroken run of its records. Hashes as in the records. */
export type ManifestLog = {
  readonly log: string;
  readonly first: number;
  readonly last: number;
  readonly count: number;
  /** How many of them retention has deleted: the first ones. Their hashes are there, and their text is not. */
  readonly deleted: number;
  /** Null where it is not known any more. */
  readonly firstPreviousHash: string | null;
  readonly lastHash: string;
  /** The newest checkpoint of the log that has no more records than up to `last`, and the key it verifies with; null where none is kept. */
  readonly checkpoint: string | null;
  readonly verifierKey: string | null;
};

/** What an export consists of. Times are ISO 8601, UTC; `since` null: from the beginning. */
export type Manifest = {
  readonly tenant: string;
  readonly format: AuditExportFormat;
  readonly since: string | null;
  readonly until: string;
  readonly generatedAt: string;
  readonly logs: readonly ManifestLog[];
};

/** A manifest with the note that is signed over it (`manifest-note.ts`). */
export type SignedManifest = Manifest & { readonly signature: string };

/** What a manifest says, as it is signed. */
export const statedJson = ({ tenant, format, since, until, generatedAt, logs }: Manifest): JsonObject => ({
  version: 1,
  tenant,
  format,
  since,
  until,
  generated_at: generatedAt,
  complete: true,
  count: logs.reduce((sum, { count }) => sum + count, 0),
  deleted: logs.reduce((sum, { deleted }) => sum + deleted, 0),
  logs: logs.map(({ log, first, last, count, deleted, firstPreviousHash, lastHash, checkpoint, verifierKey }) => ({
    log,
    first_sequence: first,
    last_sequence: last,
    count,
    deleted,
    first_previous_hash: firstPreviousHash,
    last_hash: lastHash,
    checkpoint,
    verifier_key: verifierKey,
  })),
});

/** The manifest as the last line of an export has it, and as it is answered on its own. */
export const manifestJson = (manifest: SignedManifest): JsonObject => ({
  manifest: { ...statedJson(manifest), signature: manifest.signature },
});
