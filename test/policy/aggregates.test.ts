import { describe, expect, it } from "vitest";
import { compiling, refusing } from "./compiling.ts";

/** A policy whose aggregates begin at line 8. */
const policy = (...aggregates: readonly string[]): string =>
  [
    'version: "1.0"',
    'approval: { tier_4_approvers: ["@alice", "@bob"] }',
    "allowed_tools:",
    "  tier_2: [{ workloads.submit: { max_gpus: 4, gpu_type: [H100, A100] } }]",
    "  tier_3: [{ workloads.submit: { gpu_type: [H100, A100] } }]",
    "budget: { daily_limit_usd: 500, monthly_limit_usd: 10000 }",
    "aggregates:",
    ...aggregates.map((line) => `  ${line}`),
    "",
  ].join("\n");
const GPUS = "name: gpus, of: gpus, per: tenant, within: hour, max: 64";
const one = (text: string): string => policy(`- { ${text} }`);

const key = (text: string) => compiling(one(text)).policy.aggregates[0]?.key;

describe("an aggregate", () => {
  it("refuses and is enforced unless it says otherwise, and counts every write that has its fact", () => {
    const { aggregates, aggregatesOf } = compiling(one(GPUS)).policy;
    expect(aggregates).toEqual([
      {
        name: "gpus",
        key: '{"actions":null,"of":"gpus","per":"tenant","within":"hour"}',
        measure: { of: "gpus", per: "tenant", within: "hour", actions: null },
        max: 64,
        over: "refuse",
        isShadow: false,
      },
    ]);
    const counting = ["workloads.submit", "workloads.scale", "reservations.create"];
    for (const action of counting) expect(aggregatesOf(action)).toHaveLength(1);
    for (const action of ["capacity.plan", "allocations.create", "workloads.cancel", "no.such"])
      expect(aggregatesOf(action)).toEqual([]);
  });

  it("of submissions or resources counts every write, and no read", () => {
    const { aggregatesOf } = compiling(
      policy(
        "- { name: often, of: submissions, per: principal, within: day, max: 64 }",
        "- { name: many, of: resources, per: tenant, within: running, max: 64 }",
      ),
    ).policy;
    for (const action of ["workloads.cancel", "allocations.create"]) expect(aggregatesOf(action)).toHaveLength(2);
    for (const action of ["workloads.list", "capacity.plan"]) expect(aggregatesOf(action)).toEqual([]);
  });

  it("with actions counts these alone", () => {
    const { aggregatesOf } = compiling(one(`${GPUS}, actions: [workloads.submit]`)).policy;
    expect(aggregatesOf("workloads.submit")).toHaveLength(1);
    expect(aggregatesOf("workloads.scale")).toEqual([]);
  });

  it("keeps its count whatever its limit, what comes beyond, its mode, its name and the order of its actions", () => {
    const two = `${GPUS}, actions: [workloads.submit, workloads.scale]`;
    expect(key(two)).toBe(
      key(
        "name: other, of: gpus, per: tenant, within: hour, max: 1, over: approve, mode: shadow, actions: [workloads.scale, workloads.submit]",
      ),
    );
    for (const other of [
      GPUS,
      two.replace("hour", "day"),
      two.replace("tenant", "principal"),
      two.replace("of: gpus", "of: resources"),
    ])
      expect(key(other)).not.toBe(key(two));
  });

  it("is in shadow where it says so, and in a policy that is", () => {
    expect(compiling(one(`${GPUS}, mode: shadow`)).policy.aggregates[0]?.isShadow).toBe(true);
    expect(compiling(`${one(GPUS)}mode: shadow\n`).policy.aggregates[0]?.isShadow).toBe(true);
  });
});

type Case = readonly [title: string, document: string, place: readonly [number, number, string], message: RegExp];

describe("an aggregate that means nothing refuses the whole document, at its place", () => {
  it.each<Case>([
    ["no list", policy("gpus: {}"), [8, 3, "/aggregates"], /expected a list/],
    [
      "no limit",
      one("name: gpus, of: gpus, per: tenant, within: hour"),
      [8, 5, "/aggregates/0/max"],
      /missing|required/,
    ],
    ["a name in capitals", one(GPUS.replace("gpus,", "GPUs,")), [8, 13, "/aggregates/0/name"], /lower-case/],
    [
      "a name twice",
      policy(`- { ${GPUS} }`, `- { ${GPUS.replace("hour", "day")} }`),
      [9, 13, "/aggregates/1/name"],
      /already$/,
    ],
    ["an unknown key", one(`${GPUS}, limit: 3`), [8, 65, "/aggregates/0/limit"], /unknown key "limit"/],
    [
      "an unknown fact",
      one(GPUS.replace("of: gpus", "of: gpu")),
      [8, 23, "/aggregates/0/of"],
      /no write of the catalogue has a number "gpu" \(did you mean "gpus"\?\)/,
    ],
    [
      "a fact that is text",
      one(GPUS.replace("of: gpus", "of: gpu_type")),
      [8, 23, "/aggregates/0/of"],
      /no write of the catalogue has a number "gpu_type"/,
    ],
    [
      "an unknown action",
      one(`${GPUS}, actions: [workload.submit]`),
      [8, 75, "/aggregates/0/actions/0"],
      /did you mean "workloads\.submit"/,
    ],
    [
      "an action without the fact",
      one(`${GPUS}, actions: [workloads.cancel]`),
      [8, 75, "/aggregates/0/actions/0"],
      /^workloads\.cancel has no fact "gpus"$/,
    ],
    [
      "an action whose fact is text",
      one(`${GPUS.replace("of: gpus", "of: gpu_type")}, actions: [workloads.submit]`),
      [8, 79, "/aggregates/0/actions/0"],
      /^"gpu_type" of workloads\.submit is no number$/,
    ],
    [
      "a read",
      one(`${GPUS.replace("of: gpus", "of: submissions")}, actions: [workloads.list]`),
      [8, 82, "/aggregates/0/actions/0"],
      /^workloads\.list may be a read/,
    ],
    ["no action", one(`${GPUS}, actions: []`), [8, 74, "/aggregates/0/actions"], /at least 1/],
    [
      "an unknown label",
      one(GPUS.replace("per: tenant", "per: { fact: projekt }")),
      [8, 42, "/aggregates/0/per/fact"],
      /^no action that is counted here has a fact "projekt"/,
    ],
    [
      "a label that is a number",
      one(GPUS.replace("per: tenant", "per: { fact: hours }")),
      [8, 42, "/aggregates/0/per/fact"],
      /^"hours" is no text$/,
    ],
    ["an unknown scope", one(GPUS.replace("tenant", "team")), [8, 34, "/aggregates/0/per"], /tenant/],
    [
      "an unknown time",
      one(GPUS.replace("hour", "week")),
      [8, 50, "/aggregates/0/within"],
      /one of "hour", "day", "running"/,
    ],
    ["half a GPU", one(GPUS.replace("64", "0.5")), [8, 61, "/aggregates/0/max"], /whole number/],
    ["a negative limit", one(GPUS.replace("64", "-1")), [8, 61, "/aggregates/0/max"], /at least 0/],
    [
      "a limit beyond any cluster",
      one(GPUS.replace("64", "1000000001")),
      [8, 61, "/aggregates/0/max"],
      /at most 1000000000/,
    ],
  ])("%s", (_title, document, [line, column, path], message) => {
    expect(refusing(document)).toEqual([
      { line, column, path, message: expect.stringMatching(message), severity: "error" },
    ]);
  });
});

const warnings = (...aggregates: readonly string[]) =>
  compiling(policy(...aggregates)).warnings.map(({ line, path, message }) => [line, path, message]);

describe("an aggregate that cannot do what it says is warned of, at its place", () => {
  it.each<[string, readonly string[], readonly (readonly [number, string, RegExp])[]]>([
    ["one that binds", [`- { ${GPUS} }`], []],
    ["one lower than what a request may have", [`- { ${GPUS.replace("64", "2")} }`], []],
    [
      "one of what nobody may do",
      [`- { ${GPUS}, actions: [workloads.scale] }`],
      [[8, "/aggregates/0/name", /never bind/]],
    ],
    [
      "two limits, the lower one lifting",
      [`- { ${GPUS}, over: approve }`, `- { ${GPUS.replace("gpus,", "most,").replace("64", "128")} }`],
      [],
    ],
    [
      "a limit above one that refuses",
      [`- { ${GPUS} }`, `- { ${GPUS.replace("gpus,", "most,").replace("64", "128")} }`],
      [[9, "/aggregates/1/max", /^never reached: gpus refuses beyond 64/]],
    ],
    [
      "lifting what people decide anyway",
      [`- { name: g, of: gpus, per: tenant, within: hour, max: 1, over: approve, actions: [workloads.scale] }`],
      [[8, "/aggregates/0/name", /never bind/]],
    ],
    [
      "a label that callers choose",
      [`- { ${GPUS.replace("per: tenant", "per: { fact: job_type }")} }`],
      [[8, "/aggregates/0/per", /leaves job_type to the caller/]],
    ],
    ["a label that the policy lists", [`- { ${GPUS.replace("per: tenant", "per: { fact: gpu_type }")} }`], []],
  ])("%s", (_title, aggregates, expected) => {
    expect(warnings(...aggregates)).toEqual(
      expected.map(([line, path, message]) => [line, path, expect.stringMatching(message)]),
    );
  });

  it("lifting to tier 3 where nobody below is asked, and where nobody can decide", () => {
    const lifting = `- { ${GPUS}, over: approve }`;
    const only3 = policy(lifting).replace(/^ {2}tier_2.*\n/m, "");
    expect(compiling(only3).warnings.map(({ message }) => message)).toEqual([
      "never lifts anything: people decide about all that it counts anyway",
    ]);
    const nobody = policy(lifting)
      .replace(/^approval.*\n/m, "")
      .replace(/^ {2}tier_3.*\n/m, "");
    expect(compiling(nobody).warnings.map(({ message }) => message)).toEqual([
      "tier 3 needs 1 approver and 0 can decide: nothing beyond it can be approved",
    ]);
  });
});
