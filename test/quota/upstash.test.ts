import { Ratelimit } from "@upstash/ratelimit";
import { Redis } from "@upstash/redis/cloudflare";
import { createServer } from "node:net";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { chooseLimiter } from "../../src/quota/choose-limiter.ts";
import type { QuotaLimiter, QuotaRule } from "../../src/quota/port.ts";
import { UPSTASH_PREFIX, upstashLimiter } from "../../src/quota/upstash-limiter.ts";
import { startRedisRestBridge } from "../support/redis-rest-bridge.ts";
import type { BridgeFault, RedisRestBridge } from "../support/redis-rest-bridge.ts";
import { redisServerPath, startRedisServer } from "../support/redis-server.ts";
import type { RedisServer } from "../support/redis-server.ts";
import { quotaContract } from "./contract.ts";

const TIMEOUT_MS = 100;
const RULE: QuotaRule = { class: "write", limit: 10, windowMs: 3_600_000 };
const ignore = (): void => undefined;

// Where the environment demands the live suites, a missing redis-server fails in `beforeAll` instead of skipping.
const isRunnable = redisServerPath() !== null || process.env["REQUIRE_LIVE"] === "1";
if (!isRunnable) console.warn("quota over Upstash: SKIPPED, because redis-server is not on PATH");

describe.skipIf(!isRunnable)(`quota over Upstash${isRunnable ? "" : " (SKIPPED: redis-server is not on PATH)"}`, () => {
  const stops: (() => Promise<void>)[] = [];
  let redis: RedisServer;
  let bridge: RedisRestBridge;

  beforeAll(async () => {
    redis = await startRedisServer();
    stops.push(redis.stop);
    bridge = await startRedisRestBridge({ redisUrl: redis.url });
    stops.push(bridge.stop);
  });
  afterEach(() => {
    bridge.misbehave({ kind: "none" });
    vi.restoreAllMocks();
  });
  afterAll(async () => {
    // Last started, first stopped; whatever did start is stopped even if the next did not.
    for (const stop of stops.toReversed()) await stop();
  });

  const limiterUnder = (fault: BridgeFault): QuotaLimiter => {
    bridge.misbehave(fault);
    return upstashLimiter({ url: bridge.url, token: bridge.token }, TIMEOUT_MS);
  };
  const saying = (body: unknown) => (): QuotaLimiter => limiterUnder({ kind: "garbage", body: JSON.stringify(body) });

  quotaContract(
    "upstash",
    () => ({
      isolate: () => upstashLimiter({ url: bridge.url, token: bridge.token }, 10_000),
      after: (ms, check) => vi.waitFor(check, { timeout: ms + 5_000, interval: 20 }),
    }),
    {
      "answers after the timeout, which the library takes for a yes": () =>
        limiterUnder({ kind: "delay", delayMs: 400 }),
      "the bridge was killed": async () => {
        const doomed = await startRedisRestBridge({ redisUrl: redis.url });
        await doomed.stop();
        return upstashLimiter({ url: doomed.url, token: doomed.token }, TIMEOUT_MS);
      },
      "Redis was killed behind the bridge": async () => {
        const other = await startRedisServer();
        const orphan = await startRedisRestBridge({ redisUrl: other.url });
        await other.stop();
        return upstashLimiter({ url: orphan.url, token: orphan.token }, TIMEOUT_MS);
      },
      "accepts the connection and says nothing": async () =>
        upstashLimiter({ url: await mute(), token: "t" }, TIMEOUT_MS),
      "refuses the token": () => upstashLimiter({ url: bridge.url, token: "wrong" }, TIMEOUT_MS),
      "answers 500": () => limiterUnder({ kind: "status", status: 500 }),
      "answers 200 without JSON": () => limiterUnder({ kind: "garbage", body: "<html>maintenance</html>" }),
      "answers an empty body": () => limiterUnder({ kind: "garbage", body: "" }),
      "answers {}": saying({}),
      "answers null": saying({ result: null }),
      "answers a number": saying({ result: 1 }),
      "answers a text": saying({ result: Buffer.from("granted").toString("base64") }),
      "answers an empty list": saying({ result: [] }),
      "answers words for numbers": saying({ result: ["eWVz", "eWVz", "eWVz"] }),
      "answers another limit": saying({ result: [50, Date.now() + 1_000, 1_000_000] }),
      "answers a fraction": saying({ result: [0.5, Date.now() + 1_000, 100] }),
      "answers no reset": saying({ result: [5, null, 100] }),
    },
  );

  it("F15: the library still fails open, so its `success` alone must never be believed", async () => {
    bridge.misbehave({ kind: "delay", delayMs: 400 });
    const bare = new Ratelimit({
      redis: new Redis({ url: bridge.url, token: bridge.token, enableTelemetry: false }),
      limiter: Ratelimit.tokenBucket(1, "1 s", 1),
      timeout: 50,
      ephemeralCache: false,
    });
    expect(await bare.limit("anybody")).toMatchObject({ success: true, reason: "timeout" });
    const limiter = upstashLimiter({ url: bridge.url, token: bridge.token }, 50);
    expect(await limiter.take("acme", RULE, Date.now(), ignore)).toEqual({
      kind: "unavailable",
      cause: "upstash: timeout",
    });
  });

  it("says nothing about the command or the tenant in the cause of a failure", async () => {
    const outcome = await limiterUnder({ kind: "status", status: 500 }).take("acme-secret", RULE, Date.now(), ignore);
    expect(outcome).toEqual({ kind: "unavailable", cause: "upstash: UpstashError" });
  });

  it("sends one command per take, the script only once, under its own prefix", async () => {
    const limiter = upstashLimiter({ url: bridge.url, token: bridge.token }, 10_000);
    await limiter.take("frugal", RULE, Date.now(), ignore);
    const before = bridge.commands.length;
    for (let count = 0; count < 5; count++) await limiter.take("frugal", RULE, Date.now(), ignore);
    const sent = bridge.commands.slice(before);
    expect(sent.map((command) => [command[0], command[3]])).toEqual(
      Array.from({ length: 5 }, () => ["evalsha", `${UPSTASH_PREFIX}:6:frugal:write`]),
    );
  });

  it("tries once: an unreachable Redis is not asked again and again", async () => {
    const limiter = limiterUnder({ kind: "status", status: 500 });
    const asked = vi.spyOn(globalThis, "fetch").mockRejectedValue(new TypeError("fetch failed"));
    await limiter.take("acme", RULE, Date.now(), ignore);
    expect(asked).toHaveBeenCalledTimes(1);
  });

  it("sends each request's take on its own, never several as one shared promise", async () => {
    const limiter = upstashLimiter({ url: bridge.url, token: bridge.token }, 10_000);
    await limiter.take("parallel", RULE, Date.now(), ignore);
    const asked = vi.spyOn(globalThis, "fetch");
    await Promise.all(Array.from({ length: 4 }, () => limiter.take("parallel", RULE, Date.now(), ignore)));
    expect(asked).toHaveBeenCalledTimes(4);
  });

  it("answers a flood of refused requests without a command each", async () => {
    const limiter = upstashLimiter({ url: bridge.url, token: bridge.token }, 10_000);
    for (let count = 0; count < 11; count++) await limiter.take("flood", RULE, Date.now(), ignore);
    const before = bridge.commands.length;
    const outcome = await limiter.take("flood", RULE, Date.now(), ignore);
    expect(outcome).toMatchObject({ kind: "limited", limit: 10 });
    expect(bridge.commands).toHaveLength(before);
  });

  it("a flushed Redis grants one burst and no more", async () => {
    const limiter = (): QuotaLimiter => upstashLimiter({ url: bridge.url, token: bridge.token }, 10_000);
    const drain = async (): Promise<number> => {
      const one = limiter();
      let granted = 0;
      for (let count = 0; count < 15; count++) {
        if ((await one.take("flushed", RULE, Date.now(), ignore)).kind === "granted") granted += 1;
      }
      return granted;
    };
    expect(await drain()).toBe(10);
    await new Redis({ url: bridge.url, token: bridge.token, enableTelemetry: false }).flushdb();
    expect(await drain()).toBe(10);
    expect(await drain()).toBe(0);
  });

  it("is what the deployment gets when it names a Redis endpoint, with the read fallback around it", async () => {
    const unused = {
      getByName: () => {
        throw new Error("the embedded bucket must not be asked");
      },
    };
    const limiter = chooseLimiter({ upstash: { url: bridge.url, token: bridge.token }, bucket: unused });
    expect(await limiter.take("chosen", RULE, Date.now(), ignore)).toMatchObject({ kind: "granted", degraded: false });
    bridge.misbehave({ kind: "status", status: 500 });
    expect(await limiter.take("chosen", RULE, Date.now(), ignore)).toMatchObject({ kind: "unavailable" });
    const read: QuotaRule = { ...RULE, class: "read" };
    expect(await limiter.take("chosen", read, Date.now(), ignore)).toMatchObject({ kind: "granted", degraded: true });
  });
});

/** A TCP server that accepts and never answers. Ends with the test process. */
async function mute(): Promise<string> {
  const server = createServer(() => undefined);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  server.unref();
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the server has no port");
  return `http://127.0.0.1:${address.port}`;
}
