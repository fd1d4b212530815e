import type { ActionSpec } from "../catalogue/types.ts";
import type { DocumentProblem } from "../platform/document.ts";
import type { ParsedDocument } from "../platform/yaml-document.ts";
import type { Guard } from "./guards.ts";
import { warningAt } from "./lint.ts";
import type { PolicyDocument } from "./policy-schema.ts";

/**
 * Warnings about guards that cover nothing, and about environments and windows that nothing depends on. One environment that a guard
 * speaks of is enough for all: what is in another one is not in that one.
 */
export function lintGuards(
  document: ParsedDocument<PolicyDocument>,
  guards: readonly Guard[],
  actions: ReadonlyMap<string, ActionSpec>,
): readonly DocumentProblem[] {
  const writes = [...actions.values()].filter(({ floors }) => floors.some(({ tier }) => tier >= 2 && tier <= 4));
  const idle = guards
    .filter((guard) => !writes.some((spec) => guard.covers(spec)))
    .map((guard) => warningAt(document, guard.path, "covers nothing: no write of the catalogue is of this kind"));
  const {
    blast_radius: radius = [],
    reversible = [],
    environments = {},
    maintenance_windows: windows = {},
  } = document.value;
  const named = [...radius, ...reversible];
  const unused = (key: "environments" | "maintenance_windows", names: readonly string[], used: readonly string[]) =>
    names
      .filter((name) => !used.includes(name))
      .map((name) => warningAt(document, [key, name], `no guard speaks of ${name}`, "key"));
  return [
    ...idle,
    ...unused(
      "environments",
      Object.keys(environments),
      named.some((guard) => guard.environments !== undefined) ? Object.keys(environments) : [],
    ),
    ...unused(
      "maintenance_windows",
      Object.keys(windows),
      named.flatMap((guard) => guard.inside ?? []),
    ),
  ];
}
