import type { Result } from "../platform/result.ts";
import { err } from "../platform/result.ts";
import type { Refusal } from "../refusal.ts";

/** Longest name of a client's that a refusal repeats. A longer one is not cut: half a secret no longer looks like one. */
const NAME_CHARS = 64;

/** A `malformed-request` refusal (400). `reason` names the place and what was expected there. */
export const malformed = (reason: string): Result<never, Refusal> => err({ kind: "malformed-request", reason });

/** A client's name for use in a reason, where it is no longer than that; only after its characters were checked. */
export const nameOf = (text: string): string =>
  text.length <= NAME_CHARS ? text : `a name of ${text.length} characters`;
