/** D1's own bound for one value. The local D1 has none. */
export const D1_VALUE_BYTES = 2_000_000;

/**
 * What goes wrong with one statement. `refused`: nothing happens, and it throws. `answer-lost`: it happens, and it throws.
 * `ignored`: nothing happens, and it reports success, as D1 does for a violated constraint. `partly`: only the first half of
 * the rows is stored, and it reports success. `no-answer`: it happens, and no answer ever comes.
 */
export type Fault = "none" | "refused" | "answer-lost" | "ignored" | "partly" | "no-answer";

type Faults = { readonly insert?: Fault; readonly update?: Fault; readonly read?: Fault };

const KINDS = ["insert", "update"] as const;

const BOUND = ["run", "all", "raw", "first"] as const;

/**
 * The real D1 with these faults in front of it: one for the statement that inserts, one for the one that reads back, one for the one that
 * updates. It also
 * refuses values beyond D1's bound. The database that it wraps is the real one, so what was stored is what is there.
 */
export function faultyD1(d1: D1Database, faults: Faults = {}): D1Database {
  const wrap = (query: string, statement: D1PreparedStatement, values: readonly unknown[]): D1PreparedStatement => {
    const kind = KINDS.find((one) => query.trimStart().toLowerCase().startsWith(one)) ?? "read";
    const fault = faults[kind] ?? "none";
    return new Proxy(statement, {
      get: (target, name) => {
        if (name === "bind") return (...bound: unknown[]) => wrap(query, target.bind(...bound), bound);
        const method = BOUND.find((known) => known === name);
        if (method === undefined) return Reflect.get(target, name);
        return async (...args: unknown[]) => {
          if (values.some((value) => typeof value === "string" && UTF8.encode(value).byteLength > D1_VALUE_BYTES)) {
            throw new Error("D1_ERROR: string or blob too big: SQLITE_TOOBIG");
          }
          if (fault === "refused") throw new Error("D1_ERROR: Network connection lost.");
          if (fault === "ignored") return { success: true, results: [], meta: { changes: 0 } };
          const ready = fault === "partly" ? d1.prepare(query).bind(...values.map(firstHalf)) : target;
          const call: unknown = Reflect.get(ready, method);
          if (typeof call !== "function") throw new Error(`no ${method}`);
          const answer: unknown = await Reflect.apply(call, ready, args);
          if (fault === "no-answer") return new Promise(() => undefined);
          if (fault === "answer-lost") throw new Error("D1_ERROR: Network connection lost.");
          return answer;
        };
      },
    });
  };
  return new Proxy(d1, {
    get: (target, name) => {
      if (name === "prepare") return (query: string) => wrap(query, target.prepare(query), []);
      const member: unknown = Reflect.get(target, name);
      return typeof member === "function" ? member.bind(target) : member;
    },
  });
}

const UTF8 = new TextEncoder();

function firstHalf(value: unknown): unknown {
  if (typeof value !== "string" || !value.startsWith("[")) return value;
  const rows: unknown = JSON.parse(value);
  return Array.isArray(rows) ? JSON.stringify(rows.slice(0, Math.floor(rows.length / 2))) : value;
}
