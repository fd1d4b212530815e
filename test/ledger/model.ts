/**
 * The ledger as the wire contract describes it, in the simplest terms: lists of what exists, no SQL, no jobs, money as a
 * sum over holds. Shares no code with the ledger. Every act returns the one word that the ledger must answer.
 */

const MINUTE = 60_000;
const TEN_MINUTES = 10 * MINUTE;
const HALF_AN_HOUR = 30 * MINUTE;
const HOUR = 60 * MINUTE;

/** One thing that agents ask for. `needs`: a receipt, approvals of so many people, or one after a draft was completed. */
export type Wish = {
  readonly micros: number;
  readonly runsMs: number | null;
  readonly resource: string | null;
  readonly needs: "nothing" | "receipt" | "draft" | 1 | 2;
};

type Hold = {
  readonly micros: number;
  readonly day: string;
  readonly month: string;
  state: "held" | "settled" | "released";
};
type Operation = {
  readonly id: string;
  readonly who: string;
  readonly what: number;
  readonly hold: Hold;
  readonly deadline: number;
  state: "dispatching" | "unknown" | "succeeded" | "failed" | "not-sent";
  completedAt: number | null;
  runsUntil: number | null;
  absentSince: number | null;
};
type Approval = {
  id: string;
  readonly who: string;
  readonly what: number;
  reason: string | null;
  state: string;
  hold: Hold | null;
  expiresAt: number;
  deniedAt: number;
  readonly decisions: Map<string, "approve" | "deny">;
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

/** `approval`: which proposal an `approval-required` must speak of; one that was just opened has no id yet. */
export type Answer = { readonly word: string; readonly approval: Approval | null };

export class Model {
  now: number;
  readonly operations: Operation[] = [];
  readonly approvals: Approval[] = [];
  readonly receipts = new Map<string, Receipt>();
  readonly #wishes: readonly Wish[];
  readonly #caps: { readonly daily: number; readonly monthly: number };
  readonly #times: { readonly deadlineMs: number; readonly graceMs: number };
  readonly #approvers: readonly string[];
  readonly #holds: Hold[] = [];
  readonly #remembered = new Map<
    string,
    { readonly what: number; readonly operation: Operation; readonly since: number }
  >();
  #pruneAt: number;

  constructor(
    now: number,
    wishes: readonly Wish[],
    caps: { readonly daily: number; readonly monthly: number },
    times: { readonly deadlineMs: number; readonly graceMs: number },
    approvers: readonly string[],
  ) {
    this.now = now;
    this.#wishes = wishes;
    this.#caps = caps;
    this.#times = times;
    this.#approvers = approvers;
    this.#pruneAt = now + HOUR;
  }

  submit(request: Submission): Answer {
    const { who, what, key, receipt } = request;
    const wish = this.wish(what);
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
    const latest = this.#latest(who, what);
    const own = latest !== undefined && isEither(latest.state, "pending", "approved") ? latest.hold : null;
    if (!this.#hasRoom(wish.micros, own)) return just("budget-exceeded");
    if (isApproval(wish)) {
      const stop = this.#approval(request, wish, latest);
      if (stop !== null) return stop;
    }
    const operation: Operation = {
      id: request.id,
      who,
      what,
      hold: this.#take(wish.micros),
      deadline: this.now + this.#times.deadlineMs,
      state: "dispatching",
      completedAt: null,
      runsUntil: null,
      absentSince: null,
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
    if (key !== null || receipt !== null || !isApproval(this.wish(what))) return null;
    const earlier = this.#remembered.get(`request ${who} ${what}`)?.operation;
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

  /** What stops a request that needs approval; null when its grant was just spent. */
  #approval({ who, what, reason }: Submission, wish: Wish, latest: Approval | undefined): Answer | null {
    const sameReason = latest !== undefined && (reason === null || reason === latest.reason);
    switch (latest?.state) {
      case "denied":
        if (this.now < latest.deniedAt + TEN_MINUTES) return just("approval-denied");
        break;
      case "draft":
      case "pending":
        if (this.now < latest.expiresAt && sameReason) return { word: "approval-required", approval: latest };
        this.#end(latest, this.now < latest.expiresAt ? "invalidated" : "expired");
        break;
      case "approved":
        if (this.now >= latest.expiresAt) {
          this.#end(latest, "expired");
          break;
        }
        if (!sameReason) return just("resource-changed");
        this.#end(latest, "consumed");
        return null;
      default:
    }
    const draft = wish.needs === "draft";
    const opened: Approval = {
      id: "",
      who,
      what,
      reason,
      state: draft ? "draft" : "pending",
      hold: draft ? null : this.#take(wish.micros),
      expiresAt: this.now + (draft ? TEN_MINUTES : HALF_AN_HOUR),
      deniedAt: 0,
      decisions: new Map(),
    };
    this.approvals.push(opened);
    return { word: "approval-required", approval: opened };
  }

  /** A dry run that asks for a receipt. */
  plan(who: string, what: number): string {
    const wish = this.wish(what);
    if (
      wish.resource !== null &&
      this.operations.some((o) => isOpen(o) && this.wish(o.what).resource === wish.resource)
    ) {
      return "resource-busy";
    }
    const latest = isApproval(wish) ? this.#latest(who, what) : undefined;
    const own = latest !== undefined && isEither(latest.state, "pending", "approved") ? latest.hold : null;
    return this.#hasRoom(wish.micros, own) ? "planned" : "budget-exceeded";
  }

  remember(receipt: string, who: string, what: number): void {
    this.receipts.set(receipt, { who, what, expiresAt: this.now + TEN_MINUTES, spentBy: null });
  }

  decide(approval: Approval, who: string, decision: "approve" | "deny"): string {
    if (!this.#approvers.includes(who) || approval.state === "draft") return "not-eligible";
    const repeated = approval.decisions.get(who) === decision;
    if (approval.state !== "pending") return repeated ? "recorded" : "already-decided";
    if (this.now >= approval.expiresAt) {
      this.#end(approval, "expired");
      return "approval-expired";
    }
    approval.decisions.set(who, decision);
    const given = [...approval.decisions.values()].filter((d) => d === "approve").length;
    if (decision === "deny") {
      this.#end(approval, "denied");
      approval.deniedAt = this.now;
    } else if (given >= (this.wish(approval.what).needs === 2 ? 2 : 1)) {
      approval.state = "approved";
      approval.expiresAt = this.now + HALF_AN_HOUR;
    }
    return "recorded";
  }

  withdraw(approval: Approval, who: string): string {
    if (who !== approval.who) return "not-found";
    if (!isEither(approval.state, "draft", "pending", "approved")) return "already-decided";
    this.#end(approval, "withdrawn");
    return "recorded";
  }

  complete(approval: Approval, reason: string): string {
    if (approval.state !== "draft") return "already-decided";
    if (this.now >= approval.expiresAt) return "approval-expired";
    const { micros } = this.wish(approval.what);
    if (!this.#hasRoom(micros, null)) return "budget-exceeded";
    Object.assign(approval, { state: "pending", reason, hold: this.#take(micros), expiresAt: this.now + HALF_AN_HOUR });
    return "recorded";
  }

  conclude(operation: Operation, outcome: "succeeded" | "failed" | "unknown" | "not-sent"): void {
    if (!isOpen(operation) || operation.state === outcome) return;
    operation.state = outcome;
    if (outcome === "unknown") return;
    operation.completedAt = this.now;
    const { micros, runsMs } = this.wish(operation.what);
    if (outcome !== "succeeded") operation.hold.state = "released";
    else if (runsMs !== null && micros > 0) operation.runsUntil = this.now + runsMs;
    else operation.hold.state = "settled";
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
      if (operation.state === "dispatching" && this.now >= operation.deadline) operation.state = "unknown";
      if (operation.runsUntil !== null && this.now >= operation.runsUntil) operation.hold.state = "settled";
    }
    for (const approval of this.approvals) {
      const open = isEither(approval.state, "draft", "pending", "approved");
      if (open && this.now >= approval.expiresAt) this.#end(approval, "expired");
    }
    if (this.now < this.#pruneAt) return;
    this.#pruneAt = this.now + HOUR;
    for (const [handle, { since, operation }] of this.#remembered)
      if (since < this.now - 48 * HOUR && !isOpen(operation)) this.#remembered.delete(handle);
    for (const [id, { expiresAt }] of this.receipts) if (expiresAt < this.now - 24 * HOUR) this.receipts.delete(id);
  }

  /** Held and settled amounts by window, of windows that have any. */
  windows(): Readonly<Record<string, readonly [number, number]>> {
    const sums: Record<string, [number, number]> = {};
    for (const { day, month, micros, state } of this.#holds) {
      if (state === "released" || micros === 0) continue;
      for (const window of [day, month]) {
        const sum = (sums[window] ??= [0, 0]);
        sum[state === "held" ? 0 : 1] += micros;
      }
    }
    return sums;
  }

  wish(what: number): Wish {
    const wish = this.#wishes[what];
    if (wish === undefined) throw new Error(`no wish ${what}`);
    return wish;
  }

  #latest(who: string, what: number): Approval | undefined {
    return this.approvals.findLast((a) => a.who === who && a.what === what);
  }

  #end(approval: Approval, state: string): void {
    approval.state = state;
    if (approval.hold !== null) approval.hold.state = "released";
  }

  #hasRoom(micros: number, own: Hold | null): boolean {
    if (micros === 0) return true;
    const { day, month } = this.#windowsNow();
    const used = (window: string): number =>
      this.#holds
        .filter((h) => h !== own && h.state !== "released" && (h.day === window || h.month === window))
        .reduce((sum, h) => sum + h.micros, 0);
    return used(day) + micros <= this.#caps.daily && used(month) + micros <= this.#caps.monthly;
  }

  #take(micros: number): Hold {
    const hold: Hold = { micros, ...this.#windowsNow(), state: "held" };
    this.#holds.push(hold);
    return hold;
  }

  #windowsNow(): { readonly day: string; readonly month: string } {
    const iso = new Date(this.now).toISOString();
    return { day: iso.slice(0, 10), month: iso.slice(0, 7) };
  }
}

const just = (word: string): Answer => ({ word, approval: null });
const isOpen = (operation: Operation): boolean => isEither(operation.state, "dispatching", "unknown");
const isEither = (state: string, ...states: readonly string[]): boolean => states.includes(state);
const isApproval = (wish: Wish): boolean => wish.needs !== "nothing" && wish.needs !== "receipt";
