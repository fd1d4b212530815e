import { DurableObject } from "cloudflare:workers";
import type { Env } from "../env.ts";
import { migrate } from "../platform/sqlite-migrations.ts";
import type { LeasePort } from "./durable-object-limiter.ts";
import type { BucketState } from "./gcra.ts";
import { leaseFrom } from "./lease.ts";
import type { Lease } from "./lease.ts";
import type { QuotaClass, QuotaRule } from "./port.ts";

/** Append-only. The row is `BucketState`: debt in units of 1/limit ms, see `gcra.ts`. */
const SCHEMA_STEPS = [
  `CREATE TABLE bucket (
    class TEXT NOT NULL PRIMARY KEY CHECK (class IN ('read', 'write')),
    rate_limit INTEGER NOT NULL, window_ms INTEGER NOT NULL, debt INTEGER NOT NULL, paid_at_ms INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID`,
];

type BucketRow = {
  readonly rate_limit: number;
  readonly window_ms: number;
  readonly debt: number;
  readonly paid_at_ms: number;
};

/**
 * The buckets of one tenant, a row per class. Object name = tenant id, so nothing that a caller sends besides its
 * credential chooses a bucket: a new key, address or spelling does not buy a new limit.
 *
 * `lease` is one synchronous block: an `await` between reading and writing would let parallel requests all see the same
 * tokens. The object's own clock decides. A lost row reads as a full bucket and so grants at most one burst of `limit`,
 * the same as the largest burst that the rule documents; quotas pace, the ledger is what bounds money.
 */
export class QuotaBucket extends DurableObject<Env> implements LeasePort {
  readonly #sql: SqlStorage;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#sql = ctx.storage.sql;
    void ctx.blockConcurrencyWhile(async () => migrate(ctx.storage, SCHEMA_STEPS));
  }

  /**
   * Leases up to `want` requests, see `leaseFrom`. A refusal writes no row: rows are the bill, and a flood of refusals must
   * not be one. Throws only on a broken invariant (a rule that is not two positive integers).
   */
  async lease(rule: QuotaRule, want: number): Promise<Lease> {
    const now = Date.now();
    const taken = leaseFrom(this.#read(rule.class), rule, want, now);
    if (taken.granted > 0) this.#write(rule.class, taken.state);
    const { granted, remaining, retryAfterMs, resetMs } = taken;
    return { granted, remaining, retryAfterMs, resetMs };
  }

  #read(quotaClass: QuotaClass): BucketState | null {
    const row = this.#sql
      .exec<BucketRow>("SELECT rate_limit, window_ms, debt, paid_at_ms FROM bucket WHERE class = ?", quotaClass)
      .toArray()[0];
    if (row === undefined) return null;
    return { limit: row.rate_limit, windowMs: row.window_ms, debt: row.debt, paidAtMs: row.paid_at_ms };
  }

  #write(quotaClass: QuotaClass, state: BucketState): void {
    this.#sql.exec(
      `INSERT INTO bucket (class, rate_limit, window_ms, debt, paid_at_ms) VALUES (?, ?, ?, ?, ?)
       ON CONFLICT (class) DO UPDATE SET rate_limit = excluded.rate_limit, window_ms = excluded.window_ms,
         debt = excluded.debt, paid_at_ms = excluded.paid_at_ms`,
      quotaClass,
      state.limit,
      state.windowMs,
      state.debt,
      state.paidAtMs,
    );
  }
}
