import { describe, expect, test } from "vitest";
import { PAGE_ROUTES } from "../../src/page/routes.ts";
import { text, verdict } from "../support/answer.ts";
import { useBlackBox } from "../support/black-box.ts";
import { ledgerRecords } from "../support/books.ts";
import { asked, linkFor, localIsolate, signedIn, stateOf } from "../support/page-box.ts";
import { pageBrowser, readable } from "../support/page-browser.ts";
import { CONTEXT, decide, job, proposalOf, submit } from "../support/requests.ts";

const open = useBlackBox("page");
const local = localIsolate();

/** Whatever a session may do, without one it is nobody's. */
describe("somebody who is not signed in", () => {
  test("is shown where to sign in, and nothing of the proposal", async () => {
    const box = await open();
    const approval = await asked(box);
    const page = await pageBrowser(local.entrance).get(`/_gate/approvals/${approval}`);
    expect(page.status).toBe(401);
    expect(readable(page)).toContain("Sign in to see this");
    expect(page.text).not.toContain("workloads.submit");
    expect(page.text).not.toContain(box.tenant);
  });

  test("is not told whether a proposal exists", async () => {
    const box = await open();
    const [there, absent] = [await asked(box), "apr_0123456789abcdefghjkmnpqrs"];
    const browser = pageBrowser(local.entrance);
    const [one, other] = [
      await browser.get(`/_gate/approvals/${there}`),
      await browser.get(`/_gate/approvals/${absent}`),
    ];
    expect(one.text.replaceAll(there, "")).toBe(other.text.replaceAll(absent, ""));
  });

  test("who comes from another site is sent to the same page once more, so that the session comes along", async () => {
    const box = await open();
    const approval = await asked(box);
    const browser = await signedIn(local, box);
    const first = await browser.get(`/_gate/approvals/${approval}`, "cross-site");
    expect(first.text).toContain(`<meta http-equiv="refresh" content="0; url=/_gate/approvals/${approval}" />`);
    expect(first.text).not.toContain("workloads.submit");
    const second = await browser.get(`/_gate/approvals/${approval}`, "same-origin");
    expect(readable(second)).toContain("What the gate knows");
    // Without a session there is no second time round.
    expect((await pageBrowser(local.entrance).get("/_gate/approvals", "same-origin")).status).toBe(401);
  });
});

describe("who sees a proposal", () => {
  test.each([
    ["person:alice", 200],
    ["person:bob", 200],
    ["person:dana", 200],
    ["person:carol", 404],
    ["person:security", 404],
  ])("%s: %i", async (subject, status) => {
    const box = await open();
    const approval = await asked(box);
    const browser = await signedIn(local, box, subject);
    const page = await browser.get(`/_gate/approvals/${approval}`);
    expect(page.status).toBe(status);
    const list = await browser.get("/_gate/approvals");
    expect(list.text.includes(approval)).toBe(status === 200);
  });

  test("another tenant's approver gets the answer that an absent one gets", async () => {
    const [box, other] = [await open(), await open()];
    const approval = await asked(box);
    const browser = await signedIn(local, other);
    const absent = "apr_0123456789abcdefghjkmnpqrs";
    const [foreign, none] = [
      await browser.get(`/_gate/approvals/${approval}`),
      await browser.get(`/_gate/approvals/${absent}`),
    ];
    expect(foreign.status).toBe(404);
    expect(foreign.text.replaceAll(approval, "")).toBe(none.text.replaceAll(absent, ""));
    expect((await browser.get("/_gate/approvals")).text).not.toContain(approval);
  });

  test("what waits for a person is told from what they decided and from what they asked for", async () => {
    const box = await open();
    const [waiting, mine] = [await asked(box), await asked(box, job({ gpus: 9 }))];
    await decide(box, mine, ["alice"], "deny");
    const list = await (await signedIn(local, box)).get("/_gate/approvals");
    const [, after = ""] = list.text.split("Waiting for you");
    const [first = "", rest = ""] = after.split("Decided or ended lately");
    expect(first).toContain(waiting);
    expect(first).not.toContain(mine);
    expect(rest).toContain(mine);
    const owner = await (await signedIn(local, box, "person:dana")).get("/_gate/approvals");
    expect(readable(owner)).toContain("Nothing waits for you.");
    expect(owner.text).toContain(waiting);
  });
});

test("the page shows the request as it will be sent, who asks, who decides, the price, and what is affected", async () => {
  const box = await open();
  const agent = await box.as("agent");
  const workload = text(await submit(agent, job()), "id");
  const cancel = `/v1/workloads/${workload}/cancel`;
  const approval = proposalOf(await agent.post(cancel, {}, { ...CONTEXT, "gate-incident": "INC-7" }));
  await decide(box, approval, ["alice"]);
  const page = await (await signedIn(local, box, "person:bob")).get(`/_gate/approvals/${approval}`);
  const read = readable(page);
  for (const expected of [
    `Cancel job ${workload}`,
    "1 of 2 approvals",
    `POST ${cancel}`,
    "Tier 4, destructive by rule allowed_tools.tier_4[0] workloads.cancel",
    "agent:trainer , for whom person:dana answers",
    "@alice, @bob",
    "Approved by @alice",
    "(4 GPUs, ",
    "INC-7",
    "loss diverged at step 400",
    `To approve, type ${workload}`,
  ]) {
    expect(read).toContain(expected);
  }
  expect(read.indexOf("Request as it will be sent")).toBeLessThan(read.indexOf("Not checked by the gate"));
  expect(read.indexOf("Not checked by the gate")).toBeLessThan(read.indexOf("nightly training"));
});

test("evidence that was uploaded before is read to the person who decides", async () => {
  const box = await open();
  const agent = await box.as("agent");
  const stored = await agent.post("/_gate/v1/evidence", { evidence: "line 1 <b>bold</b>\nline 2" });
  const approval = await asked(box, job({ gpus: 8 }), {
    "gate-reason": "more",
    "gate-back-out": "cancel it",
    "gate-evidence-ref": text(stored, "ref"),
  });
  const page = await (await signedIn(local, box)).get(`/_gate/approvals/${approval}`);
  expect(readable(page)).toContain("line 1 <b>bold</b> line 2");
  expect(page.text).not.toContain("<b>");
});

/** WEB-01: link previews, prefetching browsers, scanners. */
describe("no GET and no HEAD decides, signs in or signs out", () => {
  const id = "apr_0123456789abcdefghjkmnpqrs";
  const templates = [...new Set(PAGE_ROUTES.map(({ path }) => path))];

  test.each(templates)("%s", async (template) => {
    const box = await open();
    const approval = await asked(box);
    const browser = await signedIn(local, box);
    const cookies = new Map(browser.jar);
    const token = await linkFor(box, "person:bob");
    const path = template.replace(":id", approval).replace(":tenant", box.tenant).replace(":token", token);
    const query = "?decision=approve&token=x&digest=y&confirm=z";
    await browser.get(path, "same-origin");
    await browser.get(path + query, "same-origin");
    await browser.get(path, "same-origin", { purpose: "prefetch", "sec-purpose": "prefetch" });
    await browser.head(path);
    expect(await stateOf(box, approval)).toBe("pending");
    expect(new Map([...browser.jar].filter(([name]) => cookies.has(name)))).toEqual(cookies);
    expect((await browser.get("/_gate/approvals", "same-origin")).status).toBe(200);
    const other = pageBrowser(local.entrance);
    expect((await other.post(`/_gate/sign-in/link/${token}`, {})).status).toBe(200);
    const decisions = (await ledgerRecords(box.tenant)).filter(({ kind }) => kind === "decision");
    expect(decisions).toEqual([]);
  });

  test.each(["PUT", "DELETE", "PATCH"])("%s of any page is no page", async (method) => {
    for (const template of templates) {
      const path = template.replace(/:[a-z]+/, id);
      const response = await local.entrance(new Request(`https://gate.example${path}`, { method }));
      expect(response.status, path).toBe(404);
      await response.body?.cancel();
    }
  });
});

test("no page is cached, framed, scripted, sniffed or fed from elsewhere, whatever its status", async () => {
  const box = await open();
  const approval = await asked(box);
  const browser = await signedIn(local, box);
  for (const path of [
    "/_gate/approvals",
    `/_gate/approvals/${approval}`,
    "/_gate/approvals/none",
    "/_gate/sign-in?return=https://evil.example",
    `/_gate/sign-in/${box.tenant}`,
    `/_gate/sign-in/${box.tenant}/start`,
    "/_gate/sign-in/callback",
    "/_gate/sign-in/link/none",
  ]) {
    const page = await browser.get(path);
    const headers = Object.fromEntries(page.headers);
    expect(headers, path).toMatchObject({
      "cache-control": "no-store",
      "content-type": "text/html; charset=utf-8",
      "cross-origin-opener-policy": "same-origin",
      "cross-origin-resource-policy": "same-origin",
      "referrer-policy": "no-referrer",
      "strict-transport-security": "max-age=31536000",
      "x-content-type-options": "nosniff",
      "x-frame-options": "DENY",
    });
    expect(headers["content-security-policy"]).toMatch(
      /^default-src 'none'; style-src 'sha256-[A-Za-z0-9+/]{43}='; form-action 'self'; frame-ancestors 'none'; base-uri 'none'; /,
    );
    expect(page.text, path).not.toMatch(/<script|<img|<link|<iframe|\son[a-z]+=|style=/i);
  }
});

test("the one stylesheet is the one that the policy allows", async () => {
  const page = await pageBrowser(local.entrance).get("/_gate/approvals");
  const [, style = ""] = /<style>([^]*?)<\/style>/.exec(page.text) ?? [];
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(style));
  expect(page.headers.get("content-security-policy")).toContain(`'sha256-${Buffer.from(digest).toString("base64")}'`);
  expect(style.length).toBeGreaterThan(1_000);
});

test("a person's API key signs in to no page, nor does an agent's", async () => {
  const box = await open();
  const approval = await asked(box);
  for (const name of ["alice", "agent", "operator"] as const) {
    expect((await (await box.as(name)).get(`/_gate/approvals/${approval}`)).status).toBe(401);
  }
  expect(verdict(await (await box.as("alice")).post("/_gate/v1/sign-in/links", {}))).toBe("404 not-found");
});

test("what a person was shown, and what was refused to them, is on record under their session", async () => {
  const box = await open();
  const approval = await asked(box);
  const browser = await signedIn(local, box);
  await browser.get(`/_gate/approvals/${approval}`);
  await browser.get("/_gate/approvals/apr_0123456789abcdefghjkmnpqrs");
  const security = await box.as("security");
  await expect
    .poll(async () => (await security.get("/_gate/v1/audit?principal=person:alice")).body, { timeout: 10_000 })
    .toMatchObject({
      records: expect.arrayContaining([
        expect.objectContaining({ decision: "allow", path: `/_gate/approvals/${approval}`, demo: true }),
        expect.objectContaining({
          decision: "refuse",
          reason_code: "not-found",
          credential_id: expect.stringMatching(/^session:ses_/),
        }),
      ]),
    });
});
