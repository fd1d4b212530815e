import { runInDurableObject } from "cloudflare:test";
import { testEnv } from "./test-env.ts";

/** What lies in one column of one table, all rows of it. */
export type Stored = { readonly where: string; readonly text: string };

type Row = Readonly<Record<string, unknown>>;
const SHARDS = [0, 1, 2, 3];

/** The objects of these tenants; of requests of nobody (`-`) there are logs only. */
const objectsOf = (tenants: readonly string[]): readonly (readonly [DurableObjectNamespace, string])[] =>
  tenants.flatMap((tenant) => [
    ...SHARDS.map((shard) => [testEnv.REQUEST_LOG, `${tenant}/requests-${shard}`] as const),
    ...(tenant === "-"
      ? []
      : [testEnv.LEDGER, testEnv.OUTBOX, testEnv.QUOTA].map((namespace) => [namespace, tenant] as const)),
  ]);

/** Everything in the stores of these tenants: each table of each of their objects, and of D1. */
export async function readStores(tenants: readonly string[]): Promise<readonly Stored[]> {
  const stored: Stored[] = [];
  for (const [namespace, name] of objectsOf(tenants)) {
    const tables = await runInDurableObject(namespace.getByName(name), async (instance, { storage }) => {
      const read = storage.sql
        .exec<{ name: string }>(
          "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '\\_cf%' ESCAPE '\\'",
        )
        .toArray()
        .map((table) => [table.name, storage.sql.exec(`SELECT * FROM "${table.name}"`).toArray()] as const);
      const pairs = [...(await storage.list())].map(([key, value]) => ({ key, value }));
      return { kind: instance.constructor.name, read: [...read, ["pairs", pairs] as const] };
    });
    for (const [table, rows] of tables.read) stored.push(...columnsOf(`${tables.kind} ${name} ${table}`, rows));
  }
  const { results } = await testEnv.DB.prepare(
    "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '\\_cf%' ESCAPE '\\' AND name NOT LIKE 'sqlite%'",
  ).all<{ name: string }>();
  for (const { name } of results)
    stored.push(...columnsOf(`D1 ${name}`, (await testEnv.DB.prepare(`SELECT * FROM "${name}"`).all<Row>()).results));
  return stored;
}

function columnsOf(where: string, rows: readonly Row[]): readonly Stored[] {
  const columns = new Set(rows.flatMap((row) => Object.keys(row)));
  return [...columns].map((column) => ({
    where: `${where}.${column}`,
    text: rows.map((row) => textOf(row[column])).join("\n"),
  }));
}

const textOf = (value: unknown): string =>
  typeof value === "string"
    ? value
    : value instanceof ArrayBuffer
      ? new TextDecoder().decode(value)
      : (JSON.stringify(value) ?? "");

/** Rows of these tenants' journals that D1 does not have yet. */
export async function waitingRows(tenants: readonly string[]): Promise<number> {
  let waiting = 0;
  for (const [namespace, name] of objectsOf(tenants)) {
    if (namespace !== testEnv.REQUEST_LOG && namespace !== testEnv.LEDGER) continue;
    const row = await runInDurableObject(namespace.getByName(name), (_, { storage: { sql } }) =>
      sql
        .exec<{ rows: number }>(
          "SELECT coalesce(max(sequence), 0) - (SELECT confirmed FROM projection) AS rows FROM journal",
        )
        .one(),
    );
    waiting += Math.max(0, row.rows);
  }
  return waiting;
}
