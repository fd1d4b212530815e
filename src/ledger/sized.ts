import type { AdmissionRequest } from "./contract.ts";
import { runningOf } from "./reservations.ts";

/**
 * The request with what it adds to the books as its ceiling. A change of something that runs adds what it will cost less what is
 * paid for already: the larger of what the control plane says it costs now and what this ledger has committed to it. Something
 * without a record here counts whole: nobody has paid for it. Never below zero: less is given back only when it is so.
 */
export function sized(sql: SqlStorage, request: AdmissionRequest): AdmissionRequest {
  const { cost, resource } = request;
  if (cost.kind !== "priced" || cost.currentMicros === null || resource === null) return request;
  const running = runningOf(sql, resource);
  if (running.length === 0) return request;
  const committed = running.reduce((sum, { ceilingMicros }) => sum + ceilingMicros, 0);
  const paid = Math.max(cost.currentMicros, committed);
  return { ...request, cost: { ...cost, ceilingMicros: Math.max(0, cost.ceilingMicros - paid) } };
}
