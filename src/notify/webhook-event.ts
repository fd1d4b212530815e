import { grantToken, proposalJson } from "../approval/proposal-json.ts";
import type { LedgerPort } from "../ledger/ledger-port.ts";
import type { JsonObject } from "../platform/json.ts";
import type { DeliveryCall } from "./delivery.ts";
import type { Notice } from "./notice.ts";

/** Version of the events' form: members may be added to it, never renamed, removed or given another meaning. */
export const EVENT_VERSION = 1;

/**
 * What a webhook is told (Standard Webhooks 1.0.0, "Payload structure"): `timestamp` is when it happened, `data` the proposal
 * as it stands when the event is sent, in the form of `GET /_gate/v1/approvals/{id}`. Nothing else carries the grant's token.
 */
export async function webhookEvent(call: DeliveryCall): Promise<JsonObject> {
  const { notice, found, view } = call;
  return {
    version: EVENT_VERSION,
    // Identifiers of event types have no hyphen.
    type: `approval.${notice.kind.replaceAll("-", "_")}`,
    timestamp: new Date(notice.at).toISOString(),
    tenant: call.tenant.tenant,
    data: { ...proposalJson(found, view), ...(await details(call)) },
  };
}

/** What some events have beyond the proposal. */
async function details({ notice, found, gate, tenant, ledger }: DeliveryCall): Promise<JsonObject> {
  if (notice.kind === "approved") {
    const token = await grantToken(found, tenant.tenant, gate.keys.approval);
    // Late: the grant is used or over.
    return token === null ? {} : { token };
  }
  if (notice.kind === "executed") return { operation: await operationOf(notice, ledger) };
  if (notice.kind === "execution-refused") return { refused: { request_id: notice.requestId, slug: notice.detail } };
  return {};
}

async function operationOf({ requestId }: Notice, ledger: LedgerPort): Promise<JsonObject | null> {
  const found = requestId === null ? null : await ledger.operation(requestId);
  return found === null
    ? null
    : { request_id: found.requestId, state: found.state, upstream_status: found.upstreamStatus };
}
