import { Agent, request as httpRequest } from "node:http";
import { readAnswered } from "../answer.ts";
import type { Answered } from "../answer.ts";

export type Verbatim = {
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  /** As it goes over the wire: `fetch` would mend some of the paths that matter here. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
};

/** No call of a test takes this long. Milliseconds. */
const TIMEOUT_MS = 30_000;

/**
 * A connection of its own for every request that nevertheless does not ask for `Connection: close`: slurmrestd 22.05 then
 * writes `Connection: Close` behind the body, where no parser can make anything of it.
 */
export const oneRequestEach = (): Agent => new Agent({ keepAlive: true, maxFreeSockets: 0 });

/** Sends exactly this request and reads the whole answer. */
export function sendVerbatim(origin: string, { method, path, headers = {}, body }: Verbatim): Promise<Answered> {
  const { hostname, port } = new URL(origin);
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    const call = httpRequest({ hostname, port, method, path, headers, agent: oneRequestEach(), signal }, (answer) => {
      const chunks: Buffer[] = [];
      answer.on("data", (chunk: Buffer) => chunks.push(chunk));
      answer.once("error", reject);
      answer.once("end", () => {
        const received = Object.entries(answer.headersDistinct).flatMap(([name, values]) =>
          (values ?? []).map((value): [string, string] => [name, value]),
        );
        const response = new Response(Buffer.concat(chunks), { status: answer.statusCode ?? 0, headers: received });
        readAnswered(response).then(resolve, reject);
      });
    });
    call.once("error", reject);
    call.end(body);
  });
}
