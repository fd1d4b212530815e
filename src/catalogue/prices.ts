import { z } from "zod";
import { digestOf } from "../platform/digest.ts";
import type { DocumentProblem } from "../platform/document.ts";
import { parseUsd } from "../platform/money.ts";
import { err, ok } from "../platform/result.ts";
import type { Result } from "../platform/result.ts";
import { parseYamlDocument } from "../platform/yaml-document.ts";
import type { ParsedDocument } from "../platform/yaml-document.ts";
import type { Digest, EpochMs, Micros } from "../vocabulary.ts";
import { momentSchema } from "./schema-words.ts";

/** A price document, compiled: the gate's own figures, never the caller's. */
export type CompiledPrices = {
  readonly digest: Digest;
  /** The one table in force at `now`: the last whose date has come. Null before the first. */
  readonly at: (now: EpochMs) => PriceTable | null;
  /** Every table, oldest first. */
  readonly tables: readonly PriceTable[];
  /** When the first table comes into force: before it nothing has a price. */
  readonly since: EpochMs;
};

/** One table of a price document. */
export type PriceTable = {
  readonly version: string;
  /** In force from this moment on, until the next table's. */
  readonly effectiveFrom: EpochMs;
  /** Price of one unit of `rate` for `key` in micro-USD (e.g. `gpu_hour`, `H100`), null where the table has none. */
  readonly unitMicros: (rate: string, key: string) => Micros | null;
  /** What the rate has prices for. */
  readonly keysOf: (rate: string) => readonly string[];
  /** What has a price: rate and key, as written. */
  readonly priced: readonly (readonly [rate: string, key: string])[];
};

/** A document keeps what was in force before: five years of monthly tables. Older ones are in older versions of it. */
const TABLES_MAX = 60;

const amount = z.string().refine((text) => parseUsd(text) !== null, {
  error: 'a decimal USD amount in quotes is required, with at most six decimals, e.g. "2.50"',
});

const table = z.strictObject({
  version: z
    .string()
    .max(64)
    // Stands in records beside `upstream:…` and `+`, so that it can have neither.
    .regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/, {
      error: 'a version of letters, digits and . _ - is required, e.g. "2026-11"',
    })
    .describe("Named in every record of a request that was priced by this table."),
  effective_from: momentSchema.describe("The table is in force from this moment until the next one's."),
  rates: z.record(
    z
      .string()
      .max(64)
      .regex(/^[a-z][a-z0-9_]*$/, { error: "a lower-case rate name is required" }),
    z.record(z.string().min(1).max(128), amount),
  ),
});

/** The price document. Amounts are decimal text, so that no binary fraction ever stands for money. */
export const pricesSchema = z.strictObject({
  tables: z
    .array(table)
    .min(1)
    .max(TABLES_MAX)
    .describe("Oldest first; each from its date on, the next one's excluded."),
});
type PricesDocument = z.infer<typeof pricesSchema>;

/** Compiles a price document. Its digest covers the text as written; problems name line and column. */
export function compilePrices(text: string): Result<CompiledPrices, readonly DocumentProblem[]> {
  const parsed = parseYamlDocument(text, pricesSchema);
  if (!parsed.ok) return parsed;
  const problems = checkTables(parsed.value);
  if (problems.length > 0) return err(problems);
  const tables = parsed.value.value.tables.map(compileTable);
  return ok({
    digest: digestOf("portcullis/prices/v1", text),
    tables,
    at: (now) => tables.findLast(({ effectiveFrom }) => effectiveFrom <= now) ?? null,
    since: Math.min(...tables.map(({ effectiveFrom }) => effectiveFrom)),
  });
}

/** A version names one table, and at any moment one table is in force. */
function checkTables({ value, problem }: ParsedDocument<PricesDocument>): readonly DocumentProblem[] {
  const problems: DocumentProblem[] = [];
  const versions = new Set<string>();
  let previous = Number.NEGATIVE_INFINITY;
  for (const [index, { version, effective_from: from }] of value.tables.entries()) {
    if (versions.has(version)) problems.push(problem(["tables", index, "version"], `another table is "${version}"`));
    versions.add(version);
    const startsAt = Date.parse(from);
    if (startsAt <= previous) {
      problems.push(problem(["tables", index, "effective_from"], "must be later than the date of the table before it"));
    }
    previous = startsAt;
  }
  return problems;
}

function compileTable({ version, effective_from: from, rates }: PricesDocument["tables"][number]): PriceTable {
  const units = new Map(
    Object.entries(rates).map(([rate, keys]) => [
      rate,
      new Map(Object.entries(keys).map(([key, usd]) => [key, parseUsd(usd)])),
    ]),
  );
  return {
    version,
    effectiveFrom: Date.parse(from),
    priced: Object.entries(rates).flatMap(([rate, keys]) => Object.keys(keys).map((key) => [rate, key] as const)),
    unitMicros: (rate, key) => units.get(rate)?.get(key) ?? null,
    keysOf: (rate) => [...(units.get(rate)?.keys() ?? [])],
  };
}
