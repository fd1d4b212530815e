import { dirname, join } from "node:path";
import { parse } from "yaml";
import { compileCatalogue } from "../catalogue/compile.ts";
import { compilePrices, type CompiledPrices } from "../catalogue/prices.ts";
import type { CompiledCatalogue } from "../catalogue/types.ts";
import { err, ok, type Result } from "../platform/result.ts";
import { compilePolicy } from "../policy/compile-policy.ts";
import { compilePeople, type CompiledPeople } from "../policy/people.ts";
import { exampleCatalogue, inFile, peopleBeside, pricesFor, testsBeside, type FileProblem } from "./documents.ts";
import type { Documents } from "./decide-offline.ts";
import { usage, type Failure } from "./failure.ts";
import { absolute, firstExisting, readText, shown } from "./files.ts";
import type { Terminal } from "./terminal.ts";

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

/** The documents compiled, with what their author should still look at; or all that is wrong with them. */
export type LoadedPolicy = {
  readonly documents: Documents;
  readonly people: CompiledPeople;
  readonly warnings: readonly FileProblem[];
};

/** Reads and compiles. A file that cannot be read is a failure; mistakes in documents are the result. */
export function loadPolicy(
  place: Place,
  files: PolicyFiles & { readonly prices: string },
): Result<Result<LoadedPolicy, readonly FileProblem[]>, Failure> {
  const texts = readAll(place, [files.policy, files.people, files.catalogue, files.prices]);
  if (!texts.ok) return texts;
  const [policyText = "", peopleText = "", catalogueText = "", pricesText = ""] = texts.value;
  const people = compilePeople(peopleText);
  const catalogue = compileCatalogue(catalogueText);
  const prices = compilePrices(pricesText);
  // A policy judged against broken people or a broken catalogue would only repeat their mistakes.
  if (!people.ok || !catalogue.ok || !prices.ok) return ok(err(foundations(files, people, catalogue, prices)));
  const policy = compilePolicy(policyText, people.value, catalogue.value);
  if (!policy.ok) return ok(err(inFile(files.policy, policy.error)));
  const documents = { catalogue: catalogue.value, prices: prices.value, policy: policy.value.policy };
  return ok(ok({ documents, people: people.value, warnings: inFile(files.policy, policy.value.warnings) }));
}

const foundations = (
  files: PolicyFiles & { readonly prices: string },
  people: ReturnType<typeof compilePeople>,
  catalogue: Result<CompiledCatalogue, readonly FileProblem[] | Parameters<typeof inFile>[1]>,
  prices: Result<CompiledPrices, Parameters<typeof inFile>[1]>,
): readonly FileProblem[] => [
  ...(catalogue.ok ? [] : inFile(files.catalogue, catalogue.error)),
  ...(prices.ok ? [] : inFile(files.prices, prices.error)),
  ...(people.ok ? [] : inFile(files.people, people.error)),
];

function readAll(place: Place, files: readonly string[]): Result<readonly string[], Failure> {
  const read: string[] = [];
  for (const file of files) {
    const text = readText(place, file);
    if (!text.ok) return text;
    read.push(text.value);
  }
  return ok(read);
}

/** The price table has to be there where something is priced. */
export const withPrices = (files: PolicyFiles): Result<PolicyFiles & { readonly prices: string }, Failure> =>
  files.prices === null
    ? err(usage(`${files.catalogue} has no price table that goes with it`, "Name the price table with --prices FILE."))
    : ok({ ...files, prices: files.prices });
