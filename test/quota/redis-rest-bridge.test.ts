import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startRedisRestBridge } from "../support/redis-rest-bridge.ts";
import type { RedisRestBridge } from "../support/redis-rest-bridge.ts";
import { redisServerPath, startRedisServer } from "../support/redis-server.ts";

const isRunnable = redisServerPath() !== null || process.env["REQUIRE_LIVE"] === "1";
if (!isRunnable) console.warn("Redis REST bridge: SKIPPED, because redis-server is not on PATH");

/** What Upstash's own scripts look like. Stock Redis refuses the flag on the first line. */
const SCRIPT = "#!lua flags=allow-key-locking\nreturn {ARGV[1], 7, false}";

describe.skipIf(!isRunnable)(
  `the Redis REST bridge${isRunnable ? "" : " (SKIPPED: redis-server is not on PATH)"}`,
  () => {
    const stops: (() => Promise<void>)[] = [];
    let bridge: RedisRestBridge;
    beforeAll(async () => {
      const redis = await startRedisServer();
      stops.push(redis.stop);
      bridge = await startRedisRestBridge({ redisUrl: redis.url });
      stops.push(bridge.stop);
    });
    afterAll(async () => {
      // Last started, first stopped; whatever did start is stopped even if the next did not.
      for (const stop of stops.toReversed()) await stop();
    });

    const post = async (
      path: string,
      body: unknown,
      headers: Record<string, string> = {},
    ): Promise<{ status: number; body: unknown }> => {
      const response = await fetch(`${bridge.url}${path}`, {
        method: "POST",
        headers: { authorization: `Bearer ${bridge.token}`, ...headers },
        body: JSON.stringify(body),
      });
      return { status: response.status, body: await response.json() };
    };

    it("refuses who does not know the token", async () => {
      expect(await post("/", ["PING"], { authorization: "Bearer other" })).toEqual({
        status: 401,
        body: { error: "Unauthorized" },
      });
    });

    it("answers a command as {result}, strings in base64 when asked to, OK and null as they are", async () => {
      expect(await post("/", ["SET", "key", "väl"])).toEqual({ status: 200, body: { result: "OK" } });
      expect(await post("/", ["GET", "key"])).toEqual({ status: 200, body: { result: "väl" } });
      const base64 = { "upstash-encoding": "base64" };
      expect(await post("/", ["GET", "key"], base64)).toEqual({ status: 200, body: { result: "dsOkbA==" } });
      expect(await post("/", ["SET", "key", "x"], base64)).toEqual({ status: 200, body: { result: "OK" } });
      expect(await post("/", ["GET", "absent"], base64)).toEqual({ status: 200, body: { result: null } });
      expect(await post("/", ["MGET", "key", "absent"], base64)).toEqual({
        status: 200,
        body: { result: ["eA==", null] },
      });
    });

    it("answers a pipeline in order, errors in their place", async () => {
      const answer = await post("/pipeline", [
        ["SET", "n", "1"],
        ["LPUSH", "n", "x"],
        ["INCRBY", "n", "4"],
      ]);
      expect(answer).toEqual({
        status: 200,
        body: [{ result: "OK" }, { error: expect.stringContaining("WRONGTYPE") }, { result: 5 }],
      });
    });

    it("answers what Redis refuses as 400 {error}", async () => {
      expect(await post("/", ["NOSUCHCOMMAND"])).toEqual({
        status: 400,
        body: { error: expect.stringContaining("ERR") },
      });
    });

    it("runs Upstash's scripts, and finds them again under their own SHA", async () => {
      const sha = "0000000000000000000000000000000000000000";
      expect((await post("/", ["EVALSHA", sha, "0", "a"])).body).toEqual({
        error: expect.stringContaining("NOSCRIPT"),
      });
      expect((await post("/", ["EVAL", SCRIPT, "0", "a"])).body).toEqual({ result: ["a", 7, null] });
      const own = createHash("sha1").update(SCRIPT).digest("hex");
      expect((await post("/", ["EVALSHA", own, "0", "b"])).body).toEqual({ result: ["b", 7, null] });
    });
  },
);
