import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { measureAuditQueries, SIZES, type QueryOutcome } from "./audit-queries.ts";
import { startLoad } from "./load.ts";
import { measureMicro, type MicroOutcome } from "./micro.ts";
import { measurePath, type PathOutcome } from "./paths.ts";
import { pin, pinning } from "./processes.ts";
import { measureReplay } from "./replay.ts";
import { scenarios } from "./scenarios.ts";
import { buildBundle, startStand } from "./stand.ts";
import type { Spread } from "./statistics.ts";
import { makeTenant } from "./tenant.ts";

/**
 * `npm run bench`: the deployable bundle under plain `workerd serve`, paired shot by shot with a bare pass-through Worker
 * on the same engine and upstream. Ratios within one run; absolute times belong to the machine.
 */
const { values: options } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    /** The queries of the audit API instead, on a million records. */
    audit: { type: "boolean", default: false },
    /** A policy over a month of audit: `policy diff`, `policy replay`, `policy divergence`. */
    replay: { type: "boolean", default: false },
  },
});
const ROUNDS = options.quick ? 2 : 5;

const progress = (text: string): void => void process.stderr.write(`· ${text}\n`);
const folder = mkdtempSync(join(tmpdir(), "portcullis-bench-"));
if (options.audit) await auditQueries();
else if (options.replay) await replays();
else await requestPaths();

async function auditQueries(): Promise<void> {
  try {
    const outcomes = await measureAuditQueries(folder, progress);
    process.stdout.write(options.json ? `${JSON.stringify({ audit: outcomes }, null, 2)}\n` : auditTable(outcomes));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function replays(): Promise<void> {
  try {
    const outcomes = await measureReplay(folder, progress);
    const lines = outcomes.map((one) => row(one.title, String(one.records), one.seconds.toFixed(1)));
    const shown = `${[row("command", "records", "seconds"), ...lines].join("\n")}\n`;
    process.stdout.write(options.json ? `${JSON.stringify({ replay: outcomes }, null, 2)}\n` : shown);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function auditTable(outcomes: readonly QueryOutcome[]): string {
  const [small, large] = SIZES.map((size) => `${size / 1_000}k, ms`);
  const lines = outcomes.map((one) =>
    row(one.title, String(one.found), one.small.median.toFixed(2), one.large.median.toFixed(2), one.ratio.toFixed(1)),
  );
  return `${[row("audit query", "found", small ?? "", large ?? "", "ratio"), ...lines].join("\n")}\n`;
}

async function requestPaths(): Promise<void> {
  const load = startLoad();
  pin(load.pid, "others");
  try {
    progress("building the bundle that wrangler would deploy");
    const stand = await startStand(folder, buildBundle(folder), 0);
    try {
      const keys = await makeTenant(stand, "bench");
      const paths: PathOutcome[] = [];
      for (const scenario of scenarios(stand, load, keys)) {
        paths.push(await measurePath(scenario, ROUNDS, stand, load, progress));
      }
      const micro = measureMicro(progress);
      process.stdout.write(
        options.json ? `${JSON.stringify({ pinning, paths, micro }, null, 2)}\n` : table(paths, micro),
      );
    } finally {
      stand.stop();
    }
  } finally {
    load.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

function table(paths: readonly PathOutcome[], micro: readonly MicroOutcome[]): string {
  const lines = [
    `Ratios to a bare pass-through Worker, median (quartiles) of ${ROUNDS} rounds; ${pinning}.`,
    "",
    row("path", "CPU, 32 conn.", "p50, 1 conn.", "p99, 8 conn."),
  ];
  for (const { title, ratio, targets } of paths) {
    lines.push(row(title, spread(ratio.cpu), spread(ratio.p50), spread(ratio.p99)));
    lines.push(row("  target", target(targets.cpu), target(targets.p50), target(targets.p99)));
  }
  lines.push("", row("in process", "µs per call", "target", ""));
  for (const { title, microseconds, targetMicroseconds } of micro) {
    lines.push(row(title, spread(microseconds), `≤ ${targetMicroseconds}`, ""));
  }
  const write = paths.find((path) => path.name === "write");
  if (write !== undefined)
    lines.push(
      "",
      `one tenant: ${write.gate.perSecond.median.toFixed(0)} writes per second, gate and ledger on one core`,
    );
  return `${lines.join("\n")}\n`;
}

function row(title: string, ...cells: readonly string[]): string {
  return [title.padEnd(26), ...cells.map((cell) => cell.padStart(17))].join("").trimEnd();
}

function spread({ median, q1, q3 }: Spread): string {
  return `${median.toFixed(2)} (${q1.toFixed(2)}–${q3.toFixed(2)})`;
}

function target(value: number | null): string {
  return value === null ? "–" : `≤ ${value}`;
}
