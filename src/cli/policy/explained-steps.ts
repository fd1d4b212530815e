import { unreachable } from "../../platform/assert.ts";
import type { EntryStep, GuardStep, PolicyStep } from "../../policy/explanation.ts";
import type { Fact } from "../../vocabulary.ts";
import type { Cell } from "../print.ts";
import { shortTime } from "../times.ts";

/** One step as a row: which rule, what it comes to, and why. */
export function stepRow(step: PolicyStep): readonly [rule: string, verdict: Cell, why: string] {
  switch (step.kind) {
    case "prohibition":
      return step.rule === null
        ? ["tier 5", { text: "not prohibited", style: "dim" }, ""]
        : [step.rule, { text: "prohibits", style: "bad" }, "whatever the facts"];
    case "entry":
      return [step.rule, entryVerdict(step), entryWhy(step)];
    case "environments":
      return [
        "environments",
        { text: "possible", style: "dim" },
        step.possible.length === 0 ? "none is named" : step.possible.join(", "),
      ];
    case "guard":
      return [step.rule, guardVerdict(step), guardWhy(step)];
    case "mode":
      return ["mode: shadow", { text: "decides", style: "warn" }, step.rule];
    default:
      return unreachable(step);
  }
}

function entryVerdict({ verdict, missing }: EntryStep): Cell {
  switch (verdict) {
    case "decides":
      return { text: "decides", style: "good" };
    case "shadow":
      return { text: "holds, in shadow", style: "warn" };
    case "after":
      return { text: "comes after", style: "dim" };
    case "below-floor":
      return { text: "below the floor", style: "dim" };
    case "broken":
      return { text: missing.length > 0 ? "not known" : "broken", style: "bad" };
    default:
      return unreachable(verdict);
  }
}

function entryWhy({ verdict, violations, missing }: EntryStep): string {
  if (verdict === "decides" || verdict === "shadow" || verdict === "after") return "all its constraints hold";
  const broken = violations.map(
    ({ constraint, limit, actual }) => `${constraint}: ${factText(limit)}, asked for ${factText(actual)}`,
  );
  return [...broken, ...missing.map((fact) => `${fact} is not known`)].join("; ");
}

function guardVerdict({ verdict, isShadow }: GuardStep): Cell {
  switch (verdict.kind) {
    case "not-asked":
      return { text: "not asked", style: "dim" };
    case "other-writes":
    case "other-environments":
      return { text: "does not cover it", style: "dim" };
    case "open":
      return { text: "no objection", style: "good" };
    case "objects":
      return isShadow ? { text: "objects, in shadow", style: "warn" } : { text: "objects", style: "bad" };
    default:
      return unreachable(verdict);
  }
}

function guardWhy({ verdict, environments }: GuardStep): string {
  switch (verdict.kind) {
    case "not-asked":
      return "it is asked about writes that an entry lets through";
    case "other-writes":
      return "the action is of another kind";
    case "other-environments":
      return `it is in none of ${environments?.join(", ") ?? ""}`;
    case "open":
      return `window ${verdict.open.name} is open until ${momentText(verdict.open.closesAt)}`;
    case "objects":
      return refusalText(verdict.refusal);
    default:
      return unreachable(verdict);
  }
}

function refusalText(refusal: Extract<GuardStep["verdict"], { kind: "objects" }>["refusal"]): string {
  if (refusal.kind === "not-allowed") {
    const why = refusal.rule.replace(/^[^:]*: /, "");
    return refusal.runbook === undefined ? why : `${why}: ${refusal.runbook}`;
  }
  const next = refusal.opens_at === null ? "never" : momentText(refusal.opens_at);
  return `outside ${refusal.windows.join(", ")}; opens ${next}`;
}

/** A fact as people read it. */
export const factText = (fact: Fact | null): string =>
  fact === null ? "nothing" : typeof fact === "object" ? fact.join(", ") : String(fact);

const momentText = (moment: number | string): string => shortTime(new Date(moment).toISOString());
