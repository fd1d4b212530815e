import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { floorOf } from "../../src/catalogue/floors.ts";
import { differingRegions } from "../../src/policy/diff/diff-cells.ts";
import type { PolicyWorld } from "../../src/policy/diff/diff-change.ts";
import { momentsOf, openAt, windowsOf } from "../../src/policy/diff/diff-windows.ts";
import { policyDiff, widens } from "../../src/policy/diff/diff.ts";
import type { EpochMs, Facts } from "../../src/vocabulary.ts";
import { guardedPolicyText } from "./random-guarded-policies.ts";
import { policyText, request } from "./random-policies.ts";
import { worldOf } from "./worlds.ts";

const NOW = Date.UTC(2026, 10, 20, 8);

/** Requests at some minute of the next month, those with zones for more of them: within a limit, partly, outside, none. */
const asked: fc.Arbitrary<Asked> = fc
  .record({
    request,
    zones: fc.constantFrom(["a"], ["a", "b"], ["b", "c"], ["c", "d"], ["d"], []),
    minute: fc.nat({ max: 30 * 24 * 60 }),
  })
  .map(({ request: { action, facts }, zones, minute }) => ({
    action,
    facts: Object.hasOwn(facts, "zones") ? { ...facts, zones } : facts,
    now: NOW + minute * 60_000,
  }));
type Asked = { readonly action: string; readonly facts: Facts; readonly now: EpochMs };
/** Comparing two policies wholly takes a while, and several suites share the machine. */
const TIMEOUT_MS = 120_000;
const requests = fc.array(asked, { minLength: 60, maxLength: 60 });

/** The same policy, and one with an entry more or less: neighbours differ in ways that people write. */
const pair = fc.oneof(fc.tuple(policyText, policyText), fc.tuple(guardedPolicyText, guardedPolicyText), edited());

function edited(): fc.Arbitrary<[string, string]> {
  return fc.tuple(guardedPolicyText, fc.nat({ max: 4 }), fc.nat({ max: 7 })).map(([text, tier, place]) => {
    const document = JSON.parse(text);
    document.allowed_tools[`tier_${tier}`]?.splice(place, 1);
    return [text, JSON.stringify(document)];
  });
}

/** As the gate decides it: nothing of this is the comparison's own. */
function verdictOf({ policy, catalogue }: PolicyWorld, { action, facts, now }: Asked): number | null {
  const floor = floorOf(catalogue.actions.get(action)?.floors ?? [], facts);
  const outcome = policy.evaluate({ action, facts, missing: [], floor, now });
  return outcome.kind === "matched" ? outcome.tier : null;
}

const lower = (before: number | null, after: number | null): boolean =>
  after !== null && (before === null || after < before);

describe("what two policies differ in", () => {
  it(
    "is nothing for a policy and itself, however it is written",
    () => {
      fc.assert(
        fc.property(fc.oneof(policyText, guardedPolicyText), (text) => {
          const spaced = JSON.stringify(JSON.parse(text), null, 2);
          expect(policyDiff(worldOf(text), worldOf(spaced), NOW)).toEqual([]);
        }),
        { numRuns: 30 },
      );
    },
    TIMEOUT_MS,
  );

  it(
    "holds every request that is decided differently, and no other",
    () => {
      const seen = { inside: 0, outside: 0, unknown: 0, byTime: 0 };
      fc.assert(
        fc.property(pair, requests, ([one, other], all) => {
          const [before, after] = [worldOf(one), worldOf(other)];
          const windows = windowsOf(before.policy.parts.windows, after.policy.parts.windows);
          const moments = momentsOf(windows, NOW);
          const regionsOf = memoized((action) => differingRegions(action, before, after, moments));
          for (const ask of all) {
            const regions = regionsOf(ask.action);
            if (regions === null) {
              seen.unknown += 1;
              continue;
            }
            const [was, is] = [verdictOf(before, ask), verdictOf(after, ask)];
            const open = openAt(windows, ask.now);
            const found = regions.filter((region) => region.contains(ask.facts, open));
            expect(found.map((region) => [region.before, region.after])).toEqual(was === is ? [] : [[was, is]]);
            seen[was === is ? "outside" : "inside"] += 1;
            if (found[0]?.where?.includes("window") === true) seen.byTime += 1;
          }
        }),
        { numRuns: 30 },
      );
      // Both occur. How often varies widely with the policies that are drawn.
      expect(Math.min(seen.inside, seen.outside)).toBeGreaterThan(0);
    },
    TIMEOUT_MS,
  );

  it(
    "names for every change a request that is decided so before and so after",
    () => {
      fc.assert(
        fc.property(pair, ([one, other]) => {
          const [before, after] = [worldOf(one), worldOf(other)];
          for (const { action, example, ...told } of policyDiff(before, after, NOW)) {
            if (example === null || action === null) continue;
            const ask = { action, facts: example.facts, now: Date.parse(example.at) };
            const text = (world: PolicyWorld): string => {
              const verdict = verdictOf(world, ask);
              return verdict === null ? "refused" : `tier ${verdict}`;
            };
            expect([text(before), text(after)]).toEqual([told.before, told.after]);
          }
        }),
        { numRuns: 30 },
      );
    },
    TIMEOUT_MS,
  );

  it(
    "widens wherever a request is newly allowed or decided at a lower tier",
    () => {
      const seen = { narrower: 0, wider: 0 };
      fc.assert(
        fc.property(pair, requests, ([one, other], all) => {
          const [before, after] = [worldOf(one), worldOf(other)];
          const isWider = widens(policyDiff(before, after, NOW));
          seen[isWider ? "wider" : "narrower"] += 1;
          if (isWider) return;
          for (const ask of all) expect(lower(verdictOf(before, ask), verdictOf(after, ask))).toBe(false);
        }),
        { numRuns: 30 },
      );
      expect(Math.min(seen.narrower, seen.wider)).toBeGreaterThan(0);
    },
    TIMEOUT_MS,
  );
});

function memoized<T>(of: (key: string) => T): (key: string) => T {
  const known = new Map<string, T>();
  return (key) => {
    const value = known.get(key) ?? of(key);
    known.set(key, value);
    return value;
  };
}
