import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { leafHash, rangeRoot, tilesOf } from "../../src/audit/merkle.ts";
import { toBase64 } from "../../src/platform/base64.ts";
import { canonical, type Json } from "../support/independent-checker/canonical.ts";
import { merkleRoot } from "../support/independent-checker/chain.ts";
import { replay } from "../support/independent-checker/check.ts";

type Members = { readonly [name: string]: Json };

const NOTHING: Members = {
  version: 1,
  tenant: "acme",
  log: "ledger",
  time: "2026-11-20T08:00:00.000Z",
  principal: null,
  principal_class: null,
  owner: null,
  credential_id: null,
  action: null,
  tier: null,
  decision: null,
  reason_code: null,
  detail: null,
  cost_micros: null,
  request_digest: null,
  approval_id: null,
  approvers: [],
  reservation: null,
  outcome: null,
};
const AGENT: Members = {
  principal: "agent:trainer",
  principal_class: "agent",
  owner: "person:dana",
  credential_id: "key_1",
  action: "workloads.submit",
  tier: 4,
  request_digest: "sha256:1",
  cost_micros: 100,
};
const WINDOWS = { daily: "2026-11-20", monthly: "2026-11" };
const held = (id: string): Members => ({ id, state: "held", ...WINDOWS, held_micros: 100 });
const decision = (name: string, over: Members = {}): Members => ({
  kind: "decision",
  request_id: `req_${name}`,
  principal: `person:${name}`,
  principal_class: "person",
  approval_id: "apr_1",
  reason_code: "approve",
  ...over,
});
const intent: Members = {
  ...AGENT,
  kind: "intent",
  request_id: "req_run",
  decision: "allow",
  approval_id: "apr_1",
  approvers: ["person:alice", "person:bob"],
  reservation: { id: "req_run", state: "dispatching", ...WINDOWS, held_micros: 100 },
  outcome: "dispatching",
};
const outcome: Members = {
  ...intent,
  kind: "outcome",
  reservation: { id: "req_run", state: "settled", ...WINDOWS, held_micros: 0, settled_micros: 90 },
  outcome: "succeeded",
};

/** One request at tier 4: asked for by an agent whose key the operator made, approved by two, run, settled. */
const STORY: readonly Members[] = [
  {
    kind: "admin",
    request_id: "req_key",
    principal: "person:olga",
    reason_code: "credential-created",
    detail: "key_1 for agent:trainer",
  },
  {
    ...AGENT,
    kind: "proposal",
    request_id: "req_ask",
    reason_code: "opened",
    approval_id: "apr_1",
    reservation: held("apr_1"),
  },
  decision("alice"),
  decision("bob"),
  decision("bob", { reason_code: "approved", approvers: ["person:alice", "person:bob"] }),
  intent,
  outcome,
];
const [KEY, OPENED, ALICE, BOB, APPROVED, INTENT, OUTCOME] = [0, 1, 2, 3, 4, 5, 6];

/** The proposal, taken back: what it held is free again. */
const ENDING: Members = {
  ...AGENT,
  kind: "proposal",
  request_id: "req_ask",
  reason_code: "withdrawn",
  approval_id: "apr_1",
  reservation: { id: "apr_1", state: "released", ...WINDOWS, held_micros: 0, settled_micros: 0 },
};

/** The lines of a log with these records, its chain right: only what they say is judged. */
function linesOf(records: readonly Members[]): readonly string[] {
  let previous = `sha256:${"0".repeat(64)}`;
  return records.map((record, index) => {
    const unhashed = { ...NOTHING, ...record, sequence: index + 1, previous_hash: previous };
    previous = `sha256:${createHash("sha256")
      .update(`portcullis/audit/v1\n${canonical(unhashed)}`)
      .digest("hex")}`;
    return canonical({ ...unhashed, hash: previous });
  });
}
const replayed = (records: readonly Members[]) => replay("acme", new Map([["ledger", linesOf(records)]]));
const problemsOf = (records: readonly Members[]): string => replayed(records).problems.join("\n");
const changed = (at: number, over: Members): readonly Members[] => STORY.with(at, { ...STORY[at], ...over });

test("records that keep every rule are found to", () => {
  const { problems, money, effects } = replayed(STORY);
  expect(problems).toEqual([]);
  expect(Object.fromEntries(money)).toEqual({
    "2026-11-20": { held: 0, settled: 90 },
    "2026-11": { held: 0, settled: 90 },
  });
  expect(effects.states.get("req_run")).toBe("succeeded");
});

test("what is open counts as held", () => {
  expect(replayed(STORY.slice(0, INTENT)).money.get("2026-11-20")).toEqual({ held: 100, settled: 0 });
  expect(replayed([...STORY.slice(0, INTENT), ENDING]).money.get("2026-11-20")).toEqual({ held: 0, settled: 0 });
  const dispatching = replayed(STORY.slice(0, OUTCOME));
  expect(dispatching.money.get("2026-11")).toEqual({ held: 100, settled: 0 });
  expect(dispatching.effects.states.get("req_run")).toBe("dispatching");
});

describe("broken rules are named:", () => {
  test.each([
    [
      "an outcome without intent",
      STORY.toSpliced(INTENT, 1),
      "ledger/6 is the outcome of req_run, which has no intent before it",
    ],
    ["an outcome before its intent", STORY.with(INTENT, outcome).with(OUTCOME, intent), "has no intent before it"],
    ["two outcomes", [...STORY, outcome], "is a second outcome of req_run"],
    ["two intents", STORY.toSpliced(INTENT, 0, intent), "is a second intent of req_run"],
    ["an intent of what was refused", changed(INTENT, { decision: "refuse" }), "of what was not allowed"],
    ["an intent at tier 5", changed(INTENT, { tier: 5 }), "is an intent at tier 5"],
    [
      "an outcome about another request",
      changed(OUTCOME, { request_digest: "sha256:2" }),
      "another request_digest than its intent",
    ],
    ["no approval", changed(INTENT, { approval_id: null, approvers: [] }), "at tier 4 ran without an approval"],
    ["one person at tier 4", changed(INTENT, { approvers: ["person:alice"] }), "at tier 4 ran on the word of 1"],
    ["one person twice", changed(INTENT, { approvers: ["person:alice", "person:alice"] }), "names an approver twice"],
    ["somebody who said nothing", STORY.toSpliced(BOB, 1), "names person:bob, who did not approve apr_1 before"],
    ["somebody who said no", changed(BOB, { reason_code: "deny" }), "names person:bob, who did not approve"],
    ["a decision on another proposal", changed(BOB, { approval_id: "apr_2" }), "is about apr_2, which nobody opened"],
    [
      "a decision after the run",
      [...STORY.toSpliced(BOB, 1), decision("bob")],
      "names person:bob, who did not approve",
    ],
    ["an agent that decides", changed(ALICE, { principal_class: "agent" }), "is a decision of person:alice, a agent"],
    [
      "the owner among the approvers",
      changed(OPENED, { owner: "person:bob" }).with(INTENT, { ...intent, owner: "person:bob" }),
      "person:bob approved a request of a credential of theirs",
    ],
    [
      "whoever made the credential",
      changed(KEY, { principal: "person:alice" }),
      "person:alice approved a request of a credential that they made",
    ],
    ["an approval that was never granted", STORY.toSpliced(APPROVED, 1), "ran on apr_1, which was not granted"],
    ["an approval that had ended", STORY.toSpliced(INTENT, 0, ENDING), "ran on apr_1, which was withdrawn"],
    ["a grant used twice", [...STORY, { ...intent, request_id: "req_again" }], "is use 2 of a grant"],
    [
      "a grant for another request",
      changed(OPENED, { request_digest: "sha256:2" }),
      "has another request_digest than what was approved",
    ],
    [
      "a grant of somebody else",
      changed(OPENED, { principal: "agent:sweeper" }),
      "has another principal than what was approved",
    ],
    ["money that no intent reserved", changed(INTENT, { reservation: null }), "has money that no intent reserved"],
    ["a hold that is not the cost", changed(INTENT, { cost_micros: 99 }), "holds 100 for 99"],
    [
      "a hold that grows",
      changed(OUTCOME, {
        reservation: { id: "req_run", state: "committed", ...WINDOWS, held_micros: 101, settled_micros: null },
      }),
      "holds more than before",
    ],
    [
      "money that moves to another day",
      changed(OUTCOME, {
        reservation: {
          id: "req_run",
          state: "settled",
          daily: "2026-11-21",
          monthly: "2026-11",
          held_micros: 0,
          settled_micros: 90,
        },
      }),
      "moved to other windows",
    ],
    [
      "a release that cost something",
      changed(OUTCOME, {
        reservation: { id: "req_run", state: "released", ...WINDOWS, held_micros: 0, settled_micros: 1 },
      }),
      "gave its money back and cost something",
    ],
    ["a proposal that holds nothing", changed(OPENED, { reservation: null }), "ledger/2 says nothing of its money"],
    [
      "a proposal that holds less than it costs",
      changed(OPENED, { reservation: { id: "apr_1", state: "held", ...WINDOWS, held_micros: 99 } }),
      "holds 99 for 100",
    ],
    [
      "a proposal with another one's money",
      changed(OPENED, { reservation: { id: "apr_2", state: "held", ...WINDOWS, held_micros: 100 } }),
      "is about apr_1 and has the money of apr_2",
    ],
    [
      "a proposal that ends and keeps its money",
      STORY.toSpliced(INTENT, 0, { ...ENDING, reservation: held("apr_1") }),
      "is withdrawn, and its money is held",
    ],
    [
      "a proposal that ends without a word about its money",
      STORY.toSpliced(INTENT, 0, { ...ENDING, reservation: null }),
      "says nothing of what its proposal holds",
    ],
    ["a grant whose money is free", STORY.toSpliced(INTENT, 0, ENDING), "ran on apr_1, which holds no money"],
    ["a write that holds as a proposal does", changed(INTENT, { reservation: held("req_run") }), "holds money as one"],
    ["a record of another tenant", changed(KEY, { tenant: "globex" }), "is of tenant globex"],
  ])("%s", (_, records, named) => {
    expect(problemsOf(records)).toContain(named);
  });

  test("breaking the glass stands for the missing people", () => {
    const glass = STORY.toSpliced(ALICE, 1)
      .with(BOB - 1, decision("bob", { kind: "break-glass", reason_code: "break-glass" }))
      .with(APPROVED - 1, decision("bob", { kind: "break-glass", reason_code: "approved", approvers: ["person:bob"] }))
      .map((record) =>
        record["kind"] === "intent" || record["kind"] === "outcome" ? { ...record, approvers: ["person:bob"] } : record,
      );
    expect(problemsOf(glass)).toBe("");
  });

  test.each([
    ["more uses than granted", "1 uses, 9 USD, until 2026-12-01T00:00:00.000Z", 900, "is use 2 of 1"],
    ["more money than granted", "2 uses, 9 USD, until 2026-12-01T00:00:00.000Z", 150, "to 200 micro-USD"],
    ["a use after its end", "2 uses, 9 USD, until 2026-11-19T00:00:00.000Z", 900, "comes after the end"],
    ["nothing", "2 uses, 9 USD, until 2026-12-01T00:00:00.000Z", 900, ""],
  ])("of a standing approval, %s", (_, terms, cap, named) => {
    const use = { ...intent, reason_code: "standing-approval" };
    const again = {
      ...use,
      request_id: "req_2",
      reservation: { id: "req_2", state: "dispatching", ...WINDOWS, held_micros: 100 },
    };
    const ask = {
      reservation: null,
      principal: "person:dana",
      owner: "person:dana",
      cost_micros: cap,
      detail: `standing approval: ${terms}`,
    };
    const problems = problemsOf([...changed(OPENED, ask).slice(0, INTENT), use, again]);
    if (named === "") expect(problems).toBe("");
    else expect(problems).toContain(named);
  });
});

const check = (other: readonly string[]): string => replay("acme", new Map([["ledger", other]])).problems.join("\n");

test("a text that was not hashed, a chain that is broken and a place that is not its own are named", () => {
  const lines = linesOf(STORY);
  expect(check(lines.with(ALICE, (lines[ALICE] ?? "").replace("person:alice", "person:carol")))).toContain(
    "ledger/3 has another hash",
  );
  expect(check(lines.toSpliced(ALICE, 1))).toContain("ledger/3 says that it is number 4");
  expect(check(lines.toSpliced(ALICE, 1))).toContain("ledger/3 is not chained");
  expect(check(lines.with(ALICE, `${lines[ALICE]} `))).toContain("ledger/3 is not canonical");
});

test("RFC 8785: the order of members and the text of numbers of its own example (3.2.3, 3.2.2)", () => {
  expect(
    canonical({
      numbers: [Number("333333333.33333329"), 1e30, 4.5, 2e-3, 1e-27],
      string: '€$\u000f\nA\'B"\\\\"/',
      literals: [null, true, false],
    }),
  ).toBe(
    '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}',
  );
  expect(canonical({ "\u20ac": 1, "\r": 2, "\ufb33": 3, "1": 4, "\ud83d\ude00": 5, "\u0080": 6, "\u00f6": 7 })).toBe(
    '{"\\r":2,"1":4,"\u0080":6,"ö":7,"€":1,"😀":5,"\ufb33":3}',
  );
});

test("RFC 9162: roots by its own recursion are those of the trees that the gate keeps", () => {
  for (const size of [0, 1, 2, 3, 7, 8, 9, 33]) {
    const lines = Array.from({ length: size }, (_, index) => `line ${index}`);
    const leaves = lines.map((line) => leafHash(new TextEncoder().encode(line)));
    expect(merkleRoot(lines), `${size} leaves`).toBe(toBase64(rangeRoot(tilesOf(leaves), 0, size)));
  }
});

/** What retention leaves of a record. */
const remains = (line: string): string => {
  const { log, sequence, hash }: { [name: string]: Json } = JSON.parse(line);
  const leaf = toBase64(leafHash(new TextEncoder().encode(line)));
  return canonical({
    deleted: true,
    hash: hash ?? null,
    leaf_hash: leaf,
    log: log ?? null,
    sequence: sequence ?? null,
  });
};
const problemsIn = (lines: readonly string[]): readonly string[] =>
  replay("acme", new Map([["ledger", lines]])).problems;

describe("records without text:", () => {
  const LINES = linesOf(STORY);
  const digestOver = (lines: readonly string[]): string => {
    let digest = `sha256:${"0".repeat(64)}`;
    for (const line of lines) {
      const left: { sequence: number; hash: string; leaf_hash: string } = JSON.parse(remains(line));
      const text = `portcullis/audit-deleted/v1\n${digest}\n${left.sequence} ${left.hash} ${left.leaf_hash}`;
      digest = `sha256:${createHash("sha256").update(text).digest("hex")}`;
    }
    return digest;
  };
  const stating = (logs: readonly string[]): readonly string[] =>
    linesOf([
      ...STORY,
      { kind: "admin", request_id: "req_r", principal_class: "gate", reason_code: "audit-retention", facts: { logs } },
    ]);
  const cut = (lines: readonly string[], count: number): readonly string[] =>
    lines.map((line, index) => (index < count ? remains(line) : line));
  test("the first ones, which a record says go, are none of a story any more", () => {
    const lines = cut(stating([`ledger 3 ${digestOver(LINES.slice(0, 3))}`]), 3);
    expect(replay("acme", new Map([["ledger", lines]]))).toMatchObject({ problems: [], isWhole: false });
    expect(merkleRoot(lines)).toBe(merkleRoot(stating([`ledger 3 ${digestOver(LINES.slice(0, 3))}`])));
  });

  test.each([
    ["more than that", cut(stating([`ledger 3 ${digestOver(LINES.slice(0, 3))}`]), 4), "ledger/4 has lost its text"],
    ["no such record", cut(LINES, 2), "ledger/2 has lost its text, and no record says that retention took it"],
    ["in the middle", LINES.with(3, remains(LINES[3] ?? "")), "ledger/4 has lost its text, and one before it has not"],
    ["another digest", cut(stating([`ledger 3 ${digestOver(LINES.slice(0, 2))}`]), 3), "are not what the record"],
  ])("%s", (_, lines, named) => {
    expect(problemsIn(lines).join("\n")).toContain(named);
  });
});
