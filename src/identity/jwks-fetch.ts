import { Buffer } from "node:buffer";
import { describeError } from "../platform/describe-error.ts";
import type { Result } from "../platform/result.ts";
import { err, ok } from "../platform/result.ts";
import { fromUtf8 } from "./base64url.ts";

/** The part of `fetch` that is used, so that tests can stand in for the network. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

/** 32 RSA-4096 keys with certificates are about 60 KiB. */
export const MAX_JWKS_BYTES = 64 * 1024;
/** Covers connection and body together. */
const JWKS_TIMEOUT_MS = 5_000;

const MEDIA_TYPE = /^application\/(?:jwk-set\+json|json)(?:;.*)?$/i;

/**
 * The text of a JWK set at a registered address: one GET, no redirect, no cookie, five seconds, 64 KiB, JSON only.
 * Everything else, from a refused connection to a login page, is an error that says what happened.
 */
export async function fetchJwks(fetch: Fetch, url: string): Promise<Result<string, string>> {
  try {
    const response = await fetch(url, {
      method: "GET",
      headers: { accept: "application/jwk-set+json, application/json" },
      // A redirect would let whoever controls one page of the issuer's site choose our keys.
      redirect: "manual",
      cache: "no-store",
      signal: AbortSignal.timeout(JWKS_TIMEOUT_MS),
    });
    if (response.status !== 200) return await discarded(response, `answered ${response.status}`);
    if (!MEDIA_TYPE.test(response.headers.get("content-type") ?? "")) return await discarded(response, "is not JSON");
    return await boundedText(response);
  } catch (error) {
    return err(`JWKS: ${describeError(error)}`);
  }
}

async function discarded(response: Response, reason: string): Promise<Result<never, string>> {
  await response.body?.cancel();
  return err(`JWKS: ${reason}`);
}

async function boundedText(response: Response): Promise<Result<string, string>> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  // Counted while reading: Content-Length is the other side's claim.
  const reader = response.body?.getReader();
  for (let next = await reader?.read(); next !== undefined && !next.done; next = await reader?.read()) {
    const chunk: Uint8Array = next.value;
    size += chunk.length;
    if (size > MAX_JWKS_BYTES) {
      await reader?.cancel();
      return err(`JWKS: longer than ${MAX_JWKS_BYTES} bytes`);
    }
    chunks.push(chunk);
  }
  const text = fromUtf8(Buffer.concat(chunks));
  return text === null ? err("JWKS: not UTF-8") : ok(text);
}
