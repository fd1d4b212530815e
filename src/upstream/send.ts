import type { UpstreamCall } from "../catalogue/types.ts";
import { describeError } from "../platform/describe-error.ts";
import type { Breaker } from "./breaker.ts";
import { signatureHeaders } from "./sign.ts";

/** One control plane as one tenant reaches it. */
export type Upstream = {
  readonly name: string;
  readonly origin: string;
  /** The tenant's own credential headers; never the caller's. */
  readonly credentialHeaders: Readonly<Record<string, string>>;
  readonly signingKey: Uint8Array;
  readonly deadlineMs: number;
  readonly breaker: Breaker;
};

/**
 * What became of an attempt to send. `not-sent`: `fetch` was provably never called. `no-answer`: it was, and nothing
 * trustworthy came back; for a write that means the outcome is unknown, because a refused connection and one dropped
 * after the body was read look alike here.
 */
export type Sent =
  | { readonly kind: "answered"; readonly response: Response }
  | { readonly kind: "not-sent"; readonly cause: string }
  | { readonly kind: "no-answer"; readonly cause: string; readonly timeout: boolean };

/** Passing client headers: only values that the catalogue lists, already read strictly. */
export type PassedHeaders = Readonly<Record<string, string>>;

/**
 * Sends one rebuilt request: origin, path, query, headers and body all come from the gate's own value. Redirects are not
 * followed and any 3xx counts as no answer; the deadline covers the wait for the response's head.
 */
export async function send(
  upstream: Upstream,
  call: UpstreamCall,
  passed: PassedHeaders,
  nonce: string,
  nowMs: number,
): Promise<Sent> {
  // Ends with the response's head: a stream that follows may go on for as long as upstream sends.
  const deadline = new AbortController();
  let request: { readonly url: string; readonly init: RequestInit };
  try {
    request = build(upstream, call, passed, nonce, nowMs, deadline.signal);
  } catch (error) {
    return { kind: "not-sent", cause: describeError(error) };
  }
  const timer = setTimeout(() => deadline.abort(), upstream.deadlineMs);
  try {
    const response = await fetch(request.url, request.init);
    upstream.breaker.answered();
    if (response.status >= 300 && response.status < 400) {
      await response.body?.cancel();
      return { kind: "no-answer", cause: `redirect ${response.status}`, timeout: false };
    }
    return { kind: "answered", response };
  } catch (error) {
    upstream.breaker.failed(nowMs);
    return { kind: "no-answer", cause: describeError(error), timeout: deadline.signal.aborted };
  } finally {
    clearTimeout(timer);
  }
}

function build(
  upstream: Upstream,
  call: UpstreamCall,
  passed: PassedHeaders,
  nonce: string,
  nowMs: number,
  signal: AbortSignal,
): { readonly url: string; readonly init: RequestInit } {
  const url = new URL(`${upstream.origin.replace(/\/$/, "")}${call.path}${queryText(call.query)}`);
  if (url.pathname !== call.path) throw new Error("the path would be rewritten on its way out");
  const headers: Record<string, string> = {
    accept: "application/json",
    ...passed,
    ...call.headers,
    ...upstream.credentialHeaders,
  };
  if (call.contentType !== null) headers["content-type"] = call.contentType;
  Object.assign(
    headers,
    signatureHeaders({ method: call.method, url, headers, body: call.body }, upstream.signingKey, nonce, nowMs),
  );
  return {
    url: url.href,
    // Judged here, before anything is sent: `fetch` would refuse them too, but then nobody could say that it was not called.
    init: { method: call.method, headers: new Headers(headers), redirect: "manual", signal, body: call.body },
  };
}

function queryText(query: UpstreamCall["query"]): string {
  if (query.length === 0) return "";
  return `?${query.map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`).join("&")}`;
}
