import type { StatusCheck } from "../ledger/money/finance-port.ts";
import type { HandOver } from "../ledger/notices.ts";
import type { JsonObject } from "../platform/json.ts";
import type { Digest } from "../vocabulary.ts";

/** One unknown outcome to look up at the control plane. */
export type LookUpJob = {
  readonly tenant: string;
  readonly requestId: string;
  /** The catalogue under which the request was judged and sent. */
  readonly catalogue: Digest;
  /** The request as it was sent, sealed. */
  readonly sent: string;
};

/** What a tenant's outbox can be asked: everything that talks to the outside without a request waiting for it. */
export interface OutboxPort {
  /** Queues a look-up and returns at once; the finding goes back to the ledger. Queueing the same one twice is harmless. */
  lookUp(job: LookUpJob): Promise<void>;
  /** Queues one read of whether what a request made still runs; as with a look-up the finding goes back to the ledger. */
  checkStatus(tenant: string, check: StatusCheck): Promise<void>;
  /** Queues what people are to be told and what the gate is to run. Durable when it returns; the same ids again are harmless. */
  accept(tenant: string, handedOver: readonly HandOver[]): Promise<void>;
  /** What a channel remembers of its message for a proposal, null where it has posted none. */
  posting(approvalId: string): Promise<JsonObject | null>;
}

/** The outbox of one tenant. */
export function outboxOf(namespace: DurableObjectNamespace, tenant: string): OutboxPort {
  // The one place where the untyped RPC stub gets its type: outbox.do.ts `implements OutboxPort`.
  return namespace.getByName(tenant) as unknown as OutboxPort;
}
