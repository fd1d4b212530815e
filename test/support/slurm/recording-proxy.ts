import { createServer, request as httpRequest } from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { oneRequestEach } from "./verbatim.ts";

/** One request as it arrived: the path with its query, nothing normalised. */
export type Recorded = {
  readonly method: string;
  readonly path: string;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
};

/** What happens to the next request of a method, once; everything else passes unchanged. */
export type Fault =
  /** The control plane answers and the connection ends without the answer. */
  | { readonly kind: "drop-answer"; readonly method: string }
  /** The control plane sees another value of a header. */
  | { readonly kind: "replace-header"; readonly method: string; readonly name: string; readonly value: string };

/** Stands between a gate and its control plane, passes everything on and remembers it. */
export type RecordingProxy = {
  readonly url: string;
  /**
   * What arrived since the last `forget`, in order. What is no HTTP at all appears with the method `?`. Left out: how the gate
   * asks by itself after jobs that run (known by its nonce), at a moment of its own.
   */
  readonly requests: () => readonly Recorded[];
  readonly forget: () => void;
  readonly inject: (fault: Fault) => void;
  readonly stop: () => Promise<void>;
};

/** Starts it on a free loopback port in front of `origin`. */
export async function startRecordingProxy(origin: string): Promise<RecordingProxy> {
  let recorded: Recorded[] = [];
  const faults: Fault[] = [];
  const takeFault = (method: string): Fault | undefined => {
    const at = faults.findIndex((fault) => fault.method === method);
    return at < 0 ? undefined : faults.splice(at, 1)[0];
  };
  const server = createServer((request, response) => {
    void pass(request, response).catch(() => request.socket.destroy());
  });
  const pass = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = await textOf(request);
    const { method = "", url: path = "" } = request;
    const headers = headersOf(request);
    recorded.push({ method, path, headers, body });
    const fault = takeFault(method);
    if (fault?.kind === "replace-header") headers[fault.name] = fault.value;
    const answer = await forward(origin, { method, path, headers, body });
    if (fault?.kind === "drop-answer") return void request.socket.destroy();
    response.writeHead(answer.status, { "content-type": answer.contentType });
    response.end(answer.body);
  };
  server.on("clientError", (_error: Error, socket: Duplex) => {
    recorded.push({ method: "?", path: "", headers: {}, body: "" });
    socket.destroy();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the proxy has no port");
  return {
    url: `http://127.0.0.1:${address.port}`,
    requests: () => recorded.filter((one) => !isStatusRead(one)),
    forget: () => {
      recorded = [];
      faults.length = 0;
    },
    inject: (fault) => void faults.push(fault),
    stop: async () => {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

type Answer = { readonly status: number; readonly contentType: string; readonly body: string };

function forward(origin: string, { method, path, headers, body }: Recorded): Promise<Answer> {
  const { hostname, port } = new URL(origin);
  return new Promise((resolve, reject) => {
    const call = httpRequest({ hostname, port, method, path, headers, agent: oneRequestEach() }, (answer) => {
      textOf(answer).then(
        (text) =>
          resolve({ status: answer.statusCode ?? 0, contentType: answer.headers["content-type"] ?? "", body: text }),
        reject,
      );
    });
    call.once("error", reject);
    call.end(body);
  });
}

/** Headers about one connection are each connection's own (RFC 9110, 7.6.1); Node states the body's length itself. */
const PER_CONNECTION = new Set(["connection", "keep-alive", "transfer-encoding", "content-length"]);

function headersOf(request: IncomingMessage): Record<string, string> {
  const entries = Object.entries(request.headers).filter(([name]) => !PER_CONNECTION.has(name));
  return Object.fromEntries(
    entries.map(([name, value]) => [name, Array.isArray(value) ? value.join(", ") : (value ?? "")]),
  );
}

async function textOf(stream: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks).toString("utf8");
}

const isStatusRead = ({ headers }: Recorded): boolean => /;nonce="sts_/.test(headers["signature-input"] ?? "");
