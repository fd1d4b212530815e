import type { Findings } from "./findings.ts";
import type { ManifestLog } from "./manifest.ts";

/** What an export has of a log. */
export type Present = {
  readonly records: number;
  readonly first: number;
  readonly last: number;
  /** Records at its end in whose place something else stands, which has been named. */
  readonly garbled: number;
  /** Of the last record, or of all that claim to be it; null where something else is wrong with it. */
  readonly hashes: readonly string[] | null;
  /** Where an earlier part of the same export ended that these records go on from; null where none did. */
  readonly earlier: { readonly last: number; readonly hash: string } | null;
};

/** Names how the records of a log differ from what the export's manifest says of them. */
export function compareWithManifest(findings: Findings, own: ManifestLog, present: Present): void {
  const { first_sequence: first, last_sequence: last, count } = own;
  const { garbled, earlier } = present;
  if (present.records === 0) {
    if (earlier !== null && last !== null && earlier.last >= last) {
      if (earlier.last === last && own.last_hash !== null && earlier.hash !== own.last_hash)
        findings.add("forked", last, last, null, "the earlier part ends with another record than the manifest says");
    } else if (first !== null && last !== null) {
      const from = Math.max(first, (earlier?.last ?? 0) + 1) + garbled;
      if (from <= last) findings.add("truncated", from, last, null, "the manifest counts more records");
    }
    return;
  }
  if (first !== null && present.first > first && earlier === null)
    findings.add("deleted", first, present.first - 1, null, "the manifest counts them");
  if (first !== null && present.first < first)
    findings.add("inserted", present.first, first - 1, null, "the manifest's first record comes later");
  if (last !== null && last > present.last + garbled)
    findings.add("truncated", present.last + garbled + 1, last, null, "the manifest counts more records");
  if (last === null || last < present.last)
    findings.add("inserted", (last ?? 0) + 1, present.last, null, "the manifest's last record comes before");
  const isOther = own.last_hash !== null && present.hashes?.includes(own.last_hash) === false;
  if (isOther && last === present.last)
    findings.add("edited", last, last, null, "it is not what the manifest says the export ends with");
  if (findings.count === 0 && earlier === null && count !== present.records)
    findings.add("edited", null, null, null, `the manifest counts ${count} records, there are ${present.records}`);
}
