import { evictDurableObject } from "cloudflare:test";
import { expect, vi } from "vitest";
import type { AdmissionRequest } from "../../src/ledger/contract.ts";
import { unreachable } from "../../src/platform/assert.ts";
import { newId } from "../../src/platform/ids.ts";
import { testEnv } from "../support/test-env.ts";
import { checkInvariants, checkWholeLog } from "./check-invariants.ts";
import {
  agent,
  APPROVERS,
  AUTHORITY,
  BUDGET as UNCAPPED,
  SEALED,
  UNBOUNDED,
  CONTEXT,
  decideAs,
  digest,
  DISPATCH_DEADLINE_MS,
  ended,
  GRACE_MS,
  needing,
  newTenant,
  NO_CONTEXT,
  person,
  priced,
  rowsOf,
  runAlarm,
  START,
  verdict,
  windows,
  write,
} from "./fixture.ts";
import { Model } from "./model.ts";
import { CAPS, WISHES, type Command } from "./random-commands.ts";

const BUDGET = { ...UNCAPPED, dailyCapMicros: CAPS.daily, monthlyCapMicros: CAPS.monthly };

/** What a command answers that finds nothing to act on. */
export const NOTHING = "nothing to do";

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
    sent: index % 2 === 0 ? SEALED : null,
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
export class Pair {
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
      default:
        return unreachable(step);
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
          bounds: UNBOUNDED,
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
