import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseEnv } from "node:util";
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import type { Demo } from "../../example/start/demo-file.ts";
import { startGate, type RunningGate } from "../../example/start/running-gate.ts";
import { signInLinks, type SignInLinks } from "../../example/start/sign-in-links.ts";
import { filesOf } from "../../example/start/wrangler.ts";
import { chromiumPath, startChromium, watchedPage, type Watched } from "../support/chromium.ts";
import { livePort } from "../support/live-ports.ts";
import { CLIENT } from "../support/provider-login.ts";
import { startProvider } from "../support/provider-standin.ts";

const isRunnable = chromiumPath() !== null || process.env["REQUIRE_LIVE"] === "1";

const CONTEXT = {
  "gate-reason": "stuck since step 400",
  "gate-evidence": "step%20400%3A%20loss%20NaN%0A%3Cscript%3Ealert(1)%3C%2Fscript%3E",
  "gate-back-out": "submit it again",
};
const JOB = { name: "train", image: "repo/train:1", job_type: "elastic", gpus: 4, gpu_type: "H100", max_hours: 1 };

let running: RunningGate;
let stateDir = "";
let browser: Browser;
let provider: Awaited<ReturnType<typeof startProvider>>;
let links: SignInLinks;
/** The gate by another name than the provider's: to a browser they are two sites, as they are in a deployment. */
let gate = "";
const opened: Page[] = [];

const acme = (): Demo["tenants"]["acme"] => running.demo.tenants.acme;

async function call(key: string, path: string, body: object, headers: Record<string, string> = {}): Promise<unknown> {
  const response = await fetch(`${running.gate}${path}`, {
    method: "POST",
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json", ...headers },
    body: JSON.stringify(body),
  });
  return response.json();
}

const PLAN = z.object({ receipt: z.string() });
const RUNNING = z.object({ id: z.string() });
const ASKED = z.object({ approval: z.object({ id: z.string() }) });
const PROPOSAL = z.object({
  state: z.string(),
  given: z.number(),
  decisions: z.array(z.object({ comment: z.string().nullable() })),
});

/** A workload that runs, and a proposal to cancel it. */
async function cancelling(): Promise<{ readonly name: string; readonly approval: string }> {
  const reason = { "gate-reason": "training" };
  const { receipt } = PLAN.parse(await call(acme().agent, "/v1/workloads", JOB, { ...reason, "gate-dry-run": "?1" }));
  const started = await call(acme().agent, "/v1/workloads", JOB, { ...reason, "gate-plan": receipt });
  const { id: name } = RUNNING.parse(started);
  const asked = await call(acme().agent, `/v1/workloads/${name}/cancel`, {}, CONTEXT);
  return { name, approval: ASKED.parse(asked).approval.id };
}

const submitting = async (gpus: number): Promise<string> =>
  ASKED.parse(await call(acme().agent, "/v1/workloads", { ...JOB, gpus }, CONTEXT)).approval.id;

async function proposal(approval: string): Promise<z.infer<typeof PROPOSAL>> {
  const headers = { authorization: `Bearer ${acme().agent}` };
  const response = await fetch(`${running.gate}/_gate/v1/approvals/${approval}`, { headers });
  return PROPOSAL.parse(await response.json());
}

async function openPage(options: Parameters<typeof watchedPage>[1] = {}): Promise<Watched> {
  const watched = await watchedPage(browser, options);
  opened.push(watched.page);
  return watched;
}

/** The keyboard alone: Tab until this is where the focus is. */
async function tabTo(page: Page, selector: string): Promise<void> {
  for (let presses = 0; presses < 60; presses++) {
    await page.keyboard.press("Tab");
    if (await page.evaluate<boolean>(`document.activeElement?.matches(${JSON.stringify(selector)}) ?? false`)) return;
  }
  throw new Error(`the keyboard does not reach ${selector}`);
}

/** Signs in by a printed link, as whoever clicks it in a terminal does. */
async function signInByLink(page: Page, person: "alice" | "bob"): Promise<void> {
  await page.goto(links.acme[person].replace(running.gate, gate));
  await page.getByRole("button", { name: "Sign in, once" }).click();
  await page.waitForURL("**/_gate/approvals");
}

beforeAll(async () => {
  if (!isRunnable) return;
  stateDir = mkdtempSync(join(tmpdir(), "portcullis-page-"));
  const port = await livePort();
  gate = `http://localhost:${port}`;
  provider = await startProvider();
  running = await startGate({ port, upstreamPort: 0, stateDir, extraEnv: { PUBLIC_URL: gate } });
  links = await signInLinks(running.demo);
  const secret = parseEnv(readFileSync(filesOf(stateDir).secrets, "utf8"))["BOOTSTRAP_SECRET"] ?? "";
  const asked = await call(secret, "/_gate/v1/sign-in", {
    tenant: "acme",
    oidc: { issuer: provider.url, client_id: CLIENT.id, client_secret: CLIENT.secret, subject_prefix: "person:" },
  });
  const { digest } = z.object({ digest: z.string() }).parse(asked);
  await call(acme().security, "/_gate/v1/sign-in/confirm", { digest });
  browser = await startChromium();
});

afterEach(async () => {
  await Promise.all(opened.splice(0).map((page) => page.context().close()));
});

afterAll(async () => {
  if (!isRunnable) return;
  await browser.close();
  await running.stop();
  await provider.close();
  rmSync(stateDir, { recursive: true, force: true });
});

describe.runIf(isRunnable)("in a real browser", () => {
  test("by a printed link and with the keyboard alone, two people approve at tier 4", async () => {
    const { name, approval } = await cancelling();
    const [alice, bob] = [await openPage(), await openPage()];
    const { page } = alice;
    await page.goto(links.acme.alice.replace(running.gate, gate));
    await tabTo(page, "main button");
    await page.keyboard.press("Enter");
    await page.waitForURL("**/_gate/approvals");
    await tabTo(page, `a[href$="${approval}"]`);
    await page.keyboard.press("Enter");
    await page.waitForURL(`**/${approval}`);
    await tabTo(page, "#confirm");
    await page.keyboard.type(name);
    await tabTo(page, "#comment");
    await page.keyboard.type("seen the log");
    await page.keyboard.press("Enter");
    await page.keyboard.type("it is stuck");
    await tabTo(page, 'button[value="approve"]');
    await page.keyboard.press("Enter");
    await page.waitForURL("**?recorded=approve");
    expect(await page.getByRole("status").innerText()).toContain("1 of 2 approvals are given");
    expect(await proposal(approval)).toMatchObject({
      state: "pending",
      decisions: [{ comment: "seen the log\nit is stuck" }],
    });

    await signInByLink(bob.page, "bob");
    await bob.page.goto(`${gate}/_gate/approvals/${approval}`);
    await bob.page.getByLabel(`To approve, type ${name}`).fill(name);
    // The name typed and Enter pressed approves: the first button is what a form's Enter presses.
    await bob.page.keyboard.press("Enter");
    await bob.page.waitForURL("**?recorded=approve");
    expect((await proposal(approval)).state).toBe("approved");
    expect([...alice.trouble, ...bob.trouble]).toEqual([]);
  });

  test("what the requester wrote stands there as text", async () => {
    const { approval } = await cancelling();
    const { page, trouble } = await openPage();
    page.on("dialog", () => {
      throw new Error("a script ran");
    });
    await signInByProvider(page);
    await page.goto(`${gate}/_gate/approvals/${approval}`);
    expect(await page.getByText("<script>alert(1)</script>").count()).toBe(1);
    expect(await page.locator("script").count()).toBe(0);
    expect(trouble).toEqual([]);
  });

  test("a sign-in at the provider, another site, leads back into the page with its strict cookie", async () => {
    const { page, trouble } = await openPage();
    const approval = await submitting(8);
    await page.goto(`${gate}/_gate/sign-in/acme?return=/_gate/approvals/${approval}`);
    await page.getByRole("link", { name: "Sign in", exact: true }).click();
    await page.waitForURL(`**/_gate/approvals/${approval}`);
    await page.getByRole("button", { name: "Approve" }).click();
    await page.waitForURL("**?recorded=approve");
    expect((await proposal(approval)).state).toBe("approved");
    const cookies = await page.context().cookies();
    expect(Object.fromEntries(cookies.map(({ name, httpOnly, sameSite }) => [name, [httpOnly, sameSite]]))).toEqual({
      "portcullis-session": [true, "Strict"],
      "portcullis-tenant": [true, "Lax"],
    });
    expect(trouble).toEqual([]);
  });

  test("a click in another site shows the proposal to who is signed in; a form and a frame there do nothing", async () => {
    const approval = await submitting(9);
    const { page } = await openPage();
    await signInByProvider(page);
    await page.goto(`${provider.url}/elsewhere`);
    await page.evaluate(`location.href = ${JSON.stringify(`${gate}/_gate/approvals/${approval}`)}`);
    await page.getByRole("heading", { name: "What the gate knows" }).waitFor();
    await page.goto(`${provider.url}/elsewhere`);
    await page.evaluate(`(() => {
      const form = document.createElement("form");
      form.method = "post";
      form.action = ${JSON.stringify(`${gate}/_gate/approvals/${approval}/decisions`)};
      form.innerHTML = '<input name="decision" value="approve">';
      document.body.append(form);
      form.submit();
    })()`);
    await page.getByRole("heading", { name: "Not accepted" }).waitFor();
    await page.goto(`${provider.url}/elsewhere`);
    await page.evaluate(`(() => {
      const frame = document.createElement("iframe");
      frame.src = ${JSON.stringify(`${gate}/_gate/approvals/${approval}`)};
      document.body.append(frame);
      return new Promise((resolve) => { frame.onload = resolve; });
    })()`);
    const framed = page.frames().filter((one) => one !== page.mainFrame());
    for (const frame of framed) expect(await frame.content()).not.toContain("What the gate knows");
    expect((await proposal(approval)).given).toBe(0);
  });

  test("after signing out, neither the cookie nor the back button decides", async () => {
    const approval = await submitting(10);
    const { page } = await openPage();
    await signInByProvider(page);
    await page.goto(`${gate}/_gate/approvals/${approval}`);
    const kept = await page.context().cookies();
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByRole("heading", { name: "Signed out" }).waitFor();
    await page.goBack();
    await page.getByRole("heading", { name: "Sign in to see this" }).waitFor();
    await page.context().addCookies(kept);
    await page.goto(`${gate}/_gate/approvals/${approval}`);
    await page.getByRole("heading", { name: "Sign in to see this" }).waitFor();
    expect((await proposal(approval)).given).toBe(0);
  });
});

async function signInByProvider(page: Page): Promise<void> {
  await page.goto(`${gate}/_gate/sign-in/acme`);
  await page.getByRole("link", { name: "Sign in", exact: true }).click();
  await page.waitForURL("**/_gate/approvals");
}

/** Elements whose text has less than 4.5:1 against its ground (WCAG 2.2, 1.4.3), by computed colours. */
const LOW_CONTRAST = `(() => {
  const parts = (color) => color.match(/[\\d.]+/g).map(Number);
  const channel = (value) => (value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4);
  const luminance = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const ground = (element) => {
    for (let one = element; one !== null; one = one.parentElement) {
      const color = parts(getComputedStyle(one).backgroundColor);
      if (color.length === 3 || color[3] === 1) return color;
    }
    return [255, 255, 255];
  };
  return [...document.querySelectorAll("main *, header *")].filter((element) => {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim() !== "");
    if (!own) return false;
    const [text, behind] = [luminance(parts(getComputedStyle(element).color)), luminance(ground(element))];
    return (Math.max(text, behind) + 0.05) / (Math.min(text, behind) + 0.05) < 4.5;
  }).map((element) => element.outerHTML.slice(0, 120));
})()`;

/** Fields without a label, controls smaller than they should be, and headings that skip a level. */
const FAULTS = `(() => {
  const fields = [...document.querySelectorAll("input:not([type=hidden]), textarea")];
  const unlabelled = fields.filter((field) => field.labels.length !== 1).map((field) => "no label: " + field.outerHTML);
  const small = [...document.querySelectorAll("main button, main .button, main input:not([type=hidden])")]
    .filter((one) => one.getClientRects().length > 0 && one.getBoundingClientRect().height < 44)
    .map((one) => "small: " + one.outerHTML);
  const levels = [...document.querySelectorAll("h1, h2, h3")].map((one) => Number(one.tagName[1]));
  const skipped = levels.filter((level, index) => index > 0 && level > levels[index - 1] + 1).map(() => "heading level");
  const ones = levels.filter((level) => level === 1).length === 1 ? [] : ["not one h1"];
  const marks = document.querySelectorAll("main, header").length === 2 ? [] : ["no landmarks"];
  const lang = document.documentElement.lang === "en" ? [] : ["no language"];
  return [...unlabelled, ...small, ...skipped, ...ones, ...marks, ...lang];
})()`;

describe.runIf(isRunnable).each(["light", "dark"] as const)("in the %s scheme", (colorScheme) => {
  test.each([
    ["wide", 1_280],
    ["a quarter of it, which is 400 % zoom", 320],
  ])("%s: everything fits, is labelled, large enough and legible", async (_name, width) => {
    const { approval } = await cancelling();
    const { page, trouble } = await openPage({ colorScheme, viewport: { width, height: 800 } });
    const pages = [`/_gate/sign-in/acme`, "/_gate/approvals", `/_gate/approvals/${approval}`];
    await signInByProvider(page);
    for (const path of pages) {
      await page.goto(`${gate}${path}`);
      expect(await page.evaluate(LOW_CONTRAST), path).toEqual([]);
      expect(await page.evaluate(FAULTS), path).toEqual([]);
      expect(await page.evaluate("document.documentElement.scrollWidth"), path).toBeLessThanOrEqual(width);
    }
    expect(trouble).toEqual([]);
  });
});
