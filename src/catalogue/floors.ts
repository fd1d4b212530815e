import type { JsonPath } from "../platform/json-pointer.ts";
import type { Facts, Tier } from "../vocabulary.ts";
import { checkConstraints, constraintTarget } from "./constraints.ts";
import type { ActionDocument } from "./document-schema.ts";
import type { FactDeclaration } from "./facts.ts";
import type { Report } from "./text-rules.ts";
import type { FloorRow } from "./types.ts";

/** Floor rows of an action, lowest tier first, the last without a condition; mistakes in them are reported. */
export function compileFloors(
  action: ActionDocument,
  declared: ReadonlyMap<string, FactDeclaration>,
  path: JsonPath,
  report: Report,
): readonly FloorRow[] {
  if (typeof action.floor === "number") return [{ tier: action.floor, when: null }];
  const rows = action.floor;
  for (const [index, row] of rows.entries()) {
    const here = [...path, "floor", index];
    const previous = rows[index - 1];
    if (previous !== undefined && row.tier <= previous.tier) report([...here, "tier"], "floor rows must rise in tier");
    const last = index === rows.length - 1;
    if (last && row.when !== undefined)
      report([...here, "when"], "the last floor row must have no condition: it is what applies otherwise", "key");
    if (!last && row.when === undefined) report(here, "only the last floor row may have no condition");
    for (const [name, limit] of Object.entries(row.when ?? {})) {
      const target = constraintTarget(name, limit);
      const fact = declared.get(target.fact);
      const place = [...here, "when", name];
      if (fact === undefined) report(place, `the action declares no fact "${target.fact}"`, "key");
      else if (
        (target.kind === "max" || target.kind === "min") &&
        (fact.type !== "number" || typeof limit !== "number")
      ) {
        report(place, `${name} needs a number and a fact of type number`);
      }
    }
  }
  return rows.map(({ tier, when }) => ({ tier, when: when ?? null }));
}

/** The first row whose condition the facts meet. A fact that is missing meets none, so it can only raise the floor. */
export function floorOf(rows: readonly FloorRow[], facts: Facts): Tier {
  for (const { tier, when } of rows) {
    if (when === null || checkConstraints(when, facts).holds) return tier;
  }
  return 5;
}
