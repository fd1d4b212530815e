import type { Constraints } from "../catalogue/constraints.ts";
import type { ActionSpec } from "../catalogue/types.ts";
import { constraintMistake } from "./rules.ts";

/** Pins of one standing approval: more than the facts of any action. */
export const PINS_MAX = 32;

/**
 * Why these pins are no pins for requests of the action, null where they are. The grammar is a policy's own: `max_X` and `min_X`,
 * a list for one of, a scalar for equal. They can only narrow: a request is judged by the policy whatever they say. None at all are
 * right only where the catalogue extracts nothing that could be pinned.
 */
export function pinMistake(pins: Constraints, spec: ActionSpec): string | null {
  const names = Object.keys(pins);
  if (names.length > PINS_MAX) return `more than ${PINS_MAX} pins`;
  if (names.length === 0 && spec.factNames.size > 0)
    return `pin at least one of ${[...spec.factNames.keys()].join(", ")}: a standing approval is for requests that are known`;
  for (const [name, limit] of Object.entries(pins)) {
    const mistake = constraintMistake(name, limit, spec);
    if (mistake !== null) return `${name}: ${mistake}`;
  }
  return null;
}
