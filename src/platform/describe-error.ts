/** A thrown value as one short line for logs: its message, never its stack, at most 200 characters. */
export function describeError(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.slice(0, 200);
}
