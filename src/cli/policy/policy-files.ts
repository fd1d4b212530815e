import { Option } from "commander";
import { dirname, join } from "node:path";
import { parse } from "yaml";
import { compileCatalogue } from "../../catalogue/compile.ts";
import { compilePrices, type CompiledPrices } from "../../catalogue/prices.ts";
import type { CompiledCatalogue } from "../../catalogue/types.ts";
import { err, ok, type Result } from "../../platform/result.ts";
import { compilePolicy } from "../../policy/compile-policy.ts";
import { compilePeople } from "../../policy/people.ts";
import type { CompiledPolicy } from "../../policy/types.ts";
import type { EpochMs } from "../../vocabulary.ts";
import { exampleCatalogue, inFile, peopleBeside, pricesFor, testsBeside, type FileProblem } from "../documents.ts";
import type { Documents } from "./decide-offline.ts";
import { usage, type Failure } from "../failure.ts";
import { absolute, firstExisting, readText, shown } from "../files.ts";
import type { Terminal } from "../terminal.ts";

/** The options of every command that needs the documents beside a policy. */
export const DOCUMENT_OPTIONS = [
  new Option("--people <file>", "people document (default: <name>.people.yaml beside the policy)"),
  new Option("--catalogue <file>", "catalogue (default: the one that the tests name, else the example)"),
  new Option("--prices <file>", "price table (default: the one of ../prices/ that goes with the catalogue)"),
];

/** What may be named on the command line; the rest is found. */
export type NamedFiles = {
  readonly people?: string | undefined;
  readonly catalogue?: string | undefined;
  readonly prices?: string | undefined;
  readonly tests?: string | undefined;
};

/** A policy and what it is judged with. `tests`: null where there is no table beside it. */
export type PolicyFiles = {
  readonly policy: string;
  readonly people: string;
  readonly catalogue: string;
  readonly prices: string | null;
  readonly tests: string | null;
};

type Place = Pick<Terminal, "folder">;

/**
 * Finds the documents that go with a policy: `<name>.people.yaml` and `<name>.tests.yaml` beside it; the catalogue that the table of
 * tests names (`../catalogues/<id>.yaml`), else the example; the price table that goes with the catalogue.
 */
export function policyFiles(place: Place, policy: string, named: NamedFiles): Result<PolicyFiles, Failure> {
  const people = named.people ?? peopleBeside(place, policy);
  if (people === null) {
    const wanted = `${policy.replace(/\.ya?ml$/, "")}.people.yaml`;
    return err(
      usage(`no people document: ${wanted} does not exist`, "Name it with --people FILE: handles are judged by it."),
    );
  }
  const tests = named.tests ?? testsBeside(place, policy);
  const catalogue = named.catalogue ?? catalogueOf(place, policy, tests) ?? exampleCatalogue(place);
  return ok({ policy, people, catalogue, tests, prices: named.prices ?? pricesFor(place, catalogue) });
}

/** The catalogue that the table of tests names, where its file is where such files are. */
function catalogueOf(place: Place, policy: string, tests: string | null): string | null {
  const text = tests === null ? null : readText(place, tests);
  if (text === null || !text.ok) return null;
  const id = idIn(text.value);
  if (id === null) return null;
  const found = firstExisting([join(dirname(absolute(place, policy)), "../catalogues", `${id}.yaml`)]);
  return found === null ? null : shown(place, found);
}

/** Only to find a file by: the table is read strictly when it is run. */
function idIn(text: string): string | null {
  try {
    const document: unknown = parse(text);
    const id = typeof document === "object" && document !== null && "catalogue" in document ? document.catalogue : null;
    return typeof id === "string" && /^[a-z0-9][a-z0-9._-]*$/.test(id) ? id : null;
  } catch {
    return null;
  }
}

/** The documents compiled, with what their author should still look at. */
export type LoadedPolicy = {
  readonly catalogue: CompiledCatalogue;
  readonly policy: CompiledPolicy;
  /** Null where no price table goes with the catalogue. */
  readonly prices: CompiledPrices | null;
  readonly warnings: readonly FileProblem[];
};

/** Reads and compiles. A file that cannot be read is a failure; mistakes in documents are the result. */
export function loadPolicy(
  place: Place,
  files: PolicyFiles,
  now: EpochMs,
): Result<Result<LoadedPolicy, readonly FileProblem[]>, Failure> {
  const texts = readAll(place, [files.policy, files.people, files.catalogue]);
  if (!texts.ok) return texts;
  const pricesText = files.prices === null ? ok(null) : readText(place, files.prices);
  if (!pricesText.ok) return pricesText;
  const [policyText = "", peopleText = "", catalogueText = ""] = texts.value;
  const people = compilePeople(peopleText);
  const catalogue = compileCatalogue(catalogueText);
  const prices = pricesText.value === null ? ok(null) : compilePrices(pricesText.value);
  const foundations = [
    ...(catalogue.ok ? [] : inFile(files.catalogue, catalogue.error)),
    ...(prices.ok ? [] : inFile(files.prices ?? "", prices.error)),
    ...(people.ok ? [] : inFile(files.people, people.error)),
  ];
  // A policy judged against broken people or a broken catalogue would only repeat their mistakes.
  if (!people.ok || !catalogue.ok || !prices.ok) return ok(err(foundations));
  const advice = { bounds: catalogue.value.bounds(), prices: prices.value, now };
  const compiled = compilePolicy(policyText, people.value, catalogue.value, advice);
  if (!compiled.ok) return ok(err(inFile(files.policy, compiled.error)));
  const { policy, warnings } = compiled.value;
  return ok(ok({ catalogue: catalogue.value, prices: prices.value, policy, warnings: inFile(files.policy, warnings) }));
}

/** What decides: the price table has to be there as well. */
export function documentsOf(
  files: PolicyFiles,
  { catalogue, policy, prices }: LoadedPolicy,
): Result<Documents, Failure> {
  return prices === null
    ? err(usage(`${files.catalogue} has no price table that goes with it`, "Name the price table with --prices FILE."))
    : ok({ catalogue, policy, prices });
}

function readAll(place: Place, files: readonly string[]): Result<readonly string[], Failure> {
  const read: string[] = [];
  for (const file of files) {
    const text = readText(place, file);
    if (!text.ok) return text;
    read.push(text.value);
  }
  return ok(read);
}
