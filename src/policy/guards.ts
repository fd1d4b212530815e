import type { ActionSpec } from "../catalogue/types.ts";
import type { JsonPath } from "../platform/json-pointer.ts";
import type { ParsedDocument } from "../platform/yaml-document.ts";
import type { EpochMs, Facts } from "../vocabulary.ts";
import type { Environments } from "./environments.ts";
import type { Report } from "./limits.ts";
import type { MaintenanceWindow } from "./maintenance-windows.ts";
import type { PolicyDocument } from "./policy-schema.ts";
import { didYouMean } from "./suggest.ts";
import type { GuardRefusal, OpenWindow } from "./types.ts";

/** One guard as it stands in the document, and what it says of a request at one moment. */
export type Guard = {
  /** `blast_radius[0]`. */
  readonly label: string;
  readonly path: JsonPath;
  readonly isShadow: boolean;
  /** Where it holds; null: everywhere. */
  readonly environments: readonly string[] | null;
  /** Windows outside of which it denies; null: it denies at any time. */
  readonly windows: readonly string[] | null;
  /** Whether requests of the action can be covered at all. */
  readonly covers: (spec: ActionSpec) => boolean;
  /** Null: the guard has no objection. `open`: it has none until that window closes. */
  readonly judge: (spec: ActionSpec, facts: Facts, now: EpochMs) => GuardRefusal | { readonly open: OpenWindow } | null;
};

type Document = ParsedDocument<PolicyDocument>;
type Written = NonNullable<PolicyDocument["reversible"]>[number] | NonNullable<PolicyDocument["blast_radius"]>[number];
type Parts = { readonly environments: Environments; readonly windows: ReadonlyMap<string, MaintenanceWindow> };

/**
 * Reads `blast_radius` and `reversible`: guards over writes by how far a mistake reaches and whether anything undoes it, as the
 * catalogue says of each action. An action of which it does not say counts as the widest and as irreversible.
 */
export function readGuards(
  document: Document,
  radii: readonly string[],
  parts: Parts,
  report: Report,
): readonly Guard[] {
  const guards: Guard[] = [];
  for (const [index, written] of (document.value.blast_radius ?? []).entries()) {
    const path: JsonPath = ["blast_radius", index];
    const least = radii.indexOf(written.at_least);
    if (least < 0) {
      const known =
        radii.length === 0
          ? "the catalogue states no blast radii"
          : `the catalogue has no blast radius "${written.at_least}"`;
      report(document.problem([...path, "at_least"], `${known}${didYouMean(written.at_least, radii)}`));
    }
    const covers = ({ blastRadius }: ActionSpec): boolean =>
      blastRadius === null || radii.indexOf(blastRadius) >= least;
    guards.push(guardOf(document, path, written, covers, parts, report));
  }
  for (const [index, written] of (document.value.reversible ?? []).entries()) {
    guards.push(
      guardOf(document, ["reversible", index], written, ({ reversible }) => reversible !== true, parts, report),
    );
  }
  return guards;
}

function guardOf(
  document: Document,
  path: JsonPath,
  written: Written,
  covers: Guard["covers"],
  { environments, windows }: Parts,
  report: Report,
): Guard {
  for (const [index, name] of (written.environments ?? []).entries()) {
    if (environments.names.has(name)) continue;
    report(
      document.problem(
        [...path, "environments", index],
        `environments names no "${name}"${didYouMean(name, environments.names)}`,
      ),
    );
  }
  for (const [index, name] of (written.inside ?? []).entries()) {
    if (Object.hasOwn(document.value.maintenance_windows ?? {}, name)) continue;
    const message = `maintenance_windows names no "${name}"${didYouMean(name, windows.keys())}`;
    report(document.problem([...path, "inside", index], message));
  }
  const label = `${path[0]}[${path[1]}]`;
  const inside = (written.inside ?? []).flatMap((name) => windows.get(name) ?? []);
  return {
    label,
    path,
    isShadow: written.mode === "shadow",
    environments: written.environments ?? null,
    windows: written.inside ?? null,
    covers,
    judge: (spec, facts, now) => {
      if (written.environments !== undefined) {
        const possible = environments.of(spec, facts);
        if (!written.environments.some((name) => possible.has(name))) return null;
      }
      if (written.deny !== undefined) return { kind: "not-allowed", rule: `${label}: ${written.deny}` };
      if (written.runbook !== undefined) {
        return { kind: "not-allowed", rule: `${label}: people do this by hand`, runbook: written.runbook };
      }
      return insideOf(label, inside, now);
    },
  };
}

/** Open windows by the one that stays open longest; none: refused, with the next opening. */
function insideOf(
  label: string,
  windows: readonly MaintenanceWindow[],
  now: EpochMs,
): GuardRefusal | { readonly open: OpenWindow } {
  const [last] = windows
    .flatMap((window) => {
      const closesAt = window.closesAt(now);
      return closesAt === null ? [] : [{ rule: label, name: window.name, closesAt }];
    })
    .toSorted((a, b) => b.closesAt - a.closesAt);
  return last === undefined
    ? outside(label, windows, now)
    : { open: { ...last, after: outside(label, windows, last.closesAt) } };
}

function outside(label: string, windows: readonly MaintenanceWindow[], now: EpochMs): GuardRefusal {
  const openings = windows.flatMap((window) => window.opensAfter(now) ?? []);
  return {
    kind: "outside-window",
    rule: label,
    windows: windows.map(({ name }) => name),
    opens_at: openings.length === 0 ? null : new Date(Math.min(...openings)).toISOString(),
  };
}
