import type { ApproverRule, CompiledPolicy } from "../../policy/types.ts";
import type { EpochMs, Tier } from "../../vocabulary.ts";

const HOUR_MS = 3_600_000;

/** How often people were asked. `perHour`: in the busiest hour (UTC), and over all hours from the first ask to the last. */
export type Load = {
  readonly asks: number;
  /** Decisions that those asks wait for: `needed` of each. */
  readonly decisions: number;
  readonly peakPerHour: number;
  readonly meanPerHour: number;
  /** Everybody who could decide, with the asks that reached them, most first. */
  readonly people: readonly { readonly handle: string; readonly asks: number; readonly peakPerHour: number }[];
};

export type LoadCount = {
  /** One more request that people of this tier are asked about, by its requester or the owner of its credential. */
  readonly ask: (tier: Tier, at: EpochMs, notBy: readonly (string | null)[]) => void;
  readonly result: () => Load;
};

/** Counts asks by hour and person: an hour each in memory, not an ask. */
export function countLoad(policy: Pick<CompiledPolicy, "approvers">): LoadCount {
  const everybody = new Map<number, number>();
  const perPerson = new Map<string, Map<number, number>>();
  let decisions = 0;
  return {
    ask: (tier, at, notBy) => {
      const hour = Math.floor(at / HOUR_MS);
      const rule: ApproverRule = policy.approvers(tier);
      add(everybody, hour);
      decisions += rule.needed;
      for (const { handle, subject } of rule.people) {
        if (notBy.includes(subject)) continue;
        const own = perPerson.get(handle) ?? new Map<number, number>();
        perPerson.set(handle, own);
        add(own, hour);
      }
    },
    result: () => ({
      asks: sumOf(everybody),
      decisions,
      peakPerHour: Math.max(0, ...everybody.values()),
      meanPerHour: meanOf(everybody),
      people: [...perPerson]
        .map(([handle, hours]) => ({ handle, asks: sumOf(hours), peakPerHour: Math.max(0, ...hours.values()) }))
        .toSorted((a, b) => b.asks - a.asks || (a.handle < b.handle ? -1 : 1)),
    }),
  };
}

const add = (hours: Map<number, number>, hour: number): void => void hours.set(hour, (hours.get(hour) ?? 0) + 1);
const sumOf = (hours: ReadonlyMap<number, number>): number =>
  [...hours.values()].reduce((sum, count) => sum + count, 0);

function meanOf(hours: ReadonlyMap<number, number>): number {
  const [first, last] = [...hours.keys()].reduce(
    ([from, to], hour) => [Math.min(from, hour), Math.max(to, hour)],
    [Infinity, -Infinity],
  );
  return hours.size === 0 ? 0 : sumOf(hours) / (last - first + 1);
}
