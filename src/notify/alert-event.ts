import { budgetChangeJson } from "../approval/budget-change-json.ts";
import { unreachable } from "../platform/assert.ts";
import type { JsonObject } from "../platform/json.ts";
import { usd } from "../platform/money.ts";
import type { AnchoredCheckpoint } from "./alert.ts";
import type { AlertCall, ShownAlert } from "./delivery.ts";
import { EVENT_VERSION } from "./webhook-event.ts";

/**
 * What a webhook is told about money and audit logs, in the same envelope as about proposals. `_micros` are exact integers,
 * `_usd` the same amounts for people.
 */
export const alertEvent = ({
  tenant: { tenant },
  at,
  alert,
}: Pick<AlertCall, "at" | "alert"> & WithTenant): JsonObject => ({
  version: EVENT_VERSION,
  // `budget-threshold` → `budget.threshold`.
  type: alert.kind.replace("-", "."),
  timestamp: new Date(at).toISOString(),
  tenant,
  data: factsOf(alert),
});

type WithTenant = { readonly tenant: Pick<AlertCall["tenant"], "tenant"> };

function factsOf(alert: ShownAlert): JsonObject {
  switch (alert.kind) {
    case "budget-threshold":
      return {
        window: alert.window,
        percent: alert.percent,
        used_usd: usd(alert.usedMicros),
        used_micros: alert.usedMicros,
        cap_usd: usd(alert.capMicros),
        cap_micros: alert.capMicros,
      };
    case "budget-refused":
      return {
        principal: alert.principal,
        action: alert.action,
        windows: alert.windows.map((window) => ({ ...window })),
      };
    case "budget-overrun":
      return {
        request_id: alert.requestId,
        held_usd: usd(alert.heldMicros),
        held_micros: alert.heldMicros,
        actual_usd: usd(alert.actualMicros),
        actual_micros: alert.actualMicros,
      };
    case "budget-change":
      return { event: alert.event, ...budgetChangeJson(alert.change) };
    case "audit-checkpoint":
      return checkpointJson(alert);
    case "audit-anchor":
      return { checkpoints: alert.checkpoints.map(checkpointJson) };
    default:
      return unreachable(alert);
  }
}

const checkpointJson = ({ log, size, root, note, verifierKey, signedAt }: AnchoredCheckpoint): JsonObject => ({
  log,
  size,
  root,
  note,
  verifier_key: verifierKey,
  signed_at: new Date(signedAt).toISOString(),
});
