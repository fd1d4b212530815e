import type { RecordView } from "./record-view.ts";

const EXAMPLES = 3;
/** Different verdicts that are kept apart: rules in shadow times what each would have decided. */
const MAX_ROWS = 5_000;

/** What one rule in shadow would have decided otherwise. */
export type Divergence = {
  readonly rule: string;
  /** A problem's slug, or `tier N`. */
  readonly verdict: string;
  requests: number;
  /** Requests by action. */
  readonly actions: Map<string, number>;
  firstAt: string;
  lastAt: string;
  readonly examples: string[];
};

export type DivergenceResult = {
  /** Requests that were decided while rules were in shadow or not. */
  readonly requests: number;
  /** Those on which a rule in shadow had another opinion. */
  readonly diverging: number;
  /** Most requests first. */
  readonly rules: readonly Divergence[];
};

export type DivergenceReport = { readonly take: (record: RecordView) => void; readonly result: () => DivergenceResult };

/** Adds up what rules in shadow would have decided, from what the records of each request say. Each request counts once. */
export function divergenceReport(): DivergenceReport {
  const rows = new Map<string, Divergence>();
  let requests = 0;
  let diverging = 0;
  return {
    take: (record) => {
      if (!standsForRequest(record)) return;
      requests += record.count;
      if (record.shadow.length > 0) diverging += record.count;
      for (const { rule, verdict } of record.shadow) add(rows, rule, verdict, record);
    },
    result: () => ({ requests, diverging, rules: [...rows.values()].toSorted((a, b) => b.requests - a.requests) }),
  };
}

/** Outcomes, decisions and the like are later words on a request; a proposal's record stands beside the refusal that says so. */
const standsForRequest = ({ kind, reason_code: reason }: RecordView): boolean =>
  kind === "intent" || kind === "plan" || (kind === "request" && reason !== "replayed");

function add(rows: Map<string, Divergence>, rule: string, verdict: string, record: RecordView): void {
  const key = JSON.stringify([rule, verdict]);
  let row = rows.get(key);
  if (row === undefined) {
    if (rows.size >= MAX_ROWS) return;
    row = { rule, verdict, requests: 0, actions: new Map(), firstAt: record.time, lastAt: record.time, examples: [] };
    rows.set(key, row);
  }
  row.requests += record.count;
  const action = record.action ?? "–";
  row.actions.set(action, (row.actions.get(action) ?? 0) + record.count);
  if (record.time < row.firstAt) row.firstAt = record.time;
  if (record.time > row.lastAt) row.lastAt = record.time;
  if (row.examples.length < EXAMPLES) row.examples.push(record.request_id);
}
