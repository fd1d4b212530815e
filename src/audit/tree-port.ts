import { REQUEST_LOGS } from "./request-log-port.ts";
import type { SignedCheckpoint } from "./checkpoints.ts";

/** The tenant's log of writes, decisions and administrative acts; the others hold reads and refusals. */
export const LEDGER_LOG = "ledger";

/** Every log of a tenant: each has a chain, a tree and checkpoints of its own. */
export const AUDIT_LOGS: readonly string[] = [LEDGER_LOG, ...REQUEST_LOGS];

/**
 * What a log's tree answers. `absent`: it has only `size` records, fewer than asked about. `unavailable`: it does not know or
 * cannot sign at the moment.
 */
export type TreeAnswer<T> =
  | { readonly kind: "found"; readonly value: T }
  | { readonly kind: "absent"; readonly size: number }
  | { readonly kind: "unavailable"; readonly cause: string };

/** That the record `sequence` is in the tree of the first `size`. Hashes in base64. `checkpoint`: null where none of that size is kept. */
export type InclusionProof = {
  readonly sequence: number;
  readonly size: number;
  readonly leafHash: string;
  readonly hashes: readonly string[];
  readonly checkpoint: SignedCheckpoint | null;
};

/** That the first `from` records of the tree of `to` are those of the tree of `from`. */
export type ConsistencyProof = { readonly from: number; readonly to: number; readonly hashes: readonly string[] };

/** What can be asked of one log's tree. Its object implements it. */
export interface AuditTreePort {
  /** The tree as it stands, signed now unless it is already. `absent` for an empty log. */
  checkpoint(): Promise<TreeAnswer<SignedCheckpoint>>;
  /** The newest checkpoint there is; signs nothing. */
  latestCheckpoint(): Promise<SignedCheckpoint | null>;
  /** The newest checkpoint of at most this size that is kept; signs nothing. */
  checkpointUpTo(size: number): Promise<SignedCheckpoint | null>;
  /** `size` null: that of the newest checkpoint, of one signed now where that does not reach the record. */
  inclusion(sequence: number, size: number | null): Promise<TreeAnswer<InclusionProof>>;
  /** `to` null: the size of the newest checkpoint, of one signed now where that is smaller than `from`. */
  consistency(from: number, to: number | null): Promise<TreeAnswer<ConsistencyProof>>;
}

/** What retention asks of a log. Its object implements it. */
export interface LogLeavesPort {
  /** Leaves (base64) of the records behind `after` whose text may go, in order, at most `limit` (`deletable-leaves.ts`). */
  deletableLeaves(after: number, limit: number): Promise<readonly string[]>;
}

/** The tree of one of the tenant's logs, one of `AUDIT_LOGS`. */
export function auditTreeOf(
  { LEDGER, REQUEST_LOG }: { readonly LEDGER: DurableObjectNamespace; readonly REQUEST_LOG: DurableObjectNamespace },
  tenant: string,
  log: string,
): AuditTreePort & LogLeavesPort {
  const stub = log === LEDGER_LOG ? LEDGER.getByName(tenant) : REQUEST_LOG.getByName(`${tenant}/${log}`);
  // The one place where these untyped RPC stubs get their type: both objects implement these two.
  return stub as unknown as AuditTreePort & LogLeavesPort;
}
