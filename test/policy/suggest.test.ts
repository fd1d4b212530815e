import { describe, expect, it } from "vitest";
import { suggestName } from "../../src/policy/suggest.ts";

const ACTIONS = ["workloads.list", "workloads.submit", "workloads.cancel", "pools.delete"];

describe("a suggestion", () => {
  it.each<[string, string | null]>([
    ["workloads.submit", "workloads.submit"],
    ["workload.submit", "workloads.submit"],
    ["workloads.cancell", "workloads.cancel"],
    ["wokrloads.list", "workloads.list"],
    ["pool.delete", "pools.delete"],
    ["pools.remove", "pools.delete"],
    ["nodes.drain", null],
    ["workloads", null],
    ["", null],
    ["x".repeat(10_000), null],
  ])("for %s is %s", (wanted, suggestion) => {
    expect(suggestName(wanted, ACTIONS)).toBe(suggestion);
  });

  it("is not made where the candidates are none", () => {
    expect(suggestName("workloads.list", [])).toBeNull();
  });
});
