import * as fc from "fast-check";
import { expect, it } from "vitest";
import { admit, type AdmissionScope } from "../../src/ledger/admission.ts";
import { forgetMeasures } from "../../src/ledger/aggregates/aggregate-fill.ts";
import { pruneCounts } from "../../src/ledger/aggregates/aggregate-parts.ts";
import { addCredential } from "../../src/ledger/authority.ts";
import { budgetCalendar } from "../../src/ledger/money/calendar.ts";
import type { AdmissionRequest, AskedAggregate, Conclusion } from "../../src/ledger/contract.ts";
import { conclude } from "../../src/ledger/operations.ts";
import { LEDGER_SCHEMA } from "../../src/ledger/schema.ts";
import { settleByStatus } from "../../src/ledger/money/status-polls.ts";
import { addVersion, putFirstVersionInForce } from "../../src/ledger/lifecycle/versions.ts";
import { canonicalJson } from "../../src/platform/canonical-json.ts";
import { migrate } from "../../src/platform/sqlite-migrations.ts";
import type { Measure } from "../../src/policy/types.ts";
import { BARE_TIMINGS } from "./stateful/bare-driver.ts";
import { AUTHORITY, digest, requestFor } from "./stateful/requests.ts";
import { HOUR, MINUTE, POLICY, START } from "./stateful/scene.ts";
import { sqliteStorage } from "./stateful/sqlite-storage.ts";

/**
 * Random submissions, growths, shrinkings, failures, unknown outcomes, ends and activations, side by side with a list of what
 * happened: whatever an hour is, no hour's sum passes its limit, nor what runs; and what has room is never refused.
 */

const AGENTS = ["trainer", "tuner"] as const;
const PLACE = { tenant: "bare", log: "ledger" };
type Outcome = "succeeded" | "failed" | "not-sent" | "unknown";
type Command =
  | {
      readonly kind: "submit";
      readonly who: number;
      readonly gpus: number;
      readonly label: string | null;
      readonly outcome: Outcome;
    }
  | {
      readonly kind: "scale";
      readonly job: number;
      readonly who: number;
      readonly gpus: number;
      readonly label: string | null;
      readonly outcome: Outcome;
    }
  | { readonly kind: "resolve" | "end"; readonly job: number; readonly succeeded: boolean }
  | { readonly kind: "pass"; readonly ms: number }
  | { readonly kind: "activate" }
  | { readonly kind: "prune" };

const LIMITS: readonly { readonly measure: Measure; readonly max: number }[] = [
  { measure: { of: "gpus", per: "tenant", within: "hour", actions: null }, max: 60 },
  { measure: { of: "gpus", per: "principal", within: "hour", actions: null }, max: 40 },
  { measure: { of: "gpus", per: "tenant", within: "running", actions: null }, max: 50 },
  { measure: { of: "gpus", per: { fact: "project" }, within: "running", actions: null }, max: 30 },
];

const gpus = fc.integer({ min: 1, max: 25 });
const who = fc.integer({ min: 0, max: 1 });
const labels = fc.constantFrom("red", "blue", null);
const outcome = fc.constantFrom<Outcome>("succeeded", "succeeded", "succeeded", "failed", "not-sent", "unknown");
const job = fc.nat({ max: 9 });
const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant("submit" as const), who, gpus, label: labels, outcome }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant("scale" as const), job, who, gpus, label: labels, outcome }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constantFrom("resolve" as const, "end" as const), job, succeeded: fc.boolean() }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("pass" as const),
      ms: fc.constantFrom(1, 999, 59_999, MINUTE, 25 * MINUTE, HOUR - 1, HOUR),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom("activate" as const, "prune" as const) }) },
);

/** What a thing has, and with whom it counts. */
type Has = { readonly gpus: number; readonly label: string };
/** A job as anybody would remember it. `has`: what it certainly has; `asked`: what it may have. */
type Job = {
  readonly resource: string;
  readonly requests: string[];
  has: Has | null;
  asked: (Has & { readonly event: Event; readonly requestId: string }) | null;
  ended: boolean;
};
type Event = { readonly at: number; readonly who: string; readonly adds: number; undone: boolean };

/** Everything that happened, as a list; asked anew each time. */
class Memory {
  readonly jobs: Job[] = [];
  readonly events: Event[] = [];
  /** Counting from the books may count more of what has ended: from then on only the limits themselves are looked at. */
  exact = true;

  begun(from: number, of: (event: Event) => boolean): number {
    return sum(this.events.filter((event) => !event.undone && event.at >= from && of(event)).map(({ adds }) => adds));
  }

  /** Of the tenant, or of one label: what is there and what may take its place are in one sum, or each in its own. */
  running(label: string | null): number {
    const amount = (has: Has | null): number =>
      has === null || (label !== null && has.label !== label) ? 0 : has.gpus;
    return sum(this.jobs.map(({ has, asked }) => Math.max(amount(has), amount(asked))));
  }
}

const sum = (amounts: readonly number[]): number => amounts.reduce((all, one) => all + one, 0);

class Ledger {
  readonly #storage = sqliteStorage();
  readonly #calendar = budgetCalendar();
  now = START;

  constructor() {
    migrate(this.#storage, LEDGER_SCHEMA);
    this.transact(({ sql, now }) => {
      const { credentialEpoch: _, ...documents } = AUTHORITY;
      const terms = {
        ...documents,
        dailyCapMicros: POLICY.daily,
        monthlyCapMicros: POLICY.monthly,
        moneyDigest: digest("money"),
        signals: null,
        retention: null,
      };
      const version = addVersion(sql, terms, { author: "person:olga", reason: "bootstrap", gitCommit: null }, now);
      putFirstVersionInForce(sql, PLACE.tenant, version, "person:olga", now);
      for (const name of AGENTS)
        addCredential(
          sql,
          { credentialId: `key_${name}`, subject: `agent:${name}`, record: "{}", expiresAt: now + 999 * HOUR },
          now,
        );
    });
  }

  transact<T>(work: (scope: AdmissionScope) => T): T {
    const { sql } = this.#storage;
    const { now } = this;
    const calendar = this.#calendar;
    return this.#storage.transactionSync(() =>
      work({
        sql,
        place: PLACE,
        now,
        dispatchDeadlineMs: BARE_TIMINGS.dispatchDeadlineMs,
        get windows() {
          return calendar.at(sql, now, "UTC");
        },
      }),
    );
  }

  conclude(requestId: string, how: Outcome, resource: string): void {
    const conclusion: Conclusion = {
      requestId,
      outcome: how,
      upstreamStatus: null,
      resource: how === "succeeded" ? resource : null,
      actualMicros: null,
      response: null,
      detail: null,
    };
    this.transact(({ sql, place, now }) => conclude(sql, place, conclusion, BARE_TIMINGS, now));
  }
}

let asked = 0;

function requestOf(agent: string, amount: number, project: string | null, resource: string | null): AdmissionRequest {
  const request = requestFor(POLICY, { who: agent, what: 7, key: null, receipt: null, other: false });
  const facts = { gpus: amount, ...(project === null ? {} : { project }) };
  asked += 1;
  const aggregates = LIMITS.map(({ measure, max }, index): AskedAggregate => ({
    name: `limit-${index}`,
    key: canonicalJson(measure),
    measure,
    max,
    over: "refuse",
    isShadow: false,
    scope:
      measure.per === "tenant"
        ? "tenant"
        : measure.per === "principal"
          ? `principal:agent:${agent}`
          : project === null
            ? null
            : `project:${project}`,
    amount,
  }));
  return {
    ...request,
    action: resource === null ? "workloads.submit" : "workloads.scale",
    requestDigest: digest(`request ${asked}`),
    resource,
    facts,
    cost: { kind: "priced", ceilingMicros: 1, priceVersion: "2031-11", durationMs: 999 * HOUR, currentMicros: null },
    aggregates,
    entry: { ...request.entry, action: resource === null ? "workloads.submit" : "workloads.scale", facts },
  };
}

/** Asks, compares the answer with what memory says, and remembers. */
function ask(ledger: Ledger, memory: Memory, step: Extract<Command, { kind: "submit" | "scale" }>): void {
  const agent = AGENTS[step.who] ?? "trainer";
  const known = step.kind === "submit" ? null : memory.jobs[step.job % Math.max(1, memory.jobs.length)];
  if (known === undefined || (known !== null && (known.has === null || known.asked !== null))) return;
  const request = requestOf(agent, step.gpus, step.label, known?.resource ?? null);
  const label = step.label ?? known?.has?.label ?? "none";
  const adds = Math.max(0, step.gpus - (known?.has?.gpus ?? 0));
  const one: Job = known ?? {
    resource: `job-${request.requestId}`,
    requests: [],
    has: null,
    asked: null,
    ended: false,
  };
  if (known === null) memory.jobs.push(one);
  const event: Event = { at: ledger.now, who: agent, adds, undone: false };
  const before = { running: memory.running(null), labelled: memory.running(label) };
  one.asked = { gpus: step.gpus, label, event, requestId: request.requestId };
  const after = { running: memory.running(null), labelled: memory.running(label) };
  const fits = (from: number): boolean =>
    (adds === 0 || memory.begun(from, () => true) + adds <= 60) &&
    (adds === 0 || memory.begun(from, ({ who: by }) => by === agent) + adds <= 40) &&
    (after.running === before.running || after.running <= 50) &&
    (after.labelled === before.labelled || after.labelled <= 30);
  const admitted = ledger.transact((scope) => admit(scope, request)).kind === "admitted";
  if (admitted) expect(fits(ledger.now - HOUR + 1), "what is admitted fits every limit").toBe(true);
  else if (memory.exact) expect(fits(ledger.now - HOUR - MINUTE), "what fits is admitted").toBe(false);
  if (!admitted) {
    one.asked = null;
    if (known === null) memory.jobs.pop();
    return;
  }
  memory.events.push(event);
  one.requests.push(request.requestId);
  tell(ledger, one, step.outcome);
}

function tell(ledger: Ledger, one: Job, how: Outcome): void {
  const { asked: change } = one;
  if (change === null) return;
  ledger.conclude(change.requestId, how, one.resource);
  if (how === "unknown") return;
  if (how === "succeeded") one.has = { gpus: change.gpus, label: change.label };
  else change.event.undone = true;
  one.asked = null;
}

function act(ledger: Ledger, memory: Memory, step: Command): void {
  if (step.kind === "submit" || step.kind === "scale") return ask(ledger, memory, step);
  if (step.kind === "pass") return void (ledger.now += step.ms);
  if (step.kind === "prune") return ledger.transact(({ sql, now }) => pruneCounts(sql, now));
  if (step.kind === "activate") {
    memory.exact = false;
    return ledger.transact(({ sql }) => forgetMeasures(sql));
  }
  const one = memory.jobs[step.job % Math.max(1, memory.jobs.length)];
  if (one === undefined) return;
  if (step.kind === "resolve") return tell(ledger, one, step.succeeded ? "succeeded" : "failed");
  if (one.has === null || one.asked !== null) return;
  for (const requestId of one.requests)
    ledger.transact(({ sql, place, now }) =>
      settleByStatus(sql, place, { requestId, verdict: "ended", actualMicros: null, ranMs: null }, now),
    );
  one.has = null;
  one.ended = true;
}

it(
  "no hour's sum and nothing that runs ever passes its limit, and what has room is admitted",
  { timeout: 120_000 },
  () => {
    const seen = { admitted: 0, steps: 0 };
    fc.assert(
      fc.property(fc.array(command, { minLength: 20, maxLength: 80 }), (steps) => {
        const ledger = new Ledger();
        const memory = new Memory();
        for (const step of steps) {
          act(ledger, memory, step);
          expect(memory.begun(ledger.now - HOUR + 1, () => true)).toBeLessThanOrEqual(60);
          for (const agent of AGENTS)
            expect(memory.begun(ledger.now - HOUR + 1, ({ who: by }) => by === agent)).toBeLessThanOrEqual(40);
          expect(memory.running(null)).toBeLessThanOrEqual(50);
          for (const project of ["red", "blue", "none"]) expect(memory.running(project)).toBeLessThanOrEqual(30);
        }
        seen.steps += steps.length;
        seen.admitted += memory.events.length;
      }),
      { numRuns: 250 },
    );
    expect(seen.admitted).toBeGreaterThan(1_000);
  },
);
