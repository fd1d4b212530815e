import type { SlackAPIResponse } from "slack-web-api-client";
import { SlackAPIClient } from "slack-web-api-client";
import type { Result } from "../platform/result.ts";
import { err, ok } from "../platform/result.ts";

/** An answer repeats the message that was sent (11,000 characters of blocks); `users.info` is 4 KiB. */
const MAX_ANSWER_BYTES = 256 * 1024;
/** Slack rarely asks for more than a minute; a longer wait is the outbox's own decision. */
const RETRY_AFTER_DEFAULT_S = 30;
const RETRY_AFTER_MAX_S = 3_600;

/** Why a call has no result. */
export type SlackCallFailure =
  /** 429: nothing was done. Not before `retryAfterS` seconds again. */
  | { readonly kind: "rate-limited"; readonly retryAfterS: number }
  /** Slack understood and said no: nothing was done. Its error code, such as `channel_not_found`. */
  | { readonly kind: "refused"; readonly error: string }
  /** No readable answer (network, deadline, redirect, status, body): the call may have been carried out. */
  | { readonly kind: "no-answer"; readonly reason: string };

/** Carries a failure through the library's promise; caught in `attempted` and nowhere else. */
class CallFailed extends Error {
  readonly failure: SlackCallFailure;

  constructor(failure: SlackCallFailure) {
    super(failure.kind);
    this.failure = failure;
  }
}

/**
 * The library's typed methods over a transport of the gate's own. The library's follows redirects (with the token), has no
 * deadline, reads answers of any length, and sleeps inside the request when Slack says 429.
 */
export class SlackWebApi extends SlackAPIClient {
  readonly #token: string;
  readonly #baseUrl: string;
  readonly #timeoutMs: number;

  constructor(settings: { readonly token: string; readonly baseUrl: string; readonly timeoutMs: number }) {
    super(settings.token, { logLevel: "ERROR", retryHandlers: [] });
    this.#token = settings.token;
    this.#baseUrl = settings.baseUrl;
    this.#timeoutMs = settings.timeoutMs;
  }

  override async call(method: string, parameters: Record<string, unknown> = {}): Promise<SlackAPIResponse> {
    const response = await fetch(new URL(method, this.#baseUrl), {
      method: "POST",
      headers: { authorization: `Bearer ${this.#token}`, "content-type": "application/json; charset=utf-8" },
      body: JSON.stringify(parameters),
      redirect: "manual",
      signal: AbortSignal.timeout(this.#timeoutMs),
    });
    if (response.status !== 200) {
      await response.body?.cancel();
      throw new CallFailed(
        response.status === 429
          ? { kind: "rate-limited", retryAfterS: retryAfterOf(response.headers.get("retry-after")) }
          : { kind: "no-answer", reason: `status ${response.status}` },
      );
    }
    const answer = readAnswer(await boundedText(response));
    if (answer === null) throw new CallFailed({ kind: "no-answer", reason: "the answer is not one of Slack's" });
    if (!answer.ok) throw new CallFailed({ kind: "refused", error: answer.error });
    return { ...answer.members, ok: true, headers: response.headers };
  }
}

/** The result of one call. Never throws. A failure's text never holds the token or the message. */
export async function attempted<T>(call: () => Promise<T>): Promise<Result<T, SlackCallFailure>> {
  try {
    return ok(await call());
  } catch (error) {
    if (error instanceof CallFailed) return err(error.failure);
    const reason = error instanceof Error && error.name === "TimeoutError" ? "deadline passed" : "connection failed";
    return err({ kind: "no-answer", reason });
  }
}

type Answer = { readonly ok: true; readonly members: object } | { readonly ok: false; readonly error: string };

function readAnswer(text: string | null): Answer | null {
  if (text === null) return null;
  const answer = parsed(text);
  if (typeof answer !== "object" || answer === null || !("ok" in answer)) return null;
  if (answer.ok === true) return { ok: true, members: answer };
  if (answer.ok !== false) return null;
  const code = "error" in answer && typeof answer.error === "string" ? answer.error : "";
  // An error code goes into logs and records: only its documented form does.
  return { ok: false, error: /^[a-z0-9_]{1,64}$/.test(code) ? code : "unreadable_error" };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** The body as text, null above the cap. Counted while reading: Content-Length is the other side's claim. */
async function boundedText(response: Response): Promise<string | null> {
  const decoder = new TextDecoder();
  const reader = response.body?.getReader();
  let text = "";
  let size = 0;
  for (let next = await reader?.read(); next !== undefined && !next.done; next = await reader?.read()) {
    const chunk: Uint8Array = next.value;
    size += chunk.length;
    if (size > MAX_ANSWER_BYTES) {
      await reader?.cancel();
      return null;
    }
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

function retryAfterOf(header: string | null): number {
  const seconds = /^\d{1,6}$/.test(header ?? "") ? Number(header) : RETRY_AFTER_DEFAULT_S;
  return Math.min(Math.max(seconds, 1), RETRY_AFTER_MAX_S);
}
