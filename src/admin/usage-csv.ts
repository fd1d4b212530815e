import { CsvError, parse } from "csv-parse/sync";
import { err, ok, type Result } from "../platform/result.ts";

/** The header row, in any order; nothing else may stand in it. */
export const USAGE_COLUMNS = ["request_id", "actual_usd", "ended_at", "evidence"] as const;

/** Longest line: four ids and dates, quoted. */
const LINE_CHARS = 4_096;

/** One line's cells by column, and where it ends in the file, from 1. An empty `ended_at` is absent. */
export type UsageLine = { readonly line: number; readonly cells: Readonly<Record<string, string>> };

/**
 * Reads a usage report in CSV (RFC 4180: commas, double quotes, CRLF or LF, a byte order mark as spreadsheets write it).
 * Strict: exactly the columns of `USAGE_COLUMNS`, as many cells as columns on every line, at most `linesMax` lines. The
 * error names the line. Empty lines are passed over, as spreadsheets end files with them.
 */
export function readUsageCsv(text: string, linesMax: number): Result<readonly UsageLine[], string> {
  const rows = rowsOf(text, linesMax);
  if (!rows.ok) return rows;
  const [header, ...lines] = rows.value;
  const mistake = header === undefined ? "there is no header row" : headerMistake(header.cells);
  if (header === undefined || mistake !== null)
    return err(`line ${header?.line ?? 1}: ${mistake}; the header row is ${USAGE_COLUMNS.join(",")}`);
  if (lines.length > linesMax)
    return err(`line ${lines[linesMax]?.line}: more than ${linesMax} reports; send several batches`);
  const uneven = lines.find(({ cells }) => cells.length !== header.cells.length);
  if (uneven !== undefined)
    return err(`line ${uneven.line}: ${uneven.cells.length} cells where the header has ${header.cells.length}`);
  return ok(lines.map(({ line, cells }) => ({ line, cells: cellsByColumn(header.cells, cells) })));
}

type Row = { readonly line: number; readonly cells: readonly string[] };

function rowsOf(text: string, linesMax: number): Result<readonly Row[], string> {
  const rows: Row[] = [];
  try {
    parse(text, {
      bom: true,
      skip_empty_lines: true,
      // Counted here, so that the line can be named.
      relax_column_count: true,
      max_record_size: LINE_CHARS,
      // The header, the lines, and one that is too many.
      to: linesMax + 2,
      on_record: (cells: string[], { lines }) => {
        rows.push({ line: lines, cells });
        return null;
      },
    });
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    return err(`line ${typeof error["lines"] === "number" ? error["lines"] : rows.length + 1}: ${error.message}`);
  }
  return ok(rows);
}

function headerMistake(names: readonly string[]): string | null {
  const known: readonly string[] = USAGE_COLUMNS;
  const unknown = names.find((name) => !known.includes(name));
  if (unknown !== undefined)
    return `unknown column ${unknown.length > 64 ? `of ${unknown.length} characters` : JSON.stringify(unknown)}`;
  const repeated = names.find((name, index) => names.indexOf(name) !== index);
  if (repeated !== undefined) return `the column ${repeated} stands there twice`;
  const missing = known.filter((name) => !names.includes(name));
  return missing.length === 0 ? null : `the column ${missing.join(", ")} is missing`;
}

const cellsByColumn = (names: readonly string[], cells: readonly string[]): Readonly<Record<string, string>> =>
  Object.fromEntries(
    names
      .map((name, index) => [name, cells[index] ?? ""] as const)
      .filter(([name, cell]) => name !== "ended_at" || cell !== ""),
  );
