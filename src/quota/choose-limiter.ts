import { durableObjectLimiter } from "./durable-object-limiter.ts";
import type { QuotaBuckets } from "./durable-object-limiter.ts";
import { withLocalFallback } from "./local-fallback.ts";
import type { QuotaLimiter } from "./port.ts";
import { upstashLimiter } from "./upstash-limiter.ts";
import type { UpstashConfig } from "./upstash-limiter.ts";

/** `upstash` is set when the deployment names a Redis endpoint; otherwise `quotaBuckets(env.QUOTA)` decides. */
export type QuotaConfig = { readonly upstash: UpstashConfig | null; readonly bucket: QuotaBuckets };

/**
 * The limiter that the deployment chose, with the read fallback around it. There is no falling over from one store to the
 * other: two stores would each grant the full limit. Call it once per isolate; leases live in what it returns.
 */
export function chooseLimiter(config: QuotaConfig): QuotaLimiter {
  return withLocalFallback(
    config.upstash === null ? durableObjectLimiter(config.bucket) : upstashLimiter(config.upstash),
  );
}
