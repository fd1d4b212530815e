import { integerOf, textOf } from "../../platform/sql-row.ts";
import type { Micros } from "../../vocabulary.ts";
import type { BudgetWindows } from "./budget-windows.ts";
import type { ScopeCap } from "./finance-port.ts";

/** What counts in one window. `gross`: everything dispatched in it that was not definitely refused, ended early or not. */
export type Sums = { readonly heldMicros: Micros; readonly settledMicros: Micros; readonly grossMicros: Micros };

const NOTHING: Sums = { heldMicros: 0, settledMicros: 0, grossMicros: 0 };

/** Whose money it is and what for: decides, with its two windows, every sum that an amount is part of. */
export type Spender = {
  readonly dailyWindow: string;
  readonly monthlyWindow: string;
  readonly principal: string;
  readonly team: string | null;
  readonly action: string;
};

/** Key of the sum inside a window. No id of a window, subject or action holds a space. */
export const scopedWindow = (window: string, scope: string): string => `${window} ${scope}`;

/** The caps inside the tenant's that a spender's money counts in, where there are such. */
export const scopesOf = ({
  principal,
  team,
  action,
}: Pick<Spender, "principal" | "team" | "action">): readonly string[] => [
  `principal:${principal}`,
  `action:${action}`,
  ...(team === null ? [] : [`team:${team}`]),
];

/** The sums of some windows in one look; zero where nothing has ever counted. */
export function sumsOf(sql: SqlStorage, windows: readonly string[]): ReadonlyMap<string, Sums> {
  const rows = sql
    .exec(
      "SELECT window, held_micros, settled_micros, gross_micros FROM windows WHERE window IN (SELECT value FROM json_each(?))",
      JSON.stringify(windows),
    )
    .toArray();
  const found = new Map(
    rows.map((row) => [
      textOf(row, "window"),
      {
        heldMicros: integerOf(row, "held_micros"),
        settledMicros: integerOf(row, "settled_micros"),
        grossMicros: integerOf(row, "gross_micros"),
      },
    ]),
  );
  return new Map(windows.map((window) => [window, found.get(window) ?? NOTHING]));
}

/**
 * Adds amounts to a spender's daily and monthly sums: the tenant's, which begin here, and those inside them that some cap has
 * begun (`beginScopes`).
 */
export function addToWindows(sql: SqlStorage, spender: Spender, change: Sums): void {
  const tenant = [spender.dailyWindow, spender.monthlyWindow];
  const all = [...tenant, ...tenant.flatMap((window) => scopesOf(spender).map((scope) => scopedWindow(window, scope)))];
  const { heldMicros, settledMicros, grossMicros } = change;
  // Not an upsert: its INSERT half would be checked with the negative amount of a release.
  const updated = sql
    .exec(
      `UPDATE windows SET held_micros = held_micros + ?, settled_micros = settled_micros + ?, gross_micros = gross_micros + ?
       WHERE window IN (SELECT value FROM json_each(?)) RETURNING window`,
      heldMicros,
      settledMicros,
      grossMicros,
      JSON.stringify(all),
    )
    .toArray()
    .map((row) => row["window"]);
  for (const window of tenant) if (!updated.includes(window)) insertWindow(sql, window, change);
}

function insertWindow(sql: SqlStorage, window: string, { heldMicros, settledMicros, grossMicros }: Sums): void {
  sql.exec(
    "INSERT INTO windows (window, held_micros, settled_micros, gross_micros) VALUES (?, ?, ?, ?)",
    window,
    heldMicros,
    settledMicros,
    grossMicros,
  );
}

/** The sums that caps inside the tenant's are compared with, by `scopedWindow`. Read from the book where none is kept yet. */
export function scopeSums(
  sql: SqlStorage,
  windows: BudgetWindows,
  caps: readonly ScopeCap[],
): ReadonlyMap<string, Sums> {
  if (caps.length === 0) return new Map();
  const wanted = caps.flatMap(({ scope }) =>
    [windows.daily.id, windows.monthly.id].map((window) => ({ scope, window })),
  );
  const kept = new Set(
    sql
      .exec(
        "SELECT window FROM windows WHERE window IN (SELECT value FROM json_each(?))",
        JSON.stringify(wanted.map(({ scope, window }) => scopedWindow(window, scope))),
      )
      .toArray()
      .map((row) => row["window"]),
  );
  const sums = new Map(
    sumsOf(
      sql,
      wanted.map(({ scope, window }) => scopedWindow(window, scope)),
    ),
  );
  for (const { scope, window } of wanted) {
    const key = scopedWindow(window, scope);
    if (!kept.has(key)) sums.set(key, sumOfBook(sql, windows.monthly.id, window, scope));
  }
  return sums;
}

/**
 * Begins the sums of caps inside the tenant's that have none yet in these windows, from the book: a cap that is new in the
 * middle of a month counts what was spent before it.
 */
export function beginScopes(sql: SqlStorage, windows: BudgetWindows, caps: readonly ScopeCap[]): void {
  for (const [key, sums] of scopeSums(sql, windows, caps)) {
    sql.exec(
      "INSERT OR IGNORE INTO windows (window, held_micros, settled_micros, gross_micros) VALUES (?, ?, ?, ?)",
      key,
      sums.heldMicros,
      sums.settledMicros,
      sums.grossMicros,
    );
  }
}

const SCOPE_COLUMNS = { principal: "principal", team: "team", action: "action" } as const;

/** One spender's part of a window, summed over the book of its month and, for a day, of the month before (zone changes). */
function sumOfBook(sql: SqlStorage, month: string, window: string, scope: string): Sums {
  const kind = scope.slice(0, scope.indexOf(":"));
  const column = SCOPE_COLUMNS[kind === "team" ? "team" : kind === "action" ? "action" : "principal"];
  const row = sql
    .exec(
      `SELECT coalesce(sum(held_micros), 0) AS held, coalesce(sum(settled_micros), 0) AS settled,
         coalesce(sum(gross_micros), 0) AS gross FROM entries
       WHERE monthly_window BETWEEN ? AND ? AND ? IN (daily_window, monthly_window) AND ${column} = ?`,
      window === month ? month : monthBefore(month),
      month,
      window,
      scope.slice(scope.indexOf(":") + 1),
    )
    .one();
  return {
    heldMicros: integerOf(row, "held"),
    settledMicros: integerOf(row, "settled"),
    grossMicros: integerOf(row, "gross"),
  };
}

function monthBefore(month: string): string {
  const [year = 0, number = 0] = month.split("-").map(Number);
  return number === 1
    ? `${String(year - 1).padStart(4, "0")}-12`
    : `${month.slice(0, 4)}-${String(number - 1).padStart(2, "0")}`;
}
