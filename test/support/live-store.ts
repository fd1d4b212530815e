import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { z } from "zod";

const count = z.number().int();
const text = z.string();

const OPERATION = z.object({
  request_id: text,
  state: z.enum(["dispatching", "succeeded", "failed", "unknown", "not-sent"]),
  completed_at: count.nullable(),
  absent_since: count.nullable(),
  look_ups: count,
});
const RESERVATION = z.object({
  id: text,
  state: z.enum(["held", "dispatching", "committed", "unknown", "settled", "released"]),
  daily_window: text,
  monthly_window: text,
  ceiling_micros: count,
  settled_micros: count.nullable(),
  basis: text.nullable(),
  resolved_at: count.nullable(),
});
const WINDOW = z.object({ window: text, held_micros: count, settled_micros: count });
const RECEIPT = z.object({ receipt: text, consumed_by: text.nullable() });
const AUTHORITY = z.object({ daily_cap_micros: count, monthly_cap_micros: count });
const JOURNAL_ROW = z.object({ sequence: count, hash: text.nullable(), record: text });
const PROJECTION = z.object({ confirmed: count, halted: text.nullable() });
const AUDIT_ROW = z.object({ log: text, sequence: count, hash: text, record: text });

export type OperationRow = z.infer<typeof OPERATION>;
export type ReservationRow = z.infer<typeof RESERVATION>;
export type JournalRow = z.infer<typeof JOURNAL_ROW>;
export type AuditRow = z.infer<typeof AUDIT_ROW>;

/** One tenant's ledger as it stands on disk, all of one moment. */
export type LedgerRows = {
  readonly authority: z.infer<typeof AUTHORITY>;
  readonly operations: readonly OperationRow[];
  readonly reservations: readonly ReservationRow[];
  readonly windows: readonly z.infer<typeof WINDOW>[];
  readonly receipts: readonly z.infer<typeof RECEIPT>[];
  readonly journal: readonly JournalRow[];
  readonly projection: z.infer<typeof PROJECTION>;
};

/** One shard of a tenant's log of reads and refusals. */
export type RequestLogRows = {
  readonly log: string;
  readonly journal: readonly JournalRow[];
  readonly projection: z.infer<typeof PROJECTION>;
};

/** Reads a tenant's ledger from the state folder, without the gate: it may run, be dead, or be starting. */
export function readLedger(stateDir: string, tenant: string): LedgerRows {
  for (const file of objectFiles(stateDir, "TenantLedger")) {
    const rows = reading(file, (db) => {
      if (!hasTable(db, "authority")) return null;
      const [authority] = z.array(AUTHORITY.extend({ tenant: text })).parse(all(db, "SELECT * FROM authority"));
      return authority?.tenant === tenant ? { authority, ...ledgerTables(db) } : null;
    });
    if (rows !== null) return rows;
  }
  throw new Error(`no ledger of ${tenant} in ${stateDir}`);
}

/** Reads the shards of a tenant's log of reads and refusals. */
export function readRequestLogs(stateDir: string, tenant: string): readonly RequestLogRows[] {
  return objectFiles(stateDir, "RequestLog").flatMap((file) => {
    const rows = reading(file, (db) => {
      if (!hasTable(db, "place")) return null;
      const [place] = z.array(z.object({ tenant: text, log: text })).parse(all(db, "SELECT tenant, log FROM place"));
      return place?.tenant === tenant ? { log: place.log, ...journalTables(db) } : null;
    });
    return rows === null ? [] : [rows];
  });
}

/** Reads a tenant's audit rows as D1 has them: by log and sequence. */
export const readAudit = (stateDir: string, tenant: string): readonly AuditRow[] =>
  reading(d1File(stateDir), (db) =>
    z
      .array(AUDIT_ROW)
      .parse(
        db.prepare("SELECT log, sequence, hash, record FROM audit WHERE tenant = ? ORDER BY log, sequence").all(tenant),
      ),
  );

/** The file of the local D1 database. */
export function d1File(stateDir: string): string {
  const folder = join(stateDir, "state/v3/d1/miniflare-D1DatabaseObject");
  const [file] = databases(folder);
  if (file === undefined) throw new Error(`no D1 database in ${folder}`);
  return file;
}

function ledgerTables(db: DatabaseSync): Omit<LedgerRows, "authority"> {
  return {
    operations: z.array(OPERATION).parse(all(db, "SELECT * FROM operations ORDER BY admitted_at")),
    reservations: z.array(RESERVATION).parse(all(db, "SELECT * FROM reservations ORDER BY created_at")),
    windows: z.array(WINDOW).parse(all(db, "SELECT * FROM windows")),
    receipts: z.array(RECEIPT).parse(all(db, "SELECT * FROM receipts")),
    ...journalTables(db),
  };
}

function journalTables(db: DatabaseSync): Pick<LedgerRows, "journal" | "projection"> {
  const journal = z.array(JOURNAL_ROW).parse(all(db, "SELECT sequence, hash, record FROM journal ORDER BY sequence"));
  const [projection] = z.array(PROJECTION).parse(all(db, "SELECT confirmed, halted FROM projection"));
  if (projection === undefined) throw new Error("a journal without its projection row");
  return { journal, projection };
}

const objectFiles = (stateDir: string, kind: string): readonly string[] =>
  databases(join(stateDir, `state/v3/do/portcullis-${kind}`));

/** The databases of a folder, without the one in which the local runtime keeps alarms. */
function databases(folder: string): readonly string[] {
  if (!existsSync(folder)) return [];
  const names = readdirSync(folder).filter((name) => name.endsWith(".sqlite") && name !== "metadata.sqlite");
  return names.toSorted().map((name) => join(folder, name));
}

/** Runs `read` on a read-only connection, in one read transaction. */
function reading<T>(file: string, read: (db: DatabaseSync) => T): T {
  const db = new DatabaseSync(file, { readOnly: true });
  try {
    db.exec("BEGIN");
    return read(db);
  } finally {
    db.close();
  }
}

const all = (db: DatabaseSync, sql: string): readonly unknown[] => db.prepare(sql).all();

const hasTable = (db: DatabaseSync, name: string): boolean =>
  db.prepare("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?").get(name) !== undefined;
