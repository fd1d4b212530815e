/** Finance's caps as a list of what was asked for, in the words of the wire contract. */

const WEEK = 7 * 24 * 3_600_000;

const HOUR = 3_600_000;

/** Asks of one asker that may wait, those that it took back within the hour included. */
const ASKS_MAX = 10;

/** Who acts: `fault` says that it is not the person itself. */
export type Asker = {
  readonly subject: string;
  readonly class: string;
  readonly owner: string;
  readonly issuer: string;
  readonly roles: readonly string[];
  readonly fault: string | null;
};

export type Period = "daily" | "monthly";

export type Change = {
  id: string;
  readonly kind: "lower" | "raise" | "request";
  state: "pending" | "approved" | "denied" | "withdrawn" | "expired";
  readonly period: Period;
  readonly cap: number;
  readonly asker: Asker;
  from: number;
  readonly until: number | null;
  readonly askedAt: number;
  readonly expiresAt: number;
  readonly words: Map<string, "approve" | "deny">;
};

export type Ask = {
  readonly period: Period;
  readonly cap: number;
  readonly from: number | null;
  readonly until: number | null;
};

/** `change`: the one that was made or moved; one that was just made has no id yet. */
export type CapAnswer = { readonly word: string; readonly change: Change | null };

export class ModelCaps {
  readonly changes: Change[] = [];

  /** What finance allows at a moment; infinite where it never said anything. `without`: as if that one were not there. */
  allowed(period: Period, at: number, without: Change | null = null): number {
    let cap = Number.POSITIVE_INFINITY;
    for (const one of this.changes.filter((c) => c !== without && c.period === period).toSorted(byBegin)) {
      // What was lowered at once stays so, wherever the clock goes.
      const hasBegun = one.from <= at || (one.kind === "lower" && one.from <= one.askedAt);
      if (one.state !== "approved" || !hasBegun || (one.until !== null && one.until <= at)) continue;
      cap = one.kind === "lower" ? Math.min(cap, one.cap) : one.cap;
    }
    return cap;
  }

  ask(asker: Asker, ask: Ask, policyCap: number, now: number): CapAnswer {
    const from = ask.from ?? now;
    if (from < now || (ask.until !== null && ask.until <= from)) return refused("malformed-request");
    const before = [now, from].map((at) => {
      const cap = this.allowed(ask.period, at);
      return cap === Number.POSITIVE_INFINITY ? policyCap : cap;
    });
    const isHigher = ask.cap > Math.min(...before);
    const finance = isFinance(asker);
    if (!isHigher && !finance) return refused("malformed-request");
    if (isHigher) {
      const same = this.changes.toReversed().filter((c) => c.state === "pending" && isSame(c, ask, now));
      const own = same.find((c) => c.asker.subject === asker.subject);
      if (own !== undefined) return moved(own);
      const confirmed = same.find((c) => mayDecide(asker, c));
      if (confirmed !== undefined) return this.decide(confirmed, asker, "approve", now);
      const lately = this.changes.filter(
        (c) =>
          c.asker.subject === asker.subject &&
          (c.state === "pending" || (c.state === "withdrawn" && c.askedAt > now - HOUR)),
      );
      if (lately.length >= ASKS_MAX) return refused("rate-limited");
    }
    const kind = !isHigher ? "lower" : finance && asker.fault === null ? "raise" : "request";
    const made: Change = {
      id: "",
      kind,
      state: kind === "lower" ? "approved" : "pending",
      period: ask.period,
      cap: ask.cap,
      asker,
      from,
      until: ask.until,
      askedAt: now,
      expiresAt: now + WEEK,
      words: new Map(),
    };
    this.changes.push(made);
    return moved(made);
  }

  decide(change: Change, by: Asker, word: "approve" | "deny", now: number): CapAnswer {
    if (!mayDecide(by, change)) return refused("not-eligible");
    if (change.words.get(by.subject) === word) return moved(change);
    if (change.state !== "pending") return refused("already-decided");
    if (change.expiresAt <= now) {
      change.state = "expired";
      return refused("approval-expired");
    }
    change.words.set(by.subject, word);
    const approvals = [...change.words.values()].filter((one) => one === "approve").length;
    if (word === "deny") change.state = "denied";
    else if (approvals >= (change.kind === "request" ? 2 : 1)) {
      change.state = "approved";
      change.from = Math.max(change.from, now);
    }
    return moved(change);
  }

  withdraw(change: Change, by: Asker, now: number): CapAnswer {
    if (change.asker.subject !== by.subject && !isFinance(by)) return refused("not-found");
    const isYetToBegin = change.state === "approved" && change.from > now;
    const isTemporary = change.state === "approved" && change.until !== null && change.until > now;
    if (change.state !== "pending" && !isYetToBegin && !isTemporary) return refused("already-decided");
    if (change.state === "approved" && this.#widens(change, now)) return refused("malformed-request");
    change.state = "withdrawn";
    return moved(change);
  }

  /** What nobody decided in time is over. */
  expire(now: number): void {
    for (const change of this.changes)
      if (change.state === "pending" && change.expiresAt <= now) change.state = "expired";
  }

  /** As they are now, whatever becomes of them. */
  copy(): ModelCaps {
    const copy = new ModelCaps();
    copy.changes.push(...this.changes.map((change) => ({ ...change })));
    return copy;
  }

  /** The moments from `now` on at which what is allowed may change. */
  moments(now: number): readonly number[] {
    return [now, ...this.changes.flatMap((c) => [c.from, c.until ?? now])].filter((at) => at >= now);
  }

  /** Whether any moment to come would have a higher cap without it. */
  #widens(change: Change, now: number): boolean {
    const approved = this.changes.filter((c) => c.state === "approved");
    const moments = [now, ...approved.flatMap((c) => [c.from, c.until ?? now])].filter((at) => at >= now);
    return moments.some((at) => this.allowed(change.period, at, change) > this.allowed(change.period, at));
  }
}

const isSame = (change: Change, ask: Ask, now: number): boolean =>
  change.period === ask.period &&
  change.cap === ask.cap &&
  change.until === ask.until &&
  Math.max(change.from, now) === (ask.from ?? now);

/** A person of finance that speaks for itself, and has nothing to do with who asked. */
const mayDecide = (by: Asker, { asker }: Change): boolean =>
  isFinance(by) && by.fault === null && ![asker.subject, asker.owner, asker.issuer].includes(by.subject);

const isFinance = (asker: Asker): boolean => asker.class === "person" && asker.roles.includes("finance");
/** Of those that begin at once the one that was made last comes last: sorting keeps their order. */
const byBegin = (a: Change, b: Change): number => a.from - b.from;
const refused = (word: string): CapAnswer => ({ word, change: null });
const moved = (change: Change): CapAnswer => ({ word: `${change.kind} ${change.state}`, change });
