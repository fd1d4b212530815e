/** Longest wait for a limiter. A request that waited longer than this for permission is better refused than late. */
export const LIMITER_TIMEOUT_MS = 1_000;

/** The value of `work`, or an error after `timeoutMs`. What arrives later is dropped; a late rejection stays handled. */
export async function withDeadline<T>(work: Promise<T>, timeoutMs: number): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const deadline = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
  });
  try {
    return await Promise.race([work, deadline]);
  } finally {
    clearTimeout(timer);
  }
}
