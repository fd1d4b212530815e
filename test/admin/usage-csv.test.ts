import { describe, expect, test } from "vitest";
import { readUsageCsv } from "../../src/admin/usage-csv.ts";

const HEADER = "request_id,actual_usd,ended_at,evidence";
const LINE = "req_1,12.50,2026-11-20T08:00:00Z,invoice 7";
const CELLS = { request_id: "req_1", actual_usd: "12.50", ended_at: "2026-11-20T08:00:00Z", evidence: "invoice 7" };

const read = (text: string): unknown => readUsageCsv(text, 3);

describe("a usage report in CSV is read as it is written", () => {
  test.each([
    ["LF", `${HEADER}\n${LINE}\n`],
    ["CRLF, as spreadsheets write it", `${HEADER}\r\n${LINE}\r\n`],
    ["no end of line at the end", `${HEADER}\n${LINE}`],
    ["a byte order mark, as spreadsheets write it", `\u{feff}${HEADER}\n${LINE}\n`],
    [
      "every cell quoted",
      `"request_id","actual_usd","ended_at","evidence"\n"req_1","12.50","2026-11-20T08:00:00Z","invoice 7"\n`,
    ],
    ["other order", `evidence,request_id,ended_at,actual_usd\ninvoice 7,req_1,2026-11-20T08:00:00Z,12.50\n`],
  ])("%s", (_, text) => {
    expect(read(text)).toEqual({ ok: true, value: [{ line: 2, cells: CELLS }] });
  });

  test("an empty ended_at is absent; any other empty cell is there, and empty", () => {
    expect(read(`${HEADER}\nreq_1,,,x\n`)).toEqual({
      ok: true,
      value: [{ line: 2, cells: { request_id: "req_1", actual_usd: "", evidence: "x" } }],
    });
  });

  test("quoted commas and quotes are the cell's own, and empty lines count as lines of the file", () => {
    expect(read(`${HEADER}\n\nreq_1,1,,"a, ""b"""\n`)).toMatchObject({
      ok: true,
      value: [{ line: 3, cells: { evidence: 'a, "b"' } }],
    });
  });
});

describe("a usage report that could be read in two ways is refused, with its line", () => {
  test.each([
    ["nothing at all", "", "line 1: there is no header row"],
    ["no header", `${LINE}\n`, 'line 1: unknown column "req_1"'],
    ["an unknown column", `${HEADER},note\n${LINE},x\n`, 'line 1: unknown column "note"'],
    ["a misspelt column", `${HEADER.replace("ended_at", "end")}\n${LINE}\n`, 'line 1: unknown column "end"'],
    ["a column in capitals", `${HEADER.toUpperCase()}\n${LINE}\n`, 'line 1: unknown column "REQUEST_ID"'],
    ["a padded column", `${HEADER.replace(",ended", ", ended")}\n${LINE}\n`, 'line 1: unknown column " ended_at"'],
    ["semicolons", `${HEADER.replaceAll(",", ";")}\n${LINE}\n`, 'line 1: unknown column "request_id;actual_usd;'],
    ["a missing column", `request_id,actual_usd,evidence\nreq_1,1,x\n`, "line 1: the column ended_at is missing"],
    ["a repeated column", `${HEADER},evidence\n${LINE},x\n`, "line 1: the column evidence stands there twice"],
    ["a cell too few", `${HEADER}\n${LINE}\nreq_2,1,x\n`, "line 3: 3 cells where the header has 4"],
    ["a cell too many", `${HEADER}\n${LINE},x\n`, "line 2: 5 cells where the header has 4"],
    ["a decimal comma", `${HEADER}\nreq_1,12,50,,x\n`, "line 2: 5 cells where the header has 4"],
    ["a quote inside a cell", `${HEADER}\nreq_1,1,,a"b\n`, "line 2: "],
    ["a quote that stays open", `${HEADER}\n${LINE}\nreq_1,1,,"a\n`, "Quote Not Closed"],
    ["text after a quote", `${HEADER}\nreq_1,1,,"a"b\n`, "line 2: "],
    ["a line longer than any report", `${HEADER}\nreq_1,1,,${"x".repeat(5_000)}\n`, "line 2: "],
    ["more lines than a batch holds", `${HEADER}\n${`${LINE}\n`.repeat(4)}`, "line 5: more than 3 reports"],
    ["very many lines", `${HEADER}\n${`${LINE}\n`.repeat(20_000)}`, "line 5: more than 3 reports"],
  ])("%s", (_, text, reason) => {
    expect(read(text)).toEqual({ ok: false, error: expect.stringContaining(reason) });
  });
});
