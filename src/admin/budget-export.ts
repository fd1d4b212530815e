import { stringify } from "csv-stringify/sync";
import type { EntryRow, FinancePort } from "../ledger/money/finance-port.ts";
import { queryValue, unknownQuery } from "./body.ts";
import { MONTH_TEXT, monthOf } from "./budget-books.ts";
import { entryJson } from "./budget-views.ts";
import { malformed, refuse, type AdminAnswer, type AdminCall, type AdminRoute } from "./call.ts";

/** Lines that are asked of the ledger at once: ≈ 300 KB. */
export const EXPORT_PAGE_LINES = 1_000;

export const EXPORT_FORMATS = ["csv", "json"] as const;
type Format = (typeof EXPORT_FORMATS)[number];

/** The columns of the CSV, in their order: the members of an entry. */
export const EXPORT_COLUMNS = [
  "month",
  "number",
  "day",
  "time",
  "reservation",
  "kind",
  "principal",
  "team",
  "action",
  "held_usd",
  "held_micros",
  "settled_usd",
  "settled_micros",
  "basis",
  "price_version",
] as const;

/** A month's whole book, as a file. */
export const budgetExportRoutes: readonly AdminRoute[] = [
  { method: "GET", path: "/_gate/v1/budget/export", roles: ["finance"], handle: exportMonth },
];

async function exportMonth(call: AdminCall): Promise<AdminAnswer> {
  const unknown = unknownQuery(call.strict, ["month", "format"]);
  if (unknown !== null) return refuse(unknown);
  const written = queryValue(call.strict, "format") ?? "csv";
  const format = EXPORT_FORMATS.find((one) => one === written);
  if (format === undefined) return malformed(`query: format is one of ${EXPORT_FORMATS.join(", ")}`);
  const month = monthOf(call);
  if (month === null) return malformed(MONTH_TEXT);
  // The first page is read before the answer begins: a ledger that cannot be reached is a refusal, not half a file.
  const first = await call.ledger.budgetEntries(month, 0, EXPORT_PAGE_LINES);
  return {
    kind: "file",
    contentType: format === "csv" ? "text/csv; charset=utf-8; header=present" : "application/json",
    fileName: `budget-${month}.${format}`,
    body: bookStream(call.ledger, month, format, first),
  };
}

/**
 * The book page by page, as the reader takes it. The book only grows, so pages never overlap; what is written meanwhile comes
 * at the end. A page that cannot be read breaks the answer off: a file that ends early must not look whole.
 */
export function bookStream(
  ledger: Pick<FinancePort, "budgetEntries">,
  month: string,
  format: Format,
  first: readonly EntryRow[],
): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  const writer = WRITERS[format];
  let page = first;
  let begun = false;
  return new ReadableStream<Uint8Array>({
    pull: async (controller) => {
      const text = (begun ? "" : writer.begin(month)) + writer.page(page, begun);
      begun = true;
      const last = page.at(-1);
      if (last === undefined || page.length < EXPORT_PAGE_LINES) {
        controller.enqueue(encoder.encode(text + writer.end));
        return controller.close();
      }
      controller.enqueue(encoder.encode(text));
      page = await ledger.budgetEntries(month, last.number, EXPORT_PAGE_LINES);
    },
  });
}

type BookWriter = {
  readonly begin: (month: string) => string;
  readonly page: (rows: readonly EntryRow[], follows: boolean) => string;
  readonly end: string;
};

const csvPage = (rows: readonly EntryRow[]): string =>
  csvOf(
    rows.map((row) => {
      const entry = entryJson(row);
      return EXPORT_COLUMNS.map((column) => entry[column] ?? null);
    }),
  );

/** RFC 4180 text. A cell of text that a spreadsheet would take for a formula gets an apostrophe; negative numbers stay numbers. */
const csvOf = (rows: readonly (readonly unknown[])[]): string =>
  stringify(
    rows.map((row) => [...row]),
    { record_delimiter: "\r\n", escape_formulas: true, quoted_match: /[\r\n]/ },
  );

const WRITERS: Readonly<Record<Format, BookWriter>> = {
  csv: { begin: () => csvOf([EXPORT_COLUMNS]), page: csvPage, end: "" },
  json: {
    begin: (month) => `{"month":${JSON.stringify(month)},"entries":[`,
    page: (rows, follows) => {
      const text = rows.map((row) => JSON.stringify(entryJson(row))).join(",");
      return follows && text !== "" ? `,${text}` : text;
    },
    end: "]}",
  },
};
