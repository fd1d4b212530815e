import type { AdmissionOutcome, Conclusion, PlanOutcome } from "../ledger/contract.ts";
import { ledgerOf } from "../ledger/ledger-port.ts";
import { describeError } from "../platform/describe-error.ts";
import { log } from "../platform/log.ts";
import type { Refusal } from "../refusal.ts";
import type { Gate } from "./gate.ts";

/** Longest wait for the ledger's answer; after it the gate answers 503 and dispatches nothing. */
const LEDGER_WAIT_MS = 10_000;

/** Attempts to report a conclusion before the ledger's own deadline takes over. */
const CONCLUDE_ATTEMPTS = 3;

/** The refusal where the ledger said nothing. */
type NoLedger = { kind: "refused"; refusal: Refusal; budget: null; tally?: undefined };

/** Asks the ledger within a bound. No answer is `unavailable`, and `unanswered` deals with what it may have done. */
export async function askLedger<T extends AdmissionOutcome | PlanOutcome>(
  ask: () => Promise<T>,
  unanswered: () => void = () => undefined,
): Promise<T | NoLedger> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<NoLedger>((resolve) => {
    timer = setTimeout(() => {
      unanswered();
      resolve(noLedger("no answer in time"));
    }, LEDGER_WAIT_MS);
  });
  try {
    return await Promise.race([ask(), late]);
  } catch (error) {
    unanswered();
    return noLedger(describeError(error));
  } finally {
    clearTimeout(timer);
  }
}

const noLedger = (cause: string): NoLedger => ({
  kind: "refused",
  refusal: { kind: "unavailable", dependency: "ledger", cause },
  budget: null,
});

/** Reports how a dispatch ended. When the ledger cannot be reached it finds out by itself: see `dispatchDeadline`. */
export async function reportConclusion(gate: Gate, tenant: string, conclusion: Conclusion): Promise<void> {
  for (let attempt = 1; attempt <= CONCLUDE_ATTEMPTS; attempt++) {
    try {
      return await ledgerOf(gate.env.LEDGER, tenant).conclude(conclusion);
    } catch (error) {
      log("warn", "conclude", { tenant, requestId: conclusion.requestId, attempt, cause: describeError(error) });
    }
  }
}

/** The conclusion of a write of which nothing was sent. */
export const neverSent = (requestId: string, detail: string): Conclusion => ({
  requestId,
  outcome: "not-sent",
  upstreamStatus: null,
  resource: null,
  actualMicros: null,
  response: null,
  detail,
});
