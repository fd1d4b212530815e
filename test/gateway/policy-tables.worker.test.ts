import { describe, expect, test } from "vitest";
import acmeTests from "../../policies/tenants/acme.tests.yaml?raw";
import trainingPeople from "../../policies/tenants/training-team.people.yaml?raw";
import trainingPolicy from "../../policies/tenants/training-team.yaml?raw";
import trainingTests from "../../policies/tenants/training-team.tests.yaml?raw";
import { parseYamlDocument } from "../../src/platform/yaml-document.ts";
import { POLICY_TESTS, type Asker, type PolicyTestCase } from "../../src/policy/policy-tests-schema.ts";
import { verdict, type Answered } from "../support/answer.ts";
import { ACME_PEOPLE, ACME_POLICY, useBlackBox, type BlackBox, type Caller } from "../support/black-box.ts";
import { CONTEXT } from "../support/requests.ts";

/** What `policy test` says of a request is what the gate answers to it, in a tenant that has spent and counted nothing. */
const open = useBlackBox("policy-tables");

const TABLES = [
  ["acme", ACME_POLICY, ACME_PEOPLE, acmeTests],
  ["training-team", trainingPolicy, trainingPeople, trainingTests],
] as const;

/** Cases whose answer depends on the path alone, the body, and who asks: windows would need another clock, look-ups a thing that is there. */
function casesOf(text: string): readonly (readonly [PolicyTestCase, Asker])[] {
  const parsed = parseYamlDocument(text, POLICY_TESTS);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.error));
  const { tests, as } = parsed.value.value;
  return tests.flatMap((one) => (one.looked_up === undefined ? [[one, one.as ?? as] as const] : []));
}

async function callerFor(box: BlackBox, { subject, owner, scopes }: Asker): Promise<Caller> {
  if (subject.startsWith("person:")) return box.mint({ subject, class: "person", owner: subject });
  const accountable = owner ?? "person:nobody";
  return box.mint({
    subject,
    class: "agent",
    owner: accountable,
    actions: scopes?.actions ?? ["*"],
    max_tier: scopes?.max_tier ?? 4,
  });
}

/** The gate's answer in the words of tables. `allow` is whatever the control plane answers then. */
function decisionIn(answered: Answered): string {
  const said = verdict(answered);
  if (said === "428 dry-run-required") return "dry-run";
  if (said === "428 approval-required") return "approval";
  return answered.headers.get("gate-decision") === "allow" ? "allow" : `refuse ${said.slice("000 ".length)}`;
}

describe.each(TABLES)("%s", (_name, policy, people, text) => {
  const cases = casesOf(text);

  test("has cases of each kind", () => {
    const kinds = new Set(cases.map(([{ expect: expected }]) => expected.decision));
    for (const kind of ["allow", "approval", "refuse"]) expect(kinds).toContain(kind);
  });

  test.each(cases.map(([one, asker]) => [one.name, one, asker] as const))("%s", async (_case, one, asker) => {
    const box = await open({ policy, people });
    const caller = await callerFor(box, asker);
    const { method, path, body, headers } = one.request;
    const sent = { ...CONTEXT, ...headers };
    const first = await caller.send(method, path, body, sent);
    // Whether it fits the caps is found out by the dry run that is asked for first.
    const plan =
      decisionIn(first) === "dry-run" ? await caller.send(method, path, body, { ...sent, "gate-dry-run": "?1" }) : null;
    const answered = plan?.status === 200 ? first : (plan ?? first);
    const { decision, reason_code: code, tier } = one.expect;
    expect(decisionIn(answered), answered.text).toBe(decision === "refuse" ? `refuse ${code}` : decision);
    if (tier !== undefined) expect(answered.headers.get("gate-tier")).toBe(String(tier));
  });
});
