import { and, asc, eq, gte } from "drizzle-orm";
import { openDatabase } from "./client.ts";
import { audit } from "./schema.ts";

/** One record of a log as D1 has it. `leafHash`: null while its text is there; where retention has taken it, that of the log's tree. */
export type LogRow = {
  readonly sequence: number;
  readonly hash: string;
  readonly record: string;
  readonly leafHash: string | null;
};

/** Records of one log from `sequence` on, in order, at most `limit`. Throws where D1 does. */
export const readLogRows = (
  d1: D1Database,
  { tenant, log }: { readonly tenant: string; readonly log: string },
  sequence: number,
  limit: number,
): Promise<readonly LogRow[]> =>
  openDatabase(d1)
    .select({ sequence: audit.sequence, hash: audit.hash, record: audit.record, leafHash: audit.leafHash })
    .from(audit)
    .where(and(eq(audit.tenant, tenant), eq(audit.log, log), gte(audit.sequence, sequence)))
    .orderBy(asc(audit.sequence))
    .limit(limit);
