import { Option } from "commander";
import { z } from "zod";
import { isJsonObject, type JsonObject } from "../platform/json.ts";
import { ok, type Result } from "../platform/result.ts";
import { openClient, readAs, type GateClient } from "./client.ts";
import { ENDED, type CommandSpec, type Invocation, type Outcome } from "./command.ts";
import type { Failure } from "./failure.ts";
import { fields, type Cell } from "./print.ts";
import { costText, proposalSchema, stateCell, type Proposal } from "./proposal.ts";
import { fromNow, shortTime } from "./times.ts";

/** Newest proposals that are followed: the most that the gate lists. One that is open behind two hundred newer ones is lost sight of. */
const FOLLOWED = 200;
/** How long a change may go unnoticed, seconds. What is decided among them the gate tells at once, by a long poll. */
const LOOK_EVERY_S = 5;
/** Between two looks at least, milliseconds: whatever the gate answers, it is not asked more often. */
const PAUSE_MS = 1_000;
/** Between two tries while nobody answers, milliseconds. */
const AWAY_PAUSE_MS = 5_000;

const BELL = "\u0007";

const STATES = [
  "draft",
  "pending",
  "approved",
  "denied",
  "expired",
  "withdrawn",
  "invalidated",
  "consumed",
  "all",
] as const;
const OPEN: ReadonlySet<string> = new Set(["draft", "pending", "approved"]);

const watchOptions = z.object({ state: z.enum(STATES).default("all"), bell: z.boolean().default(false) });
type Options = z.infer<typeof watchOptions>;

/** `approvals watch`: what waits now, and then every proposal that is new or changes, as it happens. */
export const watch: CommandSpec<Options> = {
  usage: "watch",
  summary: "print proposals that this key may see as they come and change",
  options: [
    new Option("--state <state>", "only those that are in this state, or come into it").choices(STATES).default("all"),
    new Option("--bell", "ring the terminal's bell at each"),
  ],
  notes:
    "Begins with the proposals that are open. Ctrl-C ends it. While the gate does not answer it waits. With --json there is one JSON document per line.",
  schema: watchOptions,
  jsonLines: true,
  run: async (invocation) => {
    const client = openClient(invocation);
    return client.ok ? follow(invocation, client.value, invocation.terminal.interruption()) : client;
  },
};

async function follow(
  invocation: Invocation<Options>,
  client: GateClient,
  stop: AbortSignal,
): Promise<Result<typeof ENDED, Failure>> {
  const { options, terminal, note } = invocation;
  let known: ReadonlyMap<string, Followed> | null = null;
  let awaySince: number | null = null;
  for (;;) {
    const answer = await client.call({
      method: "GET",
      path: "/_gate/v1/approvals",
      query: { limit: FOLLOWED },
      patient: true,
      stop,
    });
    if (stop.aborted) return ok(ENDED);
    if (answer.ok) {
      const seen = readList(answer.value);
      if (!seen.ok) return seen;
      if (awaySince !== null) note(`The gate answers again, after ${lengthOf(terminal.now() - awaySince)}.`);
      awaySince = null;
      const changes = changesSince(known, seen.value);
      const wanted = changes.filter(({ now }) => options.state === "all" || now.proposal.state === options.state);
      for (const change of wanted) invocation.emit(changeOutcome(change, terminal.now()));
      if (options.bell && known !== null && wanted.length > 0) terminal.err(BELL);
      known = new Map(seen.value.map((one) => [one.proposal.id, one]));
      await nextLook(client, seen.value, invocation, stop);
    } else {
      // A wrong address or key is no outage: at the first look it ends the command.
      if (known === null || !passes(answer.error)) return answer;
      if (awaySince === null) note("The gate does not answer; trying again until it does (Ctrl-C ends).");
      awaySince ??= terminal.now();
      await terminal.pause(AWAY_PAUSE_MS, stop);
    }
    if (stop.aborted) return ok(ENDED);
  }
}

/** A proposal as it came, and as it was read. */
type Followed = { readonly raw: JsonObject; readonly proposal: Proposal };

const listSchema = z.object({ records: z.array(proposalSchema) });

function readList(answer: JsonObject): Result<readonly Followed[], Failure> {
  const list = readAs(listSchema, answer);
  if (!list.ok) return list;
  const { records } = answer;
  const raw = Array.isArray(records) ? records : [];
  return ok(
    list.value.records.flatMap((proposal, index) => {
      const one = raw[index];
      return isJsonObject(one) ? [{ raw: one, proposal }] : [];
    }),
  );
}

type Change = {
  /** `open`: it was there when the watch began. */
  readonly kind: "open" | "new" | "changed";
  readonly was: Proposal | null;
  readonly now: Followed;
};

/** What is new, in the order in which it was opened. */
function changesSince(known: ReadonlyMap<string, Followed> | null, seen: readonly Followed[]): readonly Change[] {
  return seen.toReversed().flatMap((now): readonly Change[] => {
    if (known === null) return OPEN.has(now.proposal.state) ? [{ kind: "open", was: null, now }] : [];
    const was = known.get(now.proposal.id)?.proposal ?? null;
    if (was === null) return [{ kind: "new", was, now }];
    return standing(was) === standing(now.proposal) ? [] : [{ kind: "changed", was, now }];
  });
}

/** What people wait for in a proposal; the rest never changes, or changes with it. */
const standing = ({ state, given, needed, decisions, consumed_by: used }: Proposal): string =>
  JSON.stringify([state, given, needed, used, decisions.map(({ subject, decision }) => [subject, decision])]);

function changeOutcome({ kind, was, now: { raw, proposal } }: Change, now: number): Outcome {
  const at = new Date(now).toISOString();
  return {
    json: { at, change: kind, previous_state: was?.state ?? null, proposal: raw },
    human: [
      fields([
        [shortTime(at), headline(proposal, was)],
        ["", `${whatText(proposal)}${OPEN.has(proposal.state) ? `, ends ${fromNow(proposal.expires_at, now)}` : ""}`],
        ["", latestDecision(proposal, was)],
      ]),
    ],
  };
}

function headline({ id, state, given, needed }: Proposal, was: Proposal | null): Cell {
  const before = was === null || was.state === state ? "" : ` (was ${was.state})`;
  const cell = stateCell(state);
  const style = typeof cell === "string" ? "dim" : cell.style;
  return { text: `${id} is ${state}${before}, ${given} of ${needed}`, style };
}

const whatText = (proposal: Proposal): string =>
  `${proposal.action}${proposal.resource ? ` ${proposal.resource}` : ""} (tier ${proposal.tier}), ${costText(proposal)}, for ${proposal.requester}`;

function latestDecision({ decisions }: Proposal, was: Proposal | null): string | null {
  const latest = decisions.at(-1);
  if (was === null || latest === undefined || decisions.length === was.decisions.length) return null;
  const comment = latest.comment ? `: ${latest.comment}` : "";
  return `${latest.handle ?? latest.subject}: ${latest.decision}${comment}`;
}

/** Waits by a long poll of the newest that somebody can decide, so that its decision is told at once; else simply waits. */
async function nextLook(
  client: GateClient,
  seen: readonly Followed[],
  { terminal }: Invocation<Options>,
  stop: AbortSignal,
): Promise<void> {
  const open = seen.find(({ proposal }) => proposal.state === "pending") ?? null;
  if (open === null) return terminal.pause(LOOK_EVERY_S * 1_000, stop);
  const path = `/_gate/v1/approvals/${open.proposal.id}`;
  // Whatever comes of it, the next look tells.
  await client.call({ method: "GET", path, query: { wait: LOOK_EVERY_S }, patient: true, stop });
  if (!stop.aborted) await terminal.pause(PAUSE_MS, stop);
}

/** Whether waiting can help: nobody answered, or the gate asks to come again. */
export const passes = (failure: Failure): boolean =>
  failure.kind === "failed" || (failure.kind === "refused" && (failure.status === 429 || failure.status >= 500));

/** A length of time in words. */
export const lengthOf = (ms: number): string =>
  ms < 120_000 ? `${Math.round(ms / 1_000)} s` : `${Math.round(ms / 60_000)} min`;
