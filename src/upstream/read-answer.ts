import type { JsonValue } from "../platform/json.ts";
import { describeError } from "../platform/describe-error.ts";

/** Largest answer to a write or look-up that is read into memory: lists of a few thousand jobs fit. */
export const ANSWER_LIMIT_BYTES = 4 * 1024 * 1024;

export type Answer = {
  readonly status: number;
  readonly contentType: string | null;
  readonly text: string;
  /** The body as JSON, undefined when it is not JSON. */
  readonly json: JsonValue | undefined;
};

export type ReadAnswer =
  | { readonly kind: "complete"; readonly answer: Answer }
  | { readonly kind: "incomplete"; readonly cause: string };

/**
 * Reads a whole upstream answer, bounded in size and time. An answer that breaks off, is too large or comes too slowly is
 * `incomplete`: it proves nothing about the mutation it answers.
 */
export async function readAnswer(response: Response, deadlineMs: number): Promise<ReadAnswer> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const tooSlow = new Promise<ReadAnswer>((resolve) => {
    timer = setTimeout(() => resolve({ kind: "incomplete", cause: "the answer took too long" }), deadlineMs);
  });
  try {
    return await Promise.race([readAll(response), tooSlow]);
  } finally {
    clearTimeout(timer);
  }
}

async function readAll(response: Response): Promise<ReadAnswer> {
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  try {
    for await (const chunk of response.body ?? []) {
      bytes += chunk.byteLength;
      if (bytes > ANSWER_LIMIT_BYTES) return { kind: "incomplete", cause: `more than ${ANSWER_LIMIT_BYTES} bytes` };
      text += decoder.decode(chunk, { stream: true });
    }
  } catch (error) {
    return { kind: "incomplete", cause: describeError(error) };
  }
  text += decoder.decode();
  const contentType = response.headers.get("content-type");
  return { kind: "complete", answer: { status: response.status, contentType, text, json: parseJson(text) } };
}

function parseJson(text: string): JsonValue | undefined {
  try {
    // Upstream is trusted to mean what it says; its JSON is only looked into, never judged or sent on.
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
