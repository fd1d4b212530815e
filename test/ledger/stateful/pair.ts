import { expect } from "vitest";
import { newId } from "../../../src/platform/ids.ts";
import { CheckedBooks } from "../invariants/books.ts";
import { FROM_THE_START } from "../invariants/tables.ts";
import type { Command } from "./commands.ts";
import { compare, compareReport, compareShort, shortOf, verdict } from "./compare.ts";
import type { LedgerDriver } from "./driver.ts";
import { Model } from "./model.ts";
import { amountOf, latest, MoneyPair, NOTHING } from "./money-pair.ts";
import { APPROVERS, AUTHORITY, budgetTerms, CONTEXT, groups, requestFor, UNBOUNDED } from "./requests.ts";
import { DAY, HOUR, POLICY, START, WISHES } from "./scene.ts";

const by = (subject: string) =>
  ({ subject, class: "person", credentialId: "key_x", demo: false, fault: null }) as const;

/** A ledger and its model, driven side by side. Each command returns what happened, for the count at the end. */
export class Pair {
  readonly #driver: LedgerDriver;
  readonly #model: Model;
  readonly #money: MoneyPair;
  readonly #books = new CheckedBooks();
  #last: readonly Extract<Command, { do: "submit" }>[] = [];

  constructor(driver: LedgerDriver) {
    this.#driver = driver;
    const names = APPROVERS.map(({ subject }) => subject.slice("person:".length));
    this.#model = new Model(START, POLICY, driver.timings, names);
    this.#money = new MoneyPair(driver, this.#model);
  }

  async run(step: Command): Promise<string> {
    const word = await this.#run(step);
    return word === NOTHING ? `${NOTHING}: ${step.do}` : word;
  }

  async #run(step: Command): Promise<string> {
    switch (step.do) {
      case "submit":
        this.#last = [step, ...this.#last].slice(0, 4);
        return `submit (${WISHES[step.what]?.needs}): ${await this.#submit(step)}`;
      case "retry": {
        const earlier = this.#last[step.nth];
        return earlier === undefined
          ? NOTHING
          : `submit (${WISHES[earlier.what]?.needs}): ${await this.#submit(earlier)}`;
      }
      case "use":
        return this.#use(step);
      case "plan":
        return `plan: ${await this.#plan(step.who, step.what)}`;
      case "decide":
      case "withdraw":
      case "complete":
        return this.#decision(step);
      case "conclude":
      case "reconcile":
        return this.#outcome(step);
      case "clock":
        return this.#clock(this.#model.now + step.ms);
      case "half past ten":
        return this.#clock(Math.floor((this.#model.now + 13.5 * HOUR) / DAY) * DAY + 10.5 * HOUR);
      case "alarm":
        await this.#driver.alarm();
        this.#model.alarm();
        return "alarm";
      case "restart":
        await this.#driver.restart();
        return "restart";
      case "crash":
        await this.#driver.crash(
          requestFor(this.#model.books.policy, { ...step, key: null, receipt: null, other: false }),
        );
        return "crash";
      case "report":
        await compareReport(this.#driver, this.#model);
        return "report";
      default:
        return await this.#money.run(step);
    }
  }

  #clock(to: number): string {
    const word = to < this.#model.now ? "clock back" : "clock";
    this.#model.now = to;
    this.#driver.setClock(to);
    return word;
  }

  async #submit(step: Extract<Command, { do: "submit" }>): Promise<string> {
    const receipt = step.receipt === null ? null : this.#receipt(step, step.receipt);
    const request = requestFor(this.#model.books.policy, { ...step, receipt });
    const outcome = await this.#driver.ledger.admit(request);
    const { word, approval } = this.#model.submit({
      id: request.requestId,
      who: step.who,
      what: step.what,
      key: step.key,
      receipt,
      reason: request.context.reason,
    });
    expect(verdict(outcome)).toBe(word);
    if (word === "budget-exceeded") compareShort(shortOf(outcome), this.#model);
    if (approval !== null) {
      const shown =
        outcome.kind === "refused" && outcome.refusal.kind === "approval-required" ? outcome.refusal.approval : null;
      if (approval.id === "") approval.id = shown?.id ?? "";
      if (approval.hold !== null) approval.hold.id = approval.id;
      expect(shown?.id, "the proposal that is open").toBe(approval.id);
    }
    return word;
  }

  /** Sends what the latest grant, or the latest unspent receipt, was given for. */
  async #use({ grant, key }: Extract<Command, { do: "use" }>): Promise<string> {
    const granted = this.#model.approvals.all.findLast((a) => a.state === "approved");
    const planned = [...this.#model.receipts.values()].findLast((receipt) => receipt.spentBy === null);
    const target = grant ? (granted ?? planned) : (planned ?? granted);
    if (target === undefined) return NOTHING;
    const step = {
      do: "submit",
      who: target.who,
      what: target.what,
      key,
      receipt: target === planned ? 1 : null,
      other: false,
    } as const;
    this.#last = [step, ...this.#last].slice(0, 4);
    return `submit (${WISHES[step.what]?.needs}): ${await this.#submit(step)}`;
  }

  /** Every fourth time any receipt at all, otherwise the latest that was given for this very request. */
  #receipt({ who: agentName, what: index }: Extract<Command, { do: "submit" }>, pick: number): string | null {
    const receipts = [...this.#model.receipts];
    if (pick % 4 === 0) return receipts[pick % receipts.length]?.[0] ?? null;
    return receipts.findLast(([, given]) => given.who === agentName && given.what === index)?.[0] ?? null;
  }

  async #plan(agentName: string, index: number): Promise<string> {
    const sending = { who: agentName, what: index, key: null, receipt: null, other: false };
    const outcome = await this.#driver.ledger.plan(requestFor(this.#model.books.policy, sending), true);
    const word = this.#model.plan(agentName, index);
    expect(verdict(outcome)).toBe(word);
    if (word === "budget-exceeded") compareShort(shortOf(outcome), this.#model);
    if (outcome.kind === "planned" && outcome.receipt !== null) {
      this.#model.remember(outcome.receipt.receipt, agentName, index);
    }
    return word;
  }

  async #decision(step: Extract<Command, { do: "decide" | "withdraw" | "complete" }>): Promise<string> {
    const open = this.#model.approvals.all.filter((a) => a.state === "draft" || a.state === "pending");
    const drafts = open.filter((a) => a.state === "draft");
    const preferred = step.do === "complete" && drafts.length > 0 ? drafts : open;
    const approval = latest(preferred, step.recent) ?? latest(this.#model.approvals.all, step.recent);
    if (approval === undefined) return NOTHING;
    const { ledger } = this.#driver;
    const base = { requestId: newId("req"), approvalId: approval.id };
    let [answer, expected] = ["", ""];
    if (step.do === "decide") {
      answer = verdict(
        await ledger.decide(AUTHORITY, {
          ...base,
          decider: by(`person:${step.person}`),
          decision: step.decision,
          comment: null,
          breakGlass: [],
          breakGlassMaxMicros: 0,
          approvers: APPROVERS,
          groups: groups(WISHES[approval.what]?.needs === 2 ? 2 : 1),
        }),
      );
      expected = this.#model.approvals.decide(approval, step.person, step.decision, this.#model.now);
    } else if (step.do === "withdraw") {
      answer = verdict(await ledger.withdraw({ ...base, by: by(`agent:${step.who}`) }));
      expected = this.#model.approvals.withdraw(approval, step.who, this.#model.now);
    } else {
      const outcome = await ledger.completeDraft(AUTHORITY, {
        ...base,
        by: by(`agent:${approval.who}`),
        context: CONTEXT,
        required: ["reason", "evidence", "back_out"],
        budget: budgetTerms(this.#model.books.policy, approval.who, WISHES[approval.what]?.action ?? ""),
        bounds: UNBOUNDED,
        claimMs: 3_600_000,
      });
      answer = verdict(outcome);
      expected = this.#model.approvals.complete(approval, CONTEXT.reason ?? "", this.#model.now);
      if (expected === "budget-exceeded") compareShort(shortOf(outcome), this.#model);
    }
    expect(answer).toBe(expected);
    return `${step.do}: ${answer}`;
  }

  async #outcome(step: Extract<Command, { do: "conclude" | "reconcile" }>): Promise<string> {
    const wanted = step.do === "conclude" && step.nth % 4 !== 0 ? "dispatching" : "unknown";
    const open = this.#model.operations.filter((o) => o.state === wanted);
    const among = step.nth % 5 === 0 || open.length === 0 ? this.#model.operations : open;
    const operation = among[step.nth % among.length];
    if (operation === undefined) return NOTHING;
    const { ledger } = this.#driver;
    const { makes, micros: most } = this.#model.wish(operation.what);
    if (step.do === "conclude") {
      const { outcome } = step;
      const isSeen = outcome === "succeeded" || outcome === "failed";
      const status = outcome === "succeeded" ? 201 : 422;
      const micros = outcome === "succeeded" && step.says !== null ? amountOf(most, step.says) : null;
      await ledger.conclude({
        requestId: operation.id,
        outcome,
        upstreamStatus: isSeen ? status : null,
        resource: outcome === "succeeded" ? makes : null,
        actualMicros: micros,
        response: isSeen ? { status, contentType: "application/json", body: "{}" } : null,
        detail: null,
      });
      this.#model.conclude(operation, outcome, { micros, byPeople: false });
      return `conclude: ${outcome}`;
    }
    const { verdict: found } = step;
    const resource = found === "happened" ? makes : null;
    await ledger.reconcile({ requestId: operation.id, verdict: found, resource });
    this.#model.reconcile(operation, found);
    return `reconcile: ${found}`;
  }

  /** What happened besides answers. */
  get marks(): readonly string[] {
    return this.#model.books.marks;
  }

  /** The ledger's own invariants, and that it is in the state that the model is in. */
  async check(): Promise<void> {
    const tables = await this.#driver.tables(this.#books.cursor);
    this.#books.check(tables, this.#largest);
    compare(tables, this.#model);
  }

  readonly #largest = (window: string): number => this.#model.books.largest.get(window) ?? 0;

  async finish(): Promise<void> {
    for (let rounds = 0; rounds < 10; rounds++) {
      this.#clock(this.#model.now + 1_000);
      await this.#driver.alarm();
      this.#model.alarm();
    }
    await this.check();
    // Once more from the first line and row on: what was read before has not been changed since.
    const tables = await this.#driver.tables(FROM_THE_START);
    new CheckedBooks().check(tables, this.#largest);
    await this.#driver.finish();
  }
}
