import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { onTestFinished } from "vitest";

export type Received = {
  readonly method: string;
  /** Path with query, as it arrived. */
  readonly target: string;
  readonly authorization: string | undefined;
  readonly contentType: string | undefined;
  /** Parsed where it is JSON, else its text; null without one. */
  readonly body: unknown;
};

export type Answer = {
  readonly status?: number;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as it is, instead of JSON. */
  readonly text?: string;
  /** Cuts the connection instead of answering. */
  readonly drop?: true;
};

export type StubGate = {
  readonly url: string;
  readonly received: readonly Received[];
  /** The environment of somebody who calls this gate. */
  readonly env: Readonly<Record<string, string>>;
};

export const STUB_KEY = "stub-key-0123456789abcdef";

/** A server that answers like the gate: `answers` by `METHOD /path`, without the query; anything else is not found. */
export async function startStubGate(answers: Readonly<Record<string, Answer | (() => Answer)>>): Promise<StubGate> {
  const received: Received[] = [];
  const server = createServer((request, response) => {
    void readBody(request).then((body) => {
      const target = request.url ?? "/";
      const method = request.method ?? "GET";
      const { authorization, "content-type": contentType } = request.headers;
      received.push({ method, target, authorization, contentType, body });
      const planned = answers[`${method} ${target.split("?")[0]}`] ?? problemAnswer("not-found", 404, "Not found", {});
      const answer = typeof planned === "function" ? planned() : planned;
      if (answer.drop === true) request.socket.destroy();
      else send(response, answer);
    });
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  onTestFinished(() => void server.close());
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const url = `http://127.0.0.1:${port}`;
  return { url, received, env: { PORTCULLIS_URL: url, PORTCULLIS_KEY: STUB_KEY } };
}

function send(response: ServerResponse, { status = 200, headers, text, body }: Answer): void {
  const type = status < 400 || status === 503 ? "application/json" : "application/problem+json";
  response.writeHead(status, { "content-type": type, connection: "close", ...headers });
  response.end(text ?? JSON.stringify(body ?? {}));
}

/** Problem details as the gate sends them. */
export const problemAnswer = (slug: string, status: number, title: string, members: object): Answer => ({
  status,
  body: {
    type: `/_gate/problems/${slug}`,
    title,
    status,
    detail: title,
    instance: "/",
    slug,
    request_id: "req_1",
    ...members,
  },
});

async function readBody(request: IncomingMessage): Promise<unknown> {
  let text = "";
  for await (const chunk of request.setEncoding("utf8")) text += String(chunk);
  if (text === "") return null;
  return request.headers["content-type"] === "application/json" ? JSON.parse(text) : text;
}

/** A proposal as `GET /_gate/v1/approvals/{id}` shows it. */
export const proposal = (changes: object = {}): object => ({
  id: "apr_1",
  state: "pending",
  action: "workloads.cancel",
  tier: 4,
  rule: "allowed_tools.tier_4[0] workloads.cancel",
  resource: "job-7",
  facts: { resource: "job-7" },
  request: { method: "POST", path: "/v1/workloads/job-7/cancel", query: {}, body: null },
  cost: { ceiling_usd: 0, ceiling_micros: 0 },
  reason: "stuck since noon",
  evidence: "no heartbeat",
  back_out: "submit it again",
  incident: null,
  requester: "agent:trainer",
  owner: "person:dana",
  needed: 2,
  given: 0,
  eligible: 2,
  approvers: ["@alice", "@bob"],
  decisions: [],
  opened_at: "2026-11-20T08:00:00.000Z",
  expires_at: "2026-11-20T08:30:00.000Z",
  affected: null,
  blast_radius: "workload",
  reversible: true,
  confirm: null,
  page_url: "/_gate/approvals/apr_1",
  request_digest: "sha256:00",
  approval_digest: "sha256:01",
  consumed_by: null,
  url: "/_gate/v1/approvals/apr_1",
  ...changes,
});

export const whoami = (changes: object = {}): object => ({
  principal: "person:alice",
  class: "person",
  owner: "person:alice",
  tenant: "acme",
  credential_id: "key_1",
  scopes: { actions: [], max_tier: 0 },
  roles: [],
  demo: false,
  expires_at: "2099-01-01T00:00:00.000Z",
  policy: { version: 3, digest: "sha256:02", catalogue: "example" },
  ...changes,
});
