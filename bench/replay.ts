import { spawn } from "node:child_process";
import { closeSync, openSync, writeFileSync, writeSync } from "node:fs";
import { join, resolve } from "node:path";
import { ACME_POLICY, generatedAudit } from "../test/audit/replay/generated-audit.ts";

const ROOT = resolve(import.meta.dirname, "..");
const RECORDS = 100_000;
/** Lines that are written at once. */
const LINES = 1_000;

export type ReplayOutcome = { readonly title: string; readonly records: number; readonly seconds: number };

/** Writes a generated month of audit as an export and lets the command line replay a candidate over it, and compare the two policies. */
export async function measureReplay(
  folder: string,
  progress: (text: string) => void,
): Promise<readonly ReplayOutcome[]> {
  const month = join(folder, "month.ndjson");
  const candidate = join(folder, "candidate.yaml");
  progress(`generating ${RECORDS} records`);
  writeLines(month, generatedAudit(RECORDS));
  writeFileSync(candidate, ACME_POLICY.replace("max_gpus: 4", "max_gpus: 2"));
  const acme = join(ROOT, "policies/tenants/acme.yaml");
  const people = ["--people", join(ROOT, "policies/tenants/acme.people.yaml")];
  const replay = ["policy", "replay", "--policy", candidate, "--file", month, "--since", "2026-01-01T00:00:00Z"];
  return [
    { title: "policy diff", records: 0, seconds: await timed(["policy", "diff", acme, candidate, ...people]) },
    { title: "policy replay", records: RECORDS, seconds: await timed([...replay, ...people]) },
    {
      title: "policy divergence",
      records: RECORDS,
      seconds: await timed(["policy", "divergence", "--file", month, "--since", "2026-01-01T00:00:00Z"]),
    },
  ];
}

function writeLines(file: string, records: Iterable<object>): void {
  const descriptor = openSync(file, "w");
  let lines: string[] = [];
  const flush = (): void => {
    writeSync(descriptor, lines.join(""));
    lines = [];
  };
  for (const record of records) if (lines.push(`${JSON.stringify(record)}\n`) >= LINES) flush();
  lines.push(`${JSON.stringify({ manifest: {} })}\n`);
  flush();
  closeSync(descriptor);
}

/** Seconds of one run of the command line, its start included; its progress is passed on. */
async function timed(args: readonly string[]): Promise<number> {
  const from = performance.now();
  const child = spawn(process.execPath, [join(ROOT, "src/cli/main.ts"), ...args], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  const code = await new Promise<number | null>((done) => child.once("close", done));
  if (code !== 0) throw new Error(`${args.slice(0, 2).join(" ")} ended with ${code}`);
  return (performance.now() - from) / 1_000;
}
