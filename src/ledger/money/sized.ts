import type { EpochMs, Micros } from "../../vocabulary.ts";
import type { AdmissionRequest } from "../contract.ts";
import { runningOf, type Reservation } from "./reservations.ts";
import { runTime, shareOf, usedSoFar } from "./run-time.ts";

/** The most that the request may cost. */
export const ceilingOf = (request: AdmissionRequest): number =>
  request.cost.kind === "priced" ? request.cost.ceilingMicros : 0;

/**
 * The request with what it adds to the books as its ceiling. A change of something that runs adds what it will cost less what is
 * paid for already: the larger of what the control plane says it costs now and what this ledger has committed to it. Something
 * without a record here counts whole: nobody has paid for it. Never below zero: less is given back only when it is so.
 */
export function sized(sql: SqlStorage, request: AdmissionRequest, now: EpochMs): AdmissionRequest {
  const { cost, resource } = request;
  if (cost.kind !== "priced" || cost.currentMicros === null || resource === null) return request;
  const running = runningOf(sql, resource);
  if (running.length === 0) return request;
  const { ceilingMicros: result, currentMicros: current } = cost;
  const paid = Math.max(
    current,
    sum(running, ({ ceilingMicros }) => ceilingMicros),
  );
  const wasLarger = running.some(({ spentAt }) => spentAt !== null);
  const adds = Math.max(0, result - paid, wasLarger ? stillShort(sql, running, { ...cost, current }, now) : 0);
  return { ...request, cost: { ...cost, ceilingMicros: adds } };
}

/**
 * Of something that was larger once, a part of what is committed was used up at that size: what it costs from now on has to fit
 * the rest. Else making it small and large in turn would have the large times for nothing.
 */
function stillShort(
  sql: SqlStorage,
  running: readonly Reservation[],
  cost: { readonly ceilingMicros: Micros; readonly current: Micros; readonly durationMs: number | null },
  now: EpochMs,
): Micros {
  const left = sum(running, (one) => one.ceilingMicros - usedSoFar(sql, one, now));
  const time = running[0] === undefined ? null : runTime(sql, running[0].id);
  if (time === null) return cost.ceilingMicros - left;
  const wholeMs = Math.max(1, cost.durationMs ?? time.endsAt - time.beganAt);
  const leftMs = Math.min(wholeMs, Math.max(0, time.beganAt + wholeMs - now));
  const fromNowOn = (micros: Micros): Micros => shareOf(micros, leftMs, wholeMs);
  return fromNowOn(cost.ceilingMicros) - Math.max(left, fromNowOn(cost.current));
}

const sum = (running: readonly Reservation[], of: (one: Reservation) => Micros): Micros =>
  running.reduce((total, one) => total + of(one), 0);
