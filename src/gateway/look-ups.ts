import { notLookedUp } from "../catalogue/expression-sources.ts";
import type { LookedUp, LookUp, MatchedOperation } from "../catalogue/types.ts";
import { newId } from "../platform/ids.ts";
import type { JsonValue } from "../platform/json.ts";
import { err, ok, type Result } from "../platform/result.ts";
import type { Refusal } from "../refusal.ts";
import { readAnswer } from "../upstream/read-answer.ts";
import { send } from "../upstream/send.ts";
import type { EpochMs } from "../vocabulary.ts";
import { priceKey, type PriceAnswers } from "./price-answers.ts";
import type { TenantContext } from "./tenant-context.ts";
import type { Trail } from "./trail.ts";

/** What the look-ups of one operation brought. */
export type LookUps = {
  readonly found: LookedUp;
  /** When the oldest answer was asked for that a unit price can be read from; null where there is none. */
  readonly pricesAskedAt: EpochMs | null;
  /** `missing` with what the cost rule cannot know: why a price was not answered, and how old the last answer is. */
  readonly explain: (missing: readonly string[]) => readonly string[];
};

/**
 * Makes the upstream reads of an operation. Sizes are asked anew each time: one that fails is no size, and the facts room
 * then names what is missing. Prices with a `max_age_s` may be remembered, and one that fails is no price.
 */
export async function lookUpAll(
  trail: Trail,
  operation: MatchedOperation,
  context: TenantContext,
  answers: PriceAnswers,
): Promise<Result<LookUps, Refusal>> {
  const found = new Map<string, JsonValue>();
  const askedAt: EpochMs[] = [];
  const causes = new Map<string, string>();
  for (const lookUp of operation.lookUps) {
    const ask = (): Promise<Asked> => askUpstream(trail, context, lookUp);
    if (lookUp.maxAgeMs > 0) {
      const key = priceKey(context.tenant, context.upstream.name, lookUp.call);
      const answer = await answers.get(key, lookUp.maxAgeMs, async () => {
        const asked = await ask();
        if (asked.kind === "answered") return ok(asked.json);
        // The caller reads this; what the runtime says of a failed connection is for the record.
        return err(asked.kind === "unreachable" ? "no answer" : asked.cause);
      });
      if (answer.ok) found.set(lookUp.name, answer.value.json);
      else causes.set(notLookedUp(lookUp.name), `${notLookedUp(lookUp.name)} (${answer.error})`);
      if (answer.ok) askedAt.push(answer.value.askedAt);
      continue;
    }
    const now = Date.now();
    const asked = await ask();
    if (asked.kind === "unreachable") return err({ kind: "unavailable", dependency: "upstream", cause: asked.cause });
    if (asked.kind !== "answered") continue;
    found.set(lookUp.name, asked.json);
    if (lookUp.price) askedAt.push(now);
  }
  return ok({
    found,
    pricesAskedAt: askedAt.length === 0 ? null : Math.min(...askedAt),
    explain: (missing) => missing.map((reason) => causes.get(reason) ?? reason),
  });
}

/** `unusable`: upstream is there and says nothing that can be read. */
type Asked =
  | { readonly kind: "answered"; readonly json: JsonValue }
  | { readonly kind: "unusable" | "unreachable"; readonly cause: string };

async function askUpstream({ requestId }: Trail, { upstream }: TenantContext, { name, call }: LookUp): Promise<Asked> {
  // A nonce of its own: a request that is judged again asks again, and upstream takes each nonce once.
  const sent = await send(upstream, call, {}, `${requestId}-${newId(name)}`, Date.now());
  if (sent.kind !== "answered") return { kind: "unreachable", cause: sent.cause };
  const read = await readAnswer(sent.response, upstream.deadlineMs);
  if (read.kind !== "complete") return { kind: "unusable", cause: "the answer broke off" };
  const { status, json } = read.answer;
  if (status !== 200) return { kind: "unusable", cause: `status ${status}` };
  return json === undefined ? { kind: "unusable", cause: "the answer is not JSON" } : { kind: "answered", json };
}
