import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readSettings } from "../../example/start/settings.ts";

const EXTERNAL = { UPSTREAM_URL: "http://127.0.0.1:16820", CATALOGUE: "slurm-v0.0.38" };
const CREDENTIAL = '{"user":"games","token":"secret-token"}';

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "portcullis-settings-"));
  writeFileSync(join(folder, "credential.json"), CREDENTIAL);
});
afterAll(() => rmSync(folder, { recursive: true }));

describe("settings that start", () => {
  test("nothing set: the example on the documented ports", () => {
    expect(readSettings({})).toEqual({
      ok: true,
      value: {
        port: 8787,
        upstreamPort: 8788,
        stateDir: resolve(".portcullis"),
        fresh: false,
        upstream: { kind: "example" },
      },
    });
  });

  test("an empty variable counts as unset", () => {
    expect(readSettings({ PORT: "", CATALOGUE: "", FRESH: "" })).toEqual(readSettings({}));
  });

  test("ports, state folder and a fresh start", () => {
    expect(readSettings({ PORT: "9000", UPSTREAM_PORT: "9001", STATE_DIR: "/var/tmp/x", FRESH: "1" })).toMatchObject({
      ok: true,
      value: { port: 9000, upstreamPort: 9001, stateDir: "/var/tmp/x", fresh: true },
    });
  });

  test("the Slurm lab brings its own policy", () => {
    expect(readSettings({ ...EXTERNAL, UPSTREAM_CREDENTIAL: CREDENTIAL })).toMatchObject({
      ok: true,
      value: {
        upstream: {
          kind: "external",
          url: "http://127.0.0.1:16820",
          catalogue: "slurm-v0.0.38",
          policy: "slurm-lab",
          credential: { user: "games", token: "secret-token" },
        },
      },
    });
  });

  test("a credential may come from a file, a policy by name", () => {
    const env = { ...EXTERNAL, CATALOGUE: "kubernetes", TENANT_POLICY: "k8s" };
    expect(readSettings({ ...env, UPSTREAM_CREDENTIAL_FILE: join(folder, "credential.json") })).toMatchObject({
      ok: true,
      value: { upstream: { policy: "k8s", credential: { user: "games" } } },
    });
  });

  test("an example control plane elsewhere keeps each tenant's own policy", () => {
    const env = { UPSTREAM_URL: "https://cp.example", UPSTREAM_CREDENTIAL: '{"token":"t"}' };
    expect(readSettings(env)).toMatchObject({ ok: true, value: { upstream: { catalogue: "example", policy: null } } });
  });
});

describe("settings that do not start say which variable is at fault", () => {
  test.each<[Record<string, string>, string]>([
    [{ PORT: "http" }, "PORT must be a port number"],
    [{ PORT: "65536" }, "PORT must be a port number"],
    [{ PORT: "0" }, "PORT must be a port number"],
    [{ PORT: "x", UPSTREAM_PORT: "y" }, "PORT must be a port number; UPSTREAM_PORT must be a port number"],
    [{ PORT: "9000", UPSTREAM_PORT: "9000" }, "PORT and UPSTREAM_PORT must differ"],
    [{ FRESH: "yes" }, "FRESH must be 0 or 1"],
    [{ CATALOGUE: "slurm-v0.0.38" }, "CATALOGUE needs UPSTREAM_URL"],
    [{ ...EXTERNAL, CATALOGUE: "../secrets" }, "CATALOGUE must be a file name"],
    [{ ...EXTERNAL, UPSTREAM_URL: "ftp://x" }, "UPSTREAM_URL must be an http or https address"],
    [{ ...EXTERNAL, UPSTREAM_URL: "http://x/slurm" }, "UPSTREAM_URL must be an origin"],
    [EXTERNAL, "UPSTREAM_URL needs UPSTREAM_CREDENTIAL"],
    [{ ...EXTERNAL, UPSTREAM_CREDENTIAL: "[]" }, "UPSTREAM_CREDENTIAL must be a JSON object"],
    [
      { ...EXTERNAL, UPSTREAM_CREDENTIAL_FILE: "/nonexistent" },
      "UPSTREAM_CREDENTIAL_FILE cannot be read: no such file",
    ],
    [{ ...EXTERNAL, CATALOGUE: "other", UPSTREAM_CREDENTIAL: CREDENTIAL }, "TENANT_POLICY must name a file"],
  ])("%j", (env, message) => {
    expect(readSettings(env)).toEqual({ ok: false, error: expect.stringContaining(message) });
  });

  test("a malformed credential is not quoted", () => {
    const result = readSettings({ ...EXTERNAL, UPSTREAM_CREDENTIAL: "{secret-token" });
    expect(result).toEqual({ ok: false, error: "UPSTREAM_CREDENTIAL cannot be read: not JSON" });
  });
});
