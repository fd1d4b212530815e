import type { Load } from "../../audit/replay/approver-load.ts";
import type { ReplayedChange, ReplayResult } from "../../audit/replay/replay-report.ts";
import type { JsonObject } from "../../platform/json.ts";
import { formatUsd, usd } from "../../platform/money.ts";
import { readingRemarks, type AuditRead } from "../audit/audit-source.ts";
import { fields, table, text, verbatim, type Block, type Cell } from "../print.ts";
import { shortTime } from "../times.ts";

/** Changes that people are shown; `--json` has all. */
const SHOWN = 20;

export type ReplayShown = {
  readonly result: ReplayResult;
  readonly read: AuditRead;
  readonly since: string;
  readonly until: string | null;
};

/** A replay for machines. Amounts are integers of micro-USD, and the same as numbers of dollars. */
export function replayJson({ result, read, since, until }: ReplayShown): JsonObject {
  const { dollars, load, changes } = result;
  return {
    since,
    until,
    records: { ...read },
    judged: result.judged,
    effects: { ...result.effects },
    dollars: {
      ...moneyJson("denied", dollars.deniedMicros),
      ...moneyJson("needs_approval", dollars.needsApprovalMicros),
      ...moneyJson("approval_lifted", dollars.approvalLiftedMicros),
      ...moneyJson("allowed", dollars.allowedMicros),
      ...moneyJson("asked", dollars.askedMicros),
      unpriced_requests: dollars.unpriced,
    },
    approver_load: { before: loadJson(load.before), after: loadJson(load.after) },
    changes: changes.map(changeJson),
    not_judged: Object.fromEntries(result.unjudged),
    skipped: Object.fromEntries(result.skipped),
  };
}

const moneyJson = (name: string, micros: number): JsonObject => ({
  [`${name}_usd`]: usd(micros),
  [`${name}_micros`]: micros,
});

const loadJson = ({ asks, decisions, peakPerHour, meanPerHour, people }: Load): JsonObject => ({
  asks,
  decisions,
  peak_per_hour: peakPerHour,
  mean_per_hour: meanPerHour,
  people: people.map(({ handle, asks: own, peakPerHour: peak }) => ({ handle, asks: own, peak_per_hour: peak })),
});

const changeJson = (change: ReplayedChange): JsonObject => ({
  effect: change.effect,
  action: change.action,
  was: change.was,
  would: change.would,
  rule_was: change.ruleWas,
  rule_would: change.ruleWould,
  requests: change.requests,
  ...moneyJson("cost", change.micros),
  first_at: change.firstAt,
  last_at: change.lastAt,
  examples: [...change.examples],
});

/** The same for people: what changes, what that is in money, who is asked how often, and what could not be told. */
export function replayBlocks({ result, read, since, until }: ReplayShown): readonly Block[] {
  const { effects, judged } = result;
  return [
    fields([
      ["time", `${shortTime(since)} to ${until === null ? "now" : shortTime(until)}`],
      ["read", `${number(read.records)} records in ${read.seconds.toFixed(1)} s`],
      ["decided again", number(judged)],
      ["unchanged", number(effects.unchanged)],
      ["newly denied", styled(effects.denied, "bad")],
      ["newly allowed", styled(effects.allowed, "warn")],
      ["tier raised", number(effects["tier-raised"])],
      ["tier lowered", styled(effects["tier-lowered"], "warn")],
    ]),
    ...moneyBlocks(result),
    ...loadBlocks(result),
    ...changeBlocks(result),
    ...remarks(result, read).map((line) => text({ text: line, style: "dim" })),
  ];
}

const number = (value: number): string => value.toLocaleString("en-US");
const styled = (value: number, style: "bad" | "warn"): Cell => (value === 0 ? "0" : { text: number(value), style });

function moneyBlocks({ dollars }: ReplayResult): readonly Block[] {
  const rows = (
    [
      ["ran, and would be refused", dollars.deniedMicros],
      ["ran, and would wait for people", dollars.needsApprovalMicros],
      ["was approved, and would run without", dollars.approvalLiftedMicros],
      ["was refused, and would run", dollars.allowedMicros],
      ["was refused, and would be put before people", dollars.askedMicros],
    ] as const
  )
    .filter(([, micros]) => micros > 0)
    .map(([name, micros]): readonly Cell[] => [name, formatUsd(micros)]);
  return rows.length === 0 ? [] : [table([{ title: "money" }, { title: "USD", align: "right" }], rows)];
}

function loadBlocks({ load: { before, after } }: ReplayResult): readonly Block[] {
  const difference = after.asks - before.asks;
  const people = after.people.length;
  const more =
    difference === 0
      ? "as often as before"
      : `${number(Math.abs(difference))} times ${difference > 0 ? "more" : "less"}`;
  const summary = `People are asked ${more}: ${number(after.asks)} instead of ${number(before.asks)} times, ${after.peakPerHour} in the busiest hour (${before.peakPerHour} before), ${after.meanPerHour.toFixed(2)} an hour on average (${before.meanPerHour.toFixed(2)}), ${people} ${people === 1 ? "person" : "people"}.`;
  if (before.asks === 0 && after.asks === 0) return [];
  const handles = [...new Set([...after.people, ...before.people].map(({ handle }) => handle))];
  const rows = handles.map((handle): readonly Cell[] => {
    const [was, is] = [before, after].map((load) => load.people.find((one) => one.handle === handle));
    return [
      handle,
      number(was?.asks ?? 0),
      number(is?.asks ?? 0),
      String(was?.peakPerHour ?? 0),
      String(is?.peakPerHour ?? 0),
    ];
  });
  const titles = ["asked before", "asked", "busiest hour before", "busiest hour"];
  const columns = [{ title: "approver" }, ...titles.map((title) => ({ title, align: "right" as const }))];
  return [text(summary), table(columns, rows)];
}

function changeBlocks({ changes }: ReplayResult): readonly Block[] {
  if (changes.length === 0) return [];
  const rows = changes
    .slice(0, SHOWN)
    .map((change): readonly Cell[] => [
      number(change.requests),
      change.action,
      `${change.was} → ${change.would}`,
      change.micros === 0 ? "–" : formatUsd(change.micros),
      change.ruleWould ?? change.ruleWas ?? "–",
      change.examples[0] ?? "",
    ]);
  const columns = [
    { title: "requests", align: "right" as const },
    { title: "action" },
    { title: "decision" },
    { title: "USD", align: "right" as const },
    { title: "rule", wide: true as const },
    { title: "example", wide: true as const, keep: true as const },
  ];
  const rest = changes.length - SHOWN;
  return [
    table(columns, rows),
    ...(rest > 0 ? [text(`${rest} more; --json has them all.`)] : []),
    ...showOne(changes[0]?.examples[0]),
  ];
}

/** How one of the requests is looked at. */
export const showOne = (id: string | undefined): readonly Block[] =>
  id === undefined ? [] : [text("One of them:"), verbatim([`portcullis audit show ${id}`])];

const WHY_NOT = {
  "facts-unknown": "were refused before their facts were read, and the candidate asks about them",
  "facts-redacted": "have a redacted fact that the candidate asks about",
  "facts-unreadable": "had a fact that could not be read",
} as const;

function remarks({ unjudged, dollars }: ReplayResult, read: AuditRead): readonly string[] {
  return [
    ...[...unjudged].map(([why, count]) => `Cannot be decided again: ${number(count)} that ${WHY_NOT[why]}.`),
    ...(dollars.unpriced === 0
      ? []
      : [`Of ${number(dollars.unpriced)} that would not be refused no price can be told.`]),
    ...readingRemarks(read),
    "Not replayed: budgets, aggregates, rate limits, freezes, incidents.",
  ];
}
