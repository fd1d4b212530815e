import { compileCatalogue } from "../catalogue/compile.ts";
import { compilePrices } from "../catalogue/prices.ts";
import type { StoredDocument } from "../db/tenant-rows.ts";
import type { VersionTerms } from "../ledger/authority.ts";
import type { DocumentProblem } from "../platform/document.ts";
import { err, ok, type Result } from "../platform/result.ts";
import { compilePeople } from "../policy/people.ts";
import { compilePolicy } from "../policy/compile-policy.ts";
import type { Refusal } from "../refusal.ts";

export type DocumentTexts = {
  readonly policy: string;
  readonly people: string;
  readonly catalogue: string;
  readonly prices: string;
};

export type CheckedDocuments = {
  readonly terms: VersionTerms;
  readonly rows: readonly StoredDocument[];
  readonly controlPlane: string;
  readonly warnings: readonly DocumentProblem[];
};

/** Compiles the four documents of a version against each other; the first mistake refuses all, with its place. */
export function checkDocuments(texts: DocumentTexts): Result<CheckedDocuments, Refusal> {
  const catalogue = compileCatalogue(texts.catalogue);
  if (!catalogue.ok) return invalid("catalogue", catalogue.error);
  const prices = compilePrices(texts.prices);
  if (!prices.ok) return invalid("prices", prices.error);
  const people = compilePeople(texts.people);
  if (!people.ok) return invalid("people", people.error);
  const policy = compilePolicy(texts.policy, people.value, catalogue.value);
  if (!policy.ok) return invalid("policy", policy.error);
  const { budget, moneyDigest, signals, retention, digest } = policy.value.policy;
  return ok({
    terms: {
      policy: digest,
      people: people.value.digest,
      catalogue: catalogue.value.digest,
      prices: prices.value.digest,
      dailyCapMicros: budget.dailyCapMicros,
      monthlyCapMicros: budget.monthlyCapMicros,
      moneyDigest,
      signals,
      retention,
    },
    rows: [
      { digest, kind: "policy", body: texts.policy },
      { digest: people.value.digest, kind: "people", body: texts.people },
      { digest: catalogue.value.digest, kind: "catalogue", body: texts.catalogue },
      { digest: prices.value.digest, kind: "prices", body: texts.prices },
    ],
    controlPlane: catalogue.value.controlPlane,
    warnings: policy.value.warnings,
  });
}

function invalid(document: string, problems: readonly DocumentProblem[]): Result<never, Refusal> {
  const first = problems[0];
  return err({
    kind: "policy-invalid",
    reason: `${document}: ${first?.message ?? "does not compile"}${problems.length > 1 ? ` (and ${problems.length - 1} more)` : ""}`,
    line: first?.line ?? null,
    column: first?.column ?? null,
    path: `${document}${first?.path ?? ""}`,
  });
}
