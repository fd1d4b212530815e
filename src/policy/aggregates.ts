import type { ActionSpec } from "../catalogue/types.ts";
import { canonicalJson } from "../platform/canonical-json.ts";
import type { JsonPath } from "../platform/json-pointer.ts";
import type { ParsedDocument } from "../platform/yaml-document.ts";
import { isWrite } from "../vocabulary.ts";
import { MAX_AGGREGATE, type WrittenAggregate } from "./aggregate-schema.ts";
import type { Report } from "./limits.ts";
import type { PolicyDocument } from "./policy-schema.ts";
import { noSuchAction } from "./rules.ts";
import { didYouMean } from "./suggest.ts";
import type { Aggregate, CompiledPolicy, Measure } from "./types.ts";

/** What `of` may count besides facts. Each request counts one; `resources` counts each thing once. */
export const COUNTED_WORDS = ["submissions", "resources"] as const;

/** Most that one request counts: beyond every limit there can be, and far from where sums of many stop being exact. */
export const MOST_COUNTED = MAX_AGGREGATE * 10;

type Document = ParsedDocument<PolicyDocument>;
type Actions = ReadonlyMap<string, ActionSpec>;

/**
 * Every aggregate, in order of writing. Reports names that stand there twice, actions and facts that the catalogue does not have,
 * and facts of another type. In `mode: shadow` of the policy all of them are in shadow.
 */
export function readAggregates(document: Document, actions: Actions, report: Report): readonly Aggregate[] {
  const names = new Set<string>();
  return (document.value.aggregates ?? []).map((written, index) => {
    const path = ["aggregates", index];
    const { name, max, over, mode } = written;
    if (names.has(name)) report(document.problem([...path, "name"], `${name} names an aggregate before it already`));
    names.add(name);
    checkActions(document, written, path, actions, report);
    const measure = measureOf(written);
    checkLabel(document, measure, path, countedBy(measure, actions), report);
    const isShadow = mode === "shadow" || document.value.mode === "shadow";
    return { name, key: measureKey(measure), measure, max, over: over ?? "refuse", isShadow };
  });
}

/** The order in which actions are written says nothing of what is measured. */
const measureOf = ({ of, per, within, actions }: WrittenAggregate): Measure => ({
  of,
  per,
  within,
  actions: actions === undefined ? null : [...new Set(actions)].toSorted(),
});

/**
 * Under what an aggregate is counted: all but its limit, and what happens beyond. Changing those keeps the count, and two limits
 * of one measure are counted once.
 */
const measureKey = (measure: Measure): string => canonicalJson(measure);

const isFact = (of: string): boolean => !COUNTED_WORDS.some((word) => word === of);

/** The writes that a measure counts: those that it names, else each that has what it measures. */
export function countedBy({ of, actions: named }: Measure, actions: Actions): readonly ActionSpec[] {
  return [...actions.values()].filter(
    (spec) =>
      isWrite(spec.minimumTier) &&
      (named === null || named.includes(spec.action)) &&
      (!isFact(of) || spec.factNames.get(of) === "number"),
  );
}

function checkActions(
  document: Document,
  written: WrittenAggregate,
  path: JsonPath,
  actions: Actions,
  report: Report,
): void {
  const { of } = written;
  if (written.actions === undefined) {
    if (countedBy(measureOf(written), actions).length === 0)
      report(document.problem([...path, "of"], unknownFact(of, actions)));
    return;
  }
  for (const [index, action] of written.actions.entries()) {
    const mistake = actionMistake(of, action, actions);
    if (mistake !== null) report(document.problem([...path, "actions", index], mistake));
  }
}

function actionMistake(of: string, action: string, actions: Actions): string | null {
  const spec = actions.get(action);
  if (spec === undefined) return noSuchAction(action, actions);
  if (!isWrite(spec.minimumTier)) return `${action} may be a read, and reads are not counted`;
  if (!isFact(of) || spec.factNames.get(of) === "number") return null;
  const known = spec.factNames.has(of);
  return known ? `"${of}" of ${action} is no number` : `${action} has no fact "${of}"`;
}

function unknownFact(of: string, actions: Actions): string {
  const numbers = new Set<string>(COUNTED_WORDS);
  for (const spec of actions.values()) {
    if (!isWrite(spec.minimumTier)) continue;
    for (const [name, type] of spec.factNames) if (type === "number") numbers.add(name);
  }
  return `no write of the catalogue has a number "${of}"${didYouMean(of, numbers)}`;
}

function checkLabel(
  document: Document,
  { per }: Measure,
  path: JsonPath,
  counted: readonly ActionSpec[],
  report: Report,
): void {
  if (typeof per === "string" || counted.length === 0) return;
  const types = counted.flatMap(({ factNames }) => factNames.get(per.fact) ?? []);
  const place = [...path, "per", "fact"];
  if (types.some((type) => type !== "string")) report(document.problem(place, `"${per.fact}" is no text`));
  if (types.length > 0) return;
  const texts = counted.flatMap(({ factNames }) =>
    [...factNames].flatMap(([name, type]) => (type === "string" ? [name] : [])),
  );
  const near = didYouMean(per.fact, new Set(texts));
  report(document.problem(place, `no action that is counted here has a fact "${per.fact}"${near}`));
}

/** Builds the look-up that every write makes. */
export function compileAggregates(
  aggregates: readonly Aggregate[],
  actions: Actions,
): Pick<CompiledPolicy, "aggregates" | "aggregatesOf"> {
  const counting = aggregates.map((aggregate) => ({
    aggregate,
    actions: new Set(countedBy(aggregate.measure, actions).map(({ action }) => action)),
  }));
  const byAction: ReadonlyMap<string, readonly Aggregate[]> = new Map(
    [...actions.keys()].map((action) => [
      action,
      counting.filter((one) => one.actions.has(action)).map(({ aggregate }) => aggregate),
    ]),
  );
  return { aggregates, aggregatesOf: (action) => byAction.get(action) ?? [] };
}
