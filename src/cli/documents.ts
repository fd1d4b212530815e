import { basename, dirname, join, resolve } from "node:path";
import { readdirSync } from "node:fs";
import type { DocumentProblem } from "../platform/document.ts";
import { inert } from "./inert.ts";
import { absolute, firstExisting, shown } from "./files.ts";
import type { Cell } from "./print.ts";
import type { Terminal } from "./terminal.ts";

type Place = Pick<Terminal, "folder">;

/** The catalogue that a policy is checked against when none is named. */
const EXAMPLE_CATALOGUE = resolve(import.meta.dirname, "../../policies/catalogues/example.yaml");

/** One mistake in a named file. */
export type FileProblem = DocumentProblem & { readonly file: string };

export const inFile = (file: string, problems: readonly DocumentProblem[]): readonly FileProblem[] =>
  problems.map((problem) => ({ file, ...problem }));

/** `file:line:column: error message (/pointer)`, which editors and CI systems turn into links. */
export const problemLine = ({ file, line, column, severity, message, path }: FileProblem): string =>
  `${file}:${line ?? 1}:${column ?? 1}: ${severity} ${inert(message)}${path === "" ? "" : ` (${inert(path)})`}`;

/** `2 errors, 1 warning`, coloured by the worst of them. */
export function countsOf(problems: readonly FileProblem[]): Cell {
  const errors = problems.filter(({ severity }) => severity === "error").length;
  const warnings = problems.length - errors;
  const text = `${plural(errors, "error")}, ${plural(warnings, "warning")}`;
  return { text, style: errors > 0 ? "bad" : warnings > 0 ? "warn" : "good" };
}

export const plural = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? "" : "s"}`;

/** `<name>.people.yaml` beside the policy; null when there is none. */
export const peopleBeside = (place: Place, policy: string): string | null => beside(place, policy, ".people.yaml");

/** The catalogue that comes with the gate, as seen from the person's folder. */
export const exampleCatalogue = (place: Place): string => shown(place, EXAMPLE_CATALOGUE);

/** `<name>.tests.yaml` beside the catalogue; null when there is none. */
export const testsBeside = (place: Place, catalogue: string): string | null => beside(place, catalogue, ".tests.yaml");

/**
 * The price table that goes with a catalogue: `<name>.prices.yaml` beside it, `../prices/<name>.yaml`, or the only one of
 * `../prices/` whose name begins with the same word (`slurm-lab.yaml` for `slurm-v0.0.38.yaml`). Null when there is none.
 */
export function pricesFor(place: Place, catalogue: string): string | null {
  const path = absolute(place, catalogue);
  const folder = join(dirname(path), "../prices");
  const found = beside(place, catalogue, ".prices.yaml") ?? firstExisting([join(folder, basename(path))]);
  if (found !== null) return shown(place, found);
  const word = wordOf(basename(path));
  const similar = filesIn(folder).filter((name) => wordOf(name) === word);
  const [only, ...others] = similar;
  return only !== undefined && others.length === 0 ? shown(place, join(folder, only)) : null;
}

function beside(place: Place, file: string, ending: string): string | null {
  const path = absolute(place, file);
  const found = firstExisting([path.replace(/\.ya?ml$/, "") + ending]);
  return found === null ? null : shown(place, found);
}

const wordOf = (name: string): string => name.replace(/\.ya?ml$/, "").split("-")[0] ?? name;

function filesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder).filter((name) => /\.ya?ml$/.test(name));
  } catch {
    return [];
  }
}
