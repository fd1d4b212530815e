import { connect } from "node:net";
import type { LoadJob, LoadOutcome } from "./load.ts";

/**
 * Sends a job's requests over raw keep-alive sockets, one in flight per connection, and reports latencies. A process of
 * its own, so that its CPU is nobody else's.
 */
const HEAD_END = Buffer.from("\r\n\r\n");
const LAST_CHUNK = "0\r\n\r\n";

process.on("message", (job: LoadJob) => {
  void run(job).then((outcome) => process.send?.(outcome));
});

async function run(job: LoadJob): Promise<LoadOutcome> {
  const latenciesMs: number[] = [];
  const statuses: Record<string, number> = {};
  const bodies: string[] = [];
  let next = 0;
  const started = performance.now();
  const connection = async (): Promise<void> => {
    const socket = await open(job.port);
    while (next < job.count && performance.now() - started < job.limitMs) {
      const index = next++;
      const sent = performance.now();
      const { status, body } = await socket.exchange(job.requests[index % job.requests.length] ?? "");
      latenciesMs.push(performance.now() - sent);
      statuses[status] = (statuses[status] ?? 0) + 1;
      if (job.keepBodies) bodies[index] = body;
    }
    socket.close();
  };
  await Promise.all(Array.from({ length: job.connections }, connection));
  const elapsedMs = performance.now() - started;
  return { elapsedMs, latenciesMs: latenciesMs.toSorted((a, b) => a - b), statuses, bodies };
}

type Answer = { readonly status: number; readonly body: string };

async function open(port: number): Promise<{ exchange: (request: string) => Promise<Answer>; close: () => void }> {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true });
  let received = Buffer.alloc(0);
  let waiting: { resolve: (answer: Answer) => void; reject: (error: Error) => void } | null = null;
  const fail = (error: Error): void => {
    waiting?.reject(error);
    waiting = null;
  };
  socket.on("data", (chunk) => {
    received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
    const answer = readAnswer(received);
    if (answer === null) return;
    received = Buffer.alloc(0);
    waiting?.resolve(answer);
  });
  socket.on("error", fail);
  socket.on("close", () => fail(new Error("the server closed the connection")));
  await new Promise<void>((resolve, reject) => socket.once("connect", resolve).once("error", reject));
  return {
    exchange: (request) => {
      const { promise, resolve, reject } = Promise.withResolvers<Answer>();
      waiting = { resolve, reject };
      socket.write(request);
      return promise;
    },
    close: () => socket.destroy(),
  };
}

/** The answer once it has come whole, else null. One request is in flight, so nothing follows it. */
function readAnswer(bytes: Buffer): Answer | null {
  const headEnd = bytes.indexOf(HEAD_END);
  if (headEnd < 0) return null;
  const head = bytes.toString("latin1", 0, headEnd);
  const body = bytes.toString("utf8", headEnd + HEAD_END.length);
  const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
  const whole =
    length === undefined ? body.endsWith(LAST_CHUNK) : bytes.length - headEnd - HEAD_END.length >= Number(length);
  return whole ? { status: Number(head.slice(9, 12)), body } : null;
}
