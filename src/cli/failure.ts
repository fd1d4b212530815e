import type { JsonObject, JsonValue } from "../platform/json.ts";
import { isJsonObject } from "../platform/json.ts";
import { formatUsd } from "../platform/money.ts";
import { PROBLEMS } from "../problem.ts";
import { fields, table, text, type Block, type Cell } from "./print.ts";

/** Exit codes of every command: done, refused or failed, called in a way that cannot work. */
export const EXIT = { done: 0, failed: 1, usage: 2 } as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** Why a command did not do what was asked. */
export type Failure =
  /** The call itself is wrong: nothing was sent anywhere. */
  | { readonly kind: "usage"; readonly detail: string; readonly remedy: string | null }
  /** The gate said no, with problem details (RFC 9457). */
  | { readonly kind: "refused"; readonly status: number; readonly problem: JsonObject }
  /** No answer, or none of the gate's. */
  | { readonly kind: "failed"; readonly title: string; readonly detail: string; readonly remedy: string | null };

export const usage = (detail: string, remedy: string | null = null): Failure => ({ kind: "usage", detail, remedy });
export const failed = (title: string, detail: string, remedy: string | null = null): Failure => ({
  kind: "failed",
  title,
  detail,
  remedy,
});

export const exitCodeOf = (failure: Failure): ExitCode => (failure.kind === "usage" ? EXIT.usage : EXIT.failed);

type Wording = { readonly title: string; readonly detail: string; readonly remedy: string | null };

/** The form of a failure under `--json`. `problem` is the gate's own document, unchanged. */
export function failureJson(failure: Failure): JsonObject {
  const wording = wordingOf(failure);
  return {
    error: {
      kind: failure.kind,
      ...wording,
      ...(failure.kind === "refused" ? { status: failure.status, problem: failure.problem } : {}),
    },
  };
}

/** The form of a failure for people. */
export function failureBlocks(failure: Failure): readonly Block[] {
  const wording = wordingOf(failure);
  const { title, detail, remedy } = wording;
  const code =
    failure.kind === "refused" ? ` (${stringOf(failure.problem["slug"]) ?? "no slug"}, ${failure.status})` : "";
  const headline: Cell = { text: `error: ${title}${code}`, style: "bad" };
  return [
    text(headline),
    ...(detail === "" || detail === title || detail === remedy ? [] : [text(detail)]),
    ...(failure.kind === "refused" ? memberBlocks(failure.problem, wording) : []),
    ...(remedy === null ? [] : [text(`What to do: ${remedy}`)]),
  ];
}

function wordingOf(failure: Failure): Wording {
  if (failure.kind === "usage") return { title: failure.detail, detail: "", remedy: failure.remedy };
  if (failure.kind === "failed") return { title: failure.title, detail: failure.detail, remedy: failure.remedy };
  const { problem } = failure;
  const slug = stringOf(problem["slug"]);
  const known = Object.entries(PROBLEMS).find(([kind]) => kind === slug)?.[1];
  return {
    title: stringOf(problem["title"]) ?? known?.title ?? "The gate refused",
    detail: stringOf(problem["detail"]) ?? "",
    remedy: known?.remedy ?? null,
  };
}

/** Said elsewhere: in the headline or in the detail. */
const TOLD: ReadonlySet<string> = new Set(["type", "title", "status", "detail", "instance", "slug", "line", "column"]);

/** What a problem says beyond its text: tables where rows compare, `name  value` for the rest. */
function memberBlocks(problem: JsonObject, { detail, remedy }: Wording): readonly Block[] {
  const rest: [string, Cell][] = [];
  const blocks: Block[] = [];
  for (const [name, value] of Object.entries(problem)) {
    if (TOLD.has(name) || value === null) continue;
    const repeated = typeof value === "string" && detail.includes(value);
    if (repeated && remedy?.includes(`\`${name}\``) !== true) continue;
    if (name === "violations" && Array.isArray(value)) blocks.push(violations(value));
    else if (name === "windows" && Array.isArray(value)) blocks.push(windows(value));
    else if (name === "nearest" && isJsonObject(value)) rest.push([name, nearestText(value)]);
    else if (name === "approval" && isJsonObject(value)) rest.push(...Object.entries(value).flatMap(approvalRow));
    else rest.push([name, valueText(value)]);
  }
  return [...blocks, ...(rest.length === 0 ? [] : [fields(rest)])];
}

const violations = (rows: readonly JsonValue[]): Block =>
  table(
    [{ title: "constraint" }, { title: "limit" }, { title: "requested" }],
    rows
      .filter(isJsonObject)
      .map((row) => [valueText(row["constraint"]), valueText(row["limit"]), valueText(row["actual"])]),
  );

const windows = (rows: readonly JsonValue[]): Block =>
  table(
    [
      { title: "window" },
      ...["cap", "settled", "held", "requested", "short"].map((title) => ({ title, align: "right" }) as const),
      { title: "resets" },
    ],
    rows
      .filter(isJsonObject)
      .map((row) => [
        valueText(row["window"]),
        ...["cap", "settled", "held", "requested", "short"].map((name) => money(row[`${name}_micros`])),
        valueText(row["resets_at"]),
      ]),
  );

function nearestText(nearest: JsonObject): string {
  const facts = isJsonObject(nearest["facts"]) ? nearest["facts"] : {};
  const changes = Object.entries(facts).map(([fact, value]) => `${fact} = ${valueText(value)}`);
  return `${changes.join(", ")} (tier ${valueText(nearest["tier"])})`;
}

const approvalRow = ([name, value]: readonly [string, JsonValue]): [string, string][] =>
  value === null || (Array.isArray(value) && value.length === 0) ? [] : [[`approval ${name}`, valueText(value)]];

/** One JSON value as short text for people: lists by commas, nothing as a dash. */
export function valueText(value: JsonValue | undefined): string {
  if (value === undefined || value === null) return "–";
  if (typeof value === "string") return value;
  if (Array.isArray(value)) return value.map(valueText).join(", ");
  return JSON.stringify(value);
}

/** Micro-USD of an answer as an amount; a dash for anything else. */
export const money = (micros: JsonValue | undefined): string =>
  typeof micros === "number" && Number.isSafeInteger(micros) ? formatUsd(micros) : "–";

const stringOf = (value: JsonValue | undefined): string | null => (typeof value === "string" ? value : null);
