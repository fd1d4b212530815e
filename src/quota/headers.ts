import { unreachable } from "../platform/assert.ts";
import type { QuotaClass, QuotaOutcome, QuotaRule } from "./port.ts";

/** The header fields that a response carries about its quota. `retry-after` only when the request was refused for it. */
export type QuotaHeaders = {
  readonly "ratelimit-policy": string;
  readonly ratelimit?: string;
  readonly "retry-after"?: string;
};

/** Names that callers see. Nothing about the tenant is in them. */
const POLICY_NAMES = { read: "reads", write: "writes" } as const satisfies Record<QuotaClass, string>;

/**
 * `RateLimit-Policy: "writes";q=600;w=60` and `RateLimit: "writes";r=42;t=18` (draft-ietf-httpapi-ratelimit-headers, as
 * RFC 9651 lists of strings with integer parameters), and `Retry-After` in seconds (RFC 9110, 10.2.3) when limited.
 * Times are rounded up: waiting `t` or `Retry-After` seconds is always long enough. `t` is when the quota is whole again
 * while requests are left, and when the next one passes once none is. A limiter that could not say is not quoted.
 */
export function quotaHeaders(rule: QuotaRule, outcome: QuotaOutcome): QuotaHeaders {
  const limit = outcome.kind === "unavailable" ? rule.limit : outcome.limit;
  const policy = item(rule.class, { q: limit, w: secondsUp(rule.windowMs) });
  switch (outcome.kind) {
    case "granted":
      return {
        "ratelimit-policy": policy,
        ratelimit: item(rule.class, { r: outcome.remaining, t: secondsUp(outcome.resetMs) }),
      };
    case "limited": {
      const waitS = retryAfterS(outcome.retryAfterMs);
      return {
        "ratelimit-policy": policy,
        ratelimit: item(rule.class, { r: 0, t: waitS }),
        "retry-after": String(waitS),
      };
    }
    case "unavailable":
      return { "ratelimit-policy": policy };
    default:
      return unreachable(outcome);
  }
}

/** Whole seconds for `Retry-After`: at least 1, because 0 invites the caller to try again at once. */
export const retryAfterS = (retryAfterMs: number): number => Math.max(1, secondsUp(retryAfterMs));

const secondsUp = (durationMs: number): number => Math.ceil(durationMs / 1_000);

/** A list of one string with integer parameters. Names and values need no escaping, so the text is written directly. */
const item = (quotaClass: QuotaClass, parameters: Readonly<Record<string, number>>): string =>
  Object.entries(parameters).reduce(
    (text, [name, value]) => `${text};${name}=${value}`,
    `"${POLICY_NAMES[quotaClass]}"`,
  );
