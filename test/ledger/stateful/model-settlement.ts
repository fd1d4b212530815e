import { isHeld, type Hold, type ModelBooks } from "./model-books.ts";
import type { Asker } from "./model-caps.ts";
import type { Operation } from "./model.ts";
import type { Wish } from "./scene.ts";

/** What becomes of money after the answer: updates, ends that the control plane reports, billing, and people. */

export type Report = {
  readonly operation: Operation;
  readonly evidence: string;
  readonly micros: number;
  readonly by: Asker;
  readonly at: number;
  state: "waiting" | "applied";
};

export class ModelSettlement {
  readonly reports: Report[] = [];
  readonly #books: ModelBooks;

  constructor(books: ModelBooks) {
    this.#books = books;
  }

  /**
   * What a wish adds to the books: of a change what it will cost less what is paid for, of anything else all of it. Of what was
   * larger once, only what is not used up yet is paid for.
   */
  added(wish: Wish, now: number): number {
    const { micros, currentMicros, resource, runsMs } = wish;
    if (currentMicros === null || resource === null || runsMs === null) return micros;
    const running = this.#books.running(resource);
    const [oldest] = running;
    if (oldest === undefined) return micros;
    const adds = Math.max(0, micros - Math.max(currentMicros, total(running, ceiling)));
    this.#books.marks.push(adds === 0 ? "a change adds nothing" : "a change adds a part");
    if (running.every(({ spentAt }) => spentAt === null)) return adds;
    const leftMs = Math.min(runsMs, Math.max(0, oldest.since + runsMs - now));
    const fromNowOn = (amount: number): number => shareOf(amount, leftMs, runsMs);
    const left = total(running, (one) => one.ceiling - usedOf(one, now, null));
    return Math.max(adds, fromNowOn(micros) - Math.max(left, fromNowOn(currentMicros)));
  }

  /** Something runs on as less than it was: what nothing is needed for any more returns, the newest first. */
  shrink(resource: string, result: number, now: number): void {
    const running = this.#books.running(resource);
    const used = new Map(running.map((one) => [one, usedOf(one, now, null)]));
    let spare = total(running, ceiling) - total(running, (one) => used.get(one) ?? 0) - result;
    for (const one of running.toReversed()) {
      const spent = used.get(one) ?? 0;
      const part = Math.min(spare, one.ceiling - spent);
      if (part <= 0) continue;
      Object.assign(one, { ceiling: one.ceiling - part, spent, spentAt: now });
      this.#books.marks.push("made smaller");
      spare -= part;
    }
  }

  /** A look at what runs. */
  status(
    asked: Hold,
    finding: { readonly verdict: string; readonly micros: number | null; readonly ranMs: number | null },
    now: number,
  ): string {
    if (finding.verdict !== "ended" || asked.state !== "committed" || asked.resource === null) return "nothing";
    let left = finding.micros;
    // What billing has said of one counts for it, and is no part of what the others share.
    const others = this.#books.running(asked.resource).filter((one) => {
      one.ended = true;
      const waiting = this.#newestWaiting(one);
      if (waiting === undefined) return true;
      this.#apply(waiting);
      if (left !== null) left = Math.max(0, left - waiting.micros);
      return false;
    });
    others.forEach((one, index) => {
      const isLast = index === others.length - 1;
      const micros = left === null ? usedOf(one, now, finding.ranMs) : isLast ? left : Math.min(left, one.ceiling);
      if (left !== null) left -= micros;
      this.#books.settle(one, micros, "status");
    });
    const word = finding.micros === null ? "shares" : "stated";
    return others.length === 0 ? "as reported" : word;
  }

  /** One line of billing's. */
  report(
    operation: Operation | undefined,
    line: { readonly evidence: string; readonly micros: number },
    by: Asker,
    now: number,
  ): string {
    if (operation === undefined) return "rejected";
    const { hold } = operation;
    const settledForGood = hold.by === "usage" || hold.by === "people";
    const isBookable = hold.state !== "dispatching" && hold.state !== "unknown" && !settledForGood;
    const known = this.reports.find((r) => r.operation === operation && r.evidence === line.evidence);
    if (known !== undefined) {
      if (known.micros !== line.micros) return "rejected";
      const isSecond =
        by.class === "person" &&
        by.roles.includes("finance") &&
        by.fault === null &&
        ![known.by.subject, known.by.owner, known.by.issuer].includes(by.subject);
      if (known.state !== "waiting" || !isSecond) return "duplicate";
      return isBookable ? this.#apply(known) : "rejected";
    }
    if (!isBookable) return "rejected";
    const made: Report = { operation, ...line, by, at: now, state: "waiting" };
    this.reports.push(made);
    const expected = isHeld(hold) ? hold.ceiling : (hold.settled ?? 0);
    return line.micros >= expected || hold.ended ? this.#apply(made) : "waiting";
  }

  #newestWaiting(hold: Hold): Report | undefined {
    return this.reports
      .filter((r) => r.operation.hold === hold && r.state === "waiting")
      .toSorted((a, b) => b.at - a.at || (a.evidence < b.evidence ? -1 : 1))[0];
  }

  #apply(report: Report): string {
    report.state = "applied";
    const { hold } = report.operation;
    const bought = hold.state === "released" ? 0 : hold.ceiling;
    this.#books.settle(hold, report.micros, "usage");
    return report.micros > bought ? "overrun" : "settled";
  }
}

const ceiling = (hold: Hold): number => hold.ceiling;
const total = (holds: readonly Hold[], of: (hold: Hold) => number): number =>
  holds.reduce((sum, one) => sum + of(one), 0);

/** What something has cost so far at most: what it had when it was made smaller, and its share of time of the rest. */
function usedOf(hold: Hold, now: number, ranMs: number | null): number {
  if (hold.runsMs === null || now < hold.since) return hold.ceiling;
  const began = hold.spentAt ?? hold.since;
  const whole = hold.since + hold.runsMs - began;
  const ran = hold.spentAt === null ? (ranMs ?? now - began) : Math.min(ranMs ?? Infinity, Math.max(0, now - began));
  return ran >= whole ? hold.ceiling : hold.spent + shareOf(hold.ceiling - hold.spent, ran, whole);
}

/** So many parts of the whole, rounded up. */
function shareOf(micros: number, part: number, whole: number): number {
  const [all, some] = [BigInt(whole), BigInt(micros) * BigInt(part)];
  return Number(some % all === 0n ? some / all : some / all + 1n);
}
