import { dropOldest } from "../../platform/drop-oldest.ts";
import type { PolicyWorld } from "../../policy/diff/diff-change.ts";
import type { Micros, Tier } from "../../vocabulary.ts";
import { countLoad, type Load } from "./approver-load.ts";
import type { RecordView } from "./record-view.ts";
import { rejudgeWith, type Would, type ReplayWorld, type Skipped, type Was, type Unjudged } from "./rejudge.ts";

/** From this tier on people decide. */
const ASKS_FROM = 3;
/** Different changes that are kept apart; a policy has fewer rules than that. The rest is in the totals all the same. */
const MAX_CHANGES = 5_000;
/** Requests that are remembered so that asking again for the same is one ask. */
const MAX_REMEMBERED = 50_000;
/** Examples of one change. */
const EXAMPLES = 3;

/** What became of decisions. `allowed`: was refused; `tier-raised`, `tier-lowered`: of what is let through or put before people. */
export const EFFECTS = ["unchanged", "allowed", "denied", "tier-raised", "tier-lowered"] as const;
export type Effect = (typeof EFFECTS)[number];

/** Amounts in micro-USD. What has no price that can be told is counted beside them. */
export type Dollars = {
  /** Ran, and would be refused. */
  deniedMicros: Micros;
  /** Ran without people, and would wait for them. */
  needsApprovalMicros: Micros;
  /** Ran after people had decided, and would run without them. */
  approvalLiftedMicros: Micros;
  /** Was refused, and would run. */
  allowedMicros: Micros;
  /** Was refused, and would be put before people. */
  askedMicros: Micros;
  /** Requests that were refused and would not be, of which no price can be told. */
  unpriced: number;
};

/** Decisions of one action that change in one way, from one rule to another. */
export type ReplayedChange = {
  readonly effect: Exclude<Effect, "unchanged">;
  readonly action: string;
  readonly was: string;
  readonly would: string;
  readonly ruleWas: string | null;
  readonly ruleWould: string | null;
  requests: number;
  micros: Micros;
  firstAt: string;
  lastAt: string;
  /** Ids of some of the requests. */
  readonly examples: string[];
};

export type ReplayResult = {
  /** Requests that were decided again. */
  readonly judged: number;
  readonly effects: Readonly<Record<Effect, number>>;
  readonly dollars: Readonly<Dollars>;
  readonly load: { readonly before: Load; readonly after: Load };
  /** Most requests first. */
  readonly changes: readonly ReplayedChange[];
  readonly unjudged: ReadonlyMap<Unjudged, number>;
  readonly skipped: ReadonlyMap<Skipped, number>;
};

export type ReplayReport = { readonly take: (record: RecordView) => void; readonly result: () => ReplayResult };

/**
 * Decides an audit again under `candidate` and adds up what changes, record by record, in memory that grows with proposals and rules, and
 * not with records. Money is
 * an integer throughout. `current`: whose approvers were asked until would. A record that stands for several like it counts as often.
 * Not replayed: budgets, aggregates, rate limits, freezes and incidents, which depend on what else was let through.
 */
export function replayReport(candidate: ReplayWorld, current: PolicyWorld): ReplayReport {
  const rejudge = rejudgeWith(candidate);
  const [before, after] = [countLoad(current.policy), countLoad(candidate.policy)];
  const effects: Record<Effect, number> = {
    unchanged: 0,
    allowed: 0,
    denied: 0,
    "tier-raised": 0,
    "tier-lowered": 0,
  };
  const dollars: Dollars = {
    deniedMicros: 0,
    needsApprovalMicros: 0,
    approvalLiftedMicros: 0,
    allowedMicros: 0,
    askedMicros: 0,
    unpriced: 0,
  };
  const changes = new Map<string, ReplayedChange>();
  const skipped = new Map<Skipped, number>();
  const unjudged = new Map<Unjudged, number>();
  const proposals = new Set<string>();
  const isRepeat = repeats(candidate.policy.approvalTimeoutMs);
  let judged = 0;
  return {
    take: (record) => {
      // Completing a draft is the second word on one proposal.
      const proposal = record.approval_id;
      if (record.kind === "proposal" && proposal !== null && proposals.has(proposal))
        return count(skipped, "not-a-decision", record.count);
      const verdict = rejudge(record);
      if (verdict.kind === "skipped") return count(skipped, verdict.why, record.count);
      if (verdict.kind === "unjudged") return count(unjudged, verdict.why, record.count);
      const { was, would, costMicros } = verdict;
      // What people let through was decided when they were asked; here it is only what it cost.
      const isContinued = was.kind === "ran" && proposal !== null && proposals.has(proposal);
      if (was.kind === "asked" && proposal !== null) proposals.add(proposal);
      const amount = (costMicros ?? 0) * record.count;
      addDollars(dollars, was, would, costMicros, record.count);
      if (isContinued) return count(skipped, "not-a-decision", record.count);
      judged += record.count;
      const effect = effectOf(was, would);
      effects[effect] += record.count;
      const at = Date.parse(record.time);
      const notBy = [record.principal, record.owner];
      if (was.kind === "asked") before.ask(atLeastAsked(was.tier), at, notBy);
      if (asksPeople(was, would) && !(was.kind === "refused" && isRepeat(record, at)))
        after.ask(atLeastAsked(would.tier), at, notBy);
      if (effect !== "unchanged") addChange(changes, { effect, action: verdict.action, was, would, amount, record });
    },
    result: () => ({
      judged,
      effects,
      dollars,
      load: { before: before.result(), after: after.result() },
      changes: [...changes.values()].toSorted((a, b) => b.requests - a.requests || b.micros - a.micros),
      unjudged,
      skipped,
    }),
  };
}

const count = <K>(counts: Map<K, number>, key: K, by: number): void =>
  void counts.set(key, (counts.get(key) ?? 0) + by);

const needsPeople = (tier: Tier | null): boolean => tier !== null && tier >= ASKS_FROM;

/** What is asked below tier 3 is asked because of an aggregate: the people of tier 3 are. */
const atLeastAsked = (tier: Tier | null): Tier => (tier === null || tier < ASKS_FROM ? ASKS_FROM : tier);

function effectOf(was: Was, would: Would): Effect {
  if (was.kind === "refused") return would.tier === null ? "unchanged" : "allowed";
  if (would.tier === null) return "denied";
  if (was.tier === null || would.tier === was.tier) return "unchanged";
  return would.tier > was.tier ? "tier-raised" : "tier-lowered";
}

/** Whether people are asked about it under the candidate, and have not been for a request before it. */
function asksPeople(was: Was, would: Would): boolean {
  if (was.kind === "asked" && would.tier !== null && !needsPeople(was.tier)) return true;
  return needsPeople(would.tier) && (was.kind === "asked" || !needsPeople(was.tier));
}

function addDollars(dollars: Dollars, was: Was, would: Would, costMicros: Micros | null, times: number): void {
  const amount = (costMicros ?? 0) * times;
  if (was.kind === "ran" && would.tier === null) dollars.deniedMicros += amount;
  else if (was.kind === "ran" && needsPeople(would.tier) && !needsPeople(was.tier))
    dollars.needsApprovalMicros += amount;
  else if (was.kind === "ran" && !needsPeople(would.tier) && needsPeople(was.tier))
    dollars.approvalLiftedMicros += amount;
  if (was.kind !== "refused" || would.tier === null) return;
  if (costMicros === null) dollars.unpriced += times;
  else if (needsPeople(would.tier)) dollars.askedMicros += amount;
  else dollars.allowedMicros += amount;
}

type Found = {
  readonly effect: ReplayedChange["effect"];
  readonly action: string;
  readonly was: Was;
  readonly would: Would;
  readonly amount: Micros;
  readonly record: RecordView;
};

function addChange(changes: Map<string, ReplayedChange>, { effect, action, was, would, amount, record }: Found): void {
  const [wasText, wouldText] = [
    wasTextOf(was),
    would.tier === null ? `refused (${would.reason})` : `tier ${would.tier}`,
  ];
  const key = JSON.stringify([action, wasText, wouldText, was.rule, would.rule]);
  const known = changes.get(key);
  if (known === undefined) {
    if (changes.size >= MAX_CHANGES) return;
    changes.set(key, {
      effect,
      action,
      was: wasText,
      would: wouldText,
      ruleWas: was.rule,
      ruleWould: would.rule,
      requests: record.count,
      micros: amount,
      firstAt: record.time,
      lastAt: record.time,
      examples: [record.request_id],
    });
    return;
  }
  known.requests += record.count;
  known.micros += amount;
  if (record.time < known.firstAt) known.firstAt = record.time;
  if (record.time > known.lastAt) known.lastAt = record.time;
  if (known.examples.length < EXAMPLES) known.examples.push(record.request_id);
}

const wasTextOf = ({ kind, tier }: Was): string =>
  kind === "refused" ? "refused" : kind === "asked" ? `asked at tier ${tier}` : `tier ${tier}`;

/** Whoever was refused asks again; people would have been asked once while the proposal waits. */
function repeats(withinMs: number): (record: RecordView, at: number) => boolean {
  const asked = new Map<string, number>();
  return ({ principal, action, path, facts }, at) => {
    const key = JSON.stringify([principal, action, path, facts]);
    const last = asked.get(key);
    if (last !== undefined && Math.abs(at - last) < withinMs) return true;
    asked.set(key, at);
    dropOldest(asked, MAX_REMEMBERED);
    return false;
  };
}
