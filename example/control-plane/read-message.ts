import type { IncomingMessage } from "node:http";
import type { ReceivedMessage } from "./signature.ts";

/** Largest body that is read, in bytes. A larger one ends the connection. */
const MAX_BODY_BYTES = 1_048_576;

/** Reads a request as it arrived: raw target, every header line, body bytes. Rejects when the body is too large or cut. */
export async function readMessage(request: IncomingMessage): Promise<ReceivedMessage> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of request) {
    if (!(chunk instanceof Uint8Array)) throw new Error("the body is not bytes");
    size += chunk.length;
    if (size > MAX_BODY_BYTES) throw new Error("the body is too large");
    chunks.push(chunk);
  }
  return {
    method: request.method ?? "",
    target: request.url ?? "",
    headers: joinHeaders(request.rawHeaders),
    body: Buffer.concat(chunks),
  };
}

/** Every line counts: Node's own `headers` silently drops repeated ones such as `Authorization`. */
function joinHeaders(raw: readonly string[]): ReadonlyMap<string, string> {
  const headers = new Map<string, string>();
  for (let index = 0; index < raw.length; index += 2) {
    const name = (raw[index] ?? "").toLowerCase();
    const value = raw[index + 1] ?? "";
    const before = headers.get(name);
    headers.set(name, before === undefined ? value : `${before}, ${value}`);
  }
  return headers;
}
