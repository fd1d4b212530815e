import type { EscalationAlert, IncidentAlert } from "../notify/incident-alert.ts";
import { unreachable } from "../platform/assert.ts";
import { inertLine } from "./inert-text.ts";
import { said, type Told } from "./told.ts";
import { dateTimeOf, name } from "./wording.ts";

/** What people and agents wrote, in one line, so that none of it can pass for a line of the gate's. */
const TEXT_MAX = 600;
/** With the words around it and an owner's name a title, which holds 150. */
const TITLE_KEY_MAX = 40;
/** All of a key: people copy it. */
const KEY_MAX = 128;

/**
 * What became of a claim, as people read it. A key of the catalogue's is told of when somebody else wants to work on the same
 * thing: each change of anything makes such a claim, and the proposals are told of anyway.
 */
export function toldOfIncident(alert: IncidentAlert, isInThread: boolean): Told | null {
  const { event, owner, startedAt, by } = alert;
  const key = inertLine(alert.key, TITLE_KEY_MAX);
  const whole = inertLine(alert.key, KEY_MAX);
  const isQuiet = alert.isDerived && !isInThread;
  const next = `To see it: portcullis incident show ${whole}. An operator hands it over: portcullis incident hand-over ${whole} --to <subject>.`;
  const note = alert.note === null ? [] : [`Note: ${inertLine(alert.note, TEXT_MAX)}`];
  switch (event) {
    case "claimed":
      return isQuiet
        ? null
        : said(`Incident ${key}: ${name(owner)} is at it`, [
            `Since ${dateTimeOf(startedAt)}${doing(alert)}. Others are refused until it is over.`,
            next,
          ]);
    case "contended":
      return said(
        `Incident ${key}: two want to work on it`,
        [
          `${name(owner)} has, since ${dateTimeOf(startedAt)}${doing(alert)}; ${name(by ?? "somebody else")} was refused.`,
          next,
        ],
        "told once per claim, however often others try",
      );
    case "handed-over":
      return isQuiet
        ? null
        : said(`Incident ${key}: now ${name(owner)}`, [`Handed over by ${name(by ?? "")}.`, ...note]);
    case "resolved":
      return isQuiet
        ? null
        : said(`Incident ${key}: ${name(alert.outcome ?? "over")}`, [
            by === null ? "The request that worked on it has ended." : `Said by ${name(by)}.`,
            ...note,
          ]);
    case "released":
      return isQuiet
        ? null
        : said(`Incident ${key}: given up`, [`${name(owner)} has run nothing under it. It is free.`]);
    case "expired":
      return isQuiet
        ? null
        : said(`Incident ${key}: nobody is at it any more`, [
            `Nothing was heard of ${name(owner)} for long. It is free.`,
          ]);
    default:
      return unreachable(event);
  }
}

const doing = ({ action, requestId }: IncidentAlert): string =>
  `, ${action === null ? "" : `${name(action)}, `}request ${name(requestId)}`;

/** What somebody could not diagnose, for the people who can. */
export function toldOfEscalation(alert: EscalationAlert): Told {
  const { id, by, note } = alert;
  const about = alert.incident === null ? "" : ` (incident ${inertLine(alert.incident, TITLE_KEY_MAX)})`;
  if (alert.event === "closed")
    return said(`Escalation closed${about}`, [`By ${name(by)}: ${inertLine(note ?? "", TEXT_MAX)}`, name(id)]);
  return said(
    `Needs people: ${name(by)} cannot find the cause`,
    [
      `It believes${about}: ${inertLine(alert.hypothesis, TEXT_MAX)}`,
      `It has tried: ${inertLine(alert.tried, TEXT_MAX)}`,
      `It has seen: ${inertLine(alert.evidence, TEXT_MAX)}`,
      `All of it: portcullis escalation show ${name(id)}. When somebody is at it: portcullis escalation close ${name(id)} --note "…".`,
    ],
    "written by the agent, not checked by the gate",
    "told once, until it is closed",
  );
}
