import type { UpstreamCall } from "../catalogue/types.ts";
import { createBoundedCache } from "../platform/bounded-cache.ts";
import { canonicalJson } from "../platform/canonical-json.ts";
import type { JsonValue } from "../platform/json.ts";
import { err, ok, type Result } from "../platform/result.ts";
import type { EpochMs } from "../vocabulary.ts";

/** What the control plane said things cost, and when it was asked: its answer is not older than that. */
export type PriceAnswer = { readonly json: JsonValue; readonly askedAt: EpochMs };

/** Asks upstream now. The error is the cause, for people. */
export type AskPrices = () => Promise<Result<JsonValue, string>>;

/** The isolate's memory of price calls, per tenant. Losing it costs a call. */
export type PriceAnswers = {
  /**
   * An answer that is at most `maxAgeMs` old. In the first half of that age the last one is used again without asking; in
   * the second upstream is asked anew, and while it fails the last one still counts. An older one never does: the error
   * then says how old it is.
   */
  readonly get: (key: string, maxAgeMs: number, ask: AskPrices) => Promise<Result<PriceAnswer, string>>;
};

/** Answers kept: 256 × 64 KiB is 16 MiB of an isolate's 128, if all were that long. */
const ANSWERS_MAX = 256;
const ANSWER_MAX_CHARS = 64 * 1024;

/** Part of the bound after which upstream is asked anew: what is left is how long it may fail unnoticed, at least. */
const ASKED_ANEW_AT = 0.5;

/** What an answer is remembered under: nobody is answered with another tenant's prices. */
export const priceKey = (tenant: string, controlPlane: string, call: UpstreamCall): string =>
  canonicalJson([tenant, controlPlane, call.method, call.path, call.query.map(([name, value]) => [name, value])]);

export function createPriceAnswers(clock: () => EpochMs): PriceAnswers {
  const kept = createBoundedCache<{ readonly text: string; readonly askedAt: EpochMs }>(ANSWERS_MAX);
  /** The last answer, where it is at most `ageMs` old. One from the future is no answer: the clock has stepped back. */
  const within = (key: string, ageMs: number): PriceAnswer | null => {
    const last = kept.get(key);
    const age = last === undefined ? -1 : clock() - last.askedAt;
    return last === undefined || age < 0 || age > ageMs ? null : { json: JSON.parse(last.text), askedAt: last.askedAt };
  };
  return {
    get: async (key, maxAgeMs, ask) => {
      const recent = within(key, maxAgeMs * ASKED_ANEW_AT);
      if (recent !== null) return ok(recent);
      const askedAt = clock();
      const asked = await ask();
      if (asked.ok) {
        const text = JSON.stringify(asked.value);
        if (text.length <= ANSWER_MAX_CHARS) kept.set(key, { text, askedAt });
        return ok({ json: asked.value, askedAt });
      }
      // Asked for again: a request beside this one may have had an answer meanwhile.
      const last = within(key, maxAgeMs);
      return last === null ? err(`${asked.error}; ${ageText(kept.get(key)?.askedAt, clock(), maxAgeMs)}`) : ok(last);
    },
  };
}

function ageText(askedAt: EpochMs | undefined, now: EpochMs, maxAgeMs: number): string {
  if (askedAt === undefined) return "there is no earlier answer";
  return `the last good answer is ${seconds(now - askedAt)} s old, at most ${seconds(maxAgeMs)} s count`;
}

/** Rounded up: an answer just past the bound must not read as one at the bound. */
const seconds = (ms: number): number => Math.ceil(ms / 1000);
