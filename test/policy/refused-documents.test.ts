import { describe, expect, it } from "vitest";
import { refusing, tenantFile } from "./compiling.ts";

/** Lines of a document; `version` and an empty `allowed_tools` come first where a case is about something else. */
const lines = (...text: readonly string[]): string => `${text.join("\n")}\n`;
const after = (...text: readonly string[]): string => lines('version: "1.0"', "allowed_tools: {}", ...text);
const tier2 = (...text: readonly string[]): string => lines('version: "1.0"', "allowed_tools:", "  tier_2:", ...text);

type Case = readonly [
  title: string,
  document: string,
  place: readonly [line: number, column: number, path: string],
  message: RegExp,
];

/** One more constraint on a submission at tier 2, and where it stands. */
const limit = (text: string): string => tier2("    - workloads.submit:", "        max_gpus: 1", `        ${text}`);
const of = (name: string): string => `/allowed_tools/tier_2/0/workloads.submit/${name}`;
/** One entry at a tier, a submission with these constraints, and where the entry stands. */
const at = (tier: number, ...entry: readonly string[]): string =>
  lines('version: "1.0"', "allowed_tools:", `  tier_${tier}:`, ...entry);
const submit = (...limits: readonly string[]): readonly string[] => [
  "    - workloads.submit:",
  ...limits.map((line) => `        ${line}`),
];
const place = (tier: number): readonly [number, number, string] => [4, 7, `/allowed_tools/tier_${tier}/0`];

/** Runs a table: exactly one mistake per document, at the stated place. */
function table(cases: readonly Case[]): void {
  it.each(cases)("%s", (_title, document, [line, column, path], message) => {
    expect(refusing(document)).toEqual([
      { line, column, path, message: expect.stringMatching(message), severity: "error" },
    ]);
  });
}

describe("a document that is not exactly the language is refused whole, at its place", () => {
  table([
    ["unquoted version", lines("version: 1.0", "allowed_tools: {}"), [1, 10, "/version"], /expected "1\.0"/],
    ["unknown version", lines('version: "2.0"', "allowed_tools: {}"), [1, 10, "/version"], /expected "1\.0"/],
    ["no version", lines("allowed_tools: {}"), [1, 1, "/version"], /expected "1\.0"|missing/],
    ["no allowed_tools", lines('version: "1.0"'), [1, 1, "/allowed_tools"], /missing: a map/],
    ["unknown key", after("colour: red"), [3, 1, "/colour"], /^unknown key "colour"$/],
    [
      "unknown tier",
      lines('version: "1.0"', "allowed_tools:", "  tier_6: []"),
      [3, 3, "/allowed_tools/tier_6"],
      /unknown key "tier_6"/,
    ],
    [
      "misspelt tier",
      lines('version: "1.0"', "allowed_tools:", "  tier2: []"),
      [3, 3, "/allowed_tools/tier2"],
      /unknown key "tier2"/,
    ],
    [
      "unknown budget key",
      after("budget:", "  weekly_limit_usd: 5"),
      [4, 3, "/budget/weekly_limit_usd"],
      /unknown key/,
    ],
    [
      "unknown approval key",
      after("approval:", "  tier_3_approvers: []"),
      [4, 3, "/approval/tier_3_approvers"],
      /unknown key/,
    ],
    ["duplicate key", after("timezone: UTC", "timezone: UTC"), [4, 1, ""], /written twice/],
    ["duplicate tier", tier2("    []", "  tier_2: []"), [5, 3, ""], /written twice/],
    [
      "duplicate constraint",
      tier2("    - workloads.submit:", "        max_gpus: 1", "        max_gpus: 4"),
      [6, 9, ""],
      /written twice/,
    ],
    [
      "empty tier",
      lines('version: "1.0"', "allowed_tools:", "  tier_2:"),
      [3, 10, "/allowed_tools/tier_2"],
      /expected a list/,
    ],
    ["number as action", tier2("    - 7"), [4, 7, "/allowed_tools/tier_2/0"], /expected text/],
    [
      "action without its constraints",
      tier2("    - workloads.submit:"),
      [4, 24, "/allowed_tools/tier_2/0/workloads.submit"],
      /stand indented below/,
    ],
    [
      "empty constraints",
      tier2("    - workloads.submit: {}"),
      [4, 25, "/allowed_tools/tier_2/0/workloads.submit"],
      /stand indented below/,
    ],
    [
      "two actions in one entry",
      tier2("    - workloads.submit: { max_gpus: 1 }", "      allocations.create: { max_instances: 1 }"),
      [4, 7, "/allowed_tools/tier_2/0"],
      /one entry names one action/,
    ],
    [
      "null constraint",
      tier2("    - workloads.submit:", "        max_gpus:"),
      [5, 18, "/allowed_tools/tier_2/0/workloads.submit/max_gpus"],
      /expected/,
    ],
    ["anchor", tier2("    - &a workloads.submit"), [4, 10, "/allowed_tools/tier_2/0"], /anchors are not allowed/],
    [
      "hexadecimal limit",
      tier2("    - workloads.submit:", "        max_gpus: 0x40"),
      [5, 19, "/allowed_tools/tier_2/0/workloads.submit/max_gpus"],
      /plain decimal/,
    ],
    [
      "approver without @",
      after("approval:", "  tier_4_approvers: [alice]"),
      [4, 22, "/approval/tier_4_approvers/0"],
      /handle such as @alice/,
    ],
    ["no timeout", after("approval:", "  timeout_minutes: 0"), [4, 20, "/approval/timeout_minutes"], /at least 1/],
    [
      "fractional timeout",
      after("approval:", "  timeout_minutes: 1.5"),
      [4, 20, "/approval/timeout_minutes"],
      /whole number/,
    ],
    [
      "timeout beyond a day",
      after("approval:", "  timeout_minutes: 1441"),
      [4, 20, "/approval/timeout_minutes"],
      /at most 1440/,
    ],
    ["unknown dry run", after("dry_run: never"), [3, 10, "/dry_run"], /one of "receipt", "inline"/],
    ["unknown idempotency", after("idempotency: maybe"), [3, 14, "/idempotency"], /one of "optional"/],
    ["unknown context", after("require:", "  tier_2: [ticket]"), [4, 12, "/require/tier_2/0"], /one of "reason"/],
    ["zero rate", after("rate_limits:", "  tier_0: 0"), [4, 11, "/rate_limits/tier_0"], /at least 1/],
    [
      "rate as text",
      after("rate_limits:", '  tier_0: "10"'),
      [4, 11, "/rate_limits/tier_0"],
      /expected a number|whole number/,
    ],
  ]);
});

it("people stand in their own document", () => {
  expect(refusing(after("people: {}"))[0]?.message).toBe(
    'unknown key "people": people stand in a document of their own',
  );
});

describe("an entry that the catalogue does not bear out is refused, at its place", () => {
  table([
    [
      "unknown action",
      tier2("    - workload.submit"),
      [4, 7, "/allowed_tools/tier_2/0"],
      /no action "workload\.submit" \(did you mean "workloads\.submit"\?\)$/,
    ],
    ["unlike any action", tier2("    - zzz"), [4, 7, "/allowed_tools/tier_2/0"], /no action "zzz"$/],
    ["wildcard", tier2('    - "workloads.*"'), [4, 7, "/allowed_tools/tier_2/0"], /no action/],
    [
      "unknown prohibited action",
      lines('version: "1.0"', "allowed_tools:", "  tier_5: [pools.remove]"),
      [3, 12, "/allowed_tools/tier_5/0"],
      /did you mean "pools\.delete"/,
    ],
    [
      "constrained unknown action",
      tier2("    - workloads.submitt:", "        max_gpus: 1"),
      [4, 7, "/allowed_tools/tier_2/0"],
      /did you mean "workloads\.submit"/,
    ],
    ["unknown fact", limit("max_gpu: 1"), [6, 9, of("max_gpu")], /no fact "gpu" for workloads\.submit/],
    ["misspelt fact", limit("job_typ: [elastic]"), [6, 9, of("job_typ")], /did you mean "job_type"/],
    ["fact of another action", limit("max_instances: 8"), [6, 9, of("max_instances")], /no fact "instances"/],
    ["a mode that is none", limit("mode: loud"), [6, 15, of("mode")], /mode is enforce or shadow/],
    [
      "maximum of text",
      limit("max_job_type: 4"),
      [6, 23, of("max_job_type")],
      /needs a number, and "job_type" is text/,
    ],
    ["text as maximum", limit('max_hours: "4"'), [6, 20, of("max_hours")], /takes a number/],
    ["list as maximum", limit("max_hours: [four]"), [6, 20, of("max_hours")], /takes a number/],
    ["number for text", limit("job_type: 4"), [6, 19, of("job_type")], /is text, not 4/],
    ["text for a number", limit("hours: four"), [6, 16, of("hours")], /is a number, not "four"/],
    ["list for a number", limit("hours: [four]"), [6, 16, of("hours")], /a list cannot hold it/],
    ["list for a truth value", limit('preemptible: ["true"]'), [6, 22, of("preemptible")], /true or false/],
    ["text for a truth value", limit('preemptible: "yes"'), [6, 22, of("preemptible")], /true or false/],
    ["scalar for a list", limit("zones: a"), [6, 16, of("zones")], /write the allowed ones as a list/],
  ]);
});

describe("an entry below the catalogue's floor does not load", () => {
  table([
    [
      "submit without a size at tier 2",
      at(2, "    - workloads.submit"),
      place(2),
      /tier 3 or above unless .*"max_gpus":4/,
    ],
    ["submit of 5 at tier 2", at(2, ...submit("max_gpus: 5")), place(2), /tier 3 or above/],
    [
      "submit bounded by another fact",
      at(2, ...submit("job_type: [elastic]", "max_hours: 1")),
      place(2),
      /tier 3 or above/,
    ],
    ["submit with a least size only", at(2, ...submit("min_gpus: 1")), place(2), /tier 3 or above/],
    ["any submit at tier 1", at(1, ...submit("max_gpus: 1")), place(1), /tier 3 or above$/],
    ["transfer at tier 2", at(2, "    - allocations.transfer"), place(2), /tier 3 or above$/],
    ["cancel at tier 3", at(3, "    - workloads.cancel"), place(3), /tier 4 or above$/],
    ["cancel at tier 0", at(0, "    - workloads.cancel"), place(0), /tier 4 or above$/],
    ["pools.delete at tier 4", at(4, "    - pools.delete"), place(4), /prohibits pools\.delete \(tier 5\)/],
  ]);
});

describe("statements that contradict each other are refused, at the later one", () => {
  table([
    [
      "allowed and prohibited",
      lines('version: "1.0"', "allowed_tools:", "  tier_4: [workloads.cancel]", "  tier_5: [workloads.cancel]"),
      [4, 12, "/allowed_tools/tier_5/0"],
      /prohibited here and allowed at allowed_tools\.tier_4\[0\]/,
    ],
    [
      "tier-4 approvers twice",
      after("approval:", '  tier_4_approvers: ["@alice"]', "  approvers:", '    tier_4: ["@alice"]'),
      [6, 5, "/approval/approvers/tier_4"],
      /keep one/,
    ],
    [
      "one approver twice",
      after("approval:", '  tier_4_approvers: ["@alice", "@alice"]'),
      [4, 32, "/approval/tier_4_approvers/1"],
      /twice/,
    ],
    [
      "channel twice",
      after("approval:", '  tier_3_channel: "#a"', "  channels:", '    tier_3: "#b"'),
      [6, 5, "/approval/channels/tier_3"],
      /keep one/,
    ],
    [
      "one bucket, two figures",
      after("rate_limits:", "  tier_0: 5", "  tier_1: 6"),
      [5, 11, "/rate_limits/tier_1"],
      /shares one limit with tier_0/,
    ],
    ["no such zone", after("timezone: Europe/Atlantis"), [3, 11, "/timezone"], /not an IANA time zone/],
    ["an offset is no zone", after('timezone: "+01:00"'), [3, 11, "/timezone"], /not an IANA time zone/],
  ]);
});

describe("documents that are not even YAML of this kind", () => {
  it.each([
    ["empty", ""],
    ["a list", "- version\n"],
    ["unclosed", "version: [\n"],
    ["two documents", `${tenantFile("acme.yaml")}---\n${tenantFile("acme.yaml")}`],
    ["an alias bomb", 'a: &a ["x"]\nb: &b [*a, *a]\nversion: "1.0"\nallowed_tools: {}\n'],
    ["a prototype key", 'version: "1.0"\nallowed_tools: {}\n__proto__: {}\n'],
    ["nested beyond reading", `version: ${"[".repeat(5_000)}\n`],
    ["too long", `#${"x".repeat(300_000)}\n`],
  ])("%s: refused, and nothing thrown", (_title, document) => {
    expect(refusing(document)).not.toEqual([]);
  });

  it("every mistake is reported, in the order of the text", () => {
    const document = tier2(
      "    - workload.submit",
      "    - workloads.submit",
      "    - workloads.cancel",
      "timezone: Nowhere/At/All",
    );
    expect(refusing(document).map((problem) => problem.line)).toEqual([4, 5, 6, 7]);
  });
});
