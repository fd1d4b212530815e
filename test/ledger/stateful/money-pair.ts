import { expect } from "vitest";
import { unreachable } from "../../../src/platform/assert.ts";
import { newId } from "../../../src/platform/ids.ts";
import type { ChangeOutcome, MoneyActor } from "../../../src/ledger/money/finance-port.ts";
import { holds } from "../invariants/tables.ts";
import type { Amount, MoneyCommand } from "./commands.ts";
import type { LedgerDriver } from "./driver.ts";
import type { CapAnswer, Change } from "./model-caps.ts";
import type { Model, Operation } from "./model.ts";
import { tenantTerms } from "./requests.ts";
import { ACTORS, HOUR, USD, WISHES } from "./scene.ts";

/** What a command answers that finds nothing to act on. */
export const NOTHING = "nothing to do";

const PERIOD_MS = 6 * HOUR;

/** One of those there are, counted back from the last one. */
export const latest = <T>(among: readonly T[], back: number): T | undefined =>
  among.at(-1 - (back % Math.max(1, among.length)));

/** What is said of something that at most `micros` were held for. */
export const amountOf = (micros: number, amount: Amount): number =>
  ({ none: 0, low: Math.floor(micros / 3), equal: micros, high: micros + 3 * USD })[amount];

/** What happens to the tenant's money besides requests, done to a ledger and to its model. */
export class MoneyPair {
  readonly #driver: LedgerDriver;
  readonly #model: Model;

  constructor(driver: LedgerDriver, model: Model) {
    this.#driver = driver;
    this.#model = model;
  }

  /** Does it; what one person does alone never allows more, at any moment to come. */
  async run(step: MoneyCommand): Promise<string> {
    const { books, now } = this.#model;
    const before = books.caps.copy();
    const word = await this.#run(step);
    if (word.endsWith(" approved") && !word.endsWith("lower approved")) return word;
    for (const at of books.caps.moments(now))
      for (const period of ["daily", "monthly"] as const)
        holds(books.caps.allowed(period, at) <= before.allowed(period, at), () => `${word}: no cap is higher at ${at}`);
    return word;
  }

  async #run(step: MoneyCommand): Promise<string> {
    switch (step.do) {
      case "policy":
        return this.#policy(step);
      case "status":
        return await this.#status(step);
      case "usage":
      case "confirm":
        return await this.#usage(step);
      case "resolve":
      case "agree":
        return await this.#resolve(step);
      case "ask":
        return await this.#ask(step);
      case "ask again":
      case "decide cap":
      case "withdraw cap":
        return await this.#change(step);
      default:
        return unreachable(step);
    }
  }

  /** Another version comes into force: what it says travels with every later call. */
  #policy({ zone, caps, team, inner }: Extract<MoneyCommand, { do: "policy" }>): string {
    const { books } = this.#model;
    const { policy } = books;
    books.policy = {
      ...policy,
      ...caps,
      zone: zone ?? policy.zone,
      inner: inner ?? policy.inner,
      teams: team === null ? policy.teams : { ...policy.teams, [team.of]: team.is },
    };
    return zone === null || zone === policy.zone ? "policy" : "zone change";
  }

  async #status({ nth, verdict, says, ranMs }: Extract<MoneyCommand, { do: "status" }>): Promise<string> {
    const { operations } = this.#model;
    const running = operations.filter(({ hold }) => hold.state === "committed" && hold.resource !== null);
    const operation = pick(running.length === 0 || nth % 7 === 0 ? operations : running, nth);
    if (operation === undefined) return NOTHING;
    const { resource } = operation.hold;
    const together = resource === null ? [] : this.#model.books.running(resource);
    const committed = together.reduce((sum, { ceiling }) => sum + ceiling, 0);
    const micros = says === null ? null : amountOf(committed, says);
    await this.#driver.ledger.settleByStatus({ requestId: operation.id, verdict, actualMicros: micros, ranMs });
    return `status: ${this.#model.settlement.status(operation.hold, { verdict, micros, ranMs }, this.#model.now)}`;
  }

  async #usage(step: Extract<MoneyCommand, { do: "usage" | "confirm" }>): Promise<string> {
    const { operations, settlement, now } = this.#model;
    let [operation, evidence, micros]: [Operation | undefined, string, number] = [undefined, "", 0];
    if (step.do === "usage") {
      const paid = operations.filter(({ hold }) => hold.by !== "usage" && hold.by !== "people");
      operation = pick(paid.length === 0 || step.nth % 9 === 0 ? operations : paid, step.nth);
      evidence = step.evidence;
      micros = operation === undefined ? 0 : amountOf(WISHES[operation.what]?.micros ?? 0, step.amount);
    } else {
      const waiting = settlement.reports.filter(({ state }) => state === "waiting");
      const report = latest(waiting, step.recent) ?? latest(settlement.reports, step.recent);
      if (report !== undefined) [operation, evidence, micros] = [report.operation, report.evidence, report.micros];
      if (!step.same && report !== undefined && step.recent === 0) micros += 1;
    }
    if (operation === undefined && step.do === "confirm") return NOTHING;
    const actor = actorOf(step.by);
    const requestId = operation?.id ?? this.#model.approvals.all.at(-1)?.id ?? "req_of_nobody";
    const line = { requestId, evidence, actualMicros: micros, endedAt: null };
    const [result] = await this.#driver.ledger.reportUsage(actor, newId("req"), [line]);
    const word = settlement.report(operation, { evidence, micros }, actor, now);
    expect(result?.state).toBe(word);
    return `${step.do}: ${word}`;
  }

  /** One person's word on an outcome that nobody saw; `agree`: the same as somebody said before. */
  async #resolve(step: Extract<MoneyCommand, { do: "resolve" | "agree" }>): Promise<string> {
    const { operations } = this.#model;
    const unknown = operations.filter(({ state }) => state === "unknown");
    const spoken = unknown.filter(({ words }) => words.size > 0);
    const among = step.do === "agree" && spoken.length > 0 ? spoken : unknown;
    const operation = latest(among, step.nth) ?? latest(operations, step.nth);
    if (operation === undefined) return NOTHING;
    const most = WISHES[operation.what]?.micros ?? 0;
    const last = [...operation.words.values()].at(-1);
    const said =
      step.do === "resolve"
        ? { outcome: step.outcome, micros: step.says === null ? null : amountOf(most, step.says) }
        : { outcome: last?.outcome ?? "succeeded", micros: last?.micros ?? null };
    const { outcome, micros } = said;
    const actor = actorOf(step.by);
    const answer = await this.#driver.ledger.resolveOperation(actor, {
      requestId: newId("req"),
      operation: operation.id,
      outcome,
      actualMicros: micros,
      evidence: "invoice 7",
    });
    const word = this.#model.resolve(operation, actor, outcome, micros);
    expect(answer.kind === "refused" ? answer.refusal.kind : answer.state).toBe(word);
    return `resolve (${outcome}): ${word}`;
  }

  async #ask({ by, period, cap, from, until }: Extract<MoneyCommand, { do: "ask" }>): Promise<string> {
    const { now } = this.#model;
    const at = (periods: number | null): number | null =>
      periods === null ? null : (Math.floor(now / PERIOD_MS) + periods) * PERIOD_MS;
    const word = await this.#askFor(by, { period, cap, from: at(from), until: at(until) });
    return `ask${from === null ? "" : " for later"}${until === null ? "" : " for a time"}: ${word}`;
  }

  async #askFor(by: string, ask: Parameters<Model["books"]["caps"]["ask"]>[1]): Promise<string> {
    const { books, now } = this.#model;
    const actor = actorOf(by);
    const outcome = await this.#driver.ledger.changeBudget(actor, tenantTerms(books.policy), {
      requestId: newId("req"),
      period: ask.period,
      capMicros: ask.cap,
      reason: "the quarter ends",
      incident: null,
      effectiveAt: ask.from,
      endsAt: ask.until,
    });
    return agree(outcome, books.caps.ask(actor, ask, books.policy[ask.period], now));
  }

  async #change(step: Extract<MoneyCommand, { do: "ask again" | "decide cap" | "withdraw cap" }>): Promise<string> {
    const { books, now } = this.#model;
    const waiting = books.caps.changes.filter(({ state }) => state === "pending");
    const isOpen = (change: Change): boolean =>
      change.state === "pending" ||
      (change.state === "approved" && (change.from > now || (change.until !== null && change.until > now)));
    const preferred = step.do === "withdraw cap" ? books.caps.changes.filter(isOpen) : waiting;
    const change = latest(preferred, step.recent) ?? latest(books.caps.changes, step.recent);
    if (change === undefined) return NOTHING;
    const actor = actorOf(step.by);
    const { ledger } = this.#driver;
    const requestId = newId("req");
    const { id, period, cap, until } = change;
    switch (step.do) {
      case "ask again":
        return `ask again: ${await this.#askFor(step.by, { period, cap, from: null, until })}`;
      case "decide cap": {
        const word = { requestId, id, decision: step.word, comment: null };
        const outcome = await ledger.decideBudgetChange(actor, word);
        return `decide cap: ${agree(outcome, books.caps.decide(change, actor, step.word, now))}`;
      }
      case "withdraw cap": {
        const outcome = await ledger.withdrawBudgetChange(actor, requestId, id);
        return `withdraw cap: ${agree(outcome, books.caps.withdraw(change, actor, now))}`;
      }
      default:
        return unreachable(step);
    }
  }
}

const pick = <T>(among: readonly T[], nth: number): T | undefined => among[nth % among.length];

function actorOf(name: string): MoneyActor {
  const actor = ACTORS[name];
  if (actor === undefined) throw new Error(`nobody is called ${name}`);
  return actor;
}

/** Both speak of the same change and say the same of it; a new one gets its id. */
function agree(outcome: ChangeOutcome, { word, change }: CapAnswer): string {
  const said = outcome.kind === "refused" ? outcome.refusal.kind : `${outcome.change.kind} ${outcome.change.state}`;
  expect(said).toBe(word);
  if (change !== null && outcome.kind === "changed") {
    if (change.id === "") change.id = outcome.change.id;
    expect(outcome.change.id, "the change that is meant").toBe(change.id);
  }
  return word;
}
