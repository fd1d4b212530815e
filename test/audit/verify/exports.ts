import { generateKeyPairSync } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { appendEntry, GENESIS, hashRecord, JOURNAL_SCHEMA } from "../../../src/audit/journal.ts";
import { signManifest } from "../../../src/audit/manifest-note.ts";
import { leafHash, rangeRoot, tilesOf } from "../../../src/audit/merkle.ts";
import { blankEntry, type AuditRecord } from "../../../src/audit/record.ts";
import { signCheckpoint, verifierKeyOf, writeVerifierKey, type NoteSigner } from "../../../src/audit/signed-note.ts";
import { canonicalJson } from "../../../src/platform/canonical-json.ts";
import type { JsonObject } from "../../../src/platform/json.ts";
import { textOf } from "../../../src/platform/sql-row.ts";
import { runPiped } from "../../cli/fake-terminal.ts";
import { scratchFolder, type Ran } from "../../cli/run-cli.ts";
import { sqliteStorage } from "../../ledger/stateful/sqlite-storage.ts";

export const TENANT = "acme";
/** When exports are made. One with an earlier `until` was asked to end there. */
const MADE_AT = "2026-11-21T08:00:00.000Z";
const NOW = Date.UTC(2026, 10, 20, 8, 0);
/** A key pair of its own. */
export async function newKey(): Promise<Pick<NoteSigner, "publicKey" | "privateKey">> {
  const pair = generateKeyPairSync("ed25519");
  const der = pair.privateKey.export({ format: "der", type: "pkcs8" });
  const privateKey = await crypto.subtle.importKey("pkcs8", new Uint8Array(der), "Ed25519", false, ["sign"]);
  const { x = "" } = pair.publicKey.export({ format: "jwk" });
  return { publicKey: new Uint8Array(Buffer.from(x, "base64url")), privateKey };
}
const DEPLOYMENT = await newKey();

export const signerOf = (log: string, tenant = TENANT): NoteSigner => ({
  name: `portcullis/${tenant}/${log}`,
  ...DEPLOYMENT,
});
export const vkeyOf = (log: string, tenant = TENANT): string =>
  writeVerifierKey(verifierKeyOf(`portcullis/${tenant}/${log}`, DEPLOYMENT.publicKey));

/** Records of one log as its journal writes them: canonical text, oldest first. `salt` tells histories apart. */
export function journalOf(log: string, count: number, salt = ""): string[] {
  const { sql } = sqliteStorage();
  sql.exec(JOURNAL_SCHEMA);
  for (let at = 1; at <= count; at++) {
    const request = `req_${log}_${at}`;
    const entry = {
      ...blankEntry("request", request, NOW + at * 1_000),
      action: "workloads.list",
      reason: `Zeile „${at}“ 🚦${salt}`,
      facts: { gpus: at, name: `job-${at}` },
    };
    appendEntry(sql, { tenant: TENANT, log }, request, entry, NOW + at);
  }
  return sql
    .exec("SELECT record FROM journal ORDER BY sequence")
    .toArray()
    .map((row) => textOf(row, "record"));
}

export const recordOf = (line: string): AuditRecord => JSON.parse(line);
export const lineOf = (record: object): string => canonicalJson(JSON.parse(JSON.stringify(record)));

/** The line with other content and no new hash. */
export const altered = (line: string): string => lineOf({ ...recordOf(line), reason: "nothing to see here" });

/** The line with the hash of what it says now. */
export function rehashed(line: string): string {
  const { hash: _, ...record } = recordOf(line);
  return lineOf({ ...record, hash: hashRecord(record) });
}

/** What a thorough attacker makes of changed lines: new sequences, a whole chain, every hash right. */
export function rechained(lines: readonly string[]): string[] {
  let previous = GENESIS;
  return lines.map((line, index) => {
    const { hash: _, ...record } = recordOf(line);
    const unhashed = { ...record, sequence: index + 1, previous_hash: previous };
    previous = hashRecord(unhashed);
    return lineOf({ ...unhashed, hash: previous });
  });
}

/** A signed checkpoint of these records. */
export async function checkpointOf(log: string, lines: readonly string[], signer = signerOf(log)): Promise<string> {
  const leaves = lines.map((line) => leafHash(new TextEncoder().encode(line)));
  const root = rangeRoot(tilesOf(leaves), 0, leaves.length);
  return signCheckpoint({ origin: signer.name, size: leaves.length, root }, signer);
}

export type Logs = Readonly<Record<string, readonly string[]>>;
export type ManifestOver = {
  readonly since?: string;
  readonly until?: string;
  readonly checkpoints?: Readonly<Record<string, string | null>>;
};

/** The manifest that fits these records, with the checkpoints of `over`. */
export function manifestOf(logs: Logs, { since, until, checkpoints = {} }: ManifestOver = {}): string {
  const listed = Object.entries(logs).map(([log, lines]) => {
    const [first, last] = [lines[0], lines.at(-1)].map((line) => (line === undefined ? null : recordOf(line)));
    return {
      log,
      first_sequence: first?.sequence ?? null,
      last_sequence: last?.sequence ?? null,
      count: lines.length,
      deleted: lines.filter((line) => line.startsWith('{"deleted"')).length,
      first_previous_hash: first?.previous_hash ?? null,
      last_hash: last?.hash ?? null,
      checkpoint: checkpoints[log] ?? null,
      verifier_key: vkeyOf(log),
    };
  });
  return JSON.stringify({
    manifest: {
      version: 1,
      tenant: TENANT,
      format: "ndjson",
      since: since ?? null,
      until: until ?? MADE_AT,
      generated_at: MADE_AT,
      complete: true,
      count: listed.reduce((sum, { count }) => sum + count, 0),
      deleted: listed.reduce((sum, { deleted }) => sum + deleted, 0),
      logs: listed,
    },
  });
}

/** The same manifest with the gate's signature over all it says. */
export async function signedManifestOf(logs: Logs, over: ManifestOver = {}): Promise<string> {
  const { manifest }: { manifest: JsonObject } = JSON.parse(manifestOf(logs, over));
  return JSON.stringify({ manifest: { ...manifest, signature: await signManifest(TENANT, manifest, DEPLOYMENT) } });
}

/** Export text in the agreed form; `manifest` null for none. */
export const exportText = (logs: Logs, manifest: string | null): string =>
  [...Object.values(logs).flat(), ...(manifest === null ? [] : [manifest])].map((line) => `${line}\n`).join("");

export type FoundJson = {
  log: string;
  what: string;
  first_sequence: number | null;
  last_sequence: number | null;
  line: number | null;
  why: string;
};
export type Verified = Ran & {
  readonly json: {
    readonly ok: boolean;
    readonly finding_count: number;
    readonly manifest_signature: string | null;
    readonly deleted: number;
    readonly retention: { readonly sequence: number; readonly retain_days: number } | null;
    readonly findings: readonly FoundJson[];
    readonly logs: readonly {
      log: string;
      records: number;
      deleted: number;
      signed_to: number;
      from_start: boolean;
      root: string | null;
      checkpoints: readonly { verdict: string }[];
    }[];
    readonly notes: readonly string[];
    readonly error?: { title: string };
  };
  readonly named: readonly string[];
};

/** Runs `portcullis audit verify` over texts. `named`: what it names, as `edited ledger 7`, `deleted ledger 3-5`. */
export async function verify(
  text: string | Uint8Array,
  {
    checkpoints = [],
    previous = [],
    logs = ["ledger", "requests-0"],
  }: { checkpoints?: readonly string[]; previous?: readonly string[]; logs?: readonly string[] } = {},
): Promise<Verified> {
  const folder = scratchFolder();
  const file = (name: string, content: string | Uint8Array): string => {
    writeFileSync(join(folder, name), content);
    return join(folder, name);
  };
  const ran = await runPiped([
    "audit",
    "verify",
    file("export.ndjson", text),
    ...logs.flatMap((log) => ["--key", vkeyOf(log)]),
    ...checkpoints.flatMap((note, index) => ["--checkpoint", file(`checkpoint-${index}`, note)]),
    ...previous.flatMap((one, index) => ["--previous", file(`previous-${index}`, one)]),
    "--json",
  ]);
  const json: Verified["json"] = JSON.parse(ran.stdout);
  const named = (json.findings ?? []).map(({ what, log, first_sequence: first, last_sequence: last }) =>
    [what, log, first === last ? (first ?? "") : `${first}-${last}`].join(" ").trim(),
  );
  return { ...ran, json, named };
}
