import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { compileCatalogue } from "../../src/catalogue/compile.ts";
import { compilePrices } from "../../src/catalogue/prices.ts";
import type { CompiledPrices } from "../../src/catalogue/prices.ts";
import type { CompiledCatalogue, MatchedOperation } from "../../src/catalogue/types.ts";
import type { JsonValue } from "../../src/platform/json.ts";
import type { Result } from "../../src/platform/result.ts";
import type { Method, StrictRequest } from "../../src/strict-request.ts";
import type { EpochMs } from "../../src/vocabulary.ts";

/** Text of a reviewed document under `policies/`. */
export const shippedText = (name: string): string =>
  readFileSync(fileURLToPath(new URL(`../../policies/${name}`, import.meta.url).href), "utf8");

/** The value of a success; the test fails with the error otherwise. */
export function valueOf<T, E>(result: Result<T, E>): T {
  if (!result.ok) throw new Error(JSON.stringify(result.error, null, 2));
  return result.value;
}

export const exampleCatalogue = (): CompiledCatalogue =>
  valueOf(compileCatalogue(shippedText("catalogues/example.yaml")));
export const slurmCatalogue = (): CompiledCatalogue =>
  valueOf(compileCatalogue(shippedText("catalogues/slurm-v0.0.38.yaml")));
export const examplePrices = (): CompiledPrices => valueOf(compilePrices(shippedText("prices/example.yaml")));
export const slurmPrices = (): CompiledPrices => valueOf(compilePrices(shippedText("prices/slurm-lab.yaml")));

/** A moment at which the shipped price tables are in force. */
export const NOW: EpochMs = Date.parse("2026-11-21T12:00:00Z");

export type RequestParts = {
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly contentType?: string;
  readonly body?: JsonValue;
};

/** A request as the strict reader would hand it over. */
export function strictRequest(method: Method, path: string, parts: RequestParts = {}): StrictRequest {
  const headers = new Map(Object.entries(parts.headers ?? {}));
  return {
    method,
    path,
    segments: path === "/" ? [] : path.slice(1).split("/"),
    query: new Map(Object.entries(parts.query ?? {})),
    contentType: parts.body === undefined ? null : (parts.contentType ?? "application/json"),
    body: parts.body,
    bodyBytes: 0,
    gate: {
      dryRun: false,
      plan: null,
      approvals: [],
      reason: null,
      evidence: null,
      evidenceRef: null,
      backOut: null,
      incident: null,
      idempotencyKey: null,
      maxCostMicros: null,
      maxRunMs: null,
    },
    header: (name) => headers.get(name) ?? null,
  };
}

/** The matched operation; the test fails with the refusal otherwise. */
export const matched = (
  catalogue: CompiledCatalogue,
  method: Method,
  path: string,
  parts: RequestParts = {},
): MatchedOperation => valueOf(catalogue.match(strictRequest(method, path, parts)));

/** Slug and reason of a refusal, `allowed` when there is none. */
export function refusalOf(
  catalogue: CompiledCatalogue,
  method: Method,
  path: string,
  parts: RequestParts = {},
): string {
  const result = catalogue.match(strictRequest(method, path, parts));
  if (result.ok) return "allowed";
  return "reason" in result.error ? `${result.error.kind}: ${result.error.reason}` : result.error.kind;
}
