/** What wrangler binds to the Worker and its Durable Objects. Values are strings until `config.ts` has judged them. */
export type Env = {
  readonly DB: D1Database;
  readonly LEDGER: DurableObjectNamespace;
  readonly REQUEST_LOG: DurableObjectNamespace;
  readonly QUOTA: DurableObjectNamespace;
  readonly OUTBOX: DurableObjectNamespace;
  /** Where the audit logs are copied to; optional. */
  readonly AUDIT_BUCKET?: R2Bucket;
  readonly [variable: string]: unknown;
};
