import { checkConstraints, constraintTarget, type Constraints } from "../../catalogue/constraints.ts";
import { floorOf } from "../../catalogue/floors.ts";
import type { ActionSpec } from "../../catalogue/types.ts";
import type { EpochMs, Fact, Facts, Tier } from "../../vocabulary.ts";
import { axisOf, type Axis } from "./diff-axes.ts";
import type { Moment } from "./diff-windows.ts";
import type { PolicyWorld } from "./diff-change.ts";

/** Most cells of one action, of all its moments together: 20,000 are judged in a fraction of a second. */
const MAX_CELLS = 20_000;

/** What a request comes to: the tier at which it is let through, null where it is refused. */
export type Verdict = Tier | null;

/** Requests of one action that are all decided in one way before and in another after. */
export type Region = {
  readonly before: Verdict;
  readonly after: Verdict;
  /** In words; null: every request of the action. */
  readonly where: string | null;
  /** One of them. */
  readonly example: { readonly facts: Facts; readonly now: EpochMs };
  readonly contains: (facts: Facts, openWindows: ReadonlySet<string>) => boolean;
};

/** Classes of the first axis, the second, and so on; the last one is of moments. */
type Box = readonly (readonly number[])[];

/** Where two policies decide one action differently: regions that do not overlap. Null: there are too many cells to look at all. */
export function differingRegions(
  action: string,
  before: PolicyWorld,
  after: PolicyWorld,
  moments: readonly Moment[],
): readonly Region[] | null {
  const axes = axesOf(action, before, after);
  if (axes === null) return null;
  const sizes = [...axes.map(({ examples }) => examples.length), moments.length];
  const count = sizes.reduce((product, size) => product * size, 1);
  if (count > MAX_CELLS) return null;
  const [judgeBefore, judgeAfter] = [judgeOf(before, action), judgeOf(after, action)];
  const changed = new Map<string, { readonly before: Verdict; readonly after: Verdict; readonly boxes: Box[] }>();
  for (let index = 0; index < count; index += 1) {
    const place = placeOf(index, sizes);
    const facts = factsAt(axes, place);
    const now = moments[place.at(-1) ?? 0]?.at ?? 0;
    const verdicts = { before: judgeBefore(facts, now), after: judgeAfter(facts, now) };
    if (verdicts.before === verdicts.after) continue;
    const key = `${verdicts.before} ${verdicts.after}`;
    const group = changed.get(key) ?? { ...verdicts, boxes: [] };
    if (group.boxes.length === 0) changed.set(key, group);
    group.boxes.push(place.map((one) => [one]));
  }
  return [...changed.values()].flatMap((group) =>
    merged(group.boxes).map((box) => ({
      before: group.before,
      after: group.after,
      ...regionOf(box, axes, moments),
    })),
  );
}

/** Every fact that anything which decides this action asks about, cut at all limits of both sides. */
function axesOf(action: string, before: PolicyWorld, after: PolicyWorld): readonly Axis[] | null {
  const specs = [before, after].flatMap(({ catalogue }) => catalogue.actions.get(action) ?? []);
  const constraints = [before, after].flatMap((world) => constraintsOn(action, world));
  const facts = new Set(
    constraints.flatMap((each) => Object.entries(each).map(([name, limit]) => constraintTarget(name, limit).fact)),
  );
  const axes: Axis[] = [];
  for (const fact of facts) {
    const types = new Set(specs.flatMap(({ factNames }) => factNames.get(fact) ?? []));
    const [type] = types;
    // An environment may speak of facts that this action does not have.
    if (type === undefined) continue;
    const axis = types.size > 1 ? null : axisOf(fact, type, constraints);
    if (axis === null) return null;
    axes.push(axis);
  }
  return axes;
}

/** Every constraint that anything which decides this action sets. */
export function constraintsOn(action: string, { policy, catalogue }: PolicyWorld): readonly Constraints[] {
  const { rules, guards, environments } = policy.parts;
  const spec = catalogue.actions.get(action);
  const floors = (spec?.floors ?? []).flatMap(({ when }) => (when === null ? [] : [when]));
  const entries = rules.filter((rule) => rule.action === action).map((rule) => rule.constraints);
  const isGuarded = spec !== undefined && guards.some((guard) => guard.covers(spec));
  return [...entries, ...floors, ...(isGuarded ? [...environments.definitions.values()].flat() : [])];
}

/** What one side makes of requests of an action: each with the floor of its own catalogue. */
export function judgeOf({ policy, catalogue }: PolicyWorld, action: string): (facts: Facts, now: EpochMs) => Verdict {
  const floors = catalogue.actions.get(action)?.floors ?? [];
  const entries = policy.parts.rules.filter((rule) => rule.action === action && !rule.isShadow);
  const isAllowed = (facts: Facts, floor: Tier): boolean =>
    entries.some(({ tier, constraints }) => tier >= floor && checkConstraints(constraints, facts).holds);
  return (facts, now) => {
    const floor = floorOf(floors, facts);
    // Most cells are refused, and why is the expensive part of that.
    if (policy.mode === "enforce" && !isAllowed(facts, floor)) return null;
    const outcome = policy.evaluate({ action, facts, missing: [], floor, now });
    return outcome.kind === "matched" ? outcome.tier : null;
  };
}

function placeOf(index: number, sizes: readonly number[]): readonly number[] {
  let rest = index;
  return sizes.map((size) => {
    const here = rest % size;
    rest = (rest - here) / size;
    return here;
  });
}

function factsAt(axes: readonly Axis[], place: readonly number[]): Facts {
  const facts: Record<string, Fact> = {};
  for (const [index, { fact, examples }] of axes.entries()) {
    const value = examples[place[index] ?? 0];
    if (value !== undefined) facts[fact] = value;
  }
  return facts;
}

/** Joins boxes that differ in one axis only, until none do. What they cover stays the same. */
function merged(boxes: readonly Box[]): readonly Box[] {
  const axes = boxes[0]?.length ?? 0;
  let current = boxes;
  for (let before = -1; before !== current.length;) {
    before = current.length;
    for (let axis = 0; axis < axes; axis += 1) current = mergedAlong(axis, current);
  }
  return current;
}

function mergedAlong(axis: number, boxes: readonly Box[]): readonly Box[] {
  const byOthers = Map.groupBy(boxes, (box) => box.map((classes, at) => (at === axis ? "" : classes.join())).join(";"));
  return [...byOthers.values()].map((alike) => {
    const [first = []] = alike;
    if (alike.length === 1) return first;
    const classes = alike.flatMap((box) => box[axis] ?? []).toSorted((a, b) => a - b);
    return first.map((own, at) => (at === axis ? classes : own));
  });
}

function regionOf(
  box: Box,
  axes: readonly Axis[],
  moments: readonly Moment[],
): Pick<Region, "where" | "example" | "contains"> {
  const texts = axes.flatMap((axis, index) => {
    const classes = box[index] ?? [];
    return classes.length === axis.examples.length ? [] : [axis.text(classes)];
  });
  const times = (box.at(-1) ?? []).flatMap((index) => moments[index] ?? []);
  if (times.length < moments.length) texts.push(times.map(({ text }) => text).join(" or "));
  const place = box.map(([first = 0]) => first);
  return {
    where: texts.length === 0 ? null : texts.join(", "),
    example: { facts: factsAt(axes, place), now: times[0]?.at ?? 0 },
    contains: (facts, openWindows) =>
      axes.every((axis, index) => box[index]?.includes(axis.classOf(facts[axis.fact])) === true) &&
      times.some(({ open }) => open.size === openWindows.size && [...open].every((one) => openWindows.has(one))),
  };
}

/** Everything that decides requests of this action, as one text: where both sides have the same, nothing can differ. */
export function decidingText(action: string, { policy, catalogue }: PolicyWorld): string {
  const { rules, prohibited, guards, environments, windows } = policy.parts;
  const spec = catalogue.actions.get(action);
  const covering = spec === undefined ? [] : guards.filter((guard) => !guard.isShadow && guard.covers(spec));
  return JSON.stringify([
    policy.mode,
    prohibited.has(action),
    rules
      .filter((rule) => rule.action === action && !rule.isShadow)
      .map(({ tier, constraints }) => [tier, constraints]),
    spec === undefined ? null : [spec.floors, factTypes(spec)],
    covering.length === 0 ? null : [...environments.definitions],
    covering.map((guard) => [
      guard.environments,
      guard.windows?.map((name) => windows.get(name)?.definition ?? null) ?? null,
    ]),
  ]);
}

const factTypes = ({ factNames }: ActionSpec): readonly (readonly [string, string])[] => [...factNames];
