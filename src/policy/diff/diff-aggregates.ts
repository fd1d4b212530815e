import { change, type PolicyChange, type PolicyWorld } from "./diff-change.ts";
import type { Aggregate, Measure } from "../types.ts";

/** What many requests may add up to, by name. One that only has another name means the same. */
export function aggregateChanges(before: PolicyWorld, after: PolicyWorld): readonly PolicyChange[] {
  const [was, is] = [before.policy.aggregates, after.policy.aggregates];
  const kept = new Set(was.map(meaning).filter((text) => is.some((other) => meaning(other) === text)));
  const [gone, come] = [was, is].map((all) => all.filter((one) => !kept.has(meaning(one))));
  const names = new Set([...(gone ?? []), ...(come ?? [])].map(({ name }) => name));
  return [...names].map((name) => {
    const [from, to] = [gone, come].map((all) => all?.find((one) => one.name === name) ?? null);
    const widens = from !== null && from !== undefined && !from.isShadow && widensFrom(from, to ?? null);
    return change("aggregate", `aggregate ${name}`, widens, textOf(from ?? null), textOf(to ?? null));
  });
}

const meaning = ({ key, max, over, isShadow }: Aggregate): string => JSON.stringify([key, max, over, isShadow]);

const widensFrom = (from: Aggregate, to: Aggregate | null): boolean =>
  to === null ||
  to.isShadow ||
  to.key !== from.key ||
  to.max > from.max ||
  (from.over === "refuse" && to.over === "approve");

function textOf(aggregate: Aggregate | null): string | null {
  if (aggregate === null) return null;
  const { measure, max, over, isShadow } = aggregate;
  return `${max} ${measureText(measure)}, beyond it ${over}${isShadow ? ", in shadow" : ""}`;
}

function measureText({ of, per, within, actions }: Measure): string {
  const whose = typeof per === "string" ? per : `value of ${per.fact}`;
  const when = within === "running" ? "running at once" : `in one ${within}`;
  return `${of} per ${whose}, ${when}${actions === null ? "" : `, of ${actions.join(", ")}`}`;
}
