import type { DeletedPrefix } from "./deleted-prefix.ts";
import type { Findings } from "./findings.ts";
import { isBounded, type Manifest } from "./manifest.ts";
import type { RetentionStatement } from "./retention-statement.ts";

/** The log that statements of retention stand in. */
const STATEMENTS = "ledger";

/**
 * Judges the records of a log that have no text: a record in the ledger's log has to say that retention takes the log so far, and
 * what is left of it has to be what that record states. Returns a sentence about what could not be checked, null for nothing.
 */
export function judgeDeletion(
  findings: Findings,
  log: string,
  prefix: DeletedPrefix,
  manifest: Manifest | null,
  statement: RetentionStatement | null,
): string | null {
  if (prefix.last === 0) return null;
  const stated = statement?.logs.get(log) ?? null;
  if (stated === null || stated.to < prefix.last) {
    const hasStatements = manifest?.logs.some((one) => one.log === STATEMENTS) === true && !isBounded(manifest);
    if (!hasStatements && manifest !== null)
      return `Whether retention took the text of ${log} up to ${prefix.last} could not be checked: the record that says so is in the log ${STATEMENTS}, of which this export does not have the end.`;
    const why = "no record says that retention took their text";
    findings.add("deleted", (stated?.to ?? 0) + 1, prefix.last, null, why);
    return null;
  }
  const isKnown = prefix.digest !== null && stated.to === prefix.last;
  if (isKnown && prefix.digest !== stated.digest)
    findings.add(
      "edited",
      1,
      prefix.last,
      null,
      "what is left of them is not what the record of their deletion states",
    );
  return isKnown
    ? null
    : `Retention takes the text of ${log} up to ${stated.to}, by record ${statement?.sequence} of ${STATEMENTS}: what is left up to ${prefix.last} could not be compared with that.`;
}
