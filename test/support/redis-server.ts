import { spawn } from "node:child_process";
import { accessSync, constants, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";

/** A Redis of our own: loopback only, nothing on disk, gone after `stop`. */
export type RedisServer = { readonly url: string; readonly stop: () => Promise<void> };

/** Where `redis-server` is on PATH, or null. */
export function redisServerPath(): string | null {
  for (const folder of (process.env["PATH"] ?? "").split(delimiter)) {
    const candidate = join(folder, "redis-server");
    try {
      accessSync(candidate, constants.X_OK);
      return candidate;
    } catch {
      // Not here; the next folder may have it.
    }
  }
  return null;
}

/** Starts a real Redis on a free loopback port and waits until it accepts connections. Throws with its output otherwise. */
export async function startRedisServer(): Promise<RedisServer> {
  const path = redisServerPath();
  if (path === null) throw new Error("redis-server is not on PATH");
  const port = await freePort();
  const folder = mkdtempSync(join(tmpdir(), "portcullis-redis-"));
  const child = spawn(
    path,
    ["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", folder],
    { stdio: ["ignore", "pipe", "pipe"] },
  );
  const exited = new Promise<void>((resolve) => {
    child.once("exit", () => resolve());
    child.once("error", () => resolve());
  });
  const killWithUs = (): void => void child.kill("SIGKILL");
  process.once("exit", killWithUs);

  let output = "";
  await new Promise<void>((resolve, reject) => {
    const read = (chunk: Buffer): void => {
      output += chunk.toString("utf8");
      if (output.includes("Ready to accept connections")) resolve();
    };
    child.stdout.on("data", read);
    child.stderr.on("data", read);
    void exited.then(() => reject(new Error(`redis-server ended before it was ready:\n${output}`)));
  });

  return {
    url: `redis://127.0.0.1:${port}`,
    stop: async () => {
      process.off("exit", killWithUs);
      child.kill("SIGKILL");
      await exited;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A port that was free a moment ago. If another process takes it first, Redis ends at once and says so. */
async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, "127.0.0.1", resolve));
  const address = probe.address();
  await new Promise<void>((resolve) => probe.close(() => resolve()));
  if (address === null || typeof address === "string") throw new Error("the probe has no port");
  return address.port;
}
