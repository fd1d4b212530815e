import { describe, expect, it } from "vitest";
import type { PolicyOutcome, PolicyRequest } from "../../src/policy/types.ts";
import type { Facts } from "../../src/vocabulary.ts";
import { ACME_PEOPLE, compiling, refusing } from "./compiling.ts";
import { EXAMPLE_CATALOGUE, exampleFloor } from "./example-actions.ts";

const ENTRIES = [
  'version: "1.0"',
  "allowed_tools:",
  "  tier_2:",
  "    - workloads.submit: { max_gpus: 4 }",
  "    - allocations.create: { max_instances: 8 }",
  "  tier_3: [allocations.transfer]",
  "  tier_4: [workloads.cancel, allocations.release]",
  'approval: { tier_4_approvers: ["@alice", "@bob"] }',
];
const document = (...lines: readonly string[]): string => `${[...ENTRIES, ...lines].join("\n")}\n`;
const at = (time: string): number => Date.parse(time);

const NIGHT = 'maintenance_windows: { nightly: { cron: "0 2 * * *", zone: Europe/Berlin, minutes: 120 } }';
const PRODUCTION = "environments: { production: { gpu_type: [H100] }, sandbox: { gpu_type: [L40S] } }";

function ask(
  text: string,
  action: string,
  facts: Facts,
  now = at("2031-11-20T12:00:00Z"),
  missing: PolicyRequest["missing"] = [],
): PolicyOutcome {
  const { policy } = compiling(text);
  return policy.evaluate({ action, facts, missing, floor: exampleFloor(action, facts), now });
}

describe("a guard by blast radius", () => {
  const text = document(
    PRODUCTION,
    "blast_radius:",
    "  - { at_least: allocation, environments: [production], deny: too wide }",
  );

  it.each<[string, string, Facts, string]>([
    ["narrower than it names", "workloads.submit", { gpus: 1, gpu_type: "H100" }, "matched"],
    [
      "as wide, in no environment that the facts tell: it may be in production",
      "allocations.create",
      { instances: 1 },
      "not-allowed",
    ],
    ["as wide, without any such fact", "allocations.transfer", {}, "not-allowed"],
    ["as wide and irreversible", "allocations.release", {}, "not-allowed"],
    ["narrower and irreversible", "workloads.cancel", {}, "matched"],
  ])("%s: %s %o is %s", (_title, action, facts, kind) => {
    expect(ask(text, action, facts).kind).toBe(kind);
  });

  it("says which guard and why", () => {
    expect(ask(text, "allocations.transfer", {})).toEqual({ kind: "not-allowed", rule: "blast_radius[0]: too wide" });
  });

  it("never lets pass what no entry allows", () => {
    expect(ask(text, "workloads.submit", { gpus: 400, gpu_type: "L40S" }).kind).toBe("constraint-exceeded");
  });
});

const guarded = (environment: string): string =>
  document(PRODUCTION, "blast_radius:", `  - { at_least: workload, environments: [${environment}], deny: closed }`);

describe("an environment", () => {
  it.each<[Facts, string, boolean]>([
    [{ gpus: 1, gpu_type: "H100" }, "production", true],
    [{ gpus: 1, gpu_type: "H100" }, "sandbox", false],
    [{ gpus: 1, gpu_type: "L40S" }, "production", false],
    [{ gpus: 1, gpu_type: "L40S" }, "sandbox", true],
    // In none: it may be in any.
    [{ gpus: 1, gpu_type: "A100" }, "production", true],
    [{ gpus: 1, gpu_type: "A100" }, "sandbox", true],
    // Not stated: as well.
    [{ gpus: 1 }, "production", true],
    [{ gpus: 1 }, "sandbox", true],
  ])("of %o is %s: %s", (facts, environment, isCovered) => {
    expect(ask(guarded(environment), "workloads.submit", facts).kind).toBe(isCovered ? "not-allowed" : "matched");
  });

  it("whose fact is missing counts as possible beside one that holds", () => {
    const text = document(
      "environments: { production: { gpu_type: [H100] }, batch: { preemptible: true } }",
      "blast_radius:",
      "  - { at_least: workload, environments: [production], deny: closed }",
    );
    expect(ask(text, "workloads.submit", { gpus: 1, preemptible: true }).kind).toBe("not-allowed");
    expect(ask(text, "workloads.submit", { gpus: 1, preemptible: true, gpu_type: "L40S" }).kind).toBe("matched");
  });
});

describe("an environment of a fact that is a list", () => {
  const text = document(
    "environments: { production: { zones: [a, b] }, batch: { preemptible: true } }",
    "blast_radius:",
    "  - { at_least: workload, environments: [production], deny: closed }",
  );
  const request = { gpus: 1, preemptible: true };

  it.each<[readonly string[], string]>([
    [["a"], "not-allowed"],
    [["a", "b"], "not-allowed"],
    // Naming something harmless besides, or nothing at all, does not lead out of it.
    [["a", "z"], "not-allowed"],
    [["z", "b"], "not-allowed"],
    [[], "not-allowed"],
    [["z"], "matched"],
  ])("is that of each of its members: %o is %s", (zones, kind) => {
    expect(ask(text, "workloads.submit", { ...request, zones }).kind).toBe(kind);
  });
});

/** What is named as the nearest request to one of 6 GPUs, 4 being allowed, under a guard. */
function nearestUnder(...guard: readonly string[]) {
  const text = document(
    "environments: { large: { min_gpus: 4 } }",
    NIGHT,
    "blast_radius:",
    `  - { at_least: workload, ${guard.join(", ")} }`,
  );
  const outcome = ask(text, "workloads.submit", { gpus: 6 });
  return outcome.kind === "constraint-exceeded" ? outcome.nearest : outcome;
}

describe("the nearest request of a refusal", () => {
  it("is none that a guard would refuse", () => {
    expect(nearestUnder("deny: closed", "mode: shadow")).toEqual({ tier: 2, facts: { gpus: 4 } });
    expect(nearestUnder("environments: [large]", "deny: closed")).toBeNull();
    expect(nearestUnder("inside: [nightly]")).toBeNull();
  });
});

describe("a guard by reversibility", () => {
  const text = document("reversible:", "  - { is: false, runbook: https://runbooks.example/cancel }");

  it("sends people to the runbook for what nothing undoes", () => {
    expect(ask(text, "workloads.cancel", {})).toEqual({
      kind: "not-allowed",
      rule: "reversible[0]: people do this by hand",
      runbook: "https://runbooks.example/cancel",
    });
  });

  it("leaves alone what another action undoes", () => {
    expect(ask(text, "allocations.transfer", {}).kind).toBe("matched");
  });
});

describe("a maintenance window", () => {
  const text = document(NIGHT, "blast_radius:", "  - { at_least: allocation, inside: [nightly] }");
  const transfer = (time: string): PolicyOutcome => ask(text, "allocations.transfer", {}, at(time));

  it.each([
    ["before it opens", "2031-11-20T00:59:59.999Z", "outside-window"],
    ["when it opens", "2031-11-20T01:00:00.000Z", "matched"],
    ["just before it closes", "2031-11-20T02:59:59.999Z", "matched"],
    ["when it closes", "2031-11-20T03:00:00.000Z", "outside-window"],
    ["in summer, an hour earlier", "2031-07-20T00:00:00.000Z", "matched"],
    ["in summer, by winter's clock", "2031-07-20T02:30:00.000Z", "outside-window"],
    // 2031-03-30: 02:00 does not exist in Berlin, 03:00 is 01:00 UTC.
    ["on the day without its hour, when the clock goes on", "2031-03-30T01:00:00.000Z", "matched"],
    ["on the day without its hour, before", "2031-03-30T00:59:59.999Z", "outside-window"],
    // 2031-10-26: 02:00 comes at 00:00 and at 01:00 UTC; two hours from the first.
    ["on the day with its hour twice, the first time", "2031-10-26T00:00:00.000Z", "matched"],
    ["on the day with its hour twice, at the end of two hours", "2031-10-26T02:00:00.000Z", "outside-window"],
  ])("%s (%s): %s", (_title, time, kind) => {
    expect(transfer(time).kind).toBe(kind);
  });

  it("is open all of the week's working days where it says so", () => {
    const { policy } = compiling(
      document(
        'maintenance_windows: { weekdays: { cron: "0 0 * * 1-5", minutes: 1440 } }',
        "blast_radius:",
        "  - { at_least: allocation, inside: [weekdays] }",
      ),
    );
    const kinds = Array.from({ length: 14 }, (_, day) => {
      const now = at("2031-11-17T00:00:00Z") + day * 86_400_000;
      return policy.evaluate({ action: "allocations.transfer", facts: {}, missing: [], floor: 3, now }).kind;
    });
    const week = [...Array.from({ length: 5 }, () => "matched"), "outside-window", "outside-window"];
    expect(kinds).toEqual([...week, ...week]);
  });

  it("is the same whatever was asked before: clocks of isolates jump, and step back", () => {
    const { policy } = compiling(text);
    const times = ["2031-11-20T02:30:00Z", "2031-11-20T12:00:00Z", "2031-11-20T01:30:00Z", "2031-11-19T02:59:59.999Z"];
    const more = ["2035-02-28T00:59:59.999Z", "2031-11-20T01:00:00Z", "1999-01-01T01:30:00Z", "2031-11-20T00:59:00Z"];
    for (const now of [...times, ...more, ...times.toReversed()].map(at)) {
      const asked = { action: "allocations.transfer", facts: {}, missing: [], floor: 3 as const, now };
      expect(policy.evaluate(asked)).toEqual(compiling(text).policy.evaluate(asked));
    }
  });

  it("tells when it opens, and until when it lets through", () => {
    expect(transfer("2031-11-20T12:00:00Z")).toEqual({
      kind: "outside-window",
      rule: "blast_radius[0]",
      windows: ["nightly"],
      opens_at: "2031-11-21T01:00:00.000Z",
    });
    expect(transfer("2031-11-20T02:00:00Z")).toMatchObject({
      open: {
        name: "nightly",
        closesAt: at("2031-11-20T03:00:00Z"),
        after: { kind: "outside-window", opens_at: "2031-11-21T01:00:00.000Z" },
      },
    });
  });

  it("a denial goes before a window that is closed", () => {
    const both = document(
      NIGHT,
      "blast_radius:",
      "  - { at_least: allocation, inside: [nightly] }",
      "  - { at_least: allocation, deny: never }",
    );
    expect(ask(both, "allocations.transfer", {})).toMatchObject({
      kind: "not-allowed",
      rule: "blast_radius[1]: never",
    });
  });
});

describe("shadow", () => {
  it("a guard in shadow has no effect and is recorded", () => {
    const text = document("reversible:", "  - { is: false, deny: by hand, mode: shadow }");
    expect(ask(text, "workloads.cancel", {})).toMatchObject({
      kind: "matched",
      tier: 4,
      shadow: [{ rule: "reversible[0]", verdict: "not-allowed" }],
    });
  });

  it("a window in shadow does not close", () => {
    const text = document(NIGHT, "blast_radius:", "  - { at_least: allocation, inside: [nightly], mode: shadow }");
    expect(ask(text, "allocations.transfer", {}, at("2031-11-20T02:00:00Z"))).toMatchObject({ open: null, shadow: [] });
    expect(ask(text, "allocations.transfer", {})).toMatchObject({
      kind: "matched",
      shadow: [{ rule: "blast_radius[0]", verdict: "outside-window" }],
    });
  });

  const entry = [
    'version: "1.0"',
    "allowed_tools:",
    "  tier_2:",
    "    - workloads.submit: { max_gpus: 2 }",
    "    - workloads.submit: { max_gpus: 4, mode: shadow }",
    "    - allocations.create: { max_instances: 4, mode: shadow }",
    "",
  ].join("\n");

  it("an entry in shadow allows nothing, and is recorded where it would have", () => {
    expect(ask(entry, "workloads.submit", { gpus: 2 })).toMatchObject({ kind: "matched", shadow: [] });
    expect(ask(entry, "workloads.submit", { gpus: 3 })).toMatchObject({
      kind: "constraint-exceeded",
      shadow: [{ rule: "allowed_tools.tier_2[1] workloads.submit", verdict: "tier 2" }],
    });
    expect(ask(entry, "allocations.create", { instances: 1 })).toMatchObject({
      kind: "not-allowed",
      shadow: [{ rule: "allowed_tools.tier_2[2] allocations.create", verdict: "tier 2" }],
    });
    expect(ask(entry, "allocations.create", { instances: 5 })).not.toHaveProperty("shadow");
  });

  const whole = document(
    "mode: shadow",
    "reversible:",
    "  - { is: false, deny: by hand }",
    "require: { tier_2: [evidence] }",
  );

  it.each<[string, string, Facts, object]>([
    [
      "what no entry names runs at the catalogue's floor",
      "reservations.create",
      { gpus: 1 },
      { tier: 3, shadow: [{ rule: "allowed_tools does not name reservations.create", verdict: "not-allowed" }] },
    ],
    [
      "what a guard denies as well",
      "workloads.cancel",
      {},
      { tier: 4, shadow: [{ rule: "reversible[0]: by hand", verdict: "not-allowed" }] },
    ],
    ["what the policy allows is as before", "workloads.submit", { gpus: 4 }, { tier: 2, shadow: [] }],
    [
      "what is larger than the policy allows",
      "workloads.submit",
      { gpus: 40 },
      { tier: 3, shadow: [{ rule: "allowed_tools.tier_2[0] workloads.submit", verdict: "constraint-exceeded" }] },
    ],
  ])("a whole policy in shadow: %s", (_title, action, facts, expected) => {
    expect(ask(whole, action, facts)).toMatchObject({ kind: "matched", ...expected });
  });

  it("a whole policy in shadow never reaches tier 5, a ban, or a size that is not known", () => {
    expect(ask(whole, "pools.delete", {}).kind).toBe("prohibited");
    const banned = whole.replace("  tier_3:", "  tier_5: [reservations.create]\n  tier_3:");
    expect(ask(banned, "reservations.create", { gpus: 1 }).kind).toBe("prohibited");
    const unknown = [{ fact: "gpus", reason: "not stated" }];
    expect(ask(whole, "workloads.submit", {}, undefined, unknown).kind).toBe("unsized");
  });

  it("a whole policy in shadow refuses nothing for a fact that only its own entries ask for", () => {
    expect(ask(whole, "allocations.create", {})).toMatchObject({
      kind: "matched",
      shadow: [{ rule: "allowed_tools allocations.create", verdict: "unsized" }],
    });
  });

  it("a whole policy in shadow requires what the tier requires anyway, and records the rest", () => {
    const { policy } = compiling(whole);
    expect([policy.requires(2), policy.requiresInShadow(2)]).toEqual([["reason"], ["evidence"]]);
    expect(compiling(document("require: { tier_2: [evidence] }")).policy.requiresInShadow(2)).toEqual([]);
  });
});

describe("guards that cannot mean what they say are refused at their place", () => {
  it.each<[string, readonly string[], string, RegExp]>([
    [
      "an unknown radius",
      ["blast_radius:", "  - { at_least: planet, deny: no }"],
      "/blast_radius/0/at_least",
      /no blast radius "planet"/,
    ],
    [
      "a misspelt radius",
      ["blast_radius:", "  - { at_least: clustr, deny: no }"],
      "/blast_radius/0/at_least",
      /did you mean "cluster"/,
    ],
    [
      "an unknown environment",
      ["blast_radius:", "  - { at_least: pool, environments: [moon], deny: no }"],
      "/blast_radius/0/environments/0",
      /names no "moon"/,
    ],
    [
      "an unknown window",
      ["reversible:", "  - { is: false, inside: [nightly] }"],
      "/reversible/0/inside/0",
      /names no "nightly"/,
    ],
    ["two effects", ["reversible:", '  - { is: false, deny: no, runbook: "x" }'], "/reversible/0", /exactly one of/],
    ["no effect", ["blast_radius:", "  - { at_least: pool }"], "/blast_radius/0", /exactly one of/],
    ["what can be undone", ["reversible:", "  - { is: true, deny: no }"], "/reversible/0/is", /expected false/],
    [
      "an unknown fact",
      ["environments: { production: { colour: [red] } }"],
      "/environments/production/colour",
      /no action of the catalogue has this fact/,
    ],
    [
      "a fact of another type",
      ["environments: { production: { max_gpu_type: 1 } }"],
      "/environments/production/max_gpu_type",
      /needs a number/,
    ],
    [
      "a pattern that is none",
      ['maintenance_windows: { nightly: { cron: "0 25 * * *", minutes: 5 } }'],
      "/maintenance_windows/nightly/cron",
      /not a cron pattern/,
    ],
    [
      "six parts",
      ['maintenance_windows: { nightly: { cron: "0 0 2 * * *", minutes: 5 } }'],
      "/maintenance_windows/nightly/cron",
      /five parts/,
    ],
    [
      "a day that never comes",
      ['maintenance_windows: { nightly: { cron: "0 2 30 2 *", minutes: 5 } }'],
      "/maintenance_windows/nightly/cron",
      /never comes/,
    ],
    [
      "a date",
      ['maintenance_windows: { nightly: { cron: "2031-01-01T02:00:00", minutes: 5 } }'],
      "/maintenance_windows/nightly/cron",
      /not a cron pattern of five parts/,
    ],
    [
      "a date of two parts",
      ['maintenance_windows: { nightly: { cron: "2031-01-01 02:00", minutes: 5 } }'],
      "/maintenance_windows/nightly/cron",
      /not a cron pattern of five parts/,
    ],
    [
      "a word",
      ['maintenance_windows: { nightly: { cron: "@daily", minutes: 5 } }'],
      "/maintenance_windows/nightly/cron",
      /not a cron pattern of five parts/,
    ],
    [
      "a window that is open again the moment it closes",
      ['maintenance_windows: { nightly: { cron: "0 0 * * *", minutes: 1440 } }'],
      "/maintenance_windows/nightly/minutes",
      /never closes/,
    ],
    [
      "a window that opens again before it closes, on some days only",
      ['maintenance_windows: { nightly: { cron: "0 2 * * 1-5", minutes: 1441 } }'],
      "/maintenance_windows/nightly/minutes",
      /opens again before 1441 minutes are over$/,
    ],
    [
      "more windows than anybody reads",
      [
        `maintenance_windows: { ${Array.from({ length: 33 }, (_, index) => `w${index}: { cron: "0 2 * * *", minutes: 5 }`).join(", ")} }`,
      ],
      "/maintenance_windows",
      /at most 32/,
    ],
    [
      "a window that every object seems to have",
      [NIGHT, "reversible:", "  - { is: false, inside: [constructor] }"],
      "/reversible/0/inside/0",
      /names no "constructor"/,
    ],
    [
      "an unknown zone",
      ['maintenance_windows: { nightly: { cron: "0 2 * * *", zone: Mars/Olympus, minutes: 5 } }'],
      "/maintenance_windows/nightly/zone",
      /not an IANA time zone/,
    ],
    [
      "a window that never closes",
      ['maintenance_windows: { nightly: { cron: "0 * * * *", minutes: 61 } }'],
      "/maintenance_windows/nightly/minutes",
      /never closes/,
    ],
  ])("%s", (_title, lines, path, message) => {
    expect(refusing(document(...lines))).toMatchObject([
      { path, message: expect.stringMatching(message), severity: "error" },
    ]);
  });

  it("warns of a guard that covers nothing", () => {
    const { actions } = EXAMPLE_CATALOGUE;
    const said = new Map(
      [...actions].map(([name, spec]) => [name, { ...spec, blastRadius: spec.blastRadius ?? "workload" }]),
    );
    const { warnings } = compiling(document("blast_radius:", "  - { at_least: cluster, deny: never }"), ACME_PEOPLE, {
      ...EXAMPLE_CATALOGUE,
      actions: said,
    });
    expect(warnings).toMatchObject([{ path: "/blast_radius/0", message: expect.stringMatching(/covers nothing/) }]);
  });

  it("warns of an action that cannot tell what the guard is about, and can tell something else", () => {
    const environments = "environments: { production: { gpu_type: [H100] }, small: { max_instances: 2 } }";
    const about = (environment: string) =>
      compiling(
        document(
          environments,
          "blast_radius:",
          `  - { at_least: allocation, environments: [${environment}], deny: closed }`,
        ),
      )
        .warnings.filter(({ path }) => path.startsWith("/blast_radius"))
        .map(({ path, message }) => [path, message]);
    expect(about("production")).toEqual([
      [
        "/blast_radius/0/environments",
        "allocations.create has no facts that tell production, and some that tell small: a request that is in small by these is not in production",
      ],
    ]);
    expect(about("small")).toEqual([]);
    expect(about("production, small")).toEqual([]);
  });

  it("warns of names that no guard uses", () => {
    const { warnings } = compiling(document(PRODUCTION, NIGHT));
    expect(warnings.map(({ path, message }) => [path, message])).toEqual([
      ["/environments/production", "no guard speaks of production"],
      ["/environments/sandbox", "no guard speaks of sandbox"],
      ["/maintenance_windows/nightly", "no guard speaks of nightly"],
    ]);
  });
});
