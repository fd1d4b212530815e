import { describe, expect, test } from "vitest";
import { list, member, text, verdict } from "../support/answer.ts";
import { useBlackBox } from "../support/black-box.ts";
import { CONTEXT, job, proposalOf, SUBMIT } from "../support/requests.ts";

/** Attacks on proposals and on what people read of them (security catalogue: APR-07, APR-12, APR-13). */
const open = useBlackBox("attack-proposals");

const BIG = job({ gpus: 8, gpu_type: "L40S" });
const cancel = (id: string): string => `${SUBMIT}/${id}/cancel`;

describe("a flood of proposals by one agent", () => {
  test("ends at 50 open ones, and hides nobody else's", async () => {
    const box = await open();
    const [agent, other, alice] = await Promise.all([box.as("agent"), box.as("agent2"), box.as("alice")]);
    const honest = proposalOf(await other.post(cancel("wl-honest"), undefined, CONTEXT));
    const flood = await Promise.all(
      Array.from({ length: 60 }, (_, index) => agent.post(cancel(`wl-${index}`), undefined, CONTEXT)),
    );
    const verdicts = flood.map(verdict);
    expect(verdicts.filter((one) => one === "428 approval-required")).toHaveLength(50);
    expect(verdicts.filter((one) => one === "429 rate-limited")).toHaveLength(10);
    const refused = flood.find(({ status }) => status === 429);
    expect(Number(refused?.headers.get("retry-after"))).toBeGreaterThan(0);
    const seen = list(await alice.get("/_gate/v1/approvals?state=pending&limit=200"), "records");
    expect(seen).toHaveLength(51);
    expect(seen).toContainEqual(expect.objectContaining({ id: honest }));
    expect(verdict(await other.post(cancel("wl-honest-2"), undefined, CONTEXT))).toBe("428 approval-required");
  });

  test("leaves room again as proposals end, and a repeated request takes none", async () => {
    const box = await open();
    const agent = await box.as("agent");
    const ids: string[] = [];
    for (let index = 0; index < 50; index += 1) {
      ids.push(proposalOf(await agent.post(cancel(`wl-${index}`), undefined, CONTEXT)));
    }
    expect(verdict(await agent.post(cancel("wl-new"), undefined, CONTEXT))).toBe("429 rate-limited");
    expect(proposalOf(await agent.post(cancel("wl-0"), undefined, CONTEXT))).toBe(ids[0]);
    const reworded = await agent.post(cancel("wl-0"), undefined, { ...CONTEXT, "gate-reason": "another reason" });
    expect(proposalOf(reworded)).not.toBe(ids[0]);
    expect(verdict(await agent.delete(`/_gate/v1/approvals/${ids[1]}`))).toBe("200");
    expect(verdict(await agent.post(cancel("wl-new"), undefined, CONTEXT))).toBe("428 approval-required");
  });
});

describe("the context of a draft", () => {
  const hostile: readonly (readonly [string, object])[] = [
    ["a blank reason", { reason: "  ", evidence: "seen", back_out: "undo" }],
    ["a direction override", { reason: "cancel \u202e3-lw", evidence: "seen", back_out: "undo" }],
    ["a second line in the reason", { reason: "cancel\napproved by bob", evidence: "seen", back_out: "undo" }],
    ["a terminal escape in the evidence", { reason: "why", evidence: "\u001b[2Jall good", back_out: "undo" }],
    ["a blank back-out plan", { reason: "why", evidence: "seen", back_out: "\n\t" }],
    ["an incident that is no key", { reason: "why", evidence: "seen", back_out: "undo", incident: "x y" }],
  ];
  test.each(hostile)("is refused with %s", async (_, context) => {
    const box = await open();
    const agent = await box.as("agent");
    const id = proposalOf(await agent.post(SUBMIT, BIG));
    expect(verdict(await agent.put(`/_gate/v1/approvals/${id}/context`, context))).toBe("400 malformed-request");
    expect(text(await agent.get(`/_gate/v1/approvals/${id}`), "state")).toBe("draft");
  });

  test("may have lines where a header may, and the record names who wrote it", async () => {
    const box = await open();
    const [agent, dana, security] = await Promise.all([box.as("agent"), box.as("dana"), box.as("security")]);
    const id = proposalOf(await agent.post(SUBMIT, BIG));
    const completed = await dana.put(`/_gate/v1/approvals/${id}/context`, {
      reason: "why",
      evidence: "step 400\n\tloss nan",
      back_out: "1. cancel\n2. resubmit",
      incident: "INC-7",
    });
    expect(verdict(completed)).toBe("200");
    const requestId = completed.headers.get("gate-request-id") ?? "";
    await expect
      .poll(async () => list(await security.get(`/_gate/v1/audit?request_id=${requestId}`), "records"), {
        timeout: 10_000,
      })
      .toEqual([
        expect.objectContaining({
          kind: "proposal",
          approval_id: id,
          principal: "person:dana",
          principal_class: "person",
          reason: "why",
          incident: "INC-7",
        }),
      ]);
  });
});

test("a comment on a decision cannot rearrange the page it is shown on", async () => {
  const box = await open();
  const [agent, alice] = await Promise.all([box.as("agent"), box.as("alice")]);
  const id = proposalOf(await agent.post(SUBMIT, BIG, CONTEXT));
  const decision = { decision: "deny", comment: "\u2066approved\u2069" };
  expect(verdict(await alice.post(`/_gate/v1/approvals/${id}/decisions`, decision))).toBe("400 malformed-request");
  expect(member(await agent.get(`/_gate/v1/approvals/${id}`), "decisions")).toEqual([]);
});
