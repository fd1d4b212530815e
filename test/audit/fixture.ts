import { runInDurableObject } from "cloudflare:test";
import { expect } from "vitest";
import { appendOpenEntries, GENESIS, storableJson, type Place } from "../../src/audit/journal.ts";
import { blankEntry, type AuditEntry } from "../../src/audit/record.ts";
import {
  requestLogOf,
  type AppendOutcome,
  type SubmittedEnding,
  type SubmittedEntry,
} from "../../src/audit/request-log-port.ts";
import { canonicalJson } from "../../src/platform/canonical-json.ts";
import { digestOf } from "../../src/platform/digest.ts";
import { newId } from "../../src/platform/ids.ts";
import type { JsonObject } from "../../src/platform/json.ts";
import type { Row } from "../ledger/fixture.ts";
import { testEnv } from "../support/test-env.ts";

/** Far in the real future, so that no alarm fires by itself. */
export const START = Date.UTC(2031, 10, 20, 12);

/** A request log as its recorder asks it, but with values in place of their JSON. */
export type LogOfValues = {
  readonly append: (
    place: Place,
    entries: readonly SubmittedEntry[],
    endings: readonly SubmittedEnding[],
  ) => Promise<AppendOutcome>;
};

const json = (values: readonly object[]): string | null => (values.length === 0 ? null : storableJson(values));

/** Shard `index` of the tenant's request log. */
export function logOf(tenant: string, index: number): { readonly port: LogOfValues; readonly place: Place } {
  const { port, place } = requestLogOf(testEnv.REQUEST_LOG, tenant, index);
  return { place, port: { append: async (at, entries, endings) => port.append(at, json(entries), json(endings)) } };
}

/** A request log of its own: its port, its place, and its storage. */
export function newLog(): {
  readonly port: LogOfValues;
  readonly place: Place;
  readonly stub: DurableObjectStub;
  readonly inside: <T>(act: (storage: DurableObjectStorage) => T | Promise<T>) => Promise<T>;
} {
  const { port, place } = logOf(newId("t").replace("_", "-"), 0);
  const stub = testEnv.REQUEST_LOG.getByName(`${place.tenant}/${place.log}`);
  return { port, place, stub, inside: (act) => runInDurableObject(stub, (_, { storage }) => act(storage)) };
}

export const entry = (name: string, over: Partial<AuditEntry> = {}): AuditEntry => ({
  ...blankEntry("request", name, START),
  principal: "agent:trainer",
  action: "workloads.list",
  ...over,
});

/** Appends entries that wait to be chained, `open` ones for their ending too. */
export const appendOpen = (sql: SqlStorage, names: readonly string[], open = false, over: Partial<AuditEntry> = {}) =>
  appendOpenEntries(sql, storableJson(names.map((name) => ({ entryId: name, entry: entry(name, over), open }))), START);

export const journalRows = (storage: DurableObjectStorage): readonly Row[] =>
  storage.sql.exec<Row>("SELECT * FROM journal ORDER BY sequence").toArray();

/** The rows of one log in D1, in order. */
export async function storedRows(place: Place): Promise<readonly Row[]> {
  const found = await testEnv.DB.prepare(
    "SELECT sequence, hash, record FROM audit WHERE tenant = ? AND log = ? ORDER BY sequence",
  )
    .bind(place.tenant, place.log)
    .all<Row>();
  return found.results;
}

export function recordOf(row: Row | undefined): JsonObject {
  const record: JsonObject = JSON.parse(String(row?.["record"]));
  return record;
}

/** Rows from the first on: gapless, chained, each hash recomputed from the stored text. Returns their request ids. */
export function chainOf(rows: readonly Row[]): readonly unknown[] {
  let previous: unknown = GENESIS;
  for (const [index, row] of rows.entries()) {
    const { hash, ...unhashed } = recordOf(row);
    expect(row["sequence"]).toBe(index + 1);
    expect(unhashed["previous_hash"]).toBe(previous);
    expect(hash).toBe(row["hash"]);
    expect(digestOf("portcullis/audit/v1", canonicalJson(unhashed))).toBe(hash);
    expect(canonicalJson(recordOf(row)), "the stored text is canonical").toBe(row["record"]);
    previous = hash;
  }
  return rows.map((row) => recordOf(row)["request_id"]);
}
