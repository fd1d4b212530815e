import { describe, expect, it } from "vitest";
import { tellAfterMs, type Notify } from "../../src/policy/notify.ts";
import { compiling, refusing } from "./compiling.ts";

const policy = (...text: readonly string[]): string => ['version: "1.0"', "allowed_tools: {}", ...text, ""].join("\n");
const notify = (...lines: readonly string[]): string => policy("notify:", ...lines.map((line) => `  ${line}`));

const DEFAULTS: Notify = { channel: null, tiers: [1], actions: [], everyMs: 300_000 };

describe("what people are told of after it was let through", () => {
  it.each<[string, string, Partial<Notify>]>([
    ["nothing stated: tier 1, every five minutes", policy(), {}],
    ["an empty map", policy("notify: {}"), {}],
    ["switched off", policy("notify: { tiers: [] }"), { tiers: [] }],
    [
      "everything stated",
      notify('channel: "#gpu"', "tiers: [0, 4]", "actions: [workloads.submit]", "every_minutes: 1440"),
      { channel: "#gpu", tiers: [0, 4], actions: ["workloads.submit"], everyMs: 86_400_000 },
    ],
  ])("%s", (_title, text, stated) => {
    expect(compiling(text).policy.notify).toEqual({ ...DEFAULTS, ...stated });
  });

  it.each([
    [
      "an action that the catalogue does not have",
      "actions: [workloads.submitt]",
      [4, 13],
      /did you mean "workloads.submit"/,
    ],
    ["an action twice", "actions: [workloads.submit, workloads.submit]", [4, 31], /stands here already/],
    ["a tier twice", "tiers: [1, 1]", [4, 14], /stands here already/],
    ["tier 5, which nothing passes", "tiers: [5]", [4, 11], /./],
    ["no time at all", "every_minutes: 0", [4, 18], /./],
    ["more than a day", "every_minutes: 1441", [4, 18], /./],
    ["a key that is none", "every_hours: 1", [4, 3], /unknown key/],
  ])("%s refuses the document at its place", (_title, line, [row, column], message) => {
    expect(refusing(notify(line))).toMatchObject([{ line: row, column, message: expect.stringMatching(message) }]);
  });

  it("is what has one of its tiers or is named, and nothing else", () => {
    const told: Notify = { ...DEFAULTS, actions: ["workloads.submit"], everyMs: 60_000 };
    expect(tellAfterMs(told, "workloads.explain", 1)).toBe(60_000);
    expect(tellAfterMs(told, "workloads.submit", 3)).toBe(60_000);
    expect(tellAfterMs(told, "workloads.list", 0)).toBeNull();
    expect(tellAfterMs({ ...told, tiers: [] }, "workloads.explain", 1)).toBeNull();
  });
});
