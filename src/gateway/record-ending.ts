import type { AuditEntry } from "../audit/record.ts";
import { NO_TENANT } from "../audit/recorder.ts";
import type { Ended } from "./ended.ts";
import type { Gate } from "./gate.ts";
import { entryOf, refusalEntry, type Trail } from "./trail.ts";

/** One record per ending. Refusals are batched off the response's path; what the ledger or a read has recorded is not repeated. */
export function recordEnding(
  gate: Gate,
  trail: Trail,
  ended: Ended,
  waitUntil: (work: Promise<unknown>) => void,
): void {
  const tenant = trail.principal?.tenant ?? NO_TENANT;
  const now = Date.now();
  const entryId = `${trail.requestId}/request`;
  const append = (known: Partial<AuditEntry>): void => {
    const entry = { ...entryOf(trail, gate.redactor, "request", now), ...known };
    waitUntil(gate.recorder.append(tenant, entryId, entry, false, waitUntil));
  };
  switch (ended.kind) {
    case "refused":
      return gate.recorder.refusal(tenant, entryId, refusalEntry(trail, gate.redactor, ended.refusal, now), waitUntil);
    case "answered":
      return append({
        decision: "refuse",
        reason_code: ended.code,
        outcome: "refused",
        upstream_status: ended.upstreamStatus,
      });
    case "planned":
      return append({
        kind: "plan",
        decision: "plan",
        outcome: "planned",
        upstream_status: ended.upstreamStatus,
      });
    case "replayed":
      return append({ decision: "allow", reason_code: "replayed", detail: ended.of, outcome: "replayed" });
    case "dispatched":
    case "served":
      return undefined;
  }
}
