import type { AuditEntry, Ending } from "./record.ts";
import type { EpochMs } from "../vocabulary.ts";
import type { Place } from "./journal.ts";

/**
 * An entry with the id that makes submitting it again harmless. `open`: its ending follows. `tellAfterMs`: within which time people
 * are told that it was let through; absent where they are not.
 */
export type SubmittedEntry = {
  readonly entryId: string;
  readonly entry: AuditEntry;
  readonly open: boolean;
  readonly tellAfterMs?: EpochMs;
};

/** The ending of an entry submitted as open. */
export type SubmittedEnding = { readonly entryId: string; readonly ending: Ending };

export type AppendOutcome = { readonly kind: "appended" } | { readonly kind: "refused"; readonly cause: string };

export interface RequestLogPort {
  /**
   * Makes entries durable, in order, and takes note of endings of entries submitted earlier. Both are JSON
   * (`storableJson`): text crosses RPC and enters SQLite as it is, objects would be taken apart and put together twice.
   * `entries`: a `SubmittedEntry[]`, null for none. `endings`: a `SubmittedEnding[]`, null for none.
   */
  append(place: Place, entries: string | null, endings: string | null): Promise<AppendOutcome>;
}

/** Shards per tenant: enough that one tenant's reads spread over four single-threaded objects. */
const SHARDS = 4;

const logOf = (index: number): string => `requests-${index % SHARDS}`;

/** The names of a tenant's request logs. */
export const REQUEST_LOGS: readonly string[] = Array.from({ length: SHARDS }, (_, index) => logOf(index));

/** The request log's shard `index` of this tenant. Objects are named `<tenant>/<log>`; tenant ids contain no slash. */
export function requestLogOf(
  namespace: DurableObjectNamespace,
  tenant: string,
  index: number,
): { readonly port: RequestLogPort; readonly place: Place } {
  const log = logOf(index);
  // The one place where the untyped RPC stub gets its type: request-log.do.ts `implements RequestLogPort`.
  return { port: namespace.getByName(`${tenant}/${log}`) as unknown as RequestLogPort, place: { tenant, log } };
}
