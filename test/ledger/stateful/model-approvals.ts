import type { Hold, ModelBooks } from "./model-books.ts";
import { WISHES, type Wish } from "./scene.ts";

/** Proposals and grants: what people say of a request, and what it holds meanwhile. */

const TEN_MINUTES = 10 * 60_000;
const HALF_AN_HOUR = 3 * TEN_MINUTES;

/** So many that were taken back, and people are not asked again until the clock has passed the first of them. */
const WITHDRAWALS_MAX = 3;

export type Approval = {
  id: string;
  readonly who: string;
  readonly what: number;
  readonly micros: number;
  reason: string | null;
  state: string;
  hold: Hold | null;
  expiresAt: number;
  /** When it was denied or taken back. */
  endedAt: number;
  readonly decisions: Map<string, "approve" | "deny">;
};

/** `approval`: which proposal an `approval-required` must speak of; one that was just opened has no id yet. */
export type Answer = { readonly word: string; readonly approval: Approval | null };

/** Who asks for what, at what price now. */
export type Asked = {
  readonly who: string;
  readonly what: number;
  readonly reason: string | null;
  readonly micros: number;
};

export const just = (word: string): Answer => ({ word, approval: null });
export const isApproval = (wish: Wish): boolean => wish.needs !== "nothing" && wish.needs !== "receipt";
const isOpen = ({ state }: Approval): boolean => state === "draft" || state === "pending" || state === "approved";
const wishOf = ({ what }: { readonly what: number }): Wish | undefined => WISHES[what];

export class ModelApprovals {
  readonly all: Approval[] = [];
  readonly #books: ModelBooks;
  readonly #approvers: readonly string[];

  constructor(books: ModelBooks, approvers: readonly string[]) {
    this.#books = books;
    this.#approvers = approvers;
  }

  /** What the request's own open proposal or grant holds. */
  holdOf(who: string, what: number): Hold | null {
    const latest = this.#latest(who, what);
    return latest !== undefined && isOpen(latest) ? latest.hold : null;
  }

  /** What stops a request that needs approval; null when its grant was just spent. */
  stop(asked: Asked, now: number): Answer | null {
    const latest = this.#latest(asked.who, asked.what);
    if (latest === undefined) return this.#open(asked, null, now);
    const isOver = now >= latest.expiresAt;
    const sameReason = asked.reason === null || asked.reason === latest.reason;
    const isSame = sameReason && latest.micros === asked.micros;
    switch (latest.state) {
      case "denied":
        return now < latest.endedAt + TEN_MINUTES ? just("approval-denied") : this.#open(asked, null, now);
      case "draft":
      case "pending":
        return isOver || !isSame ? this.#open(asked, latest, now) : { word: "approval-required", approval: latest };
      case "approved":
        if (isOver) return this.#open(asked, latest, now);
        if (!sameReason) return just("resource-changed");
        if (!isSame) return this.#open(asked, latest, now);
        this.#end(latest, "consumed", now);
        return null;
      default:
        return this.#open(asked, null, now);
    }
  }

  decide(approval: Approval, who: string, decision: "approve" | "deny", now: number): string {
    if (!this.#approvers.includes(who) || approval.state === "draft") return "not-eligible";
    const repeated = approval.decisions.get(who) === decision;
    if (approval.state !== "pending") return repeated ? "recorded" : "already-decided";
    if (now >= approval.expiresAt) {
      this.#end(approval, "expired", now);
      return "approval-expired";
    }
    approval.decisions.set(who, decision);
    const given = [...approval.decisions.values()].filter((d) => d === "approve").length;
    if (decision === "deny") {
      this.#end(approval, "denied", now);
    } else if (given >= (wishOf(approval)?.needs === 2 ? 2 : 1)) {
      approval.state = "approved";
      approval.expiresAt = now + HALF_AN_HOUR;
    }
    return "recorded";
  }

  withdraw(approval: Approval, who: string, now: number): string {
    if (who !== approval.who) return "not-found";
    if (!isOpen(approval)) return "already-decided";
    this.#end(approval, "withdrawn", now);
    return "recorded";
  }

  complete(approval: Approval, reason: string, now: number): string {
    if (approval.state !== "draft") return "already-decided";
    if (now >= approval.expiresAt) return "approval-expired";
    const spender = { who: approval.who, action: wishOf(approval)?.action ?? "" };
    if (!this.#books.hasRoom(approval.micros, spender, null, now)) return "budget-exceeded";
    const hold = this.#books.take("held", approval.micros, spender, now);
    hold.id = approval.id;
    Object.assign(approval, { state: "pending", reason, hold, expiresAt: now + HALF_AN_HOUR });
    return "recorded";
  }

  /** What nobody decided or used in time is over. */
  expire(now: number): void {
    for (const approval of this.all)
      if (isOpen(approval) && now >= approval.expiresAt) this.#end(approval, "expired", now);
  }

  #open({ who, what, reason, micros }: Asked, supersedes: Approval | null, now: number): Answer {
    const action = wishOf({ what })?.action ?? "";
    if (this.#isCrowded(who, action, now)) return just("rate-limited");
    if (supersedes !== null) this.#end(supersedes, now < supersedes.expiresAt ? "invalidated" : "expired", now);
    const isDraft = wishOf({ what })?.needs === "draft";
    const opened: Approval = {
      id: "",
      who,
      what,
      micros,
      reason,
      state: isDraft ? "draft" : "pending",
      hold: isDraft ? null : this.#books.take("held", micros, { who, action }, now),
      expiresAt: now + (isDraft ? TEN_MINUTES : HALF_AN_HOUR),
      endedAt: 0,
      decisions: new Map(),
    };
    this.all.push(opened);
    return { word: "approval-required", approval: opened };
  }

  /** People are left alone for no time at all here; so only a clock that has stepped back has not come past it. */
  #isCrowded(who: string, action: string, now: number): boolean {
    const ended = (state: string): readonly number[] =>
      this.all
        .filter((a) => a.who === who && a.state === state && wishOf(a)?.action === action)
        .map(({ endedAt }) => endedAt)
        .toSorted((a, b) => b - a);
    return now < (ended("denied")[0] ?? 0) || now < (ended("withdrawn")[WITHDRAWALS_MAX - 1] ?? 0);
  }

  #latest(who: string, what: number): Approval | undefined {
    return this.all.findLast((a) => a.who === who && a.what === what);
  }

  #end(approval: Approval, state: string, now: number): void {
    approval.state = state;
    approval.endedAt = now;
    if (approval.hold !== null) this.#books.release(approval.hold);
  }
}
