import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { newId } from "../../src/platform/ids.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["Date"] }));
afterEach(() => void vi.useRealTimers());

const at = (iso: string): string => {
  vi.setSystemTime(Date.parse(iso));
  return newId("req");
};

test("ids made later sort behind earlier ones, also across the seconds and years in which a digit carries", () => {
  const times = [
    "2026-11-21T15:59:59.999Z",
    "2026-11-21T16:00:00.000Z",
    "2026-11-21T16:00:00.001Z",
    "2027-01-01T00:00:00.000Z",
    "2999-12-31T23:59:59.999Z",
  ];
  const ids = times.map(at);
  expect(ids.toSorted()).toEqual(ids);
});

test("ids of one millisecond differ, and have one form", () => {
  const ids = Array.from({ length: 10_000 }, () => at("2026-11-21T16:00:00.000Z"));
  expect(new Set(ids).size).toBe(ids.length);
  for (const id of ids) expect(id).toMatch(/^req_[0-9a-hjkmnp-tv-z]{26}$/);
  // 80 bits of each are random: every one of the last 16 characters takes many values.
  for (let i = 14; i < 30; i++) expect(new Set(ids.map((id) => id[i])).size).toBe(32);
});
