import type { CompiledCatalogue } from "../catalogue/types.ts";
import type { StatusCheck, StatusFinding } from "../ledger/money/finance-port.ts";
import { readAnswer } from "../upstream/read-answer.ts";
import { send, type Upstream } from "../upstream/send.ts";

/** What is said of a resource that could not be asked about: nothing. */
export const notHeard = (requestId: string): StatusFinding => ({
  requestId,
  verdict: "unknown",
  actualMicros: null,
  ranMs: null,
});

/**
 * Asks the control plane, in the way its catalogue declares, whether what a request made still runs. One read; anything but a
 * clear answer is `unknown`, which settles nothing.
 */
export async function readStatus(
  check: StatusCheck,
  catalogue: CompiledCatalogue,
  upstream: Upstream,
  nonce: string,
): Promise<StatusFinding> {
  const rule = catalogue.status(check.route);
  const call = rule?.call(check.resource) ?? null;
  if (rule === null || call === null) return notHeard(check.requestId);
  const sent = await send(upstream, call, {}, nonce, Date.now());
  if (sent.kind !== "answered") return notHeard(check.requestId);
  const read = await readAnswer(sent.response, upstream.deadlineMs);
  if (read.kind !== "complete") return notHeard(check.requestId);
  const { status, json } = read.answer;
  return { requestId: check.requestId, ...rule.judge(status, json, check.requestId) };
}
