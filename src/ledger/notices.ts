import type { ActivityAlert } from "../notify/activity.ts";
import type { AlertNotice, Notice, NoticeKind } from "../notify/notice.ts";
import {
  escalationAlertId,
  incidentAlertId,
  type EscalationAlert,
  type IncidentAlert,
} from "../notify/incident-alert.ts";
import { NOTICE_KINDS } from "../notify/notice.ts";
import { signalId, type SignalAlert } from "../notify/signal.ts";
import { assert, unreachable } from "../platform/assert.ts";
import { integerOf, textOf, textOrNull, type SqlRow } from "../platform/sql-row.ts";
import type { EpochMs } from "../vocabulary.ts";
import { plan } from "./due.ts";
import type { MoneyAlert } from "./money/finance-port.ts";

/** Notices per hand-over to the outbox; the next alarm takes the rest. */
const NOTICES_PER_HAND_OVER = 100;

/** When an unconfirmed hand-over is tried again. */
const HAND_OVER_RETRY_MS = 30_000;

/**
 * How long an alert that was told is known: twice the longest window (a month of 31 days), so that one of a month is told
 * once in it and a clock that steps back repeats none.
 */
export const ALERT_RETENTION_MS = 62 * 24 * 3_600_000;

/** What the ledger tells of besides proposals, once per event. */
type LedgerAlert = MoneyAlert | SignalAlert | IncidentAlert | EscalationAlert;

/** A notice of the ledger's own, or the order to run an approved request that the gate has kept. */
export type ProposalHandOver = Omit<Notice, "kind" | "detail"> & { readonly kind: NoticeKind | "execute" };

/** What the outbox takes over: about a proposal, or about the tenant's money and audit logs. */
export type HandOver = ProposalHandOver | ({ readonly kind: "alert" } & AlertNotice);

/**
 * Notes that people are to be told, in the transaction of the event itself. A crash after it leaves the row; the job hands
 * it over when the object wakes. `state`: tells events of one kind about one request apart.
 */
export function note(
  sql: SqlStorage,
  kind: ProposalHandOver["kind"],
  approvalId: string,
  requestId: string | null,
  now: EpochMs,
  state: string | null = null,
): void {
  const id = [approvalId, kind, requestId, state].filter((part) => part !== null).join("/");
  sql.exec(
    "INSERT OR IGNORE INTO notices (id, kind, approval_id, request_id, at) VALUES (?, ?, ?, ?, ?)",
    id,
    kind,
    approvalId,
    requestId,
    now,
  );
  plan(sql, "notices", "all", now);
}

/**
 * Notes that people are to be told about money or a signal, in the transaction of the event itself, and returns whether that is new.
 * What was told before is told no more, whatever the outbox forgets: once per window and threshold, once per window and
 * refused principal (a flood of refusals writes one row), once per overrun, once per event of a change, once per episode of a
 * signal.
 */
export function noteAlert(sql: SqlStorage, alert: LedgerAlert, now: EpochMs): boolean {
  const id = alertId(alert);
  const isNew =
    sql.exec("INSERT OR IGNORE INTO alerts (id, at) VALUES (?, ?) RETURNING 1", id, now).toArray().length === 1;
  if (isNew) handOver(sql, id, alert, now);
  return isNew;
}

/** Notes that people are to be told what was let through. `requestId`: one of these requests; no other message has it. */
export const noteActivity = (sql: SqlStorage, requestId: string, alert: ActivityAlert, now: EpochMs): void =>
  handOver(sql, `${alert.kind}/${requestId}`, alert, now);

function handOver(sql: SqlStorage, id: string, alert: LedgerAlert | ActivityAlert, now: EpochMs): void {
  sql.exec(
    "INSERT INTO notices (id, kind, approval_id, at, alert) VALUES (?, 'alert', '', ?, ?)",
    id,
    now,
    JSON.stringify(alert),
  );
  plan(sql, "notices", "all", now);
}

/** Equal for equal events. */
function alertId(alert: LedgerAlert): string {
  switch (alert.kind) {
    case "budget-threshold":
      return `${alert.kind}/${alert.window}/${alert.percent}`;
    case "budget-refused": {
      // Where day and month are short it is the month that says when there is room again.
      const [day] = alert.windows;
      const window = alert.windows.find(({ period }) => period === "monthly") ?? day;
      assert(window !== undefined, "a refusal for want of money names a window");
      const id = `${alert.kind}/${window.window}/${alert.principal}`;
      // Want of room in a cap of its own does not keep finance from hearing that the tenant's is used up.
      return window.scope === "window" ? id : `${id}/${window.scope}`;
    }
    case "budget-overrun":
      return `${alert.kind}/${alert.requestId}`;
    case "budget-change":
      return `${alert.id}/${alert.event}`;
    case "audit-signal":
      return signalId(alert);
    case "incident":
      return incidentAlertId(alert);
    case "escalation":
      return escalationAlertId(alert);
    default:
      return unreachable(alert);
  }
}

/**
 * What waits to be handed over, oldest first. Plans the next try at once: rows leave only with `confirmHandOver`, so a
 * hand-over that is lost half-way is repeated, and the outbox knows it by its ids.
 */
export function takeNotices(sql: SqlStorage, now: EpochMs): readonly HandOver[] {
  const rows = sql.exec("SELECT * FROM notices ORDER BY at, id LIMIT ?", NOTICES_PER_HAND_OVER).toArray();
  if (rows.length > 0) plan(sql, "notices", "all", now + HAND_OVER_RETRY_MS);
  return rows.map(handOverOf);
}

function handOverOf(row: SqlRow): HandOver {
  const id = textOf(row, "id");
  const at = integerOf(row, "at");
  const alert = textOrNull(row, "alert");
  // Serialised above.
  if (alert !== null) return { id, kind: "alert", alert: JSON.parse(alert), at };
  const kind = asKind(textOf(row, "kind"));
  return { id, kind, approvalId: textOf(row, "approval_id"), requestId: textOrNull(row, "request_id"), at };
}

/** The outbox has them durably. What came meanwhile waits for its own job. */
export function confirmHandOver(sql: SqlStorage, handedOver: readonly HandOver[], now: EpochMs): void {
  for (const { id } of handedOver) sql.exec("DELETE FROM notices WHERE id = ?", id);
  if (handedOver.length === NOTICES_PER_HAND_OVER) plan(sql, "notices", "all", now);
}

function asKind(text: string): ProposalHandOver["kind"] {
  const kind = text === "execute" ? text : NOTICE_KINDS.find((known) => known === text);
  assert(kind !== undefined, "a notice has a known kind");
  return kind;
}
