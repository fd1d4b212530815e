import { describe, expect, it } from "vitest";
import { digestOf } from "../../src/platform/digest.ts";
import type { Tier } from "../../src/vocabulary.ts";
import { ACME_PEOPLE, compiling, peopleOf, tenantFile } from "./compiling.ts";
import { EXAMPLE_CATALOGUE } from "./example-actions.ts";

const ACME = tenantFile("acme.yaml");
const edited = (from: string, to: string): string => {
  expect(ACME).toContain(from);
  return ACME.replace(from, to);
};
const digest = (text: string, action: string, tier: Tier, people = ACME_PEOPLE, catalogue = EXAMPLE_CATALOGUE) =>
  compiling(text, people, catalogue).policy.ruleDigest(action, tier);

/** A policy of these tier-3 entries alone. */
const tier3 = (text: string): string => `version: "1.0"\nallowed_tools:\n  tier_3: ${text}\n`;

const SUBMIT_AT_3 = digest(ACME, "workloads.submit", 3);

describe("an approval survives a push that leaves its rule alone", () => {
  it.each<[string, string]>([
    ["a comment", `${ACME}# reviewed\n`],
    ["another action's entry before it", edited("  tier_3:\n", "  tier_3:\n    - insights.analyze\n")],
    ["another action's constraint", edited("max_instances: 8", "max_instances: 4")],
    ["another action taken away", edited("    - allocations.transfer\n", "")],
    [
      "constraints in another order",
      edited("max_gpus: 4\n        job_type: [elastic]", "job_type: [elastic]\n        max_gpus: 4"),
    ],
    ["caps", edited("daily_limit_usd: 500", "daily_limit_usd: 400")],
    ["rate limits", `${ACME}rate_limits: { tier_2: 5 }\n`],
    ["a time zone", `${ACME}timezone: Europe/Berlin\n`],
    ["channels", edited("#ml-ops-approvals", "#elsewhere")],
    ["approvers in another order", edited('["@alice", "@bob"]', '["@bob", "@alice"]')],
    ["a handle that nobody stands behind", edited('["@alice", "@bob"]', '["@alice", "@bob", "@mallory"]')],
  ])("%s", (_title, text) => {
    expect(text).not.toBe(ACME);
    expect(digest(text, "workloads.submit", 3)).toBe(SUBMIT_AT_3);
  });

  it("other people, other Slack accounts, same subjects", () => {
    const people = peopleOf('people:\n  "@alice": { subject: person:alice }\n  "@bob": { subject: person:bob }\n');
    expect(digest(ACME, "workloads.submit", 3, people)).toBe(SUBMIT_AT_3);
  });

  it("a catalogue change to another action", () => {
    expect(digest(ACME, "workloads.submit", 3, ACME_PEOPLE, changedCatalogue("workloads.cancel"))).toBe(SUBMIT_AT_3);
  });
});

describe("an approval does not survive a change to what decides it", () => {
  it("what the catalogue says of an action that only its floor decides (`mode: shadow`)", () => {
    const shadow = `${tier3("[allocations.transfer]")}mode: shadow\n`;
    const before = digest(shadow, "workloads.cancel", 4);
    expect(digest(shadow, "workloads.cancel", 4, ACME_PEOPLE, changedCatalogue("workloads.cancel"))).not.toBe(before);
    expect(digest(shadow, "workloads.cancel", 4, ACME_PEOPLE, changedCatalogue("workloads.submit"))).toBe(before);
  });

  it.each<[string, string]>([
    ["its constraint", edited("max_gpus: 64", "max_gpus: 63")],
    ["its entry at another tier", edited("max_gpus: 4\n", "max_gpus: 3\n")],
    ["an entry more", edited("    - workloads.cancel\n", "    - workloads.cancel\n    - workloads.submit\n")],
    ["an approver more", edited('["@alice", "@bob"]', '["@alice", "@bob", "@carol"]')],
    ["an approver fewer", edited('["@alice", "@bob"]', '["@alice"]')],
    [
      "approvers of its own",
      edited("  timeout_minutes: 30\n", '  timeout_minutes: 30\n  approvers: { tier_3: ["@carol"] }\n'),
    ],
    ["the timeout", edited("timeout_minutes: 30", "timeout_minutes: 29")],
    [
      "prohibition",
      edited("    - workloads.submit:\n        max_gpus: 64\n", "")
        .replace("    - workloads.submit:\n        max_gpus: 4\n        job_type: [elastic]\n", "")
        .replace("  tier_3:\n", "  tier_5: [workloads.submit]\n  tier_3:\n"),
    ],
  ])("%s", (_title, text) => {
    expect(digest(text, "workloads.submit", 3)).not.toBe(SUBMIT_AT_3);
  });

  it("another subject behind a handle", () => {
    const people = peopleOf('people:\n  "@alice": { subject: person:alice2 }\n  "@bob": { subject: person:bob }\n');
    expect(digest(ACME, "workloads.submit", 3, people)).not.toBe(SUBMIT_AT_3);
  });

  it("a catalogue change to this action", () => {
    expect(digest(ACME, "workloads.submit", 3, ACME_PEOPLE, changedCatalogue("workloads.submit"))).not.toBe(
      SUBMIT_AT_3,
    );
  });

  it("context that tier 2 requires, for tier 2 alone", () => {
    const text = `${ACME}require: { tier_2: [evidence] }\n`;
    expect(digest(text, "workloads.submit", 2)).not.toBe(digest(ACME, "workloads.submit", 2));
    expect(digest(text, "workloads.submit", 3)).toBe(SUBMIT_AT_3);
  });

  it("approvers of tier 3 leave tier 4 alone", () => {
    const text = edited("  timeout_minutes: 30\n", '  timeout_minutes: 30\n  approvers: { tier_3: ["@carol"] }\n');
    expect(digest(text, "workloads.cancel", 4)).toBe(digest(ACME, "workloads.cancel", 4));
  });
});

describe("rule digests", () => {
  it("read a tier's entries and a limit's members as sets", () => {
    const one = tier3("[workloads.submit: { gpu_type: [A100, H100] }, workloads.submit: { max_gpus: 8 }]");
    const two = tier3("[workloads.submit: { max_gpus: 8 }, workloads.submit: { gpu_type: [H100, A100] }]");
    expect(digest(one, "workloads.submit", 3)).toBe(digest(two, "workloads.submit", 3));
  });

  it("tell a prohibited action from one that is not named", () => {
    const prohibiting = 'version: "1.0"\nallowed_tools:\n  tier_5: [workloads.submit]\n';
    const silent = 'version: "1.0"\nallowed_tools: {}\n';
    expect(digest(prohibiting, "workloads.submit", 3)).not.toBe(digest(silent, "workloads.submit", 3));
  });

  it("differ by action and by tier", () => {
    const { ruleDigest } = compiling(ACME).policy;
    const all = ["workloads.submit", "workloads.cancel", "allocations.release", "pools.delete"].flatMap((action) =>
      ([2, 3, 4] as const).map((tier) => ruleDigest(action, tier)),
    );
    expect(new Set(all).size).toBe(all.length);
  });

  it("are the same when asked again", () => {
    const { ruleDigest } = compiling(ACME).policy;
    expect(ruleDigest("workloads.submit", 3)).toBe(SUBMIT_AT_3);
    expect(ruleDigest("workloads.submit", 3)).toBe(SUBMIT_AT_3);
  });
});

/** The example catalogue with one action's entry changed in some way that floors and facts do not show. */
function changedCatalogue(action: string): typeof EXAMPLE_CATALOGUE {
  const actions = new Map(EXAMPLE_CATALOGUE.actions);
  const spec = actions.get(action);
  if (spec === undefined) throw new Error(`the example has no ${action}`);
  actions.set(action, { ...spec, digest: digestOf("test", "changed") });
  return { ...EXAMPLE_CATALOGUE, actions };
}
