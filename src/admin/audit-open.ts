import type { JsonObject } from "../platform/json.ts";
import type { OpenOperations } from "../ledger/open-operations.ts";
import { queryInteger, unknownQuery } from "./body.ts";
import { json, malformed, refuse, type AdminAnswer, type AdminCall, type AdminRoute } from "./call.ts";
import { timeText } from "./money.ts";

/** Most operations of one answer, of each state. */
export const AUDIT_OPEN_MAX = 500;
const OPEN_DEFAULT = 100;

/** Intents without an outcome: nothing is missing from the audit log unless it stands here. */
export const auditOpenRoutes: readonly AdminRoute[] = [
  { method: "GET", path: "/_gate/v1/audit/open", roles: ["security"], handle: open },
];

async function open({ strict, ledger }: AdminCall): Promise<AdminAnswer> {
  const unknown = unknownQuery(strict, ["limit"]);
  if (unknown !== null) return refuse(unknown);
  const limit = queryInteger(strict, "limit", OPEN_DEFAULT, AUDIT_OPEN_MAX);
  if (limit === null || limit === 0) return malformed(`query: limit is a number from 1 to ${AUDIT_OPEN_MAX}`);
  const { dispatching, unknown: unseen, operations } = await ledger.openOperations(limit);
  return json({
    dispatching: countJson(dispatching),
    unknown: countJson(unseen),
    records: operations.map((one) => ({
      request_id: one.requestId,
      state: one.state,
      principal: one.principal,
      action: one.action,
      admitted_at: timeText(one.admittedAt),
      look_ups: one.lookUps,
    })),
    next_cursor: null,
  });
}

const countJson = ({ count, oldest }: OpenOperations["unknown"]): JsonObject => ({
  count,
  oldest: oldest === null ? null : timeText(oldest),
});
