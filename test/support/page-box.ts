import { openGate } from "../../src/gateway/gate.ts";
import { makeLink } from "../../src/page/sign-in/link.ts";
import { text } from "./answer.ts";
import type { BlackBox, RequestHeaders } from "./black-box.ts";
import { openIsolate, type Isolate } from "./isolates.ts";
import { hiddenFields, pageBrowser, type PageBrowser } from "./page-browser.ts";
import { CONTEXT, job, proposalOf, SUBMIT, submit } from "./requests.ts";
import { testEnv } from "./test-env.ts";

/** Bindings of a local gate on the same stores: there one-time links exist, and providers may be on loopback. */
const LOCAL = { ...testEnv, ENVIRONMENT: "local" };

/** A local gate's isolate. */
export const localIsolate = (): Isolate => openIsolate({ ENVIRONMENT: "local" });

/** The token of a one-time link for a person of this tenant. */
export async function linkFor(box: BlackBox, subject: string): Promise<string> {
  const gate = await openGate(LOCAL);
  if (!gate.ok) throw new Error(gate.error.join("; "));
  const link = await makeLink(gate.value, { tenant: box.tenant, subject }, Date.now());
  if (!link.ok) throw new Error(link.error);
  return link.value.token;
}

/** A browser in which this person has signed in by a link. */
export async function signedIn(isolate: Isolate, box: BlackBox, subject = "person:alice"): Promise<PageBrowser> {
  const browser = pageBrowser(isolate.entrance);
  const answered = await browser.post(`/_gate/sign-in/link/${await linkFor(box, subject)}`, {});
  if (answered.status !== 200) throw new Error(`${answered.status} ${answered.text}`);
  return browser;
}

/** Opens a proposal's page and returns what its form would send along with a decision. */
export async function formOf(browser: PageBrowser, approval: string): Promise<Record<string, string>> {
  const page = await browser.get(`/_gate/approvals/${approval}`, "same-origin");
  return hiddenFields(page, `/_gate/approvals/${approval}/decisions`);
}

/** Opens a tier-3 proposal. */
export const asked = async (
  box: BlackBox,
  body: object = job({ gpus: 8 }),
  headers: RequestHeaders = CONTEXT,
): Promise<string> => proposalOf(await (await box.as("agent")).post(SUBMIT, body, headers));

/** Opens a tier-4 proposal; `name` is what has to be typed for it. */
export async function cancelling(box: BlackBox): Promise<{ readonly approval: string; readonly name: string }> {
  const agent = await box.as("agent");
  const name = text(await submit(agent, job()), "id");
  return { approval: proposalOf(await agent.post(`/v1/workloads/${name}/cancel`, {}, CONTEXT)), name };
}

/** How a proposal stands. */
export const stateOf = async (box: BlackBox, approval: string): Promise<string> =>
  text(await (await box.as("agent")).get(`/_gate/v1/approvals/${approval}`), "state");
