import type { CompiledCatalogue, UpstreamCall } from "../catalogue/types.ts";
import { NO_GATE_HEADERS } from "../gateway/gate-headers.ts";
import { parseStrictJson } from "../platform/strict-json.ts";
import type { StrictRequest } from "../strict-request.ts";
import type { LookUpJob } from "./port.ts";
import { readAnswer } from "../upstream/read-answer.ts";
import { send, type Upstream } from "../upstream/send.ts";

/**
 * Asks the control plane, in the way its catalogue declares, whether a mutation with this reference happened. Anything
 * but a clear answer is `unknown`: not a proof of absence.
 */
export async function lookUpOutcome(
  job: LookUpJob,
  catalogue: CompiledCatalogue,
  upstream: Upstream,
  nonce: string,
): Promise<"happened" | "absent" | "unknown"> {
  const operation = catalogue.match(asRequest(job.sent));
  if (!operation.ok) return "unknown";
  const lookUp = operation.value.outcome.lookUp?.(job.requestId);
  if (lookUp === undefined) return "unknown";
  const sent = await send(upstream, lookUp.call, {}, nonce, Date.now());
  if (sent.kind !== "answered") return "unknown";
  const read = await readAnswer(sent.response, upstream.deadlineMs);
  return read.kind === "complete" ? lookUp.judge(read.answer.status, read.answer.json) : "unknown";
}

/** The request that was judged, read back from what was sent: the catalogue finds its operation, and so its look-up, again. */
function asRequest(call: UpstreamCall): StrictRequest {
  const body = call.body === null ? undefined : parseStrictJson(call.body);
  return {
    method: call.method,
    path: call.path,
    segments: call.path.split("/").slice(1),
    query: new Map(call.query),
    contentType: call.contentType,
    body: body?.ok === true ? body.value : undefined,
    bodyBytes: call.body?.length ?? 0,
    gate: NO_GATE_HEADERS,
    header: () => null,
  };
}
