import type { Result } from "../platform/result.ts";
import { err } from "../platform/result.ts";
import type { Refusal } from "../refusal.ts";

/** Longest excerpt of a client's own words that a refusal repeats. */
const EXCERPT_CHARS = 64;

/** A `malformed-request` refusal (400). `reason` names the place and what was expected there. */
export const malformed = (reason: string): Result<never, Refusal> => err({ kind: "malformed-request", reason });

/** At most 64 characters of a client's name, for use in a reason; only after its characters were checked. */
export const excerpt = (text: string): string =>
  text.length <= EXCERPT_CHARS ? text : `${text.slice(0, EXCERPT_CHARS)}…`;
