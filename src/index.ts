import { app } from "./app.ts";
import type { Env } from "./env.ts";

export { TenantLedger } from "./ledger/tenant-ledger.do.ts";
export { RequestLog } from "./audit/request-log.do.ts";
export { QuotaBucket } from "./quota/quota-bucket.do.ts";
export { Outbox } from "./outbox/outbox.do.ts";

export default {
  fetch: (request, env, ctx) => app.fetch(request, env, ctx),
} satisfies ExportedHandler<Env>;
