import { readLogRows } from "../db/log-rows.ts";
import { err, ok, type Result } from "../platform/result.ts";
import { journalRows, type CopyRow } from "./copy-cursor.ts";
import { lineOfRow } from "./deleted-record.ts";
import type { Place } from "./journal.ts";
import { isInTree } from "./log-tree.ts";

/** Records per read from D1. */
const PAGE_ROWS = 200;

/** What one run may take, and what it has to. `through`: as far as this record and no less. */
export type RunBounds = {
  readonly through: number | null;
  readonly newest: number;
  readonly maxRows: number;
  readonly maxChars: number;
};

/**
 * The records from `first` on for one run of a copy: from the journal, and those that have left it from D1, each of them only if it
 * is what the log's tree has. `through`: as far as this one and no less; null: as many as `maxRows` and `maxChars` allow, one at least, up to `newest`.
 */
export async function rowsForRun(
  sql: SqlStorage,
  d1: D1Database,
  place: Place,
  first: number,
  bounds: RunBounds,
): Promise<Result<readonly CopyRow[], string>> {
  const maxChars = bounds.through === null ? bounds.maxChars : Number.MAX_SAFE_INTEGER;
  const end = bounds.through ?? Math.min(bounds.newest, first + bounds.maxRows - 1);
  const rows: CopyRow[] = [];
  let chars = 0;
  for (;;) {
    const next = first + rows.length;
    if (next > end || chars > maxChars) break;
    // One look at both ends of what is left: the journal has no gaps, so it has all of it from its own beginning on.
    const kept = journalRows(sql, next, end, maxChars - chars);
    if (kept[0]?.sequence === next) {
      rows.push(...kept);
      break;
    }
    const page = await readLogRows(d1, place, next, Math.min(PAGE_ROWS, end - next + 1));
    if (page.length === 0) return err(`D1 has no record ${next}`);
    for (const [index, row] of page.entries()) {
      const { sequence } = row;
      if (sequence !== next + index) return err(`D1 has no record ${next + index}`);
      if (!isInTree(sql, sequence, row.record, row.leafHash))
        return err(`record ${sequence} in D1 is not the one in the log's tree`);
      // A copy that begins when retention has begun gets what that has left.
      const record = lineOfRow(place.log, row);
      chars += record.length;
      if (rows.length > 0 && chars > maxChars) break;
      rows.push({ sequence, record });
    }
  }
  const last = rows.at(-1)?.sequence ?? 0;
  return bounds.through === null || last === bounds.through ? ok(rows) : err(`record ${last + 1} is nowhere`);
}
