import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { longPoll, WaitingPlaces } from "../../src/admin/long-poll.ts";

const START = Date.UTC(2031, 10, 20, 12);
const who = (tenant: string, subject: string) => ({ tenant, subject });

describe("places of those who wait", () => {
  it("are bounded per principal and per tenant, and one tenant's waiting takes none of another's", () => {
    const places = new WaitingPlaces();
    const take = (tenant: string, subject: string) => places.take(who(tenant, subject), START + 30_000, START);
    const own = Array.from({ length: 5 }, () => take("acme", "agent:a"));
    expect(own.map((place) => place !== null)).toEqual([true, true, true, true, false]);
    const others = Array.from({ length: 40 }, (_, n) => take("acme", `agent:${n}`));
    expect(others.filter((place) => place !== null)).toHaveLength(28);
    expect(take("globex", "agent:a")).not.toBeNull();
  });

  it("are free again when given back, and by their time where nobody gives them back", () => {
    const places = new WaitingPlaces();
    const take = (now: number) => places.take(who("acme", "agent:a"), now + 30_000, now);
    const [first] = Array.from({ length: 4 }, () => take(START));
    expect(take(START)).toBeNull();
    if (first) places.release(first);
    expect(take(START)).not.toBeNull();
    expect(take(START + 29_999)).toBeNull();
    expect(take(START + 30_000)).not.toBeNull();
  });
});

/** So many at once, each of the same principal, on something that never ends; how often each looked. */
async function looks(count: number, waitS: number): Promise<readonly number[]> {
  const seen = Array.from({ length: count }, () => 0);
  const all = seen.map((_, index) =>
    longPoll(
      who("acme", "agent:looks"),
      waitS,
      async () => (seen[index] = (seen[index] ?? 0) + 1),
      () => true,
    ),
  );
  await vi.advanceTimersByTimeAsync(waitS * 1_000);
  await Promise.all(all);
  return seen;
}

describe("a long poll", () => {
  beforeEach(() => void vi.useFakeTimers({ now: START }));
  afterEach(() => void vi.useRealTimers());

  it("looks twice a second; of a flood of them all but four look every ten seconds", async () => {
    const seen = await looks(100, 30);
    expect(seen.slice(0, 4)).toEqual([61, 61, 61, 61]);
    expect(new Set(seen.slice(4))).toEqual(new Set([4]));
    expect(await looks(1, 30)).toEqual([61]);
  });

  it("that waits for nothing looks once", async () => {
    expect(await looks(3, 0)).toEqual([1, 1, 1]);
  });
});
