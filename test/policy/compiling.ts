import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import type { CompiledCatalogue } from "../../src/catalogue/types.ts";
import type { DocumentProblem } from "../../src/platform/document.ts";
import { compilePolicy } from "../../src/policy/compile-policy.ts";
import { compilePeople } from "../../src/policy/people.ts";
import type { CompiledPeople } from "../../src/policy/people.ts";
import type { CompiledPolicy, PolicyOutcome } from "../../src/policy/types.ts";
import type { Facts } from "../../src/vocabulary.ts";
import { EXAMPLE_CATALOGUE, exampleFloor } from "./example-actions.ts";

type Catalogue = Pick<CompiledCatalogue, "actions" | "blastRadii" | "digest">;

/** The text of a published tenant document. */
export const tenantFile = (name: string): string =>
  readFileSync(join(import.meta.dirname, "../../policies/tenants", name), "utf8");

/** Compiles a people document that must be valid. */
export function peopleOf(text: string): CompiledPeople {
  const compiled = compilePeople(text);
  expect(compiled.ok ? [] : compiled.error).toEqual([]);
  if (!compiled.ok) throw new Error("the people document does not compile");
  return compiled.value;
}

/** acme's people: alice, bob, carol and others. */
export const ACME_PEOPLE: CompiledPeople = peopleOf(tenantFile("acme.people.yaml"));

/** Compiles a policy that must be valid. */
export function compiling(
  text: string,
  people: CompiledPeople = ACME_PEOPLE,
  catalogue: Catalogue = EXAMPLE_CATALOGUE,
): { readonly policy: CompiledPolicy; readonly warnings: readonly DocumentProblem[] } {
  const compiled = compilePolicy(text, people, catalogue);
  expect(compiled.ok ? [] : compiled.error).toEqual([]);
  if (!compiled.ok) throw new Error("the policy does not compile");
  return compiled.value;
}

/** The mistakes of a policy that must not load. */
export function refusing(text: string, people: CompiledPeople = ACME_PEOPLE): readonly DocumentProblem[] {
  const compiled = compilePolicy(text, people, EXAMPLE_CATALOGUE);
  expect(compiled.ok).toBe(false);
  return compiled.ok ? [] : compiled.error;
}

/** Decides one request of the example control plane, with the floor that its catalogue would report. */
export const decide = (
  policy: CompiledPolicy,
  action: string,
  facts: Facts = {},
  missing: readonly string[] = [],
): PolicyOutcome =>
  policy.evaluate({
    action,
    facts,
    missing: missing.map((fact) => ({ fact, reason: "not in the request" })),
    floor: exampleFloor(action, facts),
    now: 0,
  });
