import { Option } from "commander";
import { z } from "zod";
import type { ReplayWorld } from "../../audit/replay/rejudge.ts";
import { replayReport } from "../../audit/replay/replay-report.ts";
import { err, ok, type Result } from "../../platform/result.ts";
import { auditAsked, readAudit, AUDIT_SOURCE, AUDIT_SOURCE_OPTIONS } from "../audit/audit-source.ts";
import { openClient, type GateClient } from "../client.ts";
import type { CommandSpec, Invocation } from "../command.ts";
import type { FileProblem } from "../documents.ts";
import type { Failure } from "../failure.ts";
import { broken } from "./policy-test.ts";
import { compileWorld, textsInFiles, textsInForce, textsOver, type WorldTexts } from "./policy-worlds.ts";
import { replayBlocks, replayJson } from "./replay-view.ts";

const schema = z.object({
  ...AUDIT_SOURCE,
  since: AUDIT_SOURCE.since.default("30d"),
  policy: z.string().min(1),
  current: z.string().optional(),
  people: z.string().optional(),
  catalogue: z.string().optional(),
  prices: z.string().optional(),
});
type Options = z.infer<typeof schema>;

/** `policy replay`: what a candidate would have made of the audit. */
export const replayPolicy: CommandSpec<Options> = {
  usage: "replay",
  summary: "decide the audit again under a candidate: decisions, dollars, approver load",
  options: [
    new Option("--policy <file>", "the candidate").makeOptionMandatory(),
    ...AUDIT_SOURCE_OPTIONS,
    new Option("--people <file>", "people document of the candidate"),
    new Option("--catalogue <file>", "catalogue of the candidate"),
    new Option("--prices <file>", "price table of the candidate"),
    new Option("--current <file>", "with --file: the policy whose approvers were asked (default: the candidate)"),
  ],
  notes:
    "--since is 30d where it is not stated. From the gate, documents that are not named are those in force; with --file they are found as " +
    "for policy test. Budgets, aggregates, rate limits, freezes and incidents are not replayed: they depend on what else was let through.",
  schema,
  run: async (invocation) => {
    const { options, terminal } = invocation;
    const client = options.file === undefined ? openClient(invocation) : ok(null);
    if (!client.ok) return client;
    const texts = await textsFor(invocation, client.value);
    if (!texts.ok) return texts;
    const worlds = compiled(texts.value);
    if (!worlds.ok) return ok(broken(worlds.error));
    const report = replayReport(worlds.value.candidate, worlds.value.current);
    const asked = auditAsked(options, terminal.now());
    const read = await readAudit(invocation, client.value, asked, report.take);
    if (!read.ok) return read;
    const shown = { result: report.result(), read: read.value, since: asked.since, until: asked.until };
    return ok({ json: replayJson(shown), human: replayBlocks(shown) });
  },
};

type Texts = { readonly candidate: WorldTexts; readonly current: WorldTexts };

async function textsFor(
  { options, terminal }: Invocation<Options>,
  client: GateClient | null,
): Promise<Result<Texts, Failure>> {
  if (client !== null) {
    const active = await textsInForce(client);
    if (!active.ok) return active;
    const candidate = textsOver(terminal, options, active.value.texts);
    return candidate.ok ? ok({ candidate: candidate.value, current: active.value.texts }) : candidate;
  }
  const candidate = textsInFiles(terminal, options.policy, options);
  if (!candidate.ok) return candidate;
  const current =
    options.current === undefined ? candidate : textsOver(terminal, { policy: options.current }, candidate.value);
  return current.ok ? ok({ candidate: candidate.value, current: current.value }) : current;
}

type Worlds = { readonly candidate: ReplayWorld; readonly current: ReplayWorld };

function compiled({ candidate, current }: Texts): Result<Worlds, readonly FileProblem[]> {
  const one = compileWorld(candidate);
  if (!one.ok) return one;
  const other = current === candidate ? one : compileWorld(current);
  return other.ok ? ok({ candidate: one.value, current: other.value }) : err(other.error);
}
