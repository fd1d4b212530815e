import type { EpochMs } from "../../vocabulary.ts";
import { aggregateChanges } from "./diff-aggregates.ts";
import { change, type PolicyChange, type PolicyWorld } from "./diff-change.ts";
import { moneyChanges } from "./diff-money.ts";
import { peopleChanges } from "./diff-people.ts";
import { requestChanges, ruleChanges } from "./diff-requests.ts";
import { settingChanges } from "./diff-settings.ts";

/**
 * What changes in meaning when `after` is put in force instead of `before`; nothing where only the writing differs. Exact for
 * requests: every request that is decided differently, by its facts and by the maintenance windows that are open, is in one of the
 * changes, and every range that is told holds only such requests. What cannot be compared wholly is told as widening. Pure;
 * `now`: from when on windows are looked at.
 */
export function policyDiff(before: PolicyWorld, after: PolicyWorld, now: EpochMs): readonly PolicyChange[] {
  return [
    ...requestChanges(before, after, now),
    ...ruleChanges(before, after),
    ...peopleChanges(before, after),
    ...moneyChanges(before, after),
    ...aggregateChanges(before, after),
    ...settingChanges(before, after),
    ...catalogueChanges(before, after),
  ];
}

/** Whether any of them allows more, changes who decides, or cannot be told to do neither. */
export const widens = (changes: readonly PolicyChange[]): boolean => changes.some((one) => one.widens);

/** Actions of which the catalogue says something else: what a fact or a price is made of may be another. */
function catalogueChanges(before: PolicyWorld, after: PolicyWorld): readonly PolicyChange[] {
  const [was, is] = [before.catalogue.actions, after.catalogue.actions];
  const names = [...new Set([...was.keys(), ...is.keys()])];
  const differing = names.filter((name) => was.get(name)?.digest !== is.get(name)?.digest);
  const both = differing.filter((name) => was.has(name) && is.has(name));
  const described =
    both.length > 0 && both.length === was.size
      ? [{ ...change("catalogue", "catalogue", true, "all actions", "all actions"), text: ALL_ACTIONS }]
      : both.map((name) => ({
          ...change("catalogue", name, true, was.get(name)?.digest ?? null, is.get(name)?.digest ?? null, name),
          text: `${name}: the catalogue says something else of it (routes, facts, cost or outcome)`,
        }));
  return [
    ...described,
    ...differing.flatMap((name) => {
      if (both.includes(name)) return [];
      const isNew = is.has(name);
      const [from, to] = isNew ? [null, "in the catalogue"] : ["in the catalogue", null];
      return [change("catalogue", name, false, from, to, name)];
    }),
  ];
}

const ALL_ACTIONS = "catalogue: something that all its actions share says something else";
