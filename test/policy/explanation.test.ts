import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { PolicyExplanation, PolicyStep } from "../../src/policy/explanation.ts";
import type { CompiledPolicy, PolicyOutcome } from "../../src/policy/types.ts";
import type { Facts } from "../../src/vocabulary.ts";
import { compiling } from "./compiling.ts";
import { exampleFloor } from "./example-actions.ts";
import { guardedPolicyText } from "./random-guarded-policies.ts";
import { request } from "./random-policies.ts";

const START = Date.parse("2031-11-17T00:00:00Z");
const HOUR_MS = 3_600_000;
/** A week in hours: windows of the random policies are open in some and closed in others. */
const WEEK_HOURS = 168;

const asked = fc.record({ request, at: fc.nat({ max: WEEK_HOURS }), lacks: fc.boolean() });

describe("an explanation", () => {
  it("concludes what the decision is, and its own steps lead there", () => {
    const seen = new Set<string>();
    fc.assert(
      fc.property(guardedPolicyText, fc.array(asked, { minLength: 20, maxLength: 20 }), (text, all) => {
        const { policy } = compiling(text);
        for (const one of all) {
          const { action, facts } = one.request;
          const missing = one.lacks ? [{ fact: "gpus", reason: "not in the request" }] : [];
          const question = {
            action,
            facts,
            missing,
            floor: exampleFloor(action, facts),
            now: START + one.at * HOUR_MS,
          };
          const explained = policy.explain(question);
          expect(explained.outcome).toEqual(policy.evaluate(question));
          expect(told(explained.outcome)).toEqual(concluded(explained));
          seen.add(explained.outcome.kind);
        }
      }),
      { numRuns: 500 },
    );
    expect([...seen].toSorted()).toEqual([
      "constraint-exceeded",
      "matched",
      "not-allowed",
      "outside-window",
      "prohibited",
      "unsized",
    ]);
  });

  it("names every entry of the action and every guard, in order of writing", () => {
    const { policy } = compiling(GUARDED);
    const { outcome, steps } = explain(policy, { gpus: 4, gpu_type: "H100", job_type: "elastic" });
    expect(outcome).toMatchObject({ kind: "not-allowed", runbook: "by hand" });
    expect(steps.map(short)).toEqual([
      "nothing prohibits it",
      "allowed_tools.tier_2[0] workloads.submit: broken, max_gpus",
      "allowed_tools.tier_2[1] workloads.submit: shadow",
      "allowed_tools.tier_3[0] workloads.submit: decides",
      "allowed_tools.tier_3[1] workloads.submit: after",
      "environments production",
      "blast_radius[0]: other-writes",
      "blast_radius[1]: other-environments",
      "blast_radius[2]: objects",
      "reversible[0]: other-writes",
    ]);
  });

  it("does not ask the guards about what no entry lets through", () => {
    const { steps } = explain(compiling(GUARDED).policy, { gpus: 65, gpu_type: "H100", job_type: "elastic" });
    expect(steps.filter(({ kind }) => kind === "guard").map(short)).toEqual([
      "blast_radius[0]: not-asked",
      "blast_radius[1]: not-asked",
      "blast_radius[2]: not-asked",
      "reversible[0]: not-asked",
    ]);
  });
});

const GUARDED = JSON.stringify({
  version: "1.0",
  allowed_tools: {
    tier_2: [{ "workloads.submit": { max_gpus: 2 } }, { "workloads.submit": { max_gpus: 4, mode: "shadow" } }],
    tier_3: [{ "workloads.submit": { max_gpus: 16 } }, { "workloads.submit": { max_gpus: 64 } }],
  },
  environments: { production: { gpu_type: ["H100"] }, sandbox: { gpu_type: ["L40S"] } },
  blast_radius: [
    { at_least: "cluster", deny: "never" },
    { at_least: "workload", environments: ["sandbox"], deny: "not there" },
    { at_least: "workload", environments: ["production"], runbook: "by hand" },
  ],
  reversible: [{ is: false, deny: "nothing undoes it" }],
});

const explain = (policy: CompiledPolicy, facts: Facts): PolicyExplanation =>
  policy.explain({
    action: "workloads.submit",
    facts,
    missing: [],
    floor: exampleFloor("workloads.submit", facts),
    now: START,
  });

function short(step: PolicyStep): string {
  switch (step.kind) {
    case "prohibition":
      return step.rule ?? "nothing prohibits it";
    case "entry":
      return `${step.rule}: ${[step.verdict, ...step.violations.map(({ constraint }) => constraint)].join(", ")}`;
    case "environments":
      return `environments ${step.possible.join(", ")}`;
    case "guard":
      return `${step.rule}: ${step.verdict.kind}`;
    default:
      return step.rule;
  }
}

/** What a decision comes to, as far as steps can tell it. */
const told = (outcome: PolicyOutcome): string =>
  outcome.kind === "matched"
    ? `tier ${outcome.tier}`
    : outcome.kind === "constraint-exceeded" || outcome.kind === "unsized"
      ? "nothing holds"
      : outcome.kind === "not-allowed" && outcome.rule.startsWith("allowed_tools")
        ? "nothing holds"
        : outcome.kind;

/** The same, read from the steps alone. */
function concluded({ steps, outcome }: PolicyExplanation): string {
  if (steps.some((step) => step.kind === "prohibition" && step.rule !== null)) return "prohibited";
  // Of the whole policy in shadow the steps say what it would have decided; the floor decides.
  if (steps.some(({ kind }) => kind === "mode")) return told(outcome);
  const entry = steps.find((step) => step.kind === "entry" && step.verdict === "decides");
  if (entry?.kind !== "entry") return "nothing holds";
  const objections = steps.flatMap((step) =>
    step.kind === "guard" && !step.isShadow && step.verdict.kind === "objects" ? [step.verdict.refusal.kind] : [],
  );
  if (objections.includes("not-allowed")) return "not-allowed";
  return objections[0] ?? `tier ${entry.tier}`;
}
