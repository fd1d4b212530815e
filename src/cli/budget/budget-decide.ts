import { Option } from "commander";
import { z } from "zod";
import { formatUsd, parseUsd } from "../../platform/money.ts";
import { err, ok, type Result } from "../../platform/result.ts";
import { changeBlocks, changeOutcome, changeSchema, isChangeId, type Change } from "./budget-change.ts";
import { openClient, readAs } from "../client.ts";
import type { CommandSpec, Invocation } from "../command.ts";
import { failed, usage, type Failure } from "../failure.ts";
import { text } from "../print.ts";
import { shortTime } from "../times.ts";

const options = z.object({ confirm: z.string().optional(), comment: z.string().min(1).max(1_024).optional() });
type Options = z.infer<typeof options>;

const DECISIONS: readonly string[] = ["approve", "deny"];
const whoami = z.object({ principal: z.string() });

/** `budget decide`: shows the change, has the person type the cap that will hold, and only then approves. One denial is a veto. */
export const decide: CommandSpec<Options> = {
  usage: "decide <id> <decision>",
  summary: "approve or deny a raise or a request, after seeing it (role finance)",
  options: [
    new Option("--confirm <text>", "the cap that is approved (or: deny), instead of typing it"),
    new Option("--comment <text>", "for the asker and the audit record"),
  ],
  notes: "The decision is approve or deny. You decide as the person whose key this is, and never what you asked for.",
  schema: options,
  run: async (invocation) => {
    const [id = "", decision = ""] = invocation.args;
    if (!isChangeId(id)) return err(usage("that is not a change's id", "portcullis budget requests shows the ids."));
    if (!DECISIONS.includes(decision)) return err(usage(`a decision is one of ${DECISIONS.join(", ")}`));
    const client = openClient(invocation);
    if (!client.ok) return client;
    const self = await client.value.call({ method: "GET", path: "/_gate/v1/whoami" });
    if (!self.ok) return self;
    const decider = readAs(whoami, self.value);
    if (!decider.ok) return decider;
    const path = `/_gate/v1/approvals/${id}`;
    const found = await client.value.call({ method: "GET", path });
    if (!found.ok) return found;
    const change = readAs(changeSchema, found.value);
    if (!change.ok) return change;
    const { terminal, show } = invocation;
    show(changeBlocks(change.value, terminal.now()));
    const confirmed = await confirm(invocation, typedFor(decision, change.value, decider.value.principal));
    if (!confirmed.ok) return confirmed;
    const { comment } = invocation.options;
    const body = { decision, ...(comment === undefined ? {} : { comment }) };
    return changeOutcome(await client.value.call({ method: "POST", path: `${path}/decisions`, body }), terminal.now());
  },
};

/** What a person has to type, and what they are told before. A denial is a veto that can be asked for again: alone it may go untyped. */
type Typed = {
  readonly decision: string;
  readonly expected: string;
  readonly told: string;
  readonly needed: boolean;
  readonly matches: (typed: string) => boolean;
};

function typedFor(decision: string, change: Change, decider: string): Typed {
  const { cap_micros: cap, from_micros: from, period, asked_by: askedBy, ends_at: ends } = change;
  const end = ends === null ? "" : `, until ${shortTime(ends)}`;
  const what = `a ${period} cap of ${formatUsd(cap)} USD${end}, for ${askedBy}; it was ${formatUsd(from)}`;
  if (decision === "deny")
    return { decision, expected: DENY, told: `You deny as ${decider}: ${what}.`, needed: false, matches: isDeny };
  return {
    decision,
    expected: formatUsd(cap),
    told: `You approve as ${decider}: ${what}.`,
    needed: true,
    matches: (typed) => parseUsd(typed) === cap,
  };
}

const DENY = "deny";
const isDeny = (typed: string): boolean => typed === DENY;

async function confirm(
  { options: { confirm: given }, terminal, show }: Invocation<Options>,
  { decision, expected, told, needed, matches }: Typed,
): Promise<Result<null, Failure>> {
  const check = (typed: string): Result<null, Failure> => (matches(typed) ? ok(null) : err(otherText(typed, expected)));
  if (given !== undefined) return check(given.trim());
  if (!terminal.inIsTty && needed)
    return err(
      usage("nobody can be asked: stdin is not a terminal", "Give --confirm TEXT with the cap that is approved."),
    );
  if (!terminal.inIsTty) return ok(null);
  show([text(told)]);
  const typed = await terminal.ask(`Type ${expected} to ${decision}, anything else to stop: `);
  return check(typed?.trim() ?? "");
}

const otherText = (typed: string, expected: string): Failure =>
  failed("Not confirmed: nothing was decided", `Expected ${expected}, got ${typed === "" ? "nothing" : typed}.`);
