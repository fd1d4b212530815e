import type { QuotaRule } from "./port.ts";

/**
 * Names one bucket among all tenants: length-prefixed, so no choice of tenant id can imitate the delimiter and land in
 * another tenant's bucket (`a` + `b:read` against `a:b` + `read`). The class is one of two fixed words.
 */
export const bucketKey = (tenant: string, rule: QuotaRule): string => `${tenant.length}:${tenant}:${rule.class}`;

/** As `bucketKey`, and tied to the rate: what an isolate remembers under one policy says nothing under the next. */
export const rateKey = (tenant: string, rule: QuotaRule): string =>
  `${rule.limit}/${rule.windowMs}:${bucketKey(tenant, rule)}`;
