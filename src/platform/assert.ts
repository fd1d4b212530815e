/**
 * Stops on a broken invariant. A failed assertion is a bug, never an expected outcome: the caller's request ends
 * as 500 with nothing dispatched, and a running transaction rolls back.
 */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(`invariant: ${message}`);
}

/** Makes a `switch` over a closed union exhaustive: adding a member without a case fails the type check. */
export function unreachable(value: never): never {
  throw new Error(`unreachable: ${JSON.stringify(value)}`);
}
