import { parse } from "csv-parse/sync";
import { describe, expect, test } from "vitest";
import { bookStream, EXPORT_COLUMNS, EXPORT_PAGE_LINES } from "../../src/admin/budget-export.ts";
import type { EntryRow } from "../../src/ledger/money/finance-port.ts";

const entry = (number: number, over: Partial<EntryRow> = {}): EntryRow => ({
  monthlyWindow: "2026-11",
  number,
  dailyWindow: "2026-11-20",
  at: Date.parse("2026-11-20T08:00:00Z"),
  reservation: `req_${number}`,
  kind: "hold",
  principal: "agent:trainer",
  team: "vision",
  action: "workloads.submit",
  heldMicros: 10_000_000,
  settledMicros: 0,
  basis: "ceiling",
  priceVersion: "2026-11-01",
  ...over,
});

/** A book of these lines, read as the gate reads it. */
async function exported(lines: readonly EntryRow[], format: "csv" | "json"): Promise<string> {
  const page = async (_month: string, after: number, limit: number): Promise<readonly EntryRow[]> =>
    lines.filter(({ number }) => number > after).slice(0, limit);
  const first = await page("2026-11", 0, EXPORT_PAGE_LINES);
  return new Response(bookStream({ budgetEntries: page }, "2026-11", format, first)).text();
}

const many = (count: number): readonly EntryRow[] => Array.from({ length: count }, (_, index) => entry(index + 1));

describe("the export is a file that a spreadsheet opens as it is", () => {
  test("a header row and CRLF at the end of each line (RFC 4180)", async () => {
    const text = await exported([entry(1)], "csv");
    expect(text).toBe(
      `${EXPORT_COLUMNS.join(",")}\r\n` +
        "2026-11,1,2026-11-20,2026-11-20T08:00:00.000Z,req_1,hold,agent:trainer,vision,workloads.submit," +
        "10,10000000,0,0,ceiling,2026-11-01\r\n",
    );
  });

  test("an empty month is its header row", async () => {
    expect(await exported([], "csv")).toBe(`${EXPORT_COLUMNS.join(",")}\r\n`);
    expect(JSON.parse(await exported([], "json"))).toEqual({ month: "2026-11", entries: [] });
  });

  test.each(["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", '=HYPERLINK("http://x","y")', "＝1"])(
    "text that a spreadsheet would take for a formula is marked as text: %j",
    async (basis) => {
      const text = await exported([entry(1, { basis, team: basis })], "csv");
      const [row] = parse(text, { columns: true });
      expect(row).toMatchObject({ basis: `'${basis}`, team: `'${basis}` });
    },
  );

  test("a release is a negative number, and stays one", async () => {
    const [row] = parse(await exported([entry(1, { kind: "release", heldMicros: -1 })], "csv"), { columns: true });
    expect(row).toMatchObject({ held_usd: "-0.000001", held_micros: "-1" });
  });

  test.each(["a\nb", "a\rb", "a\r\nb"])("a bare line end stays inside its cell, in quotes: %j", async (basis) => {
    expect(await exported([entry(1, { basis })], "csv")).toContain(`,"${basis}",`);
  });

  test("commas, quotes and line ends stay inside their cell", async () => {
    const basis = 'a, "b"\r\nc';
    const [row, ...others] = parse(await exported([entry(1, { basis })], "csv"), { columns: true });
    expect([row, others]).toMatchObject([{ basis }, []]);
  });
});

describe("the export is the whole month, however many pages it takes", () => {
  test.each([1, EXPORT_PAGE_LINES - 1, EXPORT_PAGE_LINES, EXPORT_PAGE_LINES + 1, 2 * EXPORT_PAGE_LINES + 7])(
    "%i lines: each once, in order, in both formats",
    async (count) => {
      const lines = many(count);
      const rows: unknown[] = parse(await exported(lines, "csv"), { columns: true });
      expect(rows).toHaveLength(count);
      const { entries } = JSON.parse(await exported(lines, "json"));
      const numbers = lines.map(({ number }) => number);
      expect(entries.map((one: { number: number }) => one.number)).toEqual(numbers);
      expect(rows).toMatchObject(numbers.map((number) => ({ number: String(number) })));
    },
  );

  test("a page that cannot be read breaks the file off, so that half a month never looks whole", async () => {
    const ledger = { budgetEntries: () => Promise.reject(new Error("the ledger is gone")) };
    const stream = bookStream(ledger, "2026-11", "csv", many(EXPORT_PAGE_LINES));
    await expect(new Response(stream).text()).rejects.toThrow("the ledger is gone");
  });
});
