import type { Gate } from "../gateway/gate.ts";
import { err, ok, type Result } from "../platform/result.ts";
import type { Refusal } from "../refusal.ts";
import type { EpochMs } from "../vocabulary.ts";
import { readCookie } from "./cookies.ts";
import { readSession, type Visitor } from "./session.ts";
import { ASSERTION_HEADER, readAccessAssertion } from "./sign-in/access.ts";

/**
 * Who is at the page: the gate's own session where there is one, else whom Cloudflare Access vouches for; null where nobody
 * is. A session goes first because it says when its person signed in. A registered application's assertion that does not verify
 * is refused, not passed over: Access sends no bad ones.
 */
export async function identifyVisitor(
  gate: Gate,
  headers: Headers,
  secure: boolean,
  now: EpochMs,
): Promise<Result<Visitor | null, Refusal>> {
  const cookie = readCookie(headers.get("cookie"), "session", secure);
  if (cookie !== null) {
    const session = await readSession(gate, cookie, now);
    if (!session.ok) return err({ kind: "unavailable", dependency: "d1", cause: session.error });
    if (session.value !== null) return ok(session.value);
  }
  const assertion = headers.get(ASSERTION_HEADER);
  return assertion === null ? ok(null) : readAccessAssertion(gate, assertion, now);
}
