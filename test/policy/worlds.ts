import { compilePrices, type CompiledPrices } from "../../src/catalogue/prices.ts";
import type { PolicyWorld } from "../../src/policy/diff/diff-change.ts";
import type { CompiledPeople } from "../../src/policy/people.ts";
import { ACME_PEOPLE, compiling } from "./compiling.ts";
import { EXAMPLE_CATALOGUE } from "./example-actions.ts";

export type WorldParts = {
  readonly people?: CompiledPeople;
  readonly catalogue?: typeof EXAMPLE_CATALOGUE | PolicyWorld["catalogue"];
  readonly prices?: string;
};

/** A policy with acme's people and the example actions, or with others. */
export function worldOf(text: string, parts: WorldParts = {}): PolicyWorld {
  const people = parts.people ?? ACME_PEOPLE;
  const catalogue = { ...EXAMPLE_CATALOGUE, ...parts.catalogue };
  const { policy } = compiling(text, people, catalogue);
  return { policy, people, catalogue, prices: parts.prices === undefined ? null : pricesOf(parts.prices) };
}

function pricesOf(text: string): CompiledPrices {
  const compiled = compilePrices(text);
  if (!compiled.ok) throw new Error("the prices do not compile");
  return compiled.value;
}
