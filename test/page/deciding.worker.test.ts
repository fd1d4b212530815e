import { afterEach, describe, expect, test, vi } from "vitest";
import { openGate } from "../../src/gateway/gate.ts";
import { formToken } from "../../src/page/csrf.ts";
import { openSession } from "../../src/page/session.ts";
import { text, type Answered } from "../support/answer.ts";
import { ACME_PEOPLE, ACME_POLICY, replaceOnce, useBlackBox, type BlackBox } from "../support/black-box.ts";
import { ledgerRecords } from "../support/books.ts";
import { MINUTE_MS, moveClock } from "../support/clock.ts";
import { asked, cancelling, formOf, localIsolate, signedIn, stateOf } from "../support/page-box.ts";
import { hiddenFields, pageBrowser, readable, type From, type PageBrowser } from "../support/page-browser.ts";
import { decide, job, proposalOf, SUBMIT } from "../support/requests.ts";
import { testEnv } from "../support/test-env.ts";

const open = useBlackBox("page-forms");
const local = localIsolate();

afterEach(() => {
  vi.useRealTimers();
});

const show = async (box: BlackBox, approval: string): Promise<Answered> =>
  (await box.as("alice")).get(`/_gate/v1/approvals/${approval}`);
const pathOf = (approval: string): string => `/_gate/approvals/${approval}/decisions`;

/** A browser whose session a provider vouches for, as `sign-in.worker.test.ts` shows it come about. */
async function providerSession(box: BlackBox, authenticatedAt: number | null): Promise<PageBrowser> {
  const gate = await openGate({ ...testEnv, ENVIRONMENT: "local" });
  if (!gate.ok) throw new Error(gate.error.join("; "));
  const session = { tenant: box.tenant, subject: "person:alice", via: "oidc", authenticatedAt, demo: false } as const;
  const opened = await openSession(gate.value, session, null, Date.now());
  if (!opened.ok) throw new Error(opened.error);
  const browser = pageBrowser(local.entrance);
  browser.jar.set("__Host-portcullis", { value: opened.value.cookie, attributes: "SameSite=Strict" });
  return browser;
}

describe("a decision by form", () => {
  test("approves, leads back with a redirect, and is recorded with session and comment", async () => {
    const box = await open();
    const approval = await asked(box);
    const browser = await signedIn(local, box);
    const fields = await formOf(browser, approval);
    const posted = await browser.post(pathOf(approval), { ...fields, decision: "approve", comment: "seen\r\nthe log" });
    expect(posted.status).toBe(303);
    expect(posted.headers.get("location")).toBe(`/_gate/approvals/${approval}?recorded=approve`);
    const after = await browser.get(posted.headers.get("location") ?? "", "same-origin");
    expect(readable(after)).toContain("Your approval is recorded The proposal has all it needs");
    expect((await show(box, approval)).body).toMatchObject({
      state: "approved",
      decisions: [{ subject: "person:alice", decision: "approve", comment: "seen\nthe log", demo: true }],
    });
    const records = (await ledgerRecords(box.tenant)).filter(
      ({ kind, reason_code: code }) => kind === "decision" && code === "approve",
    );
    expect(records).toMatchObject([
      { principal: "person:alice", credential_id: expect.stringMatching(/^session:ses_/) },
    ]);
    expect((await (await box.as("agent")).post(SUBMIT, job({ gpus: 8 }))).status).toBe(201);
  });

  test("denies, without the name that an approval has to type", async () => {
    const box = await open();
    const { approval } = await cancelling(box);
    const browser = await signedIn(local, box, "person:bob");
    const posted = await browser.post(pathOf(approval), {
      ...(await formOf(browser, approval)),
      decision: "deny",
      comment: "",
    });
    expect(posted.status).toBe(303);
    expect(await stateOf(box, approval)).toBe("denied");
  });

  test.each([
    ["", "wl"],
    ["wl", "wl"],
    ["another", "wl"],
  ])("of tier 4 needs the name typed exactly, not %j", async (typed) => {
    const box = await open();
    const { approval, name } = await cancelling(box);
    const browser = await signedIn(local, box);
    const fields = { ...(await formOf(browser, approval)), decision: "approve", comment: "a <b>comment</b>" };
    const refused = await browser.post(pathOf(approval), { ...fields, confirm: typed });
    expect(refused.status).toBe(400);
    expect(readable(refused)).toContain("That is not the name. Nothing was decided.");
    // What was written is not lost, and the form is good to be sent again.
    expect(refused.text).toContain("a &lt;b&gt;comment&lt;/b&gt;</textarea>");
    expect(await stateOf(box, approval)).toBe("pending");
    const again = { ...hiddenFields(refused, pathOf(approval)), decision: "approve", comment: "", confirm: name };
    expect((await browser.post(pathOf(approval), again)).status).toBe(303);
    expect((await show(box, approval)).body).toMatchObject({ given: 1, needed: 2, state: "pending" });
  });

  test("sent twice is one decision", async () => {
    const box = await open();
    const { approval, name } = await cancelling(box);
    const browser = await signedIn(local, box);
    const fields = { ...(await formOf(browser, approval)), decision: "approve", comment: "", confirm: name };
    const answers = await Promise.all([1, 2, 3].map(() => browser.post(pathOf(approval), fields)));
    expect(answers.map(({ status }) => status)).toEqual([303, 303, 303]);
    expect((await show(box, approval)).body).toMatchObject({ given: 1, state: "pending" });
  });

  test("comes too late for one that somebody has denied, and the page says so", async () => {
    const box = await open();
    const approval = await asked(box);
    const browser = await signedIn(local, box);
    const fields = { ...(await formOf(browser, approval)), decision: "approve", comment: "" };
    await decide(box, approval, ["bob"], "deny");
    const late = await browser.post(pathOf(approval), fields);
    expect(late.status).toBe(409);
    expect(readable(late)).toContain("Already decided The proposal is denied.");
    expect(late.text).not.toContain("<textarea");
  });

  test.each([
    ["no decision", { decision: "" }, "Press one of the buttons."],
    ["an unknown decision", { decision: "approve-all" }, "Press one of the buttons."],
    ["a comment that cannot be shown", { decision: "deny", comment: "a\u202eb" }, "characters that cannot be shown"],
    ["a comment that is too long", { decision: "deny", comment: "x".repeat(1_025) }, "at most 1024 characters"],
    ["a broken glass without a word", { decision: "break-glass", comment: " " }, "needs a comment that says why"],
  ])("with %s decides nothing and says what is wrong", async (_name, change, expected) => {
    const box = await open();
    const approval = await asked(box);
    const browser = await signedIn(local, box);
    const refused = await browser.post(pathOf(approval), {
      ...(await formOf(browser, approval)),
      comment: "",
      ...change,
    });
    expect(refused.status).toBe(400);
    expect(readable(refused)).toContain(expected);
    expect(await stateOf(box, approval)).toBe("pending");
  });
});

/** WEB-01. Each way of not being a form that the gate rendered for this session and this proposal. */
describe("a forged form", () => {
  type Attack = {
    readonly name: string;
    readonly change?: (fields: Record<string, string>) => Record<string, string> | string;
    readonly from?: From;
    readonly headers?: Readonly<Record<string, string>>;
    readonly status?: number;
  };
  const attacks: readonly Attack[] = [
    { name: "without a token", change: ({ token: _token, ...rest }) => rest },
    { name: "with an empty token", change: (fields) => ({ ...fields, token: "" }) },
    { name: "with a token of the right length", change: (fields) => ({ ...fields, token: "A".repeat(43) }) },
    { name: "with a changed last character", change: (f) => ({ ...f, token: `${f["token"]?.slice(0, -1)}~` }) },
    { name: "with another digest", change: (fields) => ({ ...fields, digest: `sha256:${"0".repeat(64)}` }) },
    { name: "without a digest", change: ({ digest: _digest, ...rest }) => rest },
    { name: "from another site", from: "cross-site", status: 401 },
    { name: "from another site, with the browser's cookies", from: "same-site" },
    { name: "from the address bar", from: "none" },
    { name: "from a client that says nothing of where", from: null },
    { name: "with another site's Origin", headers: { origin: "https://evil.example" } },
    { name: "with the Origin of plain http", headers: { origin: "http://gate.example" } },
    { name: "with a field that no form has", change: (fields) => ({ ...fields, subject: "person:bob" }), status: 400 },
    {
      name: "with a field twice",
      change: (fields) => `${new URLSearchParams(fields).toString()}&decision=approve`,
      status: 400,
    },
    { name: "with a bad encoding", change: (f) => `${new URLSearchParams(f).toString()}&comment=%ff`, status: 400 },
    { name: "as text", headers: { "content-type": "text/plain" }, status: 400 },
    { name: "as JSON", headers: { "content-type": "application/json" }, status: 400 },
    { name: "as multipart", headers: { "content-type": "multipart/form-data; boundary=x" }, status: 400 },
    { name: "without a type", headers: { "content-type": "" }, status: 400 },
    {
      name: "with the method overridden",
      headers: { "x-http-method-override": "POST" },
      status: 400,
    },
    { name: "that is too large", change: (fields) => ({ ...fields, comment: "x".repeat(20_000) }), status: 413 },
  ];

  test.each(attacks)(
    "$name is refused, and decides nothing",
    async ({ change, from = "same-origin", headers, status = 403 }) => {
      const box = await open();
      const approval = await asked(box);
      const browser = await signedIn(local, box);
      const fields = { ...(await formOf(browser, approval)), decision: "approve" };
      const refused = await browser.post(pathOf(approval), change?.(fields) ?? fields, from, headers ?? {});
      expect(refused.status).toBe(from === "cross-site" ? 403 : status);
      expect(refused.headers.get("content-type")).toBe("text/html; charset=utf-8");
      expect(await stateOf(box, approval)).toBe("pending");
      // The same form, unforged, is good.
      expect((await browser.post(pathOf(approval), { ...fields, comment: "" })).status).toBe(303);
      expect(await stateOf(box, approval)).toBe("approved");
    },
  );

  test.each([
    ["another proposal", async (box: BlackBox) => ({ other: await asked(box, job({ gpus: 9 })) })],
    ["another person's session", async (_box: BlackBox) => ({ subject: "person:bob" })],
    ["another session of the same person", async (_box: BlackBox) => ({ subject: "person:alice" })],
  ])("made for %s is refused, and on record", async (_name, variant) => {
    const box = await open();
    const approval = await asked(box);
    const { other = approval, subject = null } = (await variant(box)) as { other?: string; subject?: string };
    const victim = await signedIn(local, box);
    const attacker = subject === null ? victim : await signedIn(local, box, subject);
    const fields = { ...(await formOf(attacker, other)), decision: "approve", comment: "" };
    const refused = await victim.post(pathOf(approval), fields);
    expect(refused.status).toBe(403);
    expect(readable(refused)).toContain("another sign-in or another proposal");
    expect(await stateOf(box, approval)).toBe("pending");
    const security = await box.as("security");
    await expect
      .poll(async () => (await security.get("/_gate/v1/audit?principal=person:alice&decision=refuse")).body, {
        timeout: 10_000,
      })
      .toMatchObject({
        records: [{ reason_code: "not-eligible", detail: expect.stringContaining("did not come from a form") }],
      });
  });

  test("of another tenant's approver is no form of this one", async () => {
    const [box, other] = [await open(), await open()];
    const [mine, theirs] = [await asked(box), await asked(other)];
    const stranger = await signedIn(local, other);
    const fields = { ...(await formOf(stranger, theirs)), decision: "approve", comment: "" };
    expect((await stranger.post(pathOf(mine), fields)).status).toBe(403);
    expect(await stateOf(box, mine)).toBe("pending");
  });

  test("sent after the session ended finds nobody signed in", async () => {
    const box = await open();
    const approval = await asked(box);
    const browser = await signedIn(local, box);
    const fields = { ...(await formOf(browser, approval)), decision: "approve", comment: "" };
    browser.jar.clear();
    const refused = await browser.post(pathOf(approval), fields);
    expect(refused.status).toBe(401);
    expect(readable(refused)).toContain("You are not signed in any more. Nothing was decided.");
    expect(await stateOf(box, approval)).toBe("pending");
  });
});

test("a standing approval says that it is one, and how much it lets pass", async () => {
  const box = await open();
  const asking = await (
    await box.as("dana")
  ).post("/_gate/v1/standing-approvals", {
    action: "workloads.submit",
    pins: { max_gpus: 8, gpu_type: "H100" },
    uses: 3,
    cap_usd: 100,
    expires_at: new Date(Date.now() + 60 * MINUTE_MS).toISOString(),
    reason: "weekly retraining",
  });
  const approval = text(asking, "id");
  const browser = await signedIn(local, box);
  const page = await browser.get(`/_gate/approvals/${approval}`, "same-origin");
  for (const expected of [
    "Standing approval: Submit job",
    "3 requests of this action, 0 of them made",
    "together at most 100.00 USD",
    "by credentials that person:dana answers for",
    "max_gpus: 8",
    "You approve every request within these limits; nobody is asked again.",
  ]) {
    expect(readable(page)).toContain(expected);
  }
  const fields = { ...hiddenFields(page, pathOf(approval)), decision: "approve", comment: "" };
  const posted = await browser.post(pathOf(approval), fields);
  expect(posted.status).toBe(303);
  const after = await browser.get(posted.headers.get("location") ?? "", "same-origin");
  expect(readable(after)).toContain("Requests within its limits run without being asked about again.");
  expect(readable(await browser.get("/_gate/approvals"))).toContain("Standing approval: Submit job");
});

/** APR-12: what was approved is what was shown. */
test("a proposal that changed since it was shown is shown again, and nothing is decided", async () => {
  const box = await open();
  const agent = await box.as("agent");
  const approval = proposalOf(await agent.post(SUBMIT, job({ gpus: 8 })));
  const browser = await signedIn(local, box);
  const gate = await openGate({ ...testEnv, ENVIRONMENT: "local" });
  if (!gate.ok) throw new Error("no gate");
  // The form of the draft's page, had it one: its digest is the draft's.
  const before = text(await show(box, approval), "approval_digest");
  const page = await browser.get(`/_gate/approvals/${approval}`, "same-origin");
  expect(page.text).not.toContain("<textarea");
  const context = { reason: "more GPUs", evidence: "queue is empty", back_out: "cancel it" };
  expect((await agent.put(`/_gate/v1/approvals/${approval}/context`, context)).status).toBe(200);
  const cookie = browser.jar.get("__Host-portcullis")?.value ?? "";
  const sessionId = await sessionOf(cookie);
  const token = formToken(gate.value.keys.sealing, {
    sessionId,
    tenant: box.tenant,
    act: "decide",
    proposal: { id: approval, digest: before },
  });
  const posted = await browser.post(pathOf(approval), { token, digest: before, decision: "approve", comment: "" });
  expect(posted.status).toBe(409);
  expect(readable(posted)).toContain("The proposal changed since you read it");
  expect(readable(posted)).toContain("more GPUs");
  expect(await stateOf(box, approval)).toBe("pending");
  const fresh = { ...hiddenFields(posted, pathOf(approval)), decision: "approve", comment: "" };
  expect((await browser.post(pathOf(approval), fresh)).status).toBe(303);
});

/** The id of the only session that is open for this cookie's person. */
async function sessionOf(cookie: string): Promise<string> {
  const found = await testEnv.DB.prepare(
    "SELECT id FROM sign_ins WHERE kind = 'session' ORDER BY rowid DESC LIMIT 1",
  ).first("id");
  if (cookie === "" || typeof found !== "string") throw new Error("no session");
  return found;
}

test("who is no approver any more when the form arrives is refused by the ledger, which records it", async () => {
  const box = await open();
  const approval = await asked(box);
  const browser = await signedIn(local, box);
  const fields = { ...(await formOf(browser, approval)), decision: "approve", comment: "" };
  const policy = replaceOnce(
    ACME_POLICY,
    'tier_4_approvers: ["@alice", "@bob"]',
    'tier_4_approvers: ["@bob", "@carol"]\n  break_glass: { role: glass, max_usd: 100 }',
  );
  const people = replaceOnce(ACME_PEOPLE, "subject: person:alice\n", "subject: person:alice\n    roles: [glass]\n");
  await (await box.as("operator")).post("/_gate/v1/policy/versions", { policy, people, reason: "rota" });
  expect((await (await box.as("security")).post("/_gate/v1/policy/activate", { version: 2 })).status).toBe(200);
  const refused = await browser.post(pathOf(approval), fields);
  expect(refused.status).toBe(403);
  expect(readable(refused)).toContain("This person is not an approver of this tier.");
  const records = (await ledgerRecords(box.tenant)).filter(({ reason_code: code }) => code === "not-eligible");
  expect(records).toMatchObject([{ kind: "decision", principal: "person:alice", approval_id: approval }]);
});

describe("breaking the glass", () => {
  const policy = replaceOnce(
    ACME_POLICY,
    'tier_4_approvers: ["@alice", "@bob"]',
    'tier_4_approvers: ["@alice", "@bob"]\n  break_glass: { role: glass, max_usd: 100 }',
  );
  const people = replaceOnce(ACME_PEOPLE, "subject: person:carol\n", "subject: person:carol\n    roles: [glass]\n");

  test("is offered to whoever holds the role and to nobody else, and its word alone suffices", async () => {
    const box = await open({ policy, people });
    const { approval, name } = await cancelling(box);
    const alice = await (await signedIn(local, box)).get(`/_gate/approvals/${approval}`);
    expect(alice.text).not.toContain("break-glass");
    const carol = await signedIn(local, box, "person:carol");
    const page = await carol.get(`/_gate/approvals/${approval}`, "same-origin");
    expect(page.text).toContain('value="break-glass"');
    expect(page.text).not.toContain('value="approve"');
    const fields = { ...hiddenFields(page, pathOf(approval)), decision: "break-glass", confirm: name };
    expect((await carol.post(pathOf(approval), { ...fields, comment: "" })).status).toBe(400);
    expect((await carol.post(pathOf(approval), { ...fields, comment: "nobody answers" })).status).toBe(303);
    expect((await show(box, approval)).body).toMatchObject({ state: "approved" });
    const after = await carol.get(`/_gate/approvals/${approval}?recorded=break-glass`, "same-origin");
    expect(readable(after)).toContain("You broke the glass");
    expect(readable(after)).toContain("Review of the broken glass");
  });
});

describe("the fresh sign-in of tier 4", () => {
  test("a session of the last five minutes approves", async () => {
    const box = await open();
    const { approval, name } = await cancelling(box);
    const browser = await providerSession(box, Date.now() - 4 * MINUTE_MS);
    const fields = { ...(await formOf(browser, approval)), decision: "approve", comment: "", confirm: name };
    expect((await browser.post(pathOf(approval), fields)).status).toBe(303);
    expect((await show(box, approval)).body).toMatchObject({ decisions: [{ demo: false }] });
  });

  test.each([
    ["older", 6 * MINUTE_MS, "Yours is older."],
    ["undated", null, "yours does not say when it was."],
  ])(
    "an %s one is not offered to approve, denies all the same, and is refused if it tries",
    async (_name, age, expected) => {
      const box = await open();
      const { approval, name } = await cancelling(box);
      const browser = await providerSession(box, age === null ? null : Date.now() - age);
      const shown = await browser.get(`/_gate/approvals/${approval}`, "same-origin");
      expect(readable(shown)).toContain(expected);
      expect(shown.text).not.toContain('value="approve"');
      const fields = hiddenFields(shown, pathOf(approval));
      const refused = await browser.post(pathOf(approval), {
        ...fields,
        decision: "approve",
        comment: "",
        confirm: name,
      });
      expect(refused.status).toBe(403);
      expect(await stateOf(box, approval)).toBe("pending");
      expect((await browser.post(pathOf(approval), { ...fields, decision: "deny", comment: "" })).status).toBe(303);
      expect(await stateOf(box, approval)).toBe("denied");
    },
  );

  test("one that grew old while the page was open is refused", async () => {
    const box = await open();
    const { approval, name } = await cancelling(box);
    const browser = await providerSession(box, Date.now());
    const fields = { ...(await formOf(browser, approval)), decision: "approve", comment: "", confirm: name };
    moveClock(5 * MINUTE_MS + 1_000);
    const refused = await browser.post(pathOf(approval), fields);
    expect(refused.status).toBe(403);
    expect(readable(refused)).toContain("sign in again");
  });

  test("tier 3 does not ask for one", async () => {
    const box = await open();
    const approval = await asked(box);
    const browser = await providerSession(box, null);
    const fields = { ...(await formOf(browser, approval)), decision: "approve", comment: "" };
    expect((await browser.post(pathOf(approval), fields)).status).toBe(303);
  });
});
