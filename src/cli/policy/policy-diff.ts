import { Option } from "commander";
import { z } from "zod";
import { err, ok, type Result } from "../../platform/result.ts";
import { CHANGE_KINDS, type ChangeKind, type PolicyChange } from "../../policy/diff/diff-change.ts";
import { policyDiff, widens } from "../../policy/diff/diff.ts";
import { openClient } from "../client.ts";
import type { CommandSpec, Invocation, Outcome } from "../command.ts";
import { plural } from "../documents.ts";
import { EXIT, usage, type Failure } from "../failure.ts";
import { policyFiles } from "./policy-files.ts";
import { broken } from "./policy-test.ts";
import {
  compileWorld,
  nothingToCompare,
  textsInFiles,
  textsInForce,
  textsOver,
  type WorldTexts,
} from "./policy-worlds.ts";
import { table, text, type Block, type Cell } from "../print.ts";

const schema = z.object({
  people: z.string().optional(),
  catalogue: z.string().optional(),
  prices: z.string().optional(),
  againstActive: z.boolean().default(false),
  exitCode: z.boolean().default(false),
});
type Options = z.infer<typeof schema>;

/** `policy diff`: what changes in meaning between two policies. */
export const diffPolicies: CommandSpec<Options> = {
  usage: "diff <before> [after]",
  summary: "tell what changes in meaning: newly allowed, newly denied, tiers, people, money",
  options: [
    new Option("--people <file>", "people of both (default: <name>.people.yaml beside each)"),
    new Option("--catalogue <file>", "catalogue of both (default: as for policy test)"),
    new Option("--prices <file>", "price table of both (default: as for policy test)"),
    new Option("--against-active", "compare one policy with the version in force at the gate"),
    new Option("--exit-code", "exit 1 when something changes"),
  ],
  notes:
    "Offline, but for --against-active: then documents that are not named stay as they are in force. " +
    "A policy without people beside it is read with the other's. " +
    "“wider” means that more is allowed, others decide, more may be spent or less is watched, or that it cannot be told.",
  schema,
  run: async (invocation) => {
    const sides = await sidesOf(invocation);
    if (!sides.ok) return sides;
    const [before, after] = [compileWorld(sides.value.before), compileWorld(sides.value.after)];
    const problems = [before, after].flatMap((side) => (side.ok ? [] : side.error));
    if (!before.ok || !after.ok) return ok(broken(problems));
    const changes = policyDiff(before.value, after.value, invocation.terminal.now());
    return ok(outcomeOf(sides.value, changes, invocation.options.exitCode));
  },
};

type Sides = { readonly before: WorldTexts; readonly after: WorldTexts };

async function sidesOf(invocation: Invocation<Options>): Promise<Result<Sides, Failure>> {
  const { options, terminal, args } = invocation;
  const [first = "", second] = args;
  if (options.againstActive) {
    if (second !== undefined) return err(usage("--against-active takes one policy"));
    const client = openClient(invocation);
    if (!client.ok) return client;
    const active = await textsInForce(client.value);
    if (!active.ok) return active;
    const after = textsOver(terminal, { ...options, policy: first }, active.value.texts);
    return after.ok ? ok({ before: active.value.texts, after: after.value }) : after;
  }
  if (second === undefined) return err(nothingToCompare());
  const after = textsInFiles(terminal, second, options);
  if (!after.ok) return after;
  const before = besideOr(invocation, first, after.value);
  return before.ok ? ok({ before: before.value, after: after.value }) : before;
}

/** A policy that lies alone (an older one, taken out of its repository) is read with the other's documents. */
function besideOr(
  { options, terminal }: Invocation<Options>,
  file: string,
  other: WorldTexts,
): Result<WorldTexts, Failure> {
  return policyFiles(terminal, file, options).ok
    ? textsInFiles(terminal, file, options)
    : textsOver(terminal, { policy: file }, other);
}

function outcomeOf(sides: Sides, changes: readonly PolicyChange[], failsOnChange: boolean): Outcome {
  const widening = changes.filter((change) => change.widens).length;
  const summary =
    changes.length === 0
      ? "Nothing changes in meaning."
      : `${plural(changes.length, "change")}, ${widening === 0 ? "none of them wider" : `${widening} of them wider`}.`;
  return {
    json: {
      before: sides.before.policy.name,
      after: sides.after.policy.name,
      widens: widens(changes),
      changes: changes.map((change) => ({ ...change, example: exampleJson(change) })),
    },
    human: [...GROUPS.flatMap((group) => groupBlocks(group, changes)), text({ text: summary, style: "strong" })],
    exitCode: failsOnChange && changes.length > 0 ? EXIT.failed : EXIT.done,
  };
}

const exampleJson = ({ example }: PolicyChange) =>
  example === null
    ? null
    : {
        facts: Object.fromEntries(
          Object.entries(example.facts).map(([name, fact]) => [name, typeof fact === "object" ? [...fact] : fact]),
        ),
        at: example.at,
      };

type Group = { readonly title: string; readonly kinds: readonly ChangeKind[] };

const NAMED: readonly Group[] = [
  { title: "newly allowed", kinds: ["newly-allowed"] },
  { title: "newly denied", kinds: ["newly-denied"] },
  { title: "tiers", kinds: ["tier-lowered", "tier-raised"] },
  { title: "cannot be told", kinds: ["unknown"] },
  { title: "people", kinds: ["approvers", "people", "break-glass"] },
  { title: "money and limits", kinds: ["budget", "teams", "prices", "aggregate", "rate-limit"] },
];
const GROUPS: readonly Group[] = [
  ...NAMED,
  { title: "other", kinds: CHANGE_KINDS.filter((kind) => !NAMED.some(({ kinds }) => kinds.includes(kind))) },
];

function groupBlocks({ title, kinds }: Group, changes: readonly PolicyChange[]): readonly Block[] {
  const own = changes.filter(({ kind }) => kinds.includes(kind));
  if (own.length === 0) return [];
  const rows = own.map((change): readonly Cell[] => [
    change.widens ? { text: "wider", style: "warn" } : "",
    change.text,
  ]);
  return [table([{ title: "", keep: true }, { title }], rows)];
}
