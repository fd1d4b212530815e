import type { Signal } from "../notify/signal.ts";
import { unreachable } from "../platform/assert.ts";
import { inertLine } from "./inert-text.ts";
import { said, type Told } from "./told.ts";
import { dateTimeOf, name } from "./wording.ts";

/** What people and the gate itself wrote, in one line. */
const TEXT_MAX = 500;
/** With the words around it a title, which holds 150. */
const SCOPE_MAX = 100;

const OF_ISSUER = {
  access: "issuer of access tokens",
  approval: "approval authority",
  "sign-in": "way of signing in",
} as const;

const reasonGiven = (reason: string | null): readonly string[] =>
  reason === null ? [] : [`Reason given: ${inertLine(reason, TEXT_MAX)}`];

const ONCE = "told once per episode; the policy's signals say from when on";

const COPIES = { r2: "copy in R2", webhook: "copy by webhook" } as const;

/** A signal as people read it, with what to do next. */
export function toldOfSignal(signal: Signal): Told {
  const since = dateTimeOf(signal.since);
  switch (signal.signal) {
    case "denials":
      return said(
        `Refused ${signal.count} times in ${signal.minutes} minutes: ${name(signal.principal)}`,
        [
          "Refusals for its rate are not counted. Nothing of it was run.",
          `To see what it asks for: portcullis audit list --principal ${name(signal.principal)} --decision refuse.`,
          "To stop it: POST /_gate/v1/freeze with its scope, principal:<subject>; or revoke its credential.",
        ],
        ONCE,
      );
    case "ineligible-approvals":
      return said(
        `Tried ${signal.count} times to decide without being eligible: ${name(signal.person)}`,
        [
          `Within ${signal.minutes} minutes. None of it counted. Each try, and why it did not count, stands in the audit log.`,
          `To see them: portcullis audit list --principal ${name(signal.person)}.`,
        ],
        ONCE,
      );
    case "frozen":
      return said(`Frozen: ${inertLine(signal.scope, SCOPE_MAX)}`, [
        `By ${name(signal.by)}, ${since}. What it covers is refused from the next request on; nothing that runs is touched.`,
        `Reason given: ${inertLine(signal.reason, TEXT_MAX)}`,
        "Lifting it needs the role that froze it, or security.",
      ]);
    case "unfrozen":
      return said(`No longer frozen: ${inertLine(signal.scope, SCOPE_MAX)}`, [
        `Lifted by ${name(signal.by)}, ${since}. What other freezes cover stays refused.`,
      ]);
    case "policy-activated":
      return said(`Policy version ${signal.version} is in force`, [
        `Put in force by ${name(signal.by)}${signal.scheduled ? ", as scheduled" : ""}, ${since}; written by ${name(signal.author)}. Before it: version ${signal.previous}.`,
        ...reasonGiven(signal.reason),
        `What it changes: portcullis policy show ${signal.version} --against ${signal.previous}. To go back: portcullis policy rollback.`,
      ]);
    case "policy-scheduled":
      return said(`Policy version ${signal.version} is scheduled for ${dateTimeOf(signal.at)}`, [
        `By ${name(signal.by)}, ${since}. It is judged again at that time.`,
        ...reasonGiven(signal.reason),
        `What it changes: portcullis policy show ${signal.version} --against. To stop it: portcullis policy schedule cancel ${signal.version}.`,
      ]);
    case "policy-not-activated":
      return said(`Policy version ${signal.version} was not put in force at its time`, [
        `Scheduled by ${name(signal.by)}; judged again ${since}: ${inertLine(signal.cause, TEXT_MAX)}`,
        "What was in force still is. Nothing tries again: somebody who may activates it, or schedules it anew.",
      ]);
    case "issuer-asked":
      return said(`Asked for: ${OF_ISSUER[signal.registration]} ${inertLine(signal.id, SCOPE_MAX)}`, [
        `${inertLine(signal.issuer, TEXT_MAX)}, by ${name(signal.by)}, ${since}. It counts for nothing until a person with role security has confirmed it.`,
        "Whoever it is would speak for people. To look and to confirm: portcullis issuers list.",
      ]);
    case "issuer-confirmed":
      return said(`Registered: ${OF_ISSUER[signal.registration]} ${inertLine(signal.id, SCOPE_MAX)}`, [
        `${inertLine(signal.issuer, TEXT_MAX)}. Confirmed by ${name(signal.by)}, ${since}. What it signs counts from now on.`,
        "To undo it: portcullis issuers remove.",
      ]);
    case "issuer-removed":
      return said(`Removed: ${OF_ISSUER[signal.registration]} ${inertLine(signal.id, SCOPE_MAX)}`, [
        `${inertLine(signal.issuer, TEXT_MAX)}. By ${name(signal.by)}, ${since}. What it signed counts for nothing from the next admission on.`,
      ]);
    case "audit-backlog":
      return said(
        `Audit log ${inertLine(signal.log, SCOPE_MAX)}: ${signal.rows} records wait for D1`,
        [
          "None is lost; none of them can be queried yet. At 50,000 what this log records is refused (503 audit).",
          "D1 fails, is slow, or has no room: its state is in GET /_gate/ready and in the Worker's log under projection.",
        ],
        ONCE,
      );
    case "audit-halted":
      return said(`Audit log ${inertLine(signal.log, SCOPE_MAX)} has halted`, [
        `${inertLine(signal.cause, TEXT_MAX)}. What this log records is refused (503 audit) until somebody has looked.`,
        "D1 holds something that the gate did not write there: keep both, and verify an export before anything is changed.",
      ]);
    case "audit-unsigned":
      return said(`Audit log ${inertLine(signal.log, SCOPE_MAX)} is not signed any more`, [
        `${inertLine(signal.cause, TEXT_MAX)}. Records are kept as before; no checkpoint speaks of the new ones.`,
        "Where the tree does not continue what was signed, the log's storage was changed: keep it, and verify an export against the checkpoints that were kept outside.",
      ]);
    case "audit-copy-late":
      return said(
        `Audit log ${inertLine(signal.log, SCOPE_MAX)}: its ${COPIES[signal.copy]} is ${signal.minutes} minutes behind`,
        [
          `${signal.rows} records wait for it; none was written in that time. None is lost: D1 and the log itself have them.`,
          "Why stands in the Worker's log under second-copy. It goes on by itself where it stopped.",
        ],
        ONCE,
      );
    case "outcome-unknown":
      return said(`Outcome unknown for an hour: ${name(signal.action ?? "request")}`, [
        `Request ${name(signal.requestId)} of ${name(signal.principal)}, admitted ${since}. Its money stays held, and what it changes admits nothing else.`,
        `portcullis operations show ${name(signal.requestId)} shows it. Two people settle it: an operator and finance, with portcullis operations resolve.`,
      ]);
    default:
      return unreachable(signal);
  }
}
