/**
 * Brings a Durable Object's SQLite up to date: runs each statement list once, in order, each in its own transaction
 * together with its mark. Call inside `blockConcurrencyWhile` in the constructor. Lists are append-only: a released one
 * never changes. A crash leaves whole steps only; the next construction continues after the last mark.
 */
export function migrate(storage: DurableObjectStorage, steps: readonly string[]): void {
  storage.sql.exec("CREATE TABLE IF NOT EXISTS schema_steps (step INTEGER PRIMARY KEY) WITHOUT ROWID");
  const done = Number(storage.sql.exec("SELECT count(*) AS n FROM schema_steps").one()["n"]);
  for (let step = done; step < steps.length; step++) {
    storage.transactionSync(() => {
      storage.sql.exec(steps[step] ?? "");
      storage.sql.exec("INSERT INTO schema_steps (step) VALUES (?)", step);
    });
  }
}
