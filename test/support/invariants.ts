import { runInDurableObject } from "cloudflare:test";
import { expect } from "vitest";
import { z } from "zod";
import { GENESIS } from "../../src/audit/journal.ts";
import { AUDIT_RECORD } from "../../src/audit/record-schema.ts";
import { canonicalJson } from "../../src/platform/canonical-json.ts";
import { digestOf } from "../../src/platform/digest.ts";
import { ledgerRecords, projectedRows, readBooks, recordOf, type BookRow, type Books } from "./books.ts";
import { checkReplayed, exportedLines } from "./replayed-books.ts";
import { testEnv } from "./test-env.ts";
import type { UpstreamLog } from "./upstream-log.ts";

const HELD: ReadonlySet<string> = new Set(["held", "dispatching", "committed", "unknown"]);
const REQUEST_LOGS = ["requests-0", "requests-1", "requests-2", "requests-3"];

/**
 * What must hold in a tenant's books whatever happened before: no window beyond its cap, windows equal to the sum of
 * their reservations, one outcome per intent and one intent per mutation that reached upstream, no approval or receipt
 * used twice, of no standing approval more uses or USD than it grants, and every log an unbroken chain, in its object and in D1 alike.
 * Then the same once more by somebody who has nothing but the records (`independent-checker/`).
 */
export async function checkBooks(tenant: string, upstream: UpstreamLog): Promise<void> {
  const books = await readBooks(tenant);
  checkWindows(books);
  checkSingleUse(books);
  checkStandingUses(books);
  const logs = new Map<string, readonly string[]>();
  for (const log of ["ledger", ...REQUEST_LOGS]) {
    const held = log === "ledger" ? books.journal : await openLogRows(tenant, log);
    const projected = await projectedRows(tenant, log);
    checkChain(`${tenant} ${log}`, held, projected);
    logs.set(log, exportedLines(held, projected));
    // What retention has taken cannot be counted any more.
    if (log === "ledger" && !projected.some(isDeleted)) await checkIntents(tenant, books, upstream);
  }
  await checkReplayed(tenant, books, logs);
}

const isDeleted = ({ leaf_hash: leaf }: BookRow): boolean => leaf !== null && leaf !== undefined;

const sum = (micros: readonly number[]): number => micros.reduce((total, one) => total + one, 0);

/** Who may say that something cost more than was held for it: the control plane, billing, or two people. */
const KNOWS_BETTER: ReadonlySet<string | null> = new Set(["response", "status", "usage", "people"]);

function checkWindows(books: Books): void {
  const caps = books.authority[0];
  for (const { window: key, held_micros: held, settled_micros: settled, gross_micros: gross } of books.windows) {
    const [window = "", scope] = key.split(" ");
    const lines = books.entries.filter(
      (line) =>
        (line.daily_window === window || line.monthly_window === window) &&
        (scope === undefined ||
          [`principal:${line.principal}`, `action:${line.action}`, `team:${line.team}`].includes(scope)),
    );
    expect([held, settled, gross], `${key} is the sum of its lines`).toEqual([
      sum(lines.map((line) => line.held_micros)),
      sum(lines.map((line) => line.settled_micros)),
      sum(lines.map((line) => line.gross_micros)),
    ]);
    if (scope !== undefined) continue;
    const inWindow = books.reservations.filter((r) => r.daily_window === window || r.monthly_window === window);
    expect(held, `held in ${window}`).toBe(sum(inWindow.filter((r) => HELD.has(r.state)).map((r) => r.ceiling_micros)));
    expect(settled, `settled in ${window}`).toBe(sum(inWindow.map((r) => r.settled_micros ?? 0)));
    const cap = window.length === "2026-11-20".length ? caps?.daily_cap_micros : caps?.monthly_cap_micros;
    const overrun = sum(inWindow.map((r) => Math.max(0, (r.settled_micros ?? 0) - r.ceiling_micros)));
    expect(held + settled - overrun, `cap of ${window}`).toBeLessThanOrEqual(cap ?? 0);
  }
  for (const { id, state, ceiling_micros: ceiling, settled_micros: settled, settled_by: by } of books.reservations) {
    if (!KNOWS_BETTER.has(by)) expect(settled ?? 0, `reservation ${id} (${state})`).toBeLessThanOrEqual(ceiling);
    if (HELD.has(state)) expect(settled, `reservation ${id} (${state})`).toBeNull();
  }
  for (const month of new Set(books.entries.map((line) => line.monthly_window))) {
    const numbers = books.entries.filter((line) => line.monthly_window === month).map(({ number }) => number);
    expect(numbers, `lines of ${month}`).toEqual(numbers.map((_, index) => index + 1));
  }
}

function checkSingleUse({ approvals, receipts, operations, standing_uses: standing }: Books): void {
  const ids = new Set(operations.map((operation) => operation.request_id));
  const spent = [...approvals, ...receipts].flatMap(({ consumed_by: by }) => (by === null ? [] : [by]));
  const uses = [...spent, ...standing.map(({ request_id: id }) => id)];
  expect(new Set(uses).size, "each admission spends one approval, receipt or use at most").toBe(uses.length);
  expect(uses.filter((use) => !ids.has(use))).toEqual([]);
  for (const { id, state, consumed_by: by } of approvals)
    expect(by !== null, `approval ${id}`).toBe(state === "consumed");
}

function checkStandingUses({ standing_approvals: approvals, standing_uses: uses, reservations }: Books): void {
  const ceilings = new Map(reservations.map(({ id, ceiling_micros: ceiling }) => [id, ceiling]));
  for (const { id, uses: granted, cap_micros: cap, used, used_micros: usedMicros } of approvals) {
    const own = uses.filter(({ approval_id: of }) => of === id);
    expect([used, usedMicros], `standing approval ${id}`).toEqual([own.length, sum(own.map(({ micros }) => micros))]);
    expect(used, `uses of ${id}`).toBeLessThanOrEqual(granted);
    expect(usedMicros, `USD of ${id}`).toBeLessThanOrEqual(cap);
  }
  for (const { request_id: id, micros } of uses) expect(ceilings.get(id), `hold of the use ${id}`).toBe(micros);
}

async function checkIntents(tenant: string, { operations }: Books, upstream: UpstreamLog): Promise<void> {
  const records = await ledgerRecords(tenant);
  const ofKind = (kind: string): readonly string[] =>
    records.filter((record) => record.kind === kind).map((record) => record.request_id);
  expect(ofKind("intent").toSorted()).toEqual(operations.map((operation) => operation.request_id).toSorted());
  const concluded = operations.filter(({ state }) => state !== "dispatching" && state !== "unknown");
  expect(ofKind("outcome").toSorted()).toEqual(concluded.map((operation) => operation.request_id).toSorted());
  const references = (await upstream.mutations()).map(({ headers }) => headers["idempotency-key"]?.replaceAll('"', ""));
  expect(new Set(references).size, "no intent was dispatched twice").toBe(references.length);
  const intents = new Set(ofKind("intent"));
  expect(references.filter((reference) => !intents.has(reference ?? ""))).toEqual([]);
}

/** One log as a whole: what its object still holds and what D1 has, which must agree where both have it. */
function checkChain(name: string, held: readonly BookRow[], projected: readonly BookRow[]): void {
  const rows = new Map(projected.map((row) => [row.sequence, row]));
  expect(rows.size, `${name}: a row twice in D1`).toBe(projected.length);
  for (const row of held) {
    const copy = rows.get(row.sequence);
    if (copy !== undefined)
      expect({ hash: copy.hash, record: copy.record }, name).toEqual({ hash: row.hash, record: row.record });
    rows.set(row.sequence, row);
  }
  let previous: string = GENESIS;
  const ordered = [...rows.values()].toSorted((a, b) => a.sequence - b.sequence);
  for (const [index, row] of ordered.entries()) {
    expect(row.sequence, `${name}: sequences are gapless`).toBe(index + 1);
    if (row.hash === null) continue;
    if (isDeleted(row)) {
      previous = row.hash;
      continue;
    }
    const inForm = AUDIT_RECORD.safeParse(JSON.parse(row.record));
    expect(inForm.error?.issues ?? [], `${name}/${row.sequence}: ${row.record}`).toEqual([]);
    const { hash, ...unhashed } = recordOf(row);
    expect(hash, `${name}/${row.sequence}`).toBe(row.hash);
    expect(unhashed.previous_hash, `${name}/${row.sequence}: chained`).toBe(previous);
    expect(
      digestOf("portcullis/audit/v1", canonicalJson(z.json().parse(unhashed))),
      `${name}/${row.sequence}: hash`,
    ).toBe(hash);
    previous = hash;
  }
}

async function openLogRows(tenant: string, log: string): Promise<readonly BookRow[]> {
  const rows = await runInDurableObject(testEnv.REQUEST_LOG.getByName(`${tenant}/${log}`), (_, { storage }) =>
    storage.sql
      .exec<{ sequence: number; hash: string | null; record: string }>("SELECT sequence, hash, record FROM journal")
      .toArray(),
  );
  return rows;
}
