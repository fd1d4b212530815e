import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { ANSWERS, type WebhookAnswer, type WebhookReceived } from "./webhook-place.ts";

type Place = { received: WebhookReceived[]; answers: WebhookAnswer[]; hanging: ServerResponse[] };

/**
 * Somebody's webhooks on a loopback port: `POST /hook/<name>` is noted and answered 204 unless something else is planned.
 * `/_standin/<name>` tells what came (GET), plans the next answers (PUT) and answers what hangs (DELETE). Checkpoints of audit
 * logs come whenever a minute is over: they are a place of their own, `<name>/checkpoints`, and stand in no test's way.
 */
export async function startWebhooks(): Promise<{ readonly url: string; readonly close: () => Promise<void> }> {
  const places = new Map<string, Place>();
  const server = createServer((request, response) => {
    const [, kind, ...path] = (request.url ?? "").split("/");
    const name = kind === "hook" && isCheckpoint(request) ? `${path.join("/")}/checkpoints` : path.join("/");
    const place = places.get(name) ?? { received: [], answers: [], hanging: [] };
    places.set(name, place);
    void bodyOf(request).then((body) => {
      if (kind === "hook") receive(place, request, body, response);
      else control(place, request.method ?? "", body, response);
    });
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return {
    url: `http://127.0.0.1:${port}`,
    close: async () => {
      // Takes no more first: whoever tries again meanwhile would hold it open.
      const ended = new Promise((closed) => server.close(closed));
      server.closeAllConnections();
      await ended;
    },
  };
}

const isCheckpoint = ({ headers }: IncomingMessage): boolean =>
  String(headers["webhook-id"]).startsWith("audit-checkpoint/");

function receive(place: Place, { headers }: IncomingMessage, body: string, response: ServerResponse): void {
  const named = Object.entries(headers).map(([name, value]) => [name, String(value)]);
  place.received.push({ headers: Object.fromEntries(named), body });
  const { status = 204, headers: given = {}, hang = false } = place.answers.shift() ?? {};
  if (hang) place.hanging.push(response);
  else response.writeHead(status, given).end();
}

function control(place: Place, method: string, body: string, response: ServerResponse): void {
  if (method === "PUT") place.answers = ANSWERS.parse(JSON.parse(body));
  if (method === "DELETE") for (const waiting of place.hanging.splice(0)) waiting.writeHead(204).end();
  response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(place.received));
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of request.setEncoding("utf8")) text += String(chunk);
  return text;
}
