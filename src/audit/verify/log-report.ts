import type { Anchor, Verdict } from "./anchors.ts";
import type { CompactRange } from "./compact-range.ts";
import type { DeletedPrefix } from "./deleted-prefix.ts";
import type { Finding } from "./findings.ts";
import type { Mark } from "./marks.ts";

/** Where a log stood at the end of an export: the next one may go on there. */
export type Carried = {
  readonly last: number;
  readonly hash: string;
  /** Null where the log was not seen from its first record on. */
  readonly tree: CompactRange | null;
  /** Hashes of some of its records: where another history begins shows between two of them. */
  readonly marks: readonly Mark[];
  /** What retention has left of its beginning. */
  readonly prefix: DeletedPrefix;
};

/** What is known of one log after its last record. */
export type LogReport = {
  readonly log: string;
  readonly records: number;
  /** How many of them have no text any more. */
  readonly deleted: number;
  /** What of that could not be checked, in a sentence; null for nothing. */
  readonly uncheckedDeletion: string | null;
  /** Null where there are none. */
  readonly first: number | null;
  readonly last: number | null;
  /** Whether every record from the log's first on was seen: only then can roots be computed. */
  readonly fromStart: boolean;
  /** Root over all records, null where it cannot be computed. */
  readonly root: Uint8Array | null;
  readonly findings: readonly Finding[];
  /** All findings, those beyond the listed ones too. */
  readonly findingCount: number;
  readonly anchors: readonly (readonly [Anchor, Verdict])[];
};
