import { createPrivateKey } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseEnv } from "node:util";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { announcement } from "../../example/start/announce.ts";
import { readDemo, writeDemo } from "../../example/start/demo-file.ts";
import type { Demo } from "../../example/start/demo-file.ts";
import { subjectOf } from "../../example/start/documents.ts";
import { freePort, isFree } from "../../example/start/ports.ts";
import { startGate } from "../../example/start/running-gate.ts";
import { keepSecrets } from "../../example/start/secrets-file.ts";
import { linkLines } from "../../example/start/sign-in-links.ts";
import { CREDENTIAL_NAMES } from "../../example/start/seed.ts";
import type { TenantKeys } from "../../example/start/seed.ts";
import type { Upstream } from "../../example/start/settings.ts";
import { keepExampleTokens, noteSeeding, openStateFolder } from "../../example/start/state-folder.ts";

const EXAMPLE: Upstream = { kind: "example" };
const VARS = { ENVIRONMENT: "local", UPSTREAMS: '{"example":"http://127.0.0.1:8788"}' };

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "portcullis-state-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const keysOf = (tenant: string): TenantKeys => ({
  agent: `${tenant}-agent`,
  agent2: `${tenant}-agent2`,
  alice: `${tenant}-alice`,
  bob: `${tenant}-bob`,
  carol: `${tenant}-carol`,
  finance: `${tenant}-finance`,
  finance2: `${tenant}-finance2`,
  security: `${tenant}-security`,
  operator: `${tenant}-operator`,
});
const DEMO: Demo = {
  gate: "http://127.0.0.1:8787",
  upstream: "http://127.0.0.1:8788",
  tenants: { acme: keysOf("acme"), globex: keysOf("globex") },
};
const modeOf = (name: string): number => statSync(join(folder, name)).mode & 0o777;

describe("secrets", () => {
  test("are made once, each of its own, and survive changed variables", () => {
    const file = join(folder, "secrets.env");
    const first = keepSecrets(file, VARS);
    const second = keepSecrets(file, { ...VARS, UPSTREAMS: '{"example":"http://127.0.0.1:9999"}' });
    expect(second).toEqual(first);
    expect(new Set(Object.values(first)).size).toBe(8);
    expect(parseEnv(readFileSync(file, "utf8"))).toEqual({
      ...first,
      ENVIRONMENT: "local",
      UPSTREAMS: '{"example":"http://127.0.0.1:9999"}',
    });
  });

  test("only their owner can read the file", () => {
    keepSecrets(join(folder, "secrets.env"), VARS);
    expect(modeOf("secrets.env")).toBe(0o600);
  });

  test("are 32 bytes each, and two Ed25519 private keys with key ids", () => {
    const { APPROVAL_KEY, CHECKPOINT_KEY, ...random } = keepSecrets(join(folder, "secrets.env"), VARS);
    for (const secret of Object.values(random)) expect(Buffer.from(secret, "base64url")).toHaveLength(32);
    for (const [purpose, key] of [
      ["approval", APPROVAL_KEY],
      ["checkpoint", CHECKPOINT_KEY],
    ] as const) {
      const kid = expect.stringMatching(new RegExp(`^${purpose}-[0-9a-f]{8}$`));
      expect(JSON.parse(key)).toMatchObject({ kty: "OKP", crv: "Ed25519", kid });
      expect(createPrivateKey({ key: JSON.parse(key), format: "jwk" }).asymmetricKeyType).toBe("ed25519");
    }
  });
});

describe("the state folder", () => {
  test("FRESH removes what the start makes and nothing else", () => {
    openStateFolder(folder, EXAMPLE, false);
    const tokens = keepExampleTokens(folder);
    mkdirSync(join(folder, "state"));
    writeFileSync(join(folder, "notes.txt"), "mine");
    openStateFolder(folder, EXAMPLE, true);
    expect(existsSync(join(folder, "state"))).toBe(false);
    expect(existsSync(join(folder, "notes.txt"))).toBe(true);
    expect(keepExampleTokens(folder)).not.toEqual(tokens);
  });

  test("a later run finds the same upstream credentials", () => {
    openStateFolder(folder, EXAMPLE, false);
    const tokens = keepExampleTokens(folder);
    openStateFolder(folder, EXAMPLE, false);
    expect(keepExampleTokens(folder)).toEqual(tokens);
    expect(modeOf("example-tokens.json")).toBe(0o600);
  });

  test.each([
    ["interrupted while it made tenants: removed", true, false, false],
    ["interrupted before that: kept", false, false, true],
    ["completed: kept", true, true, true],
  ])("a first run %s", (_, seeding, completed, kept) => {
    openStateFolder(folder, EXAMPLE, false);
    mkdirSync(join(folder, "state"));
    noteSeeding(folder, EXAMPLE, seeding);
    if (completed) writeDemo(folder, DEMO);
    openStateFolder(folder, EXAMPLE, false);
    expect(existsSync(join(folder, "state"))).toBe(kept);
  });

  test("made for one upstream, it is not used for another", () => {
    openStateFolder(folder, EXAMPLE, false);
    const slurm: Upstream = {
      kind: "external",
      url: "http://127.0.0.1:16820",
      catalogue: "slurm-v0.0.38",
      policy: "slurm-lab",
      credential: {},
    };
    expect(() => openStateFolder(folder, slurm, false)).toThrow("was made for the example control plane: use FRESH=1");
    openStateFolder(folder, slurm, true);
  });
});

describe("demo.json", () => {
  test("is read as written, by its owner only", () => {
    expect(readDemo(folder)).toBeNull();
    writeDemo(folder, DEMO);
    expect(readDemo(folder)).toEqual(DEMO);
    expect(modeOf("demo.json")).toBe(0o600);
  });

  test("damaged, it stops the start instead of being made anew", () => {
    writeFileSync(join(folder, "demo.json"), JSON.stringify({ ...DEMO, tenants: { acme: keysOf("acme") } }));
    expect(() => readDemo(folder)).toThrow("is damaged: begin again with FRESH=1");
  });
});

describe("ports", () => {
  test("a taken port stops the start by name, before anything is made or removed", async () => {
    const server = createServer();
    const port = await freePort();
    await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
    writeDemo(folder, DEMO);
    const start = (ports: { port: number; upstreamPort: number }): Promise<unknown> =>
      startGate({ ...ports, stateDir: folder, fresh: true });
    await expect(start({ port, upstreamPort: 0 })).rejects.toThrow(
      `port ${port} is in use: stop what listens there, or set PORT`,
    );
    await expect(start({ port: 0, upstreamPort: port })).rejects.toThrow("or set UPSTREAM_PORT");
    expect(readDemo(folder)).toEqual(DEMO);
    expect(await isFree(port)).toBe(false);
    await new Promise((resolve) => server.close(resolve));
    expect(await isFree(port)).toBe(true);
  });
});

describe("what is printed", () => {
  test("every credential, an allowed call and a refused one", () => {
    const text = announcement(DEMO, EXAMPLE);
    for (const name of CREDENTIAL_NAMES) expect(text).toContain(`globex-${name}\n`);
    expect(text).toContain("curl -i http://127.0.0.1:8787/v1/workloads -H 'Authorization: Bearer acme-agent'\n");
    expect(text).toContain('"gpus":128');
  });

  test("where proposals are decided, and each person's link to it", () => {
    const people = { alice: "a", bob: "b", carol: "c", finance: "f", security: "s", operator: "o" };
    const linked = (tenant: string): typeof people => ({ ...people, alice: `http://gate/link/${tenant}` });
    const text = linkLines("http://127.0.0.1:8787", { acme: linked("acme"), globex: linked("globex") });
    expect(text).toContain("http://127.0.0.1:8787/_gate/approvals\n");
    expect(text).toMatch(/ {2}acme +alice +http:\/\/gate\/link\/acme\n/);
    expect(text).toMatch(/ {2}globex +alice +http:\/\/gate\/link\/globex\n/);
  });
});

test.each([
  ["in the document", "alice", "person:alice@globex"],
  ["not in the document", "zoe", "person:zoe"],
])("the subject of a handle %s", (_, handle, subject) => {
  expect(subjectOf('people:\n  "@alice":\n    subject: person:alice@globex\n', handle)).toBe(subject);
});
