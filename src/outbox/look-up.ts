import type { CompiledCatalogue, UpstreamCall } from "../catalogue/types.ts";
import { requestOf } from "../gateway/sealed-request.ts";
import { readAnswer } from "../upstream/read-answer.ts";
import { send, type Upstream } from "../upstream/send.ts";

/**
 * Asks the control plane, in the way its catalogue declares, whether a mutation with this reference happened. Anything
 * but a clear answer is `unknown`: not a proof of absence.
 */
export async function lookUpOutcome(
  job: { readonly requestId: string; readonly call: UpstreamCall },
  catalogue: CompiledCatalogue,
  upstream: Upstream,
  nonce: string,
): Promise<"happened" | "absent" | "unknown"> {
  const operation = catalogue.match(requestOf(job.call));
  if (!operation.ok) return "unknown";
  const lookUp = operation.value.outcome.lookUp?.(job.requestId);
  if (lookUp === undefined) return "unknown";
  const sent = await send(upstream, lookUp.call, {}, nonce, Date.now());
  if (sent.kind !== "answered") return "unknown";
  const read = await readAnswer(sent.response, upstream.deadlineMs);
  return read.kind === "complete" ? lookUp.judge(read.answer.status, read.answer.json) : "unknown";
}
