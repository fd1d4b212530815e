import { Option } from "commander";
import { z } from "zod";
import { wholeNumber } from "../command.ts";
import { timeBefore } from "../times.ts";

const word = z.string().max(500).optional();

/** What `audit list` and `audit tail` may be narrowed by. */
export const filterOptions = z.object({
  since: word,
  action: word,
  kind: word,
  tier: wholeNumber(0, 5).optional(),
  decision: word,
  reasonCode: word,
  outcome: word,
  principal: word,
  owner: word,
  credential: word,
  approver: word,
  approval: word,
  incident: word,
  requestId: word,
  text: word,
});
export type Filters = z.infer<typeof filterOptions>;

export const filterFlags = (): readonly Option[] => [
  new Option("--action <name>", "one action"),
  new Option(
    "--kind <kind>",
    "request, plan, intent, unknown, outcome, proposal, decision, break-glass, settlement or admin",
  ),
  new Option("--tier <n>", "one tier, 0 to 5"),
  new Option("--decision <word>", "allow, plan or refuse"),
  new Option("--reason-code <code>", "why it was refused, or what an event was about"),
  new Option("--outcome <word>", "succeeded, failed, unknown, settled, …"),
  new Option("--principal <id>", "who asked"),
  new Option("--owner <id>", "the accountable person"),
  new Option("--credential <id>", "with which key"),
  new Option("--approver <id>", "who approved"),
  new Option("--approval <id>", "about one proposal"),
  new Option("--incident <key>", "one incident"),
  new Option("--request-id <id>", "one request"),
  new Option("--text <text>", "literally within reason, evidence or detail; needs --since, at most 31 days back"),
];

/** The query of these filters. Times are counted back from `now`. */
export const filterQuery = (
  { since, reasonCode, credential, approval, requestId, text, ...same }: Filters,
  now: number,
): Readonly<Record<string, string | number | undefined>> => ({
  ...same,
  since: since === undefined ? undefined : timeBefore(since, now),
  reason_code: reasonCode,
  credential_id: credential,
  approval_id: approval,
  request_id: requestId,
  q: text,
});
