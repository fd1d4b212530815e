import { z } from "zod";
import { digestOf } from "../platform/digest.ts";
import type { DocumentProblem } from "../platform/document.ts";
import { parseUsd } from "../platform/money.ts";
import { ok } from "../platform/result.ts";
import type { Result } from "../platform/result.ts";
import { parseYamlDocument } from "../platform/yaml-document.ts";
import type { Digest, Micros } from "../vocabulary.ts";

/** A price table, compiled: the gate's own figures, never the caller's. */
export type CompiledPrices = {
  readonly version: string;
  readonly digest: Digest;
  /** Price of one unit of `rate` for `key` in micro-USD (e.g. `gpu_hour`, `H100`), null where the table has none. */
  readonly unitMicros: (rate: string, key: string) => Micros | null;
};

const amount = z.string().refine((text) => parseUsd(text) !== null, {
  error: 'a decimal USD amount in quotes is required, with at most six decimals, e.g. "2.50"',
});

/** The price document. Amounts are decimal text, so that no binary fraction ever stands for money. */
export const pricesSchema = z.strictObject({
  version: z.string().min(1).max(64),
  rates: z.record(
    z
      .string()
      .max(64)
      .regex(/^[a-z][a-z0-9_]*$/, { error: "a lower-case rate name is required" }),
    z.record(z.string().min(1).max(128), amount),
  ),
});

/** Compiles a price document. Its digest covers the text as written; problems name line and column. */
export function compilePrices(text: string): Result<CompiledPrices, readonly DocumentProblem[]> {
  const parsed = parseYamlDocument(text, pricesSchema);
  if (!parsed.ok) return parsed;
  const { version, rates } = parsed.value.value;
  const units = new Map(
    Object.entries(rates).map(([rate, keys]) => [
      rate,
      new Map(Object.entries(keys).map(([key, usd]) => [key, parseUsd(usd)])),
    ]),
  );
  return ok({
    version,
    digest: digestOf("portcullis/prices/v1", text),
    unitMicros: (rate, key) => units.get(rate)?.get(key) ?? null,
  });
}
