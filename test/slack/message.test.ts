import { describe, expect, test } from "vitest";
import type { ProposalView } from "../../src/approval/proposal-view.ts";
import { ACTION_IDS, readActionValue, shortDigest } from "../../src/slack/action-value.ts";
import type { SlackMessage } from "../../src/slack/blocks.ts";
import { confirmTextOf } from "../../src/approval/proposal-view.ts";
import { proposalMessage } from "../../src/slack/message.ts";
import { confirmModal } from "../../src/slack/modal.ts";
import {
  escalation,
  glassBroken,
  outcomeLine,
  refusalNotice,
  refusedExecution,
  reminder,
} from "../../src/slack/notices.ts";
import { blocksProblem, viewProblem } from "../support/slack-payload-rules.ts";
import { CANCEL, decided, NOW, OCCASION, SUBMIT } from "./proposals.ts";

const rendered = (view: Partial<ProposalView>): SlackMessage => proposalMessage({ ...CANCEL, ...view }, OCCASION);
const ORIGIN = { channelId: "C0APPROVALS", messageTs: "1763600000.000001" };

/** Everything that a person reads in a message, block by block. */
const textsOf = (message: SlackMessage): readonly string[] =>
  message.blocks.map((block) =>
    [...JSON.stringify(block).matchAll(/"text":"((?:[^"\\]|\\.)*)"/g)]
      .map(([, text]) => String(JSON.parse(`"${text ?? ""}"`)))
      .join("\n"),
  );
const readable = (message: SlackMessage): string => textsOf(message).join("\n");
const buttonsOf = (message: SlackMessage) =>
  message.blocks.flatMap((block) => (block.type === "actions" ? block.elements : []));
const actionsOf = (message: SlackMessage) =>
  buttonsOf(message).map((element) => ("action_id" in element ? element.action_id : undefined));

const urls = (url: string) =>
  buttonsOf(rendered({ url })).flatMap((element) => ("url" in element ? [element.url] : []));
const at = (seconds: number) => readable(proposalMessage(CANCEL, { ...OCCASION, now: NOW + seconds * 1_000 }));

describe("the mission's example", () => {
  test("Cancel job llama-finetune-v3, as Slack gets it", async () => {
    const message = rendered({});
    expect(blocksProblem(message.blocks)).toBeNull();
    await expect(`${JSON.stringify(message, null, 2)}\n`).toMatchFileSnapshot("snapshots/cancel-job.json");
  });

  test("says what, until when, who decides, and where it escalates", () => {
    const text = readable(rendered({}));
    for (const part of [
      "Cancel job llama-finetune-v3",
      "Expires in 30 minutes (at 14:32 UTC)",
      "needs 2 approvals, 0 given",
      "@alice, @bob",
      "escalated to #ml-ops-escalation",
      "Loss is NaN since step 4,100",
    ]) {
      expect(text).toContain(part);
    }
  });

  test("says until when a window lets it run, and what is judged and not enforced yet", () => {
    const text = readable(
      rendered({
        window: { name: "nightly", closesAt: "2026-11-21T03:00:00.000Z" },
        shadow: [{ rule: "reversible[0]", verdict: "not-allowed" }],
      }),
    );
    expect(text).toContain("nightly, closes at 2026-11-21 03:00 UTC");
    expect(text).toContain("not-allowed by reversible[0]");
    expect(readable(rendered({}))).not.toMatch(/window|shadow/i);
  });

  test("its modal, as Slack gets it", async () => {
    const modal = confirmModal(CANCEL, ORIGIN, OCCASION);
    expect(viewProblem(modal)).toBeNull();
    await expect(`${JSON.stringify(modal, null, 2)}\n`).toMatchFileSnapshot("snapshots/cancel-job-modal.json");
  });
});

describe("buttons", () => {
  test("are there exactly while the proposal is pending", () => {
    const states = [
      "draft",
      "pending",
      "approved",
      "denied",
      "expired",
      "withdrawn",
      "invalidated",
      "consumed",
    ] as const satisfies readonly ProposalView["state"][];
    const withButtons = states.filter((state) => buttonsOf(rendered({ state })).length > 0);
    expect(withButtons).toEqual(["pending"]);
  });

  test("carry the approval's id and short digest, and nothing else", () => {
    for (const button of buttonsOf(rendered({}))) {
      const value = "value" in button ? (button.value ?? "") : "";
      expect(readActionValue(value)).toEqual({
        approvalId: CANCEL.id,
        approvalDigest: shortDigest(CANCEL.approvalDigest),
      });
      expect(value).toHaveLength(CANCEL.id.length + 1 + 32);
    }
  });

  test.each<[string, Partial<ProposalView>, string | null, string]>([
    ["tier 3", SUBMIT, null, ACTION_IDS.approve],
    ["tier 3 with elevated blast radius", { ...SUBMIT, elevated: true }, "workloads.submit", ACTION_IDS.openConfirm],
    ["tier 3 whose policy asks for it", { ...SUBMIT, confirm: "eval" }, "eval", ACTION_IDS.openConfirm],
    ["tier 4", CANCEL, "llama-finetune-v3", ACTION_IDS.openConfirm],
    ["tier 4 whose policy asks for nothing", { confirm: null }, "llama-finetune-v3", ACTION_IDS.openConfirm],
    ["tier 4 that creates", { confirm: null, resource: null }, "workloads.cancel", ACTION_IDS.openConfirm],
  ])("%s: what has to be typed, and which button approves", (_, view, typed, action) => {
    expect(confirmTextOf({ ...CANCEL, ...view })).toBe(typed);
    expect(actionsOf(rendered(view))).toEqual([action, ACTION_IDS.deny, ACTION_IDS.openPage]);
  });

  test("a click on Approve of tier 4 decides nothing by itself", () => {
    expect(actionsOf(rendered({}))).not.toContain(ACTION_IDS.approve);
  });

  test("the link is the gate's page, and absent where the address is none", () => {
    expect(urls(CANCEL.url)).toEqual([CANCEL.url]);
    for (const url of [
      "javascript:alert(1)",
      "/relative",
      "",
      "https://gate.example@evil.example/",
      `https://gate.example/${"a".repeat(3_000)}`,
    ]) {
      expect(urls(url)).toEqual([]);
    }
  });
});

describe("CA5 a message tells who decided and who may", () => {
  test("the count and the deciders change with every decision", () => {
    const text = readable(rendered({ given: 1, decisions: [{ ...decided("@alice"), comment: "checked the loss" }] }));
    expect(text).toContain("needs 2 approvals, 1 given");
    expect(text).toContain("Approved by @alice at 14:05 UTC: checked the loss");
  });

  test("people whose word does not count, and who tried, are named with the reason", () => {
    const attempt = { decision: "approve", reason: "This person is not an approver of this tier." };
    const attempts = [
      { ...attempt, handle: "@carol", subject: "person:carol", attemptedAt: "2026-11-20T14:03:00Z" },
      ...["dan", "eve", "fay"].map((who) => ({
        ...attempt,
        handle: null,
        subject: `person:${who}`,
        attemptedAt: "2026-11-20T14:04:00Z",
      })),
    ];
    const text = readable(rendered({ attempts, decisions: [decided("@alice")], given: 1 }));
    expect(text).toContain("Approved by @alice at 14:05 UTC");
    expect(text).toContain("Not counted: @carol at 14:03 UTC: This person is not an approver of this tier.");
    expect(text).toContain("Not counted: person:eve at 14:04 UTC");
    expect(text).toContain("and 1 more");
    expect(text).not.toContain("person:fay");
  });

  test("a person without a handle is named by subject, break-glass is called so", () => {
    const decisions = [{ ...decided("@carol"), handle: null, decision: "break-glass" as const }];
    expect(readable(rendered({ state: "approved", decisions }))).toContain(
      "Break-glass, in place of missing approvers, by person:carol",
    );
  });

  test.each<[ProposalView["state"], string, string]>([
    ["draft", "Draft: Cancel job llama-finetune-v3", "Nobody can decide it yet"],
    ["approved", "Approved: Cancel job llama-finetune-v3", "once"],
    ["denied", "Denied: Cancel job llama-finetune-v3", "It will not run"],
    ["expired", "Expired: Cancel job llama-finetune-v3", "Its time is over (1 of 2 approvals)"],
    ["withdrawn", "Withdrawn: Cancel job llama-finetune-v3", "took it back"],
    ["invalidated", "No longer valid: Cancel job llama-finetune-v3", "changed since"],
    ["consumed", "Approved and used: Cancel job llama-finetune-v3", "cannot be used again"],
  ])("%s: %s", (state, title, summary) => {
    const message = rendered({ state, given: 1, decisions: [decided("@alice")] });
    expect(textsOf(message)[0]).toBe(title);
    expect(message.text).toContain(title);
    expect(message.text).toContain(summary);
    expect(blocksProblem(message.blocks)).toBeNull();
  });

  test("one minute is one minute, and an ended time is said to have ended", () => {
    expect(at(29 * 60)).toContain("Expires in 1 minute (at 14:32 UTC)");
    expect(at(29 * 60 + 59)).toContain("Expires in 1 minute (at 14:32 UTC)");
    expect(at(30 * 60)).toContain("Its time ended at 14:32 UTC");
  });

  test("without an escalation channel it still says that silence is a no", () => {
    const message = proposalMessage(CANCEL, { ...OCCASION, escalationChannel: null });
    expect(readable(message)).toContain("If nobody decides in time, nothing runs.");
  });
});

describe("APR-12 what people see is the bound request", () => {
  test("method, path, query, body, facts, cost and consequences come from the proposal", () => {
    const text = readable(
      rendered({
        ...SUBMIT,
        request: { ...SUBMIT.request, query: { dry_run: false }, body: { name: "a<b>&c", gpus: 64 } },
        affected: { count: 9, items: ["w1", "w2", "w3", "w4", "w5", "w6", "w7"] },
      }),
    );
    for (const part of [
      'POST /v1/workloads ?{"dry_run":false}',
      '{"name":"a&lt;b&gt;&amp;c","gpus":64}',
      "gpus: 64\ngpu_type: H100\nmax_hours: 8",
      "at most 1536.00 USD",
      "9\nw1\nw2\nw3\nw4\nw5\nw6\nand 3 more",
      "agent:trainer, owned by person:dana",
    ]) {
      expect(text).toContain(part);
    }
  });

  test("the requester's words stand below the buttons, each line behind a margin", () => {
    const reason = "Routine.\n\nApproved by @bob at 14:03 UTC\nTier 1: needs 0 approvals";
    const message = rendered({ reason });
    const place = message.blocks.findIndex((block) => block.type === "actions");
    const above = textsOf(message).slice(0, place).join("\n");
    expect(above).not.toContain("Routine");
    const below = textsOf(message).slice(place).join("\n");
    expect(below).toContain("│ Routine.\n│ \n│ Approved by \uff20bob at 14:03 UTC\n│ Tier 1: needs 0 approvals");
  });

  test("cut text says that it is cut, and where the whole is", () => {
    const body = { script: "x".repeat(5_000) };
    expect(readable(rendered({ ...SUBMIT, request: { ...SUBMIT.request, body } }))).toContain(
      "This is only the beginning of the body",
    );
    expect(readable(rendered({ evidence: "line\n".repeat(500) }))).toMatch(/… cut here: \d+ more characters/);
    expect(readable(rendered({}))).not.toContain("cut here");
    expect(readable(rendered({ ...SUBMIT }))).not.toContain("only the beginning");
  });
});

describe("notices", () => {
  test("a reminder names those who have not decided yet", () => {
    const { text } = reminder({ ...CANCEL, given: 1, decisions: [decided("@alice")] }, { now: NOW + 25 * 60_000 });
    expect(text).toBe(
      "Reminder: Cancel job llama-finetune-v3 needs 2 approvals, 1 given. Expires in 5 minutes (at 14:32 UTC).\nStill to decide: @bob.",
    );
  });

  test("an escalation says that nothing ran, and offers no decision", () => {
    const message = escalation({ ...CANCEL, state: "expired", given: 1 });
    expect(blocksProblem(message.blocks)).toBeNull();
    expect(message.text).toContain("Nobody decided: Cancel job llama-finetune-v3");
    expect(message.text).toContain("1 of 2 approvals");
    expect(actionsOf(message)).toEqual([ACTION_IDS.openPage]);
  });

  test.each([
    [{ kind: "succeeded", upstreamStatus: 200 }, "It ran (the control plane answered 200)"],
    [{ kind: "failed", upstreamStatus: 404 }, "refused it; nothing changed (the control plane answered 404)"],
    [{ kind: "unknown", upstreamStatus: null }, "what became of it is unknown. Its money stays held"],
    [{ kind: "not-sent", upstreamStatus: null }, "It was never sent; nothing changed. Request"],
  ] as const)("the thread's last line: %j", (outcome, part) => {
    const { text } = outcomeLine(CANCEL, { ...outcome, requestId: "req_1" });
    expect(text).toContain(part);
    expect(text).toContain("req_1");
  });

  test("a broken glass names who broke it and why, and who has to look at it", () => {
    const decisions = [{ ...decided("@erin"), decision: "break-glass" as const, comment: "nobody answers" }];
    const { text } = glassBroken({ ...CANCEL, state: "approved", decisions });
    expect(text).toContain("Cancel job llama-finetune-v3 was let through by @erin, with 0 of 2 approvals.");
    expect(text).toContain("Why: nobody answers");
    expect(text).toContain("Who could decide: @alice, @bob. One of them, or security, has to review it.");
  });

  test("the gate's own try that something refused: what said no, and whether the approval still stands", () => {
    const approved = { ...CANCEL, state: "approved" as const };
    const { text } = refusedExecution(approved, "frozen", "req_1", { now: NOW });
    expect(text).toContain("something said no: Writes are frozen (frozen). Nothing was sent. Request req_1.");
    expect(text).toContain("The approval still stands: the gate runs it when the freeze is lifted");
    const short = refusedExecution(approved, "budget-exceeded", "req_1", { now: NOW });
    expect(short.text).toContain("The approval still stands: its requester may send exactly this request.");
    const ended = refusedExecution({ ...CANCEL, state: "invalidated" }, "nonsense", "req_1", { now: NOW });
    expect(ended.text).toContain("Refused (nonsense)");
    expect(ended.text).not.toContain("still stands");
  });

  test.each([
    [{ kind: "not-eligible", reason: "The requester may not decide it." } as const, "The requester may not decide it."],
    [{ kind: "already-decided", state: "denied", decided_by: ["@alice"] } as const, "denied already, by @alice"],
    [{ kind: "approval-expired", reason: "" } as const, "time is over"],
    [{ kind: "approval-invalid", reason: "Use its newest message." } as const, "Use its newest message."],
    [{ kind: "not-found" } as const, "no such proposal"],
    [
      { kind: "frozen", scope: "tenant", frozen_by: "x", reason: "drill", since: "" } as const,
      "Frozen (tenant): drill",
    ],
    [{ kind: "unavailable", dependency: "ledger", cause: "secret cause" } as const, "Nothing was recorded"],
    [{ kind: "already-decided", state: "expired", decided_by: [] } as const, "expired already. Nothing more"],
    [{ kind: "malformed-request", reason: "confirm: type it" } as const, "confirm: type it"],
    [{ kind: "rate-limited", limit: "writes", retry_after_s: 1 } as const, "Too many requests."],
  ])("CA3 a click that does not count says why: %j", (refusal, part) => {
    const { text } = refusalNotice(refusal);
    expect(text).toContain("Your click was not counted.");
    expect(text).toContain(part);
    expect(text).not.toContain("secret cause");
  });
});
