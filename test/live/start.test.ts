import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { liveClient, verdictOf } from "../support/live-client.ts";
import { planJob } from "../support/live-kill.ts";
import { livePort } from "../support/live-ports.ts";
import { gateGroup, leftovers, spawnStart } from "../support/live-start.ts";
import type { Started, StartSettings } from "../support/live-start.ts";
import { until } from "../support/live-until.ts";

const NODE = [process.execPath, "example/start/main.ts"] as const;
const NPM = ["npm", "start"] as const;

/** The names of the wire contract, section 1. */
const NAMES = ["agent", "agent2", "alice", "bob", "carol", "finance", "finance2", "security", "operator"];
const KEYS = z.strictObject(Object.fromEntries(NAMES.map((name) => [name, z.string().regex(/^pcl_local_[\w-]+$/)])));
const DEMO = z.strictObject({
  gate: z.string(),
  upstream: z.string(),
  tenants: z.strictObject({ acme: KEYS, globex: KEYS }),
});
type Demo = z.infer<typeof DEMO>;

let settings: StartSettings;
let running: Started | null = null;
let printed = "";

async function start(command: readonly [string, ...string[]], fresh = false): Promise<void> {
  running = spawnStart(command, { ...settings, fresh });
  printed = await running.ready();
}

/** Ends the running start with SIGTERM, which must leave nothing. */
async function stop(): Promise<void> {
  const started = running;
  const group = gateGroup(settings.stateDir);
  if (started === null || group === null) throw new Error("nothing runs");
  running = null;
  process.kill(started.pid, "SIGTERM");
  const status = await started.ended();
  expect({ status, stderr: started.stderr() }).toEqual({ status: 0, stderr: "" });
  expect(await leftovers(settings, group)).toEqual([]);
  expect(gateGroup(settings.stateDir)).toBeNull();
}

/** npm ends at once by the signal; what it started follows. */
async function stopNpm(): Promise<void> {
  const started = running;
  const group = gateGroup(settings.stateDir);
  if (started === null || group === null) throw new Error("nothing runs");
  running = null;
  process.kill(started.pid, "SIGTERM");
  await started.ended();
  await until("nothing is left", 30_000, async () => (await leftovers(settings, group)).length === 0);
  expect(existsSync(join(settings.stateDir, "gate.pid"))).toBe(false);
}

beforeAll(async () => {
  const stateDir = mkdtempSync(join(tmpdir(), "portcullis-start-"));
  settings = { port: await livePort(), upstreamPort: await livePort(), stateDir };
  await start(NODE);
});

afterAll(async () => {
  if (running !== null) {
    process.kill(running.pid, "SIGTERM");
    await running.ended();
  }
  rmSync(settings.stateDir, { recursive: true, force: true });
});

const demoFile = (): string => join(settings.stateDir, "demo.json");
const readDemo = (): Demo => DEMO.parse(JSON.parse(readFileSync(demoFile(), "utf8")));

const WHO = z.object({
  principal: z.string(),
  class: z.string(),
  owner: z.string(),
  tenant: z.string(),
  roles: z.array(z.string()),
});
const BUDGET = z.object({ daily: z.object({ held_micros: z.number(), settled_micros: z.number() }) });

async function ask<T>(key: string, path: string, shape: z.ZodType<T>): Promise<T> {
  const answer = await liveClient(readDemo().gate, key).get(path);
  if (answer.status !== 200) throw new Error(`${path}: ${verdictOf(answer)}`);
  return shape.parse(JSON.parse(answer.text));
}

const agentKey = (demo: Demo): string => demo.tenants.acme["agent"] ?? "";
const heldMicros = async (demo: Demo): Promise<number> =>
  (await ask(agentKey(demo), "/_gate/v1/budget", BUDGET)).daily.held_micros;

describe("on an empty machine", () => {
  test("the last line printed is the ready line", () => {
    expect(printed.trimEnd().split("\n").at(-1)).toBe(`ready http://127.0.0.1:${settings.port}`);
  });

  test("demo.json names gate, upstream and every credential of both tenants, each a key of its own, for its owner only", () => {
    const demo = readDemo();
    expect(demo.gate).toBe(`http://127.0.0.1:${settings.port}`);
    expect(demo.upstream).toBe(`http://127.0.0.1:${settings.upstreamPort}`);
    const keys = Object.values(demo.tenants).flatMap((tenant) => Object.values(tenant));
    expect(new Set(keys).size).toBe(2 * NAMES.length);
    for (const key of keys) expect(printed).toContain(key);
    expect(statSync(demoFile()).mode & 0o777).toBe(0o600);
  });

  test.each(["acme", "globex"] as const)(
    "%s: agents belong to dana, everybody else is a person with their own role",
    async (tenant) => {
      const keys = readDemo().tenants[tenant];
      const found = await Promise.all(
        NAMES.map(async (name) => {
          const who = await ask(keys[name] ?? "", "/_gate/v1/whoami", WHO);
          expect([name, who.tenant]).toEqual([name, tenant]);
          const owner = who.owner === who.principal ? "themselves" : who.owner.replace(`@${tenant}`, "");
          return `${name}: ${who.class} of ${owner}, ${who.roles.join()}`;
        }),
      );
      expect(found).toEqual([
        "agent: agent of person:dana, ",
        "agent2: agent of person:dana, ",
        "alice: person of themselves, ",
        "bob: person of themselves, ",
        "carol: person of themselves, ",
        "finance: person of themselves, finance",
        "finance2: person of themselves, finance",
        "security: person of themselves, security",
        "operator: person of themselves, operator",
      ]);
    },
  );

  const hasCurl = spawnSync("curl", ["--version"]).status === 0;
  test.skipIf(!hasCurl)("the curl lines do what is written above them: one is allowed, one refused", () => {
    const lines = printed.split("\n");
    const answers = lines.flatMap((line, at) => {
      if (!line.startsWith("curl ")) return [];
      const { stdout } = spawnSync("sh", ["-c", `${line} -s`], { encoding: "utf8" });
      return [
        `${lines[at - 1]} → ${stdout.split("\r\n")[0]}, ${/"slug":"([a-z-]+)"/.exec(stdout)?.[1] ?? "no refusal"}`,
      ];
    });
    expect(answers).toEqual([
      "# allowed → HTTP/1.1 200 OK, no refusal",
      "# refused: 128 GPUs → HTTP/1.1 403 Forbidden, constraint-exceeded",
    ]);
  });

  test("a second start on the same ports says which port is taken and what to do, and disturbs nothing", async () => {
    const other = mkdtempSync(join(tmpdir(), "portcullis-start-"));
    try {
      const second = spawnStart(NODE, { ...settings, stateDir: other });
      expect(await second.ended()).toBe(1);
      expect(second.stderr()).toContain(`port ${settings.port} is in use`);
      expect(second.stderr()).toContain("or set PORT");
      const third = spawnStart(NODE, { ...settings, port: await livePort(), stateDir: other });
      expect(await third.ended()).toBe(1);
      expect(third.stderr()).toContain(`port ${settings.upstreamPort} is in use`);
      expect(third.stderr()).toContain("or set UPSTREAM_PORT");
      expect(readdirSync(other)).toEqual([]);
    } finally {
      rmSync(other, { recursive: true });
    }
    const again = spawnStart(NODE, settings);
    expect(await again.ended()).toBe(1);
    expect(again.stderr()).toContain(`perhaps an earlier gate: kill -- -${gateGroup(settings.stateDir)}`);
    expect(await heldMicros(readDemo())).toBe(0);
  });
});

describe("stopped and started again", () => {
  test("SIGTERM leaves no process and no port; the second start keeps credentials and books", async () => {
    const before = readDemo();
    const client = liveClient(before.gate, agentKey(before));
    const executed = await client.execute(await planJob({ client }, "kept"));
    expect(verdictOf(executed)).toBe("201");
    await stop();

    await start(NPM);
    expect(readDemo()).toEqual(before);
    expect(await heldMicros(before)).toBe(800_000);
    const operation = await ask(
      agentKey(before),
      `/_gate/v1/operations/${executed.requestId}`,
      z.object({ state: z.string(), reservation: z.object({ state: z.string(), ceiling_micros: z.number() }) }),
    );
    expect(operation).toEqual({ state: "succeeded", reservation: { state: "committed", ceiling_micros: 800_000 } });
  });

  test("SIGTERM to npm itself leaves nothing either; FRESH=1 begins anew: other credentials, no books", async () => {
    const before = readDemo();
    await stopNpm();
    await start(NODE, true);
    const after = readDemo();
    const old = new Set(Object.values(before.tenants).flatMap((tenant) => Object.values(tenant)));
    expect(
      Object.values(after.tenants).flatMap((tenant) => Object.values(tenant).filter((key) => old.has(key))),
    ).toEqual([]);
    expect(verdictOf(await liveClient(after.gate, agentKey(before)).get("/v1/workloads"))).toBe("401 unauthenticated");
    expect(await heldMicros(after)).toBe(0);
  });
});

test("a port that something else holds is not waited for", async () => {
  const server = createServer();
  const port = await livePort();
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  const stateDir = join(settings.stateDir, "never-made");
  const started = spawnStart(NODE, { port, upstreamPort: await livePort(), stateDir });
  expect(await started.ended()).toBe(1);
  expect(started.stderr()).toBe(`port ${port} is in use: stop what listens there, or set PORT\n`);
  expect([started.stdout(), existsSync(stateDir)]).toEqual(["", false]);
  await new Promise((resolve) => server.close(resolve));
});
