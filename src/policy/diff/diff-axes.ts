import { constraintTarget, type Constraints } from "../../catalogue/constraints.ts";
import type { FactType } from "../../catalogue/types.ts";
import type { Fact } from "../../vocabulary.ts";

/**
 * One fact, cut into classes of values: every constraint that it was cut for says the same of all values of one class. Limits are
 * bounds and lists, so the classes are exact; the last one is the fact that is not there.
 */
export type Axis = {
  readonly fact: string;
  /** One value of each class; undefined: the fact is absent. */
  readonly examples: readonly (Fact | undefined)[];
  readonly classOf: (value: Fact | undefined) => number;
  /** Some of the classes in words: `5 ≤ gpus ≤ 8`. */
  readonly text: (classes: readonly number[]) => string;
};

/** Most classes of one list-valued fact: each doubles what has to be compared. */
const MAX_LIST_CLASSES = 64;

/** How the members of a list stand to one limit. */
const [NOT_WITHIN, WITHIN, PARTLY, EMPTY] = ["0", "1", "2", "3"] as const;

type Limit = { readonly kind: ReturnType<typeof constraintTarget>["kind"]; readonly limit: Fact };

/** Cuts a fact at every limit that these constraints set it; null where that makes too many classes. */
export function axisOf(fact: string, type: FactType, constraints: readonly Constraints[]): Axis | null {
  const limits = constraints.flatMap((each) =>
    Object.entries(each).flatMap(([name, limit]): Limit[] => {
      const target = constraintTarget(name, limit);
      return target.fact === fact ? [{ kind: target.kind, limit }] : [];
    }),
  );
  if (type === "number") return numberAxis(fact, limits);
  if (type === "strings") return listAxis(fact, limits);
  return type === "boolean" ? scalarAxis(fact, [true, false], null) : textAxis(fact, limits);
}

/** Numeric facts are whole numbers (`catalogue/facts.ts`), so between two cuts there is nothing else to ask for. */
function numberAxis(fact: string, limits: readonly Limit[]): Axis {
  const cuts = [...new Set(limits.flatMap(cutsOf))].filter(Number.isSafeInteger).toSorted((a, b) => a - b);
  // Class i ends with cut i, inclusive; the one after the last cut has no end.
  const absent = cuts.length + 1;
  const examples = [...cuts, (cuts.at(-1) ?? 0) + 1, undefined];
  const end = (index: number): number | null => cuts[index] ?? null;
  const start = (index: number): number | null => (index === 0 ? null : (cuts[index - 1] ?? 0) + 1);
  return {
    fact,
    examples,
    classOf: (value) => {
      if (typeof value !== "number") return absent;
      const found = cuts.findIndex((cut) => value <= cut);
      return found < 0 ? cuts.length : found;
    },
    text: (classes) => {
      const ranges = runsOf(classes.filter((one) => one !== absent)).map(([first, last]) =>
        rangeText(fact, start(first), end(last)),
      );
      return [...ranges, ...(classes.includes(absent) ? [`no ${fact}`] : [])].join(" or ");
    },
  };
}

/** The last whole numbers before a limit says something else. */
function cutsOf({ kind, limit }: Limit): readonly number[] {
  if (typeof limit !== "number") return [];
  if (kind === "max") return [Math.floor(limit)];
  return kind === "min" ? [Math.ceil(limit) - 1] : [limit - 1, limit];
}

function rangeText(fact: string, from: number | null, to: number | null): string {
  if (from === null) return to === null ? `any ${fact}` : `${fact} ≤ ${to}`;
  if (to === null) return `${fact} ≥ ${from}`;
  return from === to ? `${fact} ${from}` : `${from} ≤ ${fact} ≤ ${to}`;
}

/** Neighbouring classes as one range each. */
function runsOf(classes: readonly number[]): readonly (readonly [first: number, last: number])[] {
  const runs: [number, number][] = [];
  for (const one of classes.toSorted((a, b) => a - b)) {
    const last = runs.at(-1);
    if (last !== undefined && last[1] === one - 1) last[1] = one;
    else runs.push([one, one]);
  }
  return runs;
}

function textAxis(fact: string, limits: readonly Limit[]): Axis {
  const members = [...new Set(limits.flatMap(({ limit }) => textsOf(limit)))].toSorted();
  return scalarAxis(fact, members, valueOutside(members));
}

const textsOf = (limit: Fact): readonly string[] =>
  typeof limit === "string" ? [limit] : typeof limit === "object" ? limit : [];

/** A text that is none of these. */
function valueOutside(members: readonly string[]): string {
  let other = "other";
  while (members.includes(other)) other += "-";
  return other;
}

/** `other`: stands for every value that is no member; null where there is none. */
function scalarAxis(fact: string, members: readonly Fact[], other: string | null): Axis {
  const absent = members.length + (other === null ? 0 : 1);
  const examples = [...members, ...(other === null ? [] : [other]), undefined];
  return {
    fact,
    examples,
    classOf: (value) => {
      if (value === undefined) return absent;
      const found = members.indexOf(value);
      return found < 0 ? absent - (other === null ? 0 : 1) : found;
    },
    text: (classes) => {
      const named = members.filter((_, index) => classes.includes(index));
      const hasOther = other !== null && classes.includes(members.length);
      const left = members.filter((_, index) => !classes.includes(index));
      const stated = hasOther
        ? [left.length === 0 ? `any ${fact}` : `${fact} other than ${left.join(", ")}`]
        : named.length === 0
          ? []
          : [`${fact} ${named.join(" or ")}`];
      return [...stated, ...(classes.includes(absent) ? [`no ${fact}`] : [])].join(" or ");
    },
  };
}

/**
 * A list-valued fact is within a limit when it is not empty and each member is; an environment has it as soon as one member is. So
 * what counts is which of the limits all its members are in, and which some. Those are what single members are in, and what
 * several of these make together.
 */
function listAxis(fact: string, limits: readonly Limit[]): Axis | null {
  const lists = [
    ...new Map(limits.map(({ limit }) => [textsOf(limit).toSorted().join("\0"), textsOf(limit)])).values(),
  ];
  const withinOf = (members: readonly string[]): string =>
    lists
      .map((list) => {
        if (members.length === 0) return EMPTY;
        const found = members.filter((member) => list.includes(member)).length;
        return found === 0 ? NOT_WITHIN : found === members.length ? WITHIN : PARTLY;
      })
      .join("");
  const classes = new Map<string, readonly string[]>();
  const outside = [valueOutside(lists.flat())];
  classes.set(withinOf(outside), outside);
  classes.set(withinOf([]), []);
  for (const member of new Set(lists.flat())) {
    for (const members of [[member], ...[...classes.values()].map((known) => [...known, member])]) {
      const key = withinOf(members);
      if (!classes.has(key)) classes.set(key, members);
    }
    if (classes.size > MAX_LIST_CLASSES) return null;
  }
  const keys = [...classes.keys()];
  return {
    fact,
    examples: [...classes.values(), undefined],
    classOf: (value) => (typeof value === "object" ? keys.indexOf(withinOf(value)) : keys.length),
    text: (chosen) =>
      chosen
        .map((index) => (index === keys.length ? `no ${fact}` : listText(fact, lists, keys[index] ?? "")))
        .join(" or "),
  };
}

function listText(fact: string, lists: readonly (readonly string[])[], key: string): string {
  if (key.startsWith(EMPTY)) return `${fact} empty`;
  const said = (standing: string, words: string): readonly string[] =>
    lists.filter((_, index) => key[index] === standing).map((list) => `${words} ${list.join(", ")}`);
  const all = [...said(WITHIN, "within"), ...said(PARTLY, "partly within"), ...said(NOT_WITHIN, "not within")];
  return `${fact} ${all.join(" and ")}`;
}
