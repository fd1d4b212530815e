import { canonicalJson } from "../platform/canonical-json.ts";

/** A record of a log as D1 has it. `leafHash`: null while its text is there; else that of the log's tree, and `record` says nothing. */
export type StoredRow = {
  readonly sequence: number;
  readonly hash: string;
  readonly record: string;
  readonly leafHash: string | null;
};

/** The line that stands for a record in an export or a copy: its own text, or what retention has left of it. */
export const lineOfRow = (log: string, { sequence, hash, record, leafHash }: StoredRow): string =>
  leafHash === null ? record : canonicalJson({ deleted: true, hash, leaf_hash: leafHash, log, sequence });
