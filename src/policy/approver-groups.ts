import type { ApproverGroup } from "./types.ts";

/**
 * How many of the places that the groups ask for can be filled by these people, each person filling one place only: one
 * human who is both ml-lead and finance is still one human. A maximum bipartite matching by augmenting paths; groups and
 * people are a handful.
 */
export function filledPlaces(groups: readonly ApproverGroup[], subjects: readonly string[]): number {
  const places = groups.flatMap((group) => Array.from({ length: group.needed }, () => group));
  const placeOf = new Map<number, string>();
  const seat = (subject: string, tried: Set<number>): boolean => {
    for (const [index, place] of places.entries()) {
      if (tried.has(index) || !place.subjects.includes(subject)) continue;
      tried.add(index);
      const sitting = placeOf.get(index);
      if (sitting === undefined || seat(sitting, tried)) {
        placeOf.set(index, subject);
        return true;
      }
    }
    return false;
  };
  return [...new Set(subjects)].filter((subject) => seat(subject, new Set())).length;
}

/** How many places the groups ask for together. */
export const placesOf = (groups: readonly ApproverGroup[]): number =>
  groups.reduce((sum, group) => sum + group.needed, 0);
