import { hideSecrets } from "./secret-forms.ts";

/** Wrappers followed at most: enough for any library's, and an end for causes that go in a circle. */
const WRAPPERS_MAX = 5;

/**
 * A thrown value as one short line for logs: the message of its innermost cause, never a stack, without what looks like a secret, at most 200 characters.
 * Wrappers are left out: drizzle's repeats the statement and its parameters, which belong in no log, and says no reason.
 */
export function describeError(error: unknown): string {
  let inner = error;
  for (let depth = 0; depth < WRAPPERS_MAX && inner instanceof Error && inner.cause instanceof Error; depth++)
    inner = inner.cause;
  const text = inner instanceof Error ? inner.message : String(inner);
  return hideSecrets(text, () => "[redacted]").slice(0, 200);
}
