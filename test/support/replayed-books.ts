import { expect } from "vitest";
import { auditTreeOf } from "../../src/audit/tree-port.ts";
import type { BookRow, Books } from "./books.ts";
import { merkleRoot } from "./independent-checker/chain.ts";
import { replay } from "./independent-checker/check.ts";
import { testEnv } from "./test-env.ts";

/** Rows of a log as an export has them: what is chained, each once, in order. Nothing younger than what its object held. */
export function exportedLines(held: readonly BookRow[], projected: readonly BookRow[]): readonly string[] {
  const last = Math.max(0, ...held.map(({ sequence }) => sequence));
  const known = projected.filter(({ sequence }) => sequence <= last);
  const rows = new Map([...known, ...held].map((row) => [row.sequence, row]));
  return [...rows.values()]
    .filter(({ hash }) => hash !== null)
    .toSorted((a, b) => a.sequence - b.sequence)
    .map(lineOf);
}

/** As an export writes it, from the documents: retention has left hash and leaf of a record, or all of it is there. */
const lineOf = ({ sequence, log, hash, record, leaf_hash: leaf }: BookRow): string =>
  leaf === null || leaf === undefined
    ? record
    : `{"deleted":true,"hash":"${hash}","leaf_hash":"${leaf}","log":"${log}","sequence":${sequence}}`;

/** The records of a tenant, replayed by somebody who knows nothing else of it, come to what its ledger says. */
export async function checkReplayed(
  tenant: string,
  books: Books,
  logs: ReadonlyMap<string, readonly string[]>,
): Promise<void> {
  const { problems, effects, money, isWhole } = replay(tenant, logs);
  expect(problems, `${tenant}: what its records say`).toEqual([]);
  for (const [log, lines] of logs) {
    const signed = await auditTreeOf(testEnv, tenant, log).latestCheckpoint();
    if (signed !== null && signed.size <= lines.length)
      expect(merkleRoot(lines.slice(0, signed.size)), `${tenant} ${log}: signed root`).toBe(signed.root);
  }
  if (!isWhole) return;
  expect(Object.fromEntries(effects.states), `${tenant}: how its writes ended`).toEqual(
    Object.fromEntries(books.operations.map(({ request_id: id, state }) => [id, state])),
  );
  const windows = books.windows.filter(({ window }) => !window.includes(" "));
  for (const { window, settled_micros: settled, held_micros: held } of windows) {
    const recorded = money.get(window) ?? { held: 0, settled: 0 };
    expect(recorded.settled, `${tenant}: settled in ${window}`).toBe(settled);
    expect(recorded.held, `${tenant}: held in ${window}`).toBe(held);
  }
  const known = new Set(windows.map(({ window }) => window));
  for (const [window, { held, settled }] of money)
    if (held + settled > 0) expect(known.has(window), `${tenant}: ${window} is a window`).toBe(true);
}
