import { parseList } from "structured-headers";
import { describe, expect, it } from "vitest";
import { quotaHeaders, retryAfterS } from "../../src/quota/headers.ts";
import type { QuotaOutcome, QuotaRule } from "../../src/quota/port.ts";

const writes: QuotaRule = { class: "write", limit: 600, windowMs: 60_000 };
const reads: QuotaRule = { class: "read", limit: 6_000, windowMs: 60_000 };

describe("quotaHeaders", () => {
  it("states the policy and what is left of it", () => {
    const outcome: QuotaOutcome = { kind: "granted", limit: 600, remaining: 42, resetMs: 17_001, degraded: false };
    expect(quotaHeaders(writes, outcome)).toEqual({
      "ratelimit-policy": '"writes";q=600;w=60',
      ratelimit: '"writes";r=42;t=18',
    });
  });

  it("tells a limited caller when to come back, in both fields alike", () => {
    const outcome: QuotaOutcome = { kind: "limited", limit: 6_000, retryAfterMs: 1_001, degraded: false };
    expect(quotaHeaders(reads, outcome)).toEqual({
      "ratelimit-policy": '"reads";q=6000;w=60',
      ratelimit: '"reads";r=0;t=2',
      "retry-after": "2",
    });
  });

  it("states the limit that was applied, which in an outage is the local one", () => {
    const outcome: QuotaOutcome = { kind: "granted", limit: 600, remaining: 599, resetMs: 100, degraded: true };
    expect(quotaHeaders(reads, outcome)).toMatchObject({ "ratelimit-policy": '"reads";q=600;w=60' });
  });

  it("claims nothing about what is left when the limiter could not say", () => {
    expect(quotaHeaders(writes, { kind: "unavailable", cause: "down" })).toEqual({
      "ratelimit-policy": '"writes";q=600;w=60',
    });
  });

  it.each([1, 10, 100, 999, 1_000, 1_001, 59_999, 60_000])(
    "never lets Retry-After end before the wait of %d ms, nor before t",
    (retryAfterMs) => {
      const headers = quotaHeaders(writes, { kind: "limited", limit: 600, retryAfterMs, degraded: false });
      const [member] = parseList(headers.ratelimit ?? "");
      const t = Number(member?.[1].get("t"));
      const waitS = Number(headers["retry-after"]);
      expect(waitS * 1_000).toBeGreaterThanOrEqual(retryAfterMs);
      expect(waitS).toBeGreaterThanOrEqual(t);
      expect(waitS).toBe(retryAfterS(retryAfterMs));
    },
  );

  it("never says 0 seconds: the caller would come back at once", () => {
    expect(retryAfterS(0)).toBe(1);
  });
});
