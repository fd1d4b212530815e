import type { ActivityAlert } from "../notify/activity.ts";
import { inertLine } from "./inert-text.ts";
import { said, type Told } from "./told.ts";
import { dateTimeOf } from "./wording.ts";

/** Six lines of at most 420 characters and the words around them fit into a section of 3,000. */
const LINES_SHOWN = 6;
const NAME_MAX = 60;
const REASON_MAX = 100;

/** What was let through, as people read it: they are informed, nothing waits for them. */
export function toldOfActivity({ requests, since, until, lines, more }: ActivityAlert): Told {
  const shown = lines.slice(0, LINES_SHOWN);
  const hidden = lines.slice(LINES_SHOWN);
  const left = {
    lines: more.lines + hidden.length,
    requests: more.requests + hidden.reduce((sum, { count }) => sum + count, 0),
  };
  return said(
    `Activity: ${counted(requests, "request")} let through`,
    [
      `From ${dateTimeOf(since)} to ${dateTimeOf(until)}. Nothing waits for anybody.`,
      ...shown.map(lineText),
      ...(left.lines > 0 ? [`and ${left.lines} more, ${counted(left.requests, "request")}`] : []),
      "To see one: portcullis audit show, with its request id.",
    ],
    "the policy's notify says of what, and how often",
  );
}

function lineText(line: ActivityAlert["lines"][number]): string {
  const { action, principal, tier, count, firstRequestId, lastRequestId, reason } = line;
  const ids =
    count === 1
      ? inertLine(lastRequestId, NAME_MAX)
      : `${inertLine(firstRequestId, NAME_MAX)} to ${inertLine(lastRequestId, NAME_MAX)}`;
  const why = reason === null ? "" : ` Newest reason: ${inertLine(reason, REASON_MAX)}`;
  return `${inertLine(principal, NAME_MAX)}: ${inertLine(action, NAME_MAX)} (tier ${tier}), ${counted(count, "time")}, ${ids}.${why}`;
}

const counted = (count: number, what: string): string => `${count} ${what}${count === 1 ? "" : "s"}`;
