import { Option } from "commander";
import type { z } from "zod";
import type { JsonObject } from "../../platform/json.ts";
import { ok, type Result } from "../../platform/result.ts";
import { filterFlags, filterOptions, filterQuery } from "./audit-filters.ts";
import { exactTime, readLines, resultCell, type AuditLine } from "./audit-records.ts";
import { openClient, type GateClient } from "../client.ts";
import { ENDED, type CommandSpec, type Invocation, type Outcome } from "../command.ts";
import type { Failure } from "../failure.ts";
import { fields } from "../print.ts";
import { lengthOf, passes } from "../watch.ts";

/** Between two looks. */
const LOOK_EVERY_MS = 2_000;
/** Between two tries while nobody answers. */
const AWAY_PAUSE_MS = 5_000;
/** Records reach D1 a moment after they are made, reads up to five seconds: looked back so far each time. */
const OVERLAP_MS = 15_000;
/** How far this machine's clock may be from the gate's. */
const SKEW_MS = 300_000;
/** Printed at the beginning, if nobody says since when. */
const FIRST = 10;
const PAGE = 500;

type Options = z.infer<typeof filterOptions>;

/** `audit tail`: the newest records, and then each new one. */
export const auditTail: CommandSpec<Options> = {
  usage: "tail",
  summary: "print audit records as they come (role security)",
  options: [
    new Option("--since <time>", "begin with this UTC time, or 30m, 2h ago (default: the ten newest)"),
    ...filterFlags(),
  ],
  notes:
    "Ctrl-C ends it. While the gate does not answer it waits. Reads of the audit record itself are left out, or it would print its own. " +
    "A record that reaches D1 later than 15 s after it was made is not printed; audit list has it. With --json there is one record per line.",
  schema: filterOptions,
  jsonLines: true,
  run: async (invocation) => {
    const client = openClient(invocation);
    return client.ok ? follow(invocation, client.value, invocation.terminal.interruption()) : client;
  },
};

type Seen = { readonly raw: JsonObject; readonly line: AuditLine };

async function follow(
  invocation: Invocation<Options>,
  client: GateClient,
  stop: AbortSignal,
): Promise<Result<typeof ENDED, Failure>> {
  const { options, terminal, note } = invocation;
  let newest = 0;
  let lookedAt: number | null = null;
  let printed: ReadonlyMap<string, number> = new Map();
  let awaySince: number | null = null;
  for (;;) {
    // Times of records, as far as there are any; and of this machine, or what is rare would be looked for in all there is.
    const back = lookedAt === null ? null : new Date(Math.max(newest - OVERLAP_MS, lookedAt - SKEW_MS)).toISOString();
    const now = terminal.now();
    const query = { ...filterQuery(options, now), ...(back === null ? {} : { since: back }) };
    const found = await look(client, query, lookedAt !== null || options.since !== undefined, stop);
    if (stop.aborted) return ok(ENDED);
    if (found.ok) {
      if (awaySince !== null) note(`The gate answers again, after ${lengthOf(now - awaySince)}.`);
      awaySince = null;
      lookedAt = now;
      const fresh = found.value.filter(({ line }) => !printed.has(placeOf(line)) && !isReadOfAudit(line)).toReversed();
      for (const { raw, line } of fresh) invocation.emit(outcomeOf(raw, line));
      newest = Math.max(newest, ...found.value.map(({ line }) => Date.parse(line.time)));
      const times = [...printed, ...found.value.map(({ line }) => [placeOf(line), Date.parse(line.time)] as const)];
      printed = new Map(times.filter(([, time]) => time >= newest - SKEW_MS - OVERLAP_MS));
      await terminal.pause(LOOK_EVERY_MS, stop);
    } else {
      // A wrong address, key or filter is no outage: at the first look it ends the command.
      if (lookedAt === null || !passes(found.error)) return found;
      if (awaySince === null) note("The gate does not answer; trying again until it does (Ctrl-C ends).");
      awaySince ??= now;
      await terminal.pause(AWAY_PAUSE_MS, stop);
    }
    if (stop.aborted) return ok(ENDED);
  }
}

/** What matches now, newest first: all of it, or only the first few. */
async function look(
  client: GateClient,
  query: Readonly<Record<string, string | number | undefined>>,
  everything: boolean,
  stop: AbortSignal,
): Promise<Result<readonly Seen[], Failure>> {
  const seen: Seen[] = [];
  let cursor: string | null = null;
  do {
    const limit = everything ? PAGE : FIRST;
    const answer = await client.call({
      method: "GET",
      path: "/_gate/v1/audit",
      query: { ...query, limit, cursor: cursor ?? undefined },
      patient: true,
      stop,
    });
    if (!answer.ok) return answer;
    const page = readLines(answer.value);
    if (!page.ok) return page;
    for (const [index, line] of page.value.lines.entries()) {
      const raw = page.value.raw[index];
      if (raw !== undefined) seen.push({ raw, line });
    }
    cursor = everything ? page.value.cursor : null;
  } while (cursor !== null);
  return ok(seen);
}

const placeOf = ({ log, sequence }: AuditLine): string => `${log}:${sequence}`;

const isReadOfAudit = ({ path, decision }: AuditLine): boolean =>
  decision === "allow" && /^\/_gate\/v1\/audit(?:\?|$)/.test(path ?? "");

const outcomeOf = (raw: JsonObject, line: AuditLine): Outcome => {
  const result = resultCell(line);
  const shown = typeof result === "string" ? result : result.text;
  const told = `${line.principal ?? "–"}: ${line.action ?? line.path ?? line.kind}: ${shown}`;
  return {
    json: raw,
    human: [fields([[exactTime(line.time), typeof result === "string" ? told : { ...result, text: told }]])],
  };
};
