import { isApproval, just, ModelApprovals, type Answer } from "./model-approvals.ts";
import { ModelBooks, type Hold } from "./model-books.ts";
import type { Asker } from "./model-caps.ts";
import { ModelSettlement } from "./model-settlement.ts";
import { WISHES, type Policy, type Wish } from "./scene.ts";

/**
 * The ledger as the wire contract describes it, in the simplest terms: lists of what exists, no SQL, no jobs, money as a
 * sum over holds. Shares no code with the ledger. Every act returns the one word that the ledger must answer.
 */

const MINUTE = 60_000;
const TEN_MINUTES = 10 * MINUTE;
const HOUR = 60 * MINUTE;

export type Operation = {
  readonly id: string;
  readonly who: string;
  readonly what: number;
  readonly hold: Hold;
  readonly deadline: number;
  state: "dispatching" | "unknown" | "succeeded" | "failed" | "not-sent";
  completedAt: number | null;
  absentSince: number | null;
  /** What people say of it while nobody knows, by person. */
  readonly words: Map<string, Word>;
};
type Word = {
  readonly isOperator: boolean;
  readonly isFinance: boolean;
  readonly outcome: "succeeded" | "failed";
  readonly micros: number | null;
};
type Receipt = { readonly who: string; readonly what: number; readonly expiresAt: number; spentBy: Operation | null };

export type Submission = {
  readonly id: string;
  readonly who: string;
  readonly what: number;
  readonly key: string | null;
  readonly receipt: string | null;
  readonly reason: string | null;
};

/** How a dispatch ended: what its answer says that it costs, and which people say so where nobody saw it. */
export type Ending = { readonly micros: number | null; readonly byPeople: boolean };
const SEEN: Ending = { micros: null, byPeople: false };

export class Model {
  now: number;
  readonly operations: Operation[] = [];
  readonly receipts = new Map<string, Receipt>();
  readonly books: ModelBooks;
  readonly settlement: ModelSettlement;
  readonly approvals: ModelApprovals;
  readonly #times: { readonly dispatchDeadlineMs: number; readonly graceMs: number };
  readonly #remembered = new Map<
    string,
    { readonly what: number; readonly operation: Operation; readonly since: number }
  >();
  #pruneAt: number;

  constructor(
    now: number,
    policy: Policy,
    times: { readonly dispatchDeadlineMs: number; readonly graceMs: number },
    approvers: readonly string[],
  ) {
    this.now = now;
    this.books = new ModelBooks(policy);
    this.settlement = new ModelSettlement(this.books);
    this.approvals = new ModelApprovals(this.books, approvers);
    this.#times = times;
    this.#pruneAt = now + HOUR;
  }

  submit(request: Submission): Answer {
    const { who, what, key, receipt } = request;
    const wish = this.wish(what);
    this.books.open(this.now);
    const replay = this.#replay(request);
    if (replay !== null) return just(replay);
    if (
      wish.resource !== null &&
      this.operations.some((o) => isOpen(o) && this.wish(o.what).resource === wish.resource)
    ) {
      return just("resource-busy");
    }
    const presented = receipt === null ? undefined : this.receipts.get(receipt);
    if (wish.needs === "receipt") {
      const fits = presented?.who === who && presented.what === what && this.now < presented.expiresAt;
      if (!fits) return just("dry-run-required");
    }
    const own = isApproval(wish) ? this.approvals.holdOf(who, what) : null;
    const micros = this.settlement.added(wish, this.now);
    const spender = { who, action: wish.action };
    if (!this.books.hasRoom(micros, spender, own, this.now)) return just("budget-exceeded");
    if (isApproval(wish)) {
      const stop = this.approvals.stop({ who, what, reason: request.reason, micros }, this.now);
      if (stop !== null) return stop;
    }
    const hold = this.books.take("dispatching", micros, spender, this.now);
    Object.assign(hold, { id: request.id, runsMs: wish.runsMs });
    const operation: Operation = {
      id: request.id,
      who,
      what,
      hold,
      deadline: this.now + this.#times.dispatchDeadlineMs,
      state: "dispatching",
      completedAt: null,
      absentSince: null,
      words: new Map(),
    };
    this.operations.push(operation);
    if (wish.needs === "receipt" && presented !== undefined) presented.spentBy = operation;
    const memory = { what, operation, since: this.now };
    if (key !== null) this.#remembered.set(`key ${who} ${key}`, memory);
    if (isApproval(wish)) this.#remembered.set(`request ${who} ${what}`, memory);
    return just("admitted");
  }

  #replay({ who, what, key, receipt }: Submission): string | null {
    const keyed = key === null ? undefined : this.#remembered.get(`key ${who} ${key}`);
    if (keyed !== undefined)
      return keyed.what === what ? this.#answerOf(keyed.operation, null) : "idempotency-key-reused";
    const presented = receipt === null ? undefined : this.receipts.get(receipt);
    if (presented?.who === who && presented.spentBy !== null) {
      if (key !== null || presented.what !== what) return "approval-consumed";
      return this.#answerOf(presented.spentBy, TEN_MINUTES);
    }
    if (key !== null || !isApproval(this.wish(what))) return null;
    const memory = this.#remembered.get(`request ${who} ${what}`);
    // A receipt from after it ran asks for another execution; one from before was only sent along.
    const isAnew =
      receipt !== null && !(presented !== undefined && presented.expiresAt <= (memory?.since ?? 0) + TEN_MINUTES);
    const earlier = isAnew ? undefined : memory?.operation;
    if (earlier === undefined || earlier.state === "not-sent") return null;
    const answer = this.#answerOf(earlier, TEN_MINUTES);
    return answer === "approval-consumed" ? null : answer;
  }

  #answerOf(operation: Operation, withinMs: number | null): string {
    if (operation.state === "dispatching") return "idempotency-in-progress";
    if (operation.state === "not-sent") return "unavailable";
    const late = withinMs !== null && operation.completedAt !== null && this.now > operation.completedAt + withinMs;
    return late ? "approval-consumed" : "replay";
  }

  /** A dry run that asks for a receipt. */
  plan(who: string, what: number): string {
    const wish = this.wish(what);
    this.books.open(this.now);
    if (
      wish.resource !== null &&
      this.operations.some((o) => isOpen(o) && this.wish(o.what).resource === wish.resource)
    ) {
      return "resource-busy";
    }
    const own = isApproval(wish) ? this.approvals.holdOf(who, what) : null;
    const micros = this.settlement.added(wish, this.now);
    return this.books.hasRoom(micros, { who, action: wish.action }, own, this.now) ? "planned" : "budget-exceeded";
  }

  remember(receipt: string, who: string, what: number): void {
    this.receipts.set(receipt, { who, what, expiresAt: this.now + TEN_MINUTES, spentBy: null });
  }

  conclude(
    operation: Operation,
    outcome: "succeeded" | "failed" | "unknown" | "not-sent",
    { micros, byPeople }: Ending = SEEN,
  ): void {
    if (!isOpen(operation) || operation.state === outcome) return;
    operation.state = outcome;
    const { hold } = operation;
    if (outcome === "unknown") return void (hold.state = "unknown");
    operation.completedAt = this.now;
    if (outcome !== "succeeded") return this.books.release(hold);
    const wish = this.wish(operation.what);
    const resource = wish.resource ?? (byPeople ? null : wish.makes);
    if (wish.currentMicros !== null && resource !== null) this.settlement.shrink(resource, wish.micros, this.now);
    if (byPeople && micros !== null) this.books.settle(hold, micros, "people");
    else if (hold.runsMs !== null && hold.ceiling > 0)
      Object.assign(hold, { state: "committed", resource, runsUntil: this.now + hold.runsMs });
    else this.books.settle(hold, micros ?? hold.ceiling, micros === null ? "price" : "response");
  }

  /** What one person says of an outcome that nobody saw. */
  resolve(operation: Operation, by: Asker, outcome: Word["outcome"], micros: number | null): string {
    if (operation.state !== "unknown") return "already-decided";
    const isOperator = by.roles.includes("operator");
    // Who speaks for the money speaks for himself.
    const isFinance = by.roles.includes("finance") && by.fault === null;
    if (by.class !== "person" || (!isOperator && !isFinance)) return "not-eligible";
    if (outcome === "failed" && micros !== null && micros > 0) return "not-eligible";
    const said = outcome === "failed" ? null : micros;
    operation.words.set(by.subject, { isOperator, isFinance, outcome, micros: said });
    const agreeing = [...operation.words].filter(([, word]) => word.outcome === outcome && word.micros === said);
    const agreed = agreeing.some(
      ([one, { isOperator: asOperator }]) =>
        asOperator && agreeing.some(([other, { isFinance: asFinance }]) => one !== other && asFinance),
    );
    if (!agreed) return "pending";
    this.conclude(operation, outcome, { micros: said, byPeople: true });
    return "resolved";
  }

  reconcile(operation: Operation, verdict: "happened" | "absent" | "unknown"): void {
    if (operation.state !== "unknown") return;
    if (verdict === "happened") return this.conclude(operation, "succeeded");
    if (verdict === "unknown") operation.absentSince = null;
    else if (operation.absentSince === null) operation.absentSince = this.now;
    else if (this.now - operation.absentSince >= this.#times.graceMs) this.conclude(operation, "failed");
  }

  /** Whatever was due by now happens. */
  alarm(): void {
    for (const operation of this.operations) {
      const { hold } = operation;
      if (operation.state === "dispatching" && this.now >= operation.deadline) {
        this.conclude(operation, "unknown");
        this.books.marks.push("a deadline passes in silence");
      }
      if (hold.state === "committed" && hold.runsUntil !== null && this.now >= hold.runsUntil)
        this.books.settle(hold, hold.ceiling, "ceiling");
    }
    this.approvals.expire(this.now);
    this.books.caps.expire(this.now);
    if (this.now < this.#pruneAt) return;
    this.#pruneAt = this.now + HOUR;
    for (const [handle, { since, operation }] of this.#remembered)
      if (since < this.now - 48 * HOUR && !isOpen(operation)) this.#remembered.delete(handle);
    for (const [id, { expiresAt }] of this.receipts) if (expiresAt < this.now - 24 * HOUR) this.receipts.delete(id);
  }

  wish(what: number): Wish {
    const wish = WISHES[what];
    if (wish === undefined) throw new Error(`no wish ${what}`);
    return wish;
  }
}

const isOpen = (operation: Operation): boolean => operation.state === "dispatching" || operation.state === "unknown";
