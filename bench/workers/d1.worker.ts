import { DurableObject } from "cloudflare:workers";

/**
 * D1 as the gate's binding sees it: the HTTP protocol of `cloudflare-internal:d1-api`, backed by one SQLite object. It
 * runs in a process of its own, because D1 is a remote service and its CPU is not the gate's.
 */
type D1Env = { readonly DATABASE: DurableObjectNamespace };
type Query = { readonly sql: string; readonly params?: readonly (string | number | null)[] };

/** Rows as SQLite itself counts them, since the process started. */
const counted = { rowsRead: 0, rowsWritten: 0 };

export class Database extends DurableObject<D1Env> {
  override async fetch(request: Request): Promise<Response> {
    const url = new URL(request.url);
    if (url.pathname === "/counts") return Response.json(counted);
    const body: Query | readonly Query[] = await request.json();
    const rowsAndColumns = url.searchParams.get("resultsFormat") === "ROWS_AND_COLUMNS";
    try {
      return Response.json(
        this.ctx.storage.transactionSync(() => [body].flat().map((query) => this.#run(query, rowsAndColumns))),
      );
    } catch (error) {
      return Response.json({ success: false, error: error instanceof Error ? error.message : String(error) });
    }
  }

  #run({ sql, params = [] }: Query, rowsAndColumns: boolean): object {
    const cursor = this.ctx.storage.sql.exec(sql, ...params);
    const columns = cursor.columnNames;
    const rows = [...cursor.raw()];
    counted.rowsRead += cursor.rowsRead;
    counted.rowsWritten += cursor.rowsWritten;
    return {
      success: true,
      results: rowsAndColumns
        ? { columns, rows }
        : rows.map((row) => Object.fromEntries(columns.map((c, i) => [c, row[i]]))),
      meta: {
        served_by: "bench",
        duration: 0,
        changes: cursor.rowsWritten,
        last_row_id: 0,
        changed_db: cursor.rowsWritten > 0,
        size_after: this.ctx.storage.sql.databaseSize,
        rows_read: cursor.rowsRead,
        rows_written: cursor.rowsWritten,
      },
    };
  }
}

export default {
  fetch: (request, env) => env.DATABASE.getByName("portcullis").fetch(request),
} satisfies ExportedHandler<D1Env>;
