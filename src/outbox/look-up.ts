import type { CompiledCatalogue, UpstreamCall } from "../catalogue/types.ts";
import { requestOf } from "../gateway/sealed-request.ts";
import { readAnswer } from "../upstream/read-answer.ts";
import { send, type Upstream } from "../upstream/send.ts";

/** What a look-up proved. `resource` is the id of what was made, where it happened and the answer names it. */
export type LookUpFinding = {
  readonly verdict: "happened" | "absent" | "unknown";
  readonly resource: string | null;
};

const UNKNOWN: LookUpFinding = { verdict: "unknown", resource: null };

/**
 * Asks the control plane, in the way its catalogue declares, whether a mutation with this reference happened. Anything
 * but a clear answer is `unknown`: not a proof of absence.
 */
export async function lookUpOutcome(
  job: { readonly requestId: string; readonly call: UpstreamCall },
  catalogue: CompiledCatalogue,
  upstream: Upstream,
  nonce: string,
): Promise<LookUpFinding> {
  const operation = catalogue.match(requestOf(job.call));
  if (!operation.ok) return UNKNOWN;
  const lookUp = operation.value.outcome.lookUp?.(job.requestId);
  if (lookUp === undefined) return UNKNOWN;
  const sent = await send(upstream, lookUp.call, {}, nonce, Date.now());
  if (sent.kind !== "answered") return UNKNOWN;
  const read = await readAnswer(sent.response, upstream.deadlineMs);
  if (read.kind !== "complete") return UNKNOWN;
  const { status, json } = read.answer;
  const verdict = lookUp.judge(status, json);
  return { verdict, resource: verdict === "happened" ? lookUp.resource(json) : null };
}
