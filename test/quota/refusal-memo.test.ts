import { describe, expect, it } from "vitest";
import { dropOldest } from "../../src/platform/drop-oldest.ts";
import { refusalMemo } from "../../src/quota/refusal-memo.ts";

const START = Date.UTC(2026, 10, 20);

describe("refusalMemo", () => {
  it.each([
    { when: "at once", laterMs: 0, wait: 500 },
    { when: "just before the end", laterMs: 499, wait: 1 },
    { when: "at the end", laterMs: 500, wait: null },
    { when: "after the clock stepped back", laterMs: -1, wait: null },
  ])("$when: $wait", ({ laterMs, wait }) => {
    const memo = refusalMemo();
    memo.note("acme", START, 500);
    expect(memo.recall("acme", START + laterMs)).toBe(wait);
  });

  it("knows nothing of other buckets", () => {
    const memo = refusalMemo();
    memo.note("acme", START, 500);
    expect(memo.recall("globex", START)).toBeNull();
  });

  it("stays bounded: the oldest note goes first", () => {
    const memo = refusalMemo();
    for (let index = 0; index <= 4_096; index++) memo.note(`tenant-${index}`, START, 500);
    expect(memo.recall("tenant-0", START)).toBeNull();
    expect(memo.recall("tenant-1", START)).toBe(500);
    expect(memo.recall("tenant-4096", START)).toBe(500);
  });
});

describe("dropOldest", () => {
  it.each([
    [3, ["a", "b", "c"]],
    [2, ["b", "c"]],
    [0, []],
  ])("keeps the %d newest", (keep, left) => {
    const map = new Map([
      ["a", 1],
      ["b", 2],
      ["c", 3],
    ]);
    dropOldest(map, keep);
    expect([...map.keys()]).toEqual(left);
  });
});
