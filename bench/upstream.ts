import { createServer } from "node:http";

/**
 * The upstream of every variant, a process of its own: answers at once what the example control plane would answer, so
 * that what differs between variants is the variant. Run as `node bench/upstream.ts <port>`.
 */
const READ = JSON.stringify({
  workloads: [{ id: "wl-1", name: "trainer", state: "running", gpus: 1 }],
  next_cursor: null,
});
const PLANNED = JSON.stringify({ valid: true });

let made = 0;
const server = createServer((request, response) => {
  const answer = (status: number, body: string): void => {
    response.writeHead(status, { "content-type": "application/json", "content-length": Buffer.byteLength(body) });
    response.end(body);
  };
  request.resume();
  request.on("end", () => {
    if (request.method === "GET") return answer(200, READ);
    if (request.url?.includes("dry_run=true") === true) return answer(200, PLANNED);
    return answer(201, JSON.stringify({ id: `wl-${++made}`, name: "trainer", state: "queued", gpus: 1 }));
  });
});
server.keepAliveTimeout = 120_000;
server.listen(Number(process.argv[2]), "127.0.0.1");
