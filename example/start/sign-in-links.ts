import { z } from "zod";
import { DEMO_TENANTS } from "./demo-file.ts";
import type { Demo, DemoTenant } from "./demo-file.ts";

/** Who gets a link: the approvers, somebody who is none, and whoever holds other people's money and keys. */
const LINKED = ["alice", "bob", "carol", "finance", "security", "operator"] as const;

/** One-time links to the approval page, by tenant and person. */
export type SignInLinks = Readonly<Record<DemoTenant, Readonly<Record<(typeof LINKED)[number], string>>>>;

const CALL_TIMEOUT_MS = 30_000;
const LINK = z.object({ path: z.string() });

/** Asks the gate for a link for each demonstration person, with that person's own key. Throws with the gate's refusal. */
export async function signInLinks({ gate, tenants }: Demo): Promise<SignInLinks> {
  const linksOf = async (tenant: DemoTenant): Promise<SignInLinks[DemoTenant]> => {
    const link = (name: (typeof LINKED)[number]): Promise<string> => askForLink(gate, tenants[tenant][name]);
    return {
      alice: await link("alice"),
      bob: await link("bob"),
      carol: await link("carol"),
      finance: await link("finance"),
      security: await link("security"),
      operator: await link("operator"),
    };
  };
  return { acme: await linksOf("acme"), globex: await linksOf("globex") };
}

/** What the start prints of them. */
export function linkLines(gate: string, links: SignInLinks): string {
  const width = Math.max(...LINKED.map((name) => name.length));
  const lines = [
    `approvals ${gate}/_gate/approvals`,
    "",
    "sign in to them with one of these, each good once, for twelve hours:",
  ];
  for (const tenant of DEMO_TENANTS) {
    for (const name of LINKED) lines.push(`  ${tenant.padEnd(6)} ${name.padEnd(width)}  ${links[tenant][name]}`);
  }
  return `${lines.join("\n")}\n`;
}

async function askForLink(gate: string, key: string): Promise<string> {
  const path = "/_gate/v1/sign-in/links";
  const response = await fetch(`${gate}${path}`, {
    method: "POST",
    headers: { authorization: `Bearer ${key}` },
    redirect: "error",
    signal: AbortSignal.timeout(CALL_TIMEOUT_MS),
  });
  const text = await response.text();
  if (response.status !== 201) throw new Error(`POST ${path} answered ${response.status}: ${text.slice(0, 2_000)}`);
  return gate + LINK.parse(JSON.parse(text)).path;
}
