import type { BudgetChange, BudgetPeriod } from "../ledger/money/finance-port.ts";
import type { AnchoredCheckpoint } from "../notify/alert.ts";
import type { ShownAlert } from "../notify/delivery.ts";
import { unreachable } from "../platform/assert.ts";
import { formatUsd } from "../platform/money.ts";
import type { CompiledPolicy } from "../policy/types.ts";
import type { WindowShortage } from "../refusal.ts";
import type { Micros } from "../vocabulary.ts";
import { context, header, section, type SlackMessage } from "./blocks.ts";
import { inertLine } from "./inert-text.ts";
import { toldOfActivity } from "./activity.ts";
import { toldOfEscalation, toldOfIncident } from "./incidents.ts";
import { toldOfSignal } from "./signals.ts";
import { said, type Told } from "./told.ts";
import { dateTimeOf, name } from "./wording.ts";

/** What to type next. */
const CLI = {
  show: "portcullis budget show",
  holds: "portcullis budget holds",
  forecast: "portcullis budget forecast",
  request: (period: BudgetPeriod, cap: string): string =>
    `portcullis budget request --window ${period} --cap ${cap} --reason "…"`,
  approve: (id: string): string => `portcullis budget decide ${id} approve`,
  operation: (id: string): string => `portcullis operations show ${id}`,
} as const;

const askForMore = (period: BudgetPeriod, cap: string): string =>
  `To ask finance for more: ${CLI.request(period, cap)}, or POST /_gate/v1/budget/requests.`;

/** What people wrote, in one line, so that none of it can pass for a line of the gate's. */
const REASON_MAX = 500;
const COMMENT_MAX = 200;
/** A request is rarely short in more than day and month. A line takes 350 characters at most, a section 3,000 in all. */
const WINDOWS_SHOWN = 6;
const WINDOW_MAX = 20;
const DECISIONS_SHOWN = 4;

/**
 * The channel in which a tenant's people hear of money, audit logs and activity; null where its policy names none. Activity never
 * goes where people are called for: it waits for nobody.
 */
export function alertChannel(
  kind: ShownAlert["kind"],
  { channels: { tier3, tier4, escalation }, notify }: Pick<CompiledPolicy, "channels" | "notify">,
): string | null {
  if (kind === "activity") return notify.channel ?? tier3 ?? tier4;
  return kind === "budget-overrun" || kind === "audit-signal" || kind === "escalation"
    ? (escalation ?? tier3 ?? tier4)
    : (tier3 ?? tier4 ?? escalation);
}

/**
 * An alert as one message, null where nothing is left to say: a change that was decided before anybody heard of the ask. A
 * pure function. `isInThread`: there is a message about the same thing already, below which it goes. Tenants may share a channel, so each message names its own.
 */
export function alertMessage(alert: ShownAlert, tenant: string, isInThread = false): SlackMessage | null {
  const told = toldOf(alert, isInThread);
  if (told === null) return null;
  const text = told.lines.join("\n");
  return {
    text: `${told.title}. ${text}`,
    blocks: [header(told.title), section(text), context([`Tenant ${name(tenant)}`, ...told.notes].join(" · "))],
  };
}

function toldOf(alert: ShownAlert, isInThread: boolean): Told | null {
  switch (alert.kind) {
    case "budget-threshold":
      return threshold(alert);
    case "budget-refused":
      return refused(alert);
    case "budget-overrun":
      return overrun(alert);
    case "budget-change":
      return changed(alert.event, alert.change);
    case "audit-checkpoint":
      return anchored([alert]);
    case "audit-anchor":
      return alert.checkpoints.length === 0 ? null : anchored(alert.checkpoints);
    case "audit-signal":
      return toldOfSignal(alert);
    case "incident":
      return toldOfIncident(alert, isInThread);
    case "escalation":
      return toldOfEscalation(alert);
    case "activity":
      return toldOfActivity(alert);
    default:
      return unreachable(alert);
  }
}

/** One line per log. Whoever has this message can show that a log was rewritten later, so it is never updated. */
function anchored(checkpoints: readonly AnchoredCheckpoint[]): Told {
  return said(
    "Audit logs, as signed",
    checkpoints.map(({ log, size, root }) => `${inertLine(log, WINDOW_MAX)}: ${size} records, root ${root}`),
    "leave this message in place: portcullis audit verify can check the logs against it",
  );
}

type Of<Kind extends ShownAlert["kind"]> = Extract<ShownAlert, { kind: Kind }>;

function threshold({ window, percent, usedMicros, capMicros }: Of<"budget-threshold">): Told {
  const left = Math.max(0, capMicros - usedMicros);
  return said(`Budget: ${percent} % of the cap of ${windowName(window)} is taken`, [
    `Spent and held: ${dollars(usedMicros)} of ${dollars(capMicros)}. Left: ${dollars(left)}.`,
    left === 0
      ? "What costs money is refused from now on, until the window is over or the cap is raised. Nothing that runs is touched."
      : "What no longer fits is refused; nothing that runs is touched.",
    `To see what holds the money: ${CLI.holds}. When the cap is reached: ${CLI.forecast}.`,
    askForMore(DAY.test(window) ? "daily" : "monthly", "…"),
  ]);
}

function refused({ principal, action, windows }: Of<"budget-refused">): Told {
  const [first] = windows;
  const shown = windows.slice(0, WINDOWS_SHOWN).map(shortageLine);
  const more = windows.length - shown.length;
  const asked = first === undefined ? "" : ` for up to ${dollars(first.requested_micros)}`;
  return said(
    `Refused, over budget: ${name(action)}`,
    [
      `${name(principal)} asked for ${name(action)}${asked}. It does not fit and was not run; nothing that runs is touched.`,
      ...shown,
      ...(more > 0 ? [`and ${more} more`] : []),
      "Less may fit now: the refusal names the nearest request that would. The same fits again when the window resets, if it is not taken by others.",
      ...windows.filter(isTenants).slice(0, TENANT_WINDOWS).map(increaseLine),
      ...(windows.every(isTenants)
        ? []
        : ["Caps inside the tenant's, and shares, are the policy's: an operator changes them."]),
      `To see what holds the money: ${CLI.holds}.`,
    ],
    "told once per window and requester, however often it tries",
  );
}

function shortageLine(shortage: WindowShortage): string {
  const { window, cap_micros: cap, settled_micros: settled, held_micros: held, short_micros: short } = shortage;
  const resets = dateTimeOf(shortage.resets_at);
  return `${capitalised(windowName(window))}${scopeOf(shortage.scope)}: short by ${dollars(short)}. Cap ${dollars(cap)}, spent ${dollars(settled)}, held ${dollars(held)}. Resets ${resets}.`;
}

/** Finance raises the tenant's own caps: its day and its month. */
const isTenants = ({ scope }: WindowShortage): boolean => scope === "window";
const TENANT_WINDOWS = 2;

/** Names the lowest cap with which the same request would have fitted. */
const increaseLine = ({ period, cap_micros: cap, short_micros: short }: WindowShortage): string =>
  askForMore(period, formatUsd(cap + short));

const SHARES: ReadonlyMap<string, string> = new Map([
  ["window", ""],
  ["gross", ", everything submitted in it"],
  ["pending-of-principal", ", share for waiting proposals of one requester"],
  ["pending-of-tenant", ", share for all waiting proposals"],
]);

/** A cap inside the tenant's is shown as the policy names it: `team:research`. */
const scopeOf = (scope: string): string => SHARES.get(scope) ?? `, ${name(scope)}`;

function overrun({ requestId, heldMicros, actualMicros }: Of<"budget-overrun">): Told {
  const over = dollars(actualMicros - heldMicros);
  return said(`Overrun: ${over} more than was held`, [
    `Request ${name(requestId)} cost ${dollars(actualMicros)}; ${dollars(heldMicros)} were held for it. All of it is charged to the window in which it was admitted.`,
    `A cap may be passed by this: then nothing more is admitted in that window. Check the bill and the price table. ${CLI.operation(name(requestId))} shows the request, ${CLI.show} what is left.`,
  ]);
}

function changed(event: Of<"budget-change">["event"], change: BudgetChange): Told | null {
  const what = `${PERIODS[change.period]} cap ${formatUsd(change.fromMicros)} → ${dollars(change.capMicros)}`;
  const who = name(change.askedBy);
  const why = reasonOf(change);
  switch (event) {
    case "asked":
      return change.state === "pending"
        ? said(`Budget, to be decided: ${what}`, [
            `${who} asks. ${needs(change)}, by ${dateTimeOf(change.expiresAt)}; otherwise nothing changes.`,
            timesOf(change),
            why,
            `To decide: ${CLI.approve(name(change.id))}, or deny in its place.`,
          ])
        : null;
    case "lowered":
      return said(`Budget lowered: ${what}`, [
        `By ${who}. What no longer fits is refused; nothing that runs is touched.`,
        timesOf(change),
        why,
        "Raising it again needs two people of finance.",
      ]);
    case "approved":
      return said(`Budget raised: ${what}`, [`Asked for by ${who}.`, ...decisionsOf(change), timesOf(change), why]);
    case "denied":
      return said(`Budget, denied: ${what}`, [
        `Asked for by ${who}. The cap stays as it is.`,
        ...decisionsOf(change),
        why,
      ]);
    case "withdrawn":
      return said(`Budget, taken back: ${what}`, [`Asked for by ${who}. It holds no longer, or never will.`, why]);
    case "expired":
      return said(`Budget, nobody decided in time: ${what}`, [
        `Asked for by ${who}. The cap stays as it is. To ask again: ${CLI.request(change.period, formatUsd(change.capMicros))}.`,
        why,
      ]);
    default:
      return unreachable(event);
  }
}

function needs({ needed, decisions }: BudgetChange): string {
  const given = decisions.filter(({ decision }) => decision === "approve").length;
  return `It needs the approval of ${needed} ${needed === 1 ? "person" : "people"} of finance, ${given} given`;
}

/** From when and for how long. */
function timesOf({ effectiveAt, endsAt, askedAt }: BudgetChange): string {
  const from = effectiveAt > askedAt ? `From ${dateTimeOf(effectiveAt)}` : "At once";
  const until = endsAt === null ? "with no end" : `until ${dateTimeOf(endsAt)}; then the cap before it holds again`;
  return `${from}, ${until}.`;
}

function reasonOf({ reason, incident }: BudgetChange): string {
  const about = incident === null ? "" : ` (incident ${name(incident)})`;
  return `Reason given${about}: ${inertLine(reason, REASON_MAX)}`;
}

function decisionsOf({ decisions }: BudgetChange): readonly string[] {
  return decisions.slice(-DECISIONS_SHOWN).map(({ subject, decision, comment }) => {
    const why = comment === null ? "" : `: ${inertLine(comment, COMMENT_MAX)}`;
    return `${decision === "approve" ? "Approved" : "Denied"} by ${name(subject)}${why}`;
  });
}

const PERIODS: Readonly<Record<BudgetPeriod, string>> = { daily: "day's", monthly: "month's" };

const DAY = /^\d{4}-\d{2}-\d{2}$/;
const MONTH = /^\d{4}-\d{2}$/;

/** `2026-11-20` → `day 2026-11-20`, `2026-11` → `month 2026-11`. */
const windowName = (id: string): string =>
  `${DAY.test(id) ? "day" : MONTH.test(id) ? "month" : "window"} ${inertLine(id, WINDOW_MAX)}`;

const capitalised = (text: string): string => text.slice(0, 1).toUpperCase() + text.slice(1);

const dollars = (micros: Micros): string => `${formatUsd(micros)} USD`;
