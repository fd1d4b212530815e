import { readFileSync } from "node:fs";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { ROOT } from "../example/start/wrangler.ts";
import { compileCatalogue } from "../src/catalogue/compile.ts";
import type { CompiledCatalogue } from "../src/catalogue/types.ts";
import { NO_GATE_HEADERS } from "../src/gateway/gate-headers.ts";
import { compilePeople } from "../src/policy/people.ts";
import { compilePolicy } from "../src/policy/compile-policy.ts";
import type { CompiledPolicy } from "../src/policy/types.ts";
import type { StrictRequest } from "../src/strict-request.ts";
import { spreadOf, type Spread } from "./statistics.ts";

/** One in-process measurement: microseconds per call. */
export type MicroOutcome = {
  readonly title: string;
  readonly targetMicroseconds: number;
  readonly microseconds: Spread;
};

const CALLS = 100_000;
const ROUNDS = 7;
const RULES = [10, 100, 1_000] as const;
const ROUTES = 500;

/** Policy decisions at growing numbers of rules, and classification over a large catalogue. Compiled once, then called. */
export function measureMicro(progress: (text: string) => void): readonly MicroOutcome[] {
  const catalogue = bigCatalogue();
  const decisions = RULES.map((rules) => {
    progress(`policy decision at ${rules} rules`);
    const policy = bigPolicy(rules, catalogue);
    const request = {
      action: `bench.r${(rules - 1) % ROUTES}`,
      facts: { resource: rules > ROUTES ? "x-3" : "x-1" },
      missing: [],
      floor: 0,
    } as const;
    if (policy.evaluate(request).kind !== "matched") throw new Error("the measured request must be decided");
    return {
      title: `policy decision, ${rules} rules`,
      targetMicroseconds: 1,
      microseconds: time(() => policy.evaluate(request)),
    };
  });
  progress(`classification over ${ROUTES} routes`);
  const request = get(`/v1/r${ROUTES - 1}/x-1`);
  if (!catalogue.match(request).ok) throw new Error("the measured request must be classified");
  return [
    ...decisions,
    {
      title: `classification, ${ROUTES} routes`,
      targetMicroseconds: 3,
      microseconds: time(() => catalogue.match(request)),
    },
  ];
}

function time(call: () => unknown): Spread {
  const rounds: number[] = [];
  for (let round = 0; round <= ROUNDS; round++) {
    const start = performance.now();
    for (let i = 0; i < CALLS; i++) call();
    if (round > 0) rounds.push(((performance.now() - start) * 1_000) / CALLS);
  }
  return spreadOf(rounds);
}

/** The example's own document with its actions and routes replaced by many. */
function bigCatalogue(): CompiledCatalogue {
  const example = readFileSync(join(ROOT, "policies/catalogues/example.yaml"), "utf8");
  const head = example.slice(0, example.search(/^actions:/m));
  const numbers = Array.from({ length: ROUTES }, (_, n) => n);
  const actions = numbers.map((n) => `  bench.r${n}: { title: Read, floor: 0, facts: { resource: string } }`);
  const routes = numbers.map(
    (n) =>
      `  - { id: r${n}, action: bench.r${n}, method: GET, path: "/v1/r${n}/{id}", facts: { resource: { path: id } } }`,
  );
  const compiled = compileCatalogue([`${head}actions:`, ...actions, "routes:", ...routes, ""].join("\n"));
  if (!compiled.ok) throw new Error(`the benchmark's catalogue: ${JSON.stringify(compiled.error[0])}`);
  return compiled.value;
}

function bigPolicy(rules: number, catalogue: CompiledCatalogue): CompiledPolicy {
  const people = compilePeople("people: {}\n");
  if (!people.ok) throw new Error("an empty people document compiles");
  // A catalogue names 500 actions at most: beyond that an action stands in a second tier, with a wider constraint.
  const numbers = Array.from({ length: rules }, (_, n) => n);
  const narrow = numbers.filter((n) => n < ROUTES).map((n) => `    - bench.r${n}: { resource: [x-1, x-2] }`);
  const wide = numbers
    .filter((n) => n >= ROUTES)
    .map((n) => `    - bench.r${n - ROUTES}: { resource: [x-1, x-2, x-3] }`);
  const tiers = ["  tier_0:", ...narrow, ...(wide.length === 0 ? [] : ["  tier_1:", ...wide])];
  const text = ['version: "1.0"', "allowed_tools:", ...tiers, ""].join("\n");
  const compiled = compilePolicy(text, people.value, catalogue);
  if (!compiled.ok) throw new Error(`the benchmark's policy: ${JSON.stringify(compiled.error[0])}`);
  return compiled.value.policy;
}

const get = (path: string): StrictRequest => ({
  method: "GET",
  path,
  segments: path.slice(1).split("/"),
  query: new Map(),
  contentType: null,
  body: undefined,
  bodyBytes: 0,
  gate: NO_GATE_HEADERS,
  header: () => null,
});
