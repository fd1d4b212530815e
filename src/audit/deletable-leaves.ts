import { toBase64 } from "../platform/base64.ts";
import { latestCheckpoint } from "./checkpoints.ts";
import { copyCursor } from "./copy-cursor.ts";
import { leafAt, storedTiles, treeSize } from "./log-tree.ts";

/**
 * Leaves (base64) of the records behind `after` whose text may go, in order, at most `limit`: D1 has confirmed them, the newest
 * checkpoint speaks of them, the second copy has them where there is one, and the log goes on after them. The newest record
 * stays: it is the head of the chain.
 */
export function deletableLeaves(sql: SqlStorage, hasCopy: boolean, after: number, limit: number): readonly string[] {
  const signed = latestCheckpoint(sql)?.size ?? 0;
  const copied = hasCopy ? copyCursor(sql).confirmed : Number.MAX_SAFE_INTEGER;
  const last = Math.min(after + limit, signed, copied, treeSize(sql) - 1);
  const read = storedTiles(sql);
  return Array.from({ length: Math.max(0, last - after) }, (_, index) => toBase64(leafAt(read, after + index)));
}
