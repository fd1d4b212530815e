import { readRequest } from "../../src/gateway/read-request.ts";

export const ORIGIN = "https://gate.example";
export const JSON_TYPE = { "content-type": "application/json" };

export type Incoming = {
  readonly method?: string;
  /** Path, query and fragment as received. */
  readonly target?: string;
  readonly url?: string;
  readonly headers?: Readonly<Record<string, string>> | readonly (readonly [string, string])[];
  readonly body?: string | Uint8Array | ReadableStream<Uint8Array>;
};

export const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);

export const streamOf = (...chunks: readonly Uint8Array[]): ReadableStream<Uint8Array> =>
  new ReadableStream({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(chunk);
      controller.close();
    },
  });

/** A request as the runtime hands it over: the constructor would refuse or repair most of what is tested here. */
export function incoming({ method = "GET", target = "/v1/jobs", url, headers = {}, body }: Incoming): Request {
  const request = new Request(ORIGIN, {
    headers: new Headers(Array.isArray(headers) ? headers : Object.entries(headers)),
  });
  const stream =
    typeof body === "string" ? streamOf(bytesOf(body)) : body instanceof Uint8Array ? streamOf(body) : body;
  Object.defineProperties(request, {
    method: { value: method },
    url: { value: url ?? ORIGIN + target },
    body: { value: stream ?? null },
  });
  return request;
}

export const post = (body: NonNullable<Incoming["body"]>, headers: Incoming["headers"] = JSON_TYPE): Request =>
  incoming({ method: "POST", headers, body });

/** What the request is refused with, or "accepted". */
export async function refusal(request: Request) {
  const result = await readRequest(request);
  return result.ok ? "accepted" : result.error;
}
