import { evictDurableObject } from "cloudflare:test";
import fc from "fast-check";
import { afterEach, expect, it, vi } from "vitest";
import type { AdmissionRequest } from "../../src/ledger/contract.ts";
import { newId } from "../../src/platform/ids.ts";
import { testEnv } from "../support/test-env.ts";
import { checkInvariants, checkWholeLog } from "./check-invariants.ts";
import {
  agent,
  APPROVERS,
  AUTHORITY,
  CALL,
  CONTEXT,
  decideAs,
  digest,
  DISPATCH_DEADLINE_MS,
  ended,
  GRACE_MS,
  MINUTE,
  needing,
  newTenant,
  NO_CONTEXT,
  person,
  priced,
  rowsOf,
  runAlarm,
  START,
  USD,
  verdict,
  windows,
  write,
} from "./fixture.ts";
import { Model, type Wish } from "./model.ts";

const CAPS = { daily: 160 * USD, monthly: 450 * USD };
const BUDGET = { timezone: "UTC", dailyCapMicros: CAPS.daily, monthlyCapMicros: CAPS.monthly };

const WISHES: readonly Wish[] = [
  { micros: 30 * USD, runsMs: null, resource: null, needs: "nothing" },
  { micros: 25 * USD, runsMs: 20 * MINUTE, resource: "c", needs: "nothing" },
  { micros: 45 * USD, runsMs: null, resource: "a", needs: "receipt" },
  { micros: 0, runsMs: null, resource: "a", needs: "receipt" },
  { micros: 60 * USD, runsMs: 45 * MINUTE, resource: "b", needs: 2 },
  { micros: 35 * USD, runsMs: null, resource: null, needs: 1 },
  { micros: 20 * USD, runsMs: null, resource: null, needs: "draft" },
];

const who = fc.constantFrom("trainer", "tuner");
const what = fc.nat(WISHES.length - 1);
const nth = fc.nat(1_000);
const fromRecent = fc.nat(3);

type Command =
  | {
      readonly do: "submit";
      readonly who: string;
      readonly what: number;
      readonly key: string | null;
      readonly receipt: number | null;
      readonly other: boolean;
    }
  | { readonly do: "retry"; readonly nth: number }
  | { readonly do: "use"; readonly grant: boolean; readonly key: string | null }
  | { readonly do: "plan"; readonly who: string; readonly what: number }
  | { readonly do: "decide"; readonly recent: number; readonly person: string; readonly decision: "approve" | "deny" }
  | { readonly do: "withdraw"; readonly recent: number; readonly who: string }
  | { readonly do: "complete"; readonly recent: number }
  | { readonly do: "conclude"; readonly nth: number; readonly outcome: "succeeded" | "failed" | "unknown" | "not-sent" }
  | { readonly do: "reconcile"; readonly nth: number; readonly verdict: "happened" | "absent" | "unknown" }
  | { readonly do: "clock"; readonly ms: number }
  | { readonly do: "alarm" }
  | { readonly do: "evict" };

const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant("submit" as const),
      who,
      what,
      key: fc.option(fc.constantFrom("k1", "k2", "k3"), { freq: 2 }),
      receipt: fc.option(nth, { freq: 3 }),
      other: fc.oneof({ weight: 6, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("retry" as const), nth: fromRecent }) },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("use" as const),
      grant: fc.boolean(),
      key: fc.option(fc.constantFrom("k4", "k5", "k6"), { freq: 2 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("plan" as const), who, what: fc.constantFrom(2, 3, 4) }) },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant("decide" as const),
      recent: fromRecent,
      person: fc.constantFrom("alice", "alice", "bob", "bob", "carol", "dana", "olga", "mallory"),
      decision: fc.constantFrom("approve" as const, "approve" as const, "approve" as const, "deny" as const),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("withdraw" as const), recent: fromRecent, who }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("complete" as const), recent: fromRecent }) },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant("conclude" as const),
      nth,
      outcome: fc.constantFrom("succeeded" as const, "failed" as const, "unknown" as const, "not-sent" as const),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("reconcile" as const),
      nth,
      verdict: fc.constantFrom("happened" as const, "absent" as const, "unknown" as const),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("clock" as const),
      ms: fc.constantFrom(
        -2_000,
        1,
        1_000,
        DISPATCH_DEADLINE_MS,
        GRACE_MS,
        1_000,
        MINUTE,
        MINUTE,
        5 * MINUTE,
        10 * MINUTE,
        31 * MINUTE,
        13 * 60 * MINUTE,
        50 * 60 * MINUTE,
      ),
    }),
  },
  { weight: 4, arbitrary: fc.constant({ do: "alarm" as const }) },
  { weight: 1, arbitrary: fc.constant({ do: "evict" as const }) },
);

/** The request behind a wish. Wishes that need a draft never bring context; `other` brings another reason than usual. */
function requestFor(
  agentName: string,
  index: number,
  over: { readonly other: boolean } & Partial<AdmissionRequest["handles"]>,
): AdmissionRequest {
  const wish = WISHES[index];
  if (wish === undefined) throw new Error(`no wish ${index}`);
  const { other, ...handles } = over;
  const bare = wish.needs === "draft";
  return write({
    requester: agent(agentName),
    requestDigest: digest(`${agentName} wants ${index}`),
    cost: priced(wish.micros, wish.runsMs),
    resource: wish.resource,
    sent: index % 2 === 0 ? CALL : null,
    budget: BUDGET,
    context: bare ? NO_CONTEXT : other ? { ...CONTEXT, reason: "another" } : CONTEXT,
    requirement:
      wish.needs === "nothing"
        ? { kind: "none" }
        : wish.needs === "receipt"
          ? { kind: "receipt" }
          : needing(wish.needs === 2 ? 2 : 1, { missingContext: bare ? ["reason", "evidence", "back_out"] : [] }),
    handles,
  });
}

/** A ledger and its model, driven side by side. Each command returns what happened, for the count at the end. */
class Pair {
  readonly #tenant: string;
  readonly #ledger: Awaited<ReturnType<typeof newTenant>>["ledger"];
  readonly #model = new Model(
    START,
    WISHES,
    CAPS,
    { deadlineMs: DISPATCH_DEADLINE_MS, graceMs: GRACE_MS },
    APPROVERS.map((a) => a.subject.slice("person:".length)),
  );
  #last: readonly Extract<Command, { do: "submit" }>[] = [];

  private constructor(tenant: string, ledger: Awaited<ReturnType<typeof newTenant>>["ledger"]) {
    this.#tenant = tenant;
    this.#ledger = ledger;
  }

  static async open(): Promise<Pair> {
    const { tenant, ledger } = await newTenant();
    return new Pair(tenant, ledger);
  }

  async run(step: Command): Promise<string> {
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
        this.#model.now += step.ms;
        vi.setSystemTime(this.#model.now);
        return "clock";
      case "alarm":
        await runAlarm(this.#tenant);
        this.#model.alarm();
        return "alarm";
      case "evict":
        await evictDurableObject(testEnv.LEDGER.getByName(this.#tenant));
        return "evict";
    }
  }

  async #submit(step: Extract<Command, { do: "submit" }>): Promise<string> {
    const receipt = step.receipt === null ? null : this.#receipt(step, step.receipt);
    const request = requestFor(step.who, step.what, { other: step.other, idempotencyKey: step.key, receipt });
    const outcome = await this.#ledger.admit(request);
    const { word, approval } = this.#model.submit({
      id: request.requestId,
      who: step.who,
      what: step.what,
      key: step.key,
      receipt,
      reason: request.context.reason,
    });
    expect(verdict(outcome)).toBe(word);
    if (approval !== null) {
      const shown =
        outcome.kind === "refused" && outcome.refusal.kind === "approval-required" ? outcome.refusal.approval : null;
      if (approval.id === "") approval.id = shown?.id ?? "";
      expect(shown?.id, "the proposal that is open").toBe(approval.id);
    }
    return word;
  }

  /** Sends what the latest grant, or the latest unspent receipt, was given for. */
  async #use({ grant, key }: Extract<Command, { do: "use" }>): Promise<string> {
    const granted = this.#model.approvals.findLast((a) => a.state === "approved");
    const planned = [...this.#model.receipts.values()].findLast((receipt) => receipt.spentBy === null);
    const target = grant ? granted : planned;
    if (target === undefined) return NOTHING;
    const step = {
      do: "submit",
      who: target.who,
      what: target.what,
      key,
      receipt: grant ? null : 1,
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
    const outcome = await this.#ledger.plan(requestFor(agentName, index, { other: false }), true);
    const word = this.#model.plan(agentName, index);
    expect(outcome.kind === "refused" ? outcome.refusal.kind : outcome.kind).toBe(word);
    if (outcome.kind === "planned" && outcome.receipt !== null) {
      this.#model.remember(outcome.receipt.receipt, agentName, index);
    }
    return word;
  }

  async #decision(step: Extract<Command, { do: "decide" | "withdraw" | "complete" }>): Promise<string> {
    const open = this.#model.approvals.filter((a) => a.state === "draft" || a.state === "pending");
    const drafts = open.filter((a) => a.state === "draft");
    const preferred = step.do === "complete" && drafts.length > 0 ? drafts : open;
    const approval = preferred.at(-1 - step.recent) ?? this.#model.approvals.at(-1 - step.recent);
    if (approval === undefined) return NOTHING;
    let [answer, expected] = ["", ""];
    if (step.do === "decide") {
      answer = await decideAs(this.#ledger, approval.id, person(step.person), step.decision);
      expected = this.#model.decide(approval, step.person, step.decision);
    } else if (step.do === "withdraw") {
      const by = { ...person("x"), subject: `agent:${step.who}` };
      answer = verdict(await this.#ledger.withdraw({ requestId: newId("req"), approvalId: approval.id, by }));
      expected = this.#model.withdraw(approval, step.who);
    } else {
      answer = verdict(
        await this.#ledger.completeDraft(AUTHORITY, {
          requestId: newId("req"),
          approvalId: approval.id,
          by: { ...person("x"), subject: `agent:${approval.who}` },
          context: CONTEXT,
          required: ["reason", "evidence", "back_out"],
          budget: BUDGET,
          action: "workloads.submit",
        }),
      );
      expected = this.#model.complete(approval, CONTEXT.reason ?? "");
    }
    expect(answer).toBe(expected);
    return `${step.do}: ${answer}`;
  }

  async #outcome(step: Extract<Command, { do: "conclude" | "reconcile" }>): Promise<string> {
    const wanted = step.do === "conclude" ? ["dispatching", "unknown"] : ["unknown"];
    const open = this.#model.operations.filter((o) => wanted.includes(o.state));
    const among = step.nth % 5 === 0 || open.length === 0 ? this.#model.operations : open;
    const operation = among[step.nth % among.length];
    if (operation === undefined) return NOTHING;
    if (step.do === "conclude") {
      await this.#ledger.conclude(ended(operation.id, step.outcome));
      this.#model.conclude(operation, step.outcome);
      return `conclude: ${step.outcome}`;
    }
    await this.#ledger.reconcile({ requestId: operation.id, verdict: step.verdict, resource: null });
    this.#model.reconcile(operation, step.verdict);
    return `reconcile: ${step.verdict}`;
  }

  /** The ledger's own invariants, and that it is in the state that the model is in. */
  async check(): Promise<void> {
    await checkInvariants(this.#tenant, CAPS);
    expect(await windows(this.#tenant)).toEqual(this.#model.windows());
    const states = await rowsOf(
      this.#tenant,
      "SELECT request_id AS id, state FROM operations UNION ALL SELECT id, state FROM approvals",
    );
    expect(Object.fromEntries(states.map((row) => [String(row["id"]), row["state"]]))).toEqual(
      Object.fromEntries([...this.#model.operations, ...this.#model.approvals].map(({ id, state }) => [id, state])),
    );
  }

  async finish(): Promise<void> {
    for (let rounds = 0; rounds < 10; rounds++) {
      vi.setSystemTime((this.#model.now += 1_000));
      await runAlarm(this.#tenant);
      this.#model.alarm();
    }
    await this.check();
    await checkWholeLog(this.#tenant);
  }
}

/** What a command answers that finds nothing to act on. */
const NOTHING = "nothing to do";

const RUNS = 20;
const COMMANDS = 130;

afterEach(() => void vi.useRealTimers());

it(
  `the ledger does what its model says after each of ${RUNS * COMMANDS} random commands, and its books hold`,
  { timeout: 300_000 },
  async () => {
    const seed = crypto.getRandomValues(new Int32Array(1))[0] ?? 0;
    const counts = new Map<string, number>();
    const property = fc.asyncProperty(
      fc.array(command, { minLength: COMMANDS, maxLength: COMMANDS }),
      async (steps) => {
        vi.useFakeTimers({ toFake: ["Date"], now: START });
        const pair = await Pair.open();
        for (const [index, step] of steps.entries()) {
          try {
            const happened = await pair.run(step);
            counts.set(happened, (counts.get(happened) ?? 0) + 1);
            await pair.check();
          } catch (error) {
            throw new Error(`command ${index}: ${JSON.stringify(step)}`, { cause: error });
          }
        }
        await pair.finish();
      },
    );
    await fc.assert(property, { seed, numRuns: RUNS, endOnFailure: true });
    // oxlint-disable-next-line no-console
    console.info(`seed ${seed}:`, Object.fromEntries([...counts].toSorted()));
    const reached = [...counts.keys()];
    for (const needed of [
      "submit (1): admitted",
      "submit (receipt): admitted",
      "submit (nothing): replay",
      "submit (2): approval-required",
    ]) {
      expect(reached).toContain(needed);
    }
    counts.delete(NOTHING);
    expect([...counts.values()].reduce((sum, count) => sum + count, 0)).toBeGreaterThanOrEqual(2_000);
  },
);
