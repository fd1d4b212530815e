import { unreachable } from "../platform/assert.ts";
import { inert, inertLines } from "./inert.ts";
import { displayWidth, padded, wrapped } from "./width.ts";

export type Style = "strong" | "dim" | "good" | "warn" | "bad";

/** A piece of text, styled where the terminal can show it. The text may be anybody's: it is made inert when it is laid out. */
export type Cell = string | { readonly text: string; readonly style: Style };

/** `keep`: never broken over lines (ids that people copy). `wide`: shown only where the terminal is wide. */
export type Column = {
  readonly title: string;
  readonly align?: "right";
  readonly keep?: true;
  readonly wide?: true;
};

/** What a command has to say, before anything is known about the terminal. One blank line goes between blocks. */
export type Block =
  | { readonly kind: "text"; readonly text: Cell }
  /** Label and value; rows whose value is null are left out. */
  | { readonly kind: "fields"; readonly rows: readonly (readonly [string, Cell | null])[] }
  | { readonly kind: "table"; readonly columns: readonly Column[]; readonly rows: readonly (readonly Cell[])[] }
  /** Somebody's text of any length, marked line by line so that it cannot pass for the lines around it. */
  | { readonly kind: "quote"; readonly label: string; readonly text: string }
  /** Lines that tools read or people copy whole: inert, never broken. */
  | { readonly kind: "verbatim"; readonly lines: readonly string[] };

export type Layout = { readonly columns: number; readonly colour: boolean };

/** Below this nothing is readable, above it nothing gets easier to read. */
const COLUMNS_MIN = 40;
const COLUMNS_MAX = 120;
/** From this on, columns that are not needed for reading have room too. */
const COLUMNS_WIDE = 110;
const GAP = "  ";
/** A column that is broken over lines keeps at least this. */
const CELL_MIN = 6;
const QUOTE_MARK = "  │ ";

const CODES: Readonly<Record<Style, number>> = { strong: 1, dim: 2, good: 32, warn: 33, bad: 31 };

export const text = (value: Cell): Block => ({ kind: "text", text: value });
export const fields = (rows: readonly (readonly [string, Cell | null])[]): Block => ({ kind: "fields", rows });
export const table = (columns: readonly Column[], rows: readonly (readonly Cell[])[]): Block => ({
  kind: "table",
  columns,
  rows,
});
export const quote = (label: string, value: string): Block => ({ kind: "quote", label, text: value });
export const verbatim = (lines: readonly string[]): Block => ({ kind: "verbatim", lines });

/** Lays blocks out for one terminal. Ends with a line feed; empty for no blocks. */
export function render(blocks: readonly Block[], layout: Layout): string {
  const columns = Math.min(COLUMNS_MAX, Math.max(COLUMNS_MIN, layout.columns));
  const parts = blocks
    .map((block) => renderBlock(block, { ...layout, columns }).join("\n"))
    .filter((part) => part !== "");
  return parts.length === 0 ? "" : `${parts.join("\n\n")}\n`;
}

function renderBlock(block: Block, layout: Layout): readonly string[] {
  switch (block.kind) {
    case "text":
      return painted(wrapped(inert(textOf(block.text)), layout.columns), block.text, layout);
    case "fields":
      return renderFields(block.rows, layout);
    case "table":
      return renderTable(block.columns, block.rows, layout);
    case "quote":
      return [`${inert(block.label)}:`, ...quotedLines(block.text, layout)];
    case "verbatim":
      return block.lines.map(inert);
    default:
      return unreachable(block);
  }
}

const quotedLines = (value: string, { columns, colour }: Layout): readonly string[] =>
  inertLines(value)
    .flatMap((line) => wrapped(line, columns - QUOTE_MARK.length))
    .map((line) => paint(QUOTE_MARK, "dim", colour) + line);

function renderFields(rows: readonly (readonly [string, Cell | null])[], layout: Layout): readonly string[] {
  const labelWidth = Math.max(0, ...rows.map(([label]) => displayWidth(inert(label))));
  const indent = " ".repeat(labelWidth + GAP.length);
  return rows.flatMap(([label, value]) => {
    if (value === null) return [];
    const lines = painted(wrapped(inert(textOf(value)), layout.columns - indent.length), value, layout);
    const title = paint(padded(inert(label), labelWidth), "dim", layout.colour);
    return lines.map((line, index) => (index === 0 ? `${title}${GAP}${line}` : `${indent}${line}`));
  });
}

function renderTable(
  columns: readonly Column[],
  rows: readonly (readonly Cell[])[],
  layout: Layout,
): readonly string[] {
  const shown = columns.flatMap(({ wide }, index) => (wide === true && layout.columns < COLUMNS_WIDE ? [] : [index]));
  const kept = columns.filter((_, index) => shown.includes(index));
  const titles = columns.map(({ title }): Cell => ({ text: title, style: "strong" }));
  const lines = [titles, ...rows].map((row) => shown.map((index) => row[index] ?? ""));
  const widths = columnWidths(kept, lines, layout.columns);
  return lines.flatMap((line) => renderRow(kept, line, widths, layout.colour));
}

function renderRow(
  columns: readonly Column[],
  row: readonly Cell[],
  widths: readonly number[],
  colour: boolean,
): readonly string[] {
  const cells = columns.map((_, index) => wrapped(inert(textOf(row[index] ?? "")), widths[index] ?? CELL_MIN));
  const height = Math.max(1, ...cells.map((lines) => lines.length));
  return Array.from({ length: height }, (_, line) => {
    const shown = columns.map(({ align }, index) => {
      const plain = padded(cells[index]?.[line] ?? "", widths[index] ?? 0, align ?? "left");
      // Padding of the last column would only make lines look longer than the terminal.
      const cut = index === columns.length - 1 ? plain.trimEnd() : plain;
      return paint(cut, styleOf(row[index] ?? ""), colour);
    });
    return shown.join(GAP).trimEnd();
  });
}

/** Natural widths; the widest column gives way until the table fits, first between words and only then inside them. */
function columnWidths(
  columns: readonly Column[],
  rows: readonly (readonly Cell[])[],
  available: number,
): readonly number[] {
  const measured = (of: (cell: string) => number): number[] =>
    columns.map((_, index) => Math.max(0, ...rows.map((row) => of(inert(textOf(row[index] ?? ""))))));
  const widths = measured(displayWidth);
  const words = measured((cell) => Math.max(...cell.split(" ").map(displayWidth)));
  for (const floors of [words, words.map(() => CELL_MIN)]) {
    const total = (): number => widths.reduce((sum, width) => sum + width, 0) + GAP.length * (columns.length - 1);
    while (total() > available && narrowed(columns, widths, floors)) continue;
  }
  return widths;
}

/** Takes one from the widest column that may still give; false when none may. */
function narrowed(columns: readonly Column[], widths: number[], floors: readonly number[]): boolean {
  const room = widths.map((width, index) =>
    columns[index]?.keep !== true && width > (floors[index] ?? 0) ? width : 0,
  );
  const widest = Math.max(0, ...room);
  if (widest === 0) return false;
  widths[room.indexOf(widest)] = widest - 1;
  return true;
}

const textOf = (cell: Cell): string => (typeof cell === "string" ? cell : cell.text);
const styleOf = (cell: Cell): Style | null => (typeof cell === "string" ? null : cell.style);

const painted = (lines: readonly string[], cell: Cell, { colour }: Layout): readonly string[] =>
  lines.map((line) => paint(line, styleOf(cell), colour));

/** Colour goes on last, around text that is inert already: no text can bring its own. */
const paint = (line: string, style: Style | null, colour: boolean): string =>
  colour && style !== null && line !== "" ? `\u001b[${CODES[style]}m${line}\u001b[0m` : line;
