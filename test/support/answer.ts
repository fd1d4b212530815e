import { isJsonObject, type JsonValue } from "../../src/platform/json.ts";

/** A response with its body read: JSON where it is JSON, the text in any case. */
export type Answered = {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly body: JsonValue | undefined;
};

/** Reads a response to its end. */
export async function readAnswered(response: Response): Promise<Answered> {
  const received = await response.text();
  return { status: response.status, headers: response.headers, text: received, body: parse(received) };
}

function parse(received: string): JsonValue | undefined {
  try {
    return JSON.parse(received);
  } catch {
    return undefined;
  }
}

/** What stands in the body under these member names; fails with the whole answer where nothing does. */
export function member(answered: Answered, ...path: readonly (string | number)[]): JsonValue {
  let value = answered.body;
  for (const name of path) {
    if (Array.isArray(value)) value = value[Number(name)];
    else value = isJsonObject(value) ? value[name] : undefined;
  }
  if (value === undefined) throw new Error(`no ${path.join("/")} in ${answered.status} ${answered.text}`);
  return value;
}

/** A text member of the body. */
export function text(answered: Answered, ...path: readonly (string | number)[]): string {
  const value = member(answered, ...path);
  if (typeof value !== "string") throw new Error(`${path.join("/")} is no text in ${answered.text}`);
  return value;
}

/** A list member of the body. */
export function list(answered: Answered, ...path: readonly (string | number)[]): readonly JsonValue[] {
  const value = member(answered, ...path);
  if (!Array.isArray(value)) throw new Error(`${path.join("/")} is no list in ${answered.text}`);
  return value;
}

/** Status and, for a refusal, its slug: `428 approval-required`, `201`. */
export const verdict = ({ status, body }: Answered): string =>
  isJsonObject(body) && typeof body["slug"] === "string" ? `${status} ${body["slug"]}` : `${status}`;
