type Statement = { readonly sql: string; readonly values: readonly unknown[] };

/** Runs `act` with a database that notes each statement, and returns SQLite's plan of each, one text per statement. */
export async function plansOf(d1: D1Database, act: (d1: D1Database) => Promise<unknown>): Promise<readonly string[]> {
  const seen: Statement[] = [];
  await act(
    new Proxy(d1, {
      get: (target, name) => {
        if (name !== "prepare") return Reflect.get(target, name);
        return (sql: string): D1PreparedStatement => {
          const statement = target.prepare(sql);
          return new Proxy(statement, {
            get: (prepared, member) => {
              if (member !== "bind") return Reflect.get(prepared, member).bind(prepared);
              return (...values: readonly unknown[]): D1PreparedStatement => {
                seen.push({ sql, values });
                return prepared.bind(...values);
              };
            },
          });
        };
      },
    }),
  );
  return Promise.all(
    seen.map(async ({ sql, values }) => {
      const plan = await d1
        .prepare(`EXPLAIN QUERY PLAN ${sql}`)
        .bind(...values)
        .all<{ readonly detail: string }>();
      return plan.results.map(({ detail }) => detail).join("\n");
    }),
  );
}
