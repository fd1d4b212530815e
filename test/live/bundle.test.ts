import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";
import { ROOT } from "../../example/start/wrangler.ts";

/** Cloudflare's bound for a Worker's compressed size on the free plan; paid plans have 10 MiB. */
const MAX_GZIP_BYTES = 3 * 1_024 * 1_024;

const BUILD_DEADLINE_MS = 120_000;

let folder = "";
let bundle = "";
let inputs: readonly string[] = [];

const SOURCE_MAP = z.object({ sources: z.array(z.string()) });

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "portcullis-bundle-"));
  const wrangler = join(ROOT, "node_modules/wrangler/bin/wrangler.js");
  const built = spawnSync(process.execPath, [wrangler, "deploy", "--dry-run", "--outdir", folder], {
    cwd: ROOT,
    encoding: "utf8",
    timeout: BUILD_DEADLINE_MS,
    env: {
      PATH: [join(ROOT, "node_modules/.bin"), process.env["PATH"] ?? ""].join(delimiter),
      HOME: folder,
      WRANGLER_SEND_METRICS: "false",
      WRANGLER_HIDE_BANNER: "true",
      NO_COLOR: "1",
    },
  });
  if (built.status !== 0) throw new Error(`no bundle:\n${built.stdout}\n${built.stderr}`);
  bundle = readFileSync(join(folder, "index.js"), "utf8");
  inputs = SOURCE_MAP.parse(JSON.parse(readFileSync(join(folder, "index.js.map"), "utf8"))).sources;
}, BUILD_DEADLINE_MS);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("one script, within what the free plan carries", () => {
  const bytes = Buffer.byteLength(bundle);
  const compressed = gzipSync(bundle).length;
  process.stdout.write(`bundle: ${bytes} bytes, ${compressed} compressed, from ${inputs.length} files\n`);
  expect(readdirSync(folder).filter((name) => /\.(?:m?js|wasm|bin|txt|sql)$/.test(name))).toEqual(["index.js"]);
  expect(compressed).toBeLessThan(MAX_GZIP_BYTES);
});

test("made of src/ and of dependencies, nothing else of this project", () => {
  const own = inputs.filter((path) => !path.includes("node_modules/"));
  expect(own.filter((path) => !/(?:^|\/)src\//.test(path) && !path.includes("wrangler"))).toEqual([]);
  expect(own.some((path) => path.endsWith("src/ledger/tenant-ledger.do.ts"))).toBe(true);
  const folders = ["example/", "test/", "scripts/", "bench/", "src/cli/", "vitest", "miniflare", "fast-check"];
  for (const name of folders) expect(inputs.filter((path) => path.includes(`/${name}`))).toEqual([]);
});

test.each([
  ["the example control plane", ["/_example/", "EXAMPLE_SIGNING_KEY", "loopback_only", "example control plane"]],
  ["its faults", ["drop-after-execute", "injected_fault", "unknown fault kind"]],
  ["the start", ["demo.json", "example-tokens", "gate.pid", "STATE_DIR", "UPSTREAM_PORT", "wrangler dev"]],
  [
    "the tests and their switches",
    ["vitest", "TEST_MIGRATIONS", "useFakeTimers", "cred-acme", "fault suite", 'NODE_ENV === "test"'],
  ],
  ["anybody's policy", ["#ml-ops-approvals", "person:dana", "agent:trainer", "daily_limit_usd: 500"]],
])("holds nothing of %s", (_, texts) => {
  expect(texts.filter((text) => bundle.includes(text))).toEqual([]);
});

test("the texts looked for would be found: the gate's own are", () => {
  for (const text of ["/_gate/health", "UPSTREAM_SIGNING_KEY", "portcullis/audit/v1"]) expect(bundle).toContain(text);
});

test("holds no secret: nothing like a key, token or private JWK", () => {
  const secretLike = [
    /pcl_(?:live|test|local)_[A-Za-z0-9_-]{20}/,
    /-----BEGIN [A-Z ]*PRIVATE KEY-----\n/,
    /"d"\s*:\s*"[A-Za-z0-9_-]{40,}"/,
    /eyJ[A-Za-z0-9_-]{20,}\.eyJ/,
    /(?:CREDENTIAL_KEY|RECORD_PEPPER|SEALING_KEY|UPSTREAM_SIGNING_KEY|REDACTION_KEY|BOOTSTRAP_SECRET)["']?\s*[:=]\s*["'][A-Za-z0-9_-]{43}/,
  ];
  expect(secretLike.filter((pattern) => pattern.test(bundle)).map(String)).toEqual([]);
});
