import { z } from "zod";
import type { ReplayWorld } from "../../audit/replay/rejudge.ts";
import { compileCatalogue } from "../../catalogue/compile.ts";
import { compilePrices } from "../../catalogue/prices.ts";
import { err, ok, type Result } from "../../platform/result.ts";
import { compilePolicy } from "../../policy/compile-policy.ts";
import { compilePeople } from "../../policy/people.ts";
import { readAs, type GateClient } from "../client.ts";
import { inFile, type FileProblem } from "../documents.ts";
import { failed, usage, type Failure } from "../failure.ts";
import { readText } from "../files.ts";
import { policyFiles, type NamedFiles } from "./policy-files.ts";
import type { Terminal } from "../terminal.ts";

export const WORLD_DOCUMENTS = ["policy", "people", "catalogue", "prices"] as const;
type DocumentName = (typeof WORLD_DOCUMENTS)[number];

/** One document with the name under which its mistakes are told. */
export type NamedText = { readonly name: string; readonly text: string };
/** The documents that decide together. Prices may be missing: then no price is compared. */
export type WorldTexts = Readonly<Record<Exclude<DocumentName, "prices">, NamedText>> & {
  readonly prices: NamedText | null;
};

type Place = Pick<Terminal, "folder">;

/** A policy's file and what goes with it, found as `policyFiles` finds it. */
export function textsInFiles(place: Place, policy: string, named: NamedFiles): Result<WorldTexts, Failure> {
  const files = policyFiles(place, policy, named);
  if (!files.ok) return files;
  return textsOf(place, { ...files.value, prices: files.value.prices ?? undefined });
}

/** The files that are named; what is not named stays as in `others`. */
export function textsOver(
  place: Place,
  named: Readonly<Partial<Record<DocumentName, string | undefined>>>,
  others: WorldTexts,
): Result<WorldTexts, Failure> {
  let texts = others;
  for (const name of WORLD_DOCUMENTS) {
    const file = named[name];
    if (file === undefined) continue;
    const text = readText(place, file);
    if (!text.ok) return text;
    texts = { ...texts, [name]: { name: file, text: text.value } };
  }
  return ok(texts);
}

function textsOf(
  place: Place,
  files: Readonly<Record<"policy" | "people" | "catalogue", string>> & { readonly prices: string | undefined },
): Result<WorldTexts, Failure> {
  const none = { name: "", text: "" };
  return textsOver(place, files, { policy: none, people: none, catalogue: none, prices: null });
}

const inForce = z.object({ version: z.int() });
const stored = z.object({
  version: z.int(),
  documents: z.object({
    policy: z.string().nullable(),
    people: z.string().nullable(),
    catalogue: z.string().nullable(),
    prices: z.string().nullable(),
  }),
});

/** The documents of the version that is in force, as the gate keeps them. */
export async function textsInForce(
  client: GateClient,
): Promise<Result<{ readonly version: number; readonly texts: WorldTexts }, Failure>> {
  const active = await client.call({ method: "GET", path: "/_gate/v1/policy" });
  if (!active.ok) return active;
  const current = readAs(inForce, active.value);
  if (!current.ok) return current;
  const { version } = current.value;
  const answer = await client.call({ method: "GET", path: `/_gate/v1/policy/versions/${version}` });
  if (!answer.ok) return answer;
  const view = readAs(stored, answer.value);
  if (!view.ok) return view;
  const { policy, people, catalogue, prices } = view.value.documents;
  if (policy === null || people === null || catalogue === null) {
    return err(failed("A document of the version in force is missing", `The gate has not all of version ${version}.`));
  }
  const named = (name: DocumentName, text: string): NamedText => ({ name: `${name} of version ${version}`, text });
  const texts = {
    policy: named("policy", policy),
    people: named("people", people),
    catalogue: named("catalogue", catalogue),
    prices: prices === null ? null : named("prices", prices),
  };
  return ok({ version, texts });
}

/** Compiles them together; what is wrong is told under the documents' names. */
export function compileWorld(texts: WorldTexts): Result<ReplayWorld, readonly FileProblem[]> {
  const people = compilePeople(texts.people.text);
  const catalogue = compileCatalogue(texts.catalogue.text);
  const prices = texts.prices === null ? ok(null) : compilePrices(texts.prices.text);
  const foundations = [
    ...(catalogue.ok ? [] : inFile(texts.catalogue.name, catalogue.error)),
    ...(prices.ok ? [] : inFile(texts.prices?.name ?? "prices", prices.error)),
    ...(people.ok ? [] : inFile(texts.people.name, people.error)),
  ];
  // A policy judged against broken people or a broken catalogue would only repeat their mistakes.
  if (!people.ok || !catalogue.ok || !prices.ok) return err(foundations);
  const policy = compilePolicy(texts.policy.text, people.value, catalogue.value);
  if (!policy.ok) return err(inFile(texts.policy.name, policy.error));
  return ok({
    policy: policy.value.policy,
    people: people.value,
    catalogue: catalogue.value,
    prices: prices.value,
  });
}

/** What to say when nothing to compare with is named. */
export const nothingToCompare = (): Failure =>
  usage("nothing to compare with", "Name two policies, or one and --against-active.");
