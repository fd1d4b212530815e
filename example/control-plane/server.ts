import { createServer } from "node:http";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { isAnswer, refusal } from "./answer.ts";
import type { Answer } from "./answer.ts";
import { readQuery } from "./calls.ts";
import { Cluster, idCounter } from "./cluster.ts";
import { FaultPlan } from "./faults.ts";
import type { FaultKind } from "./faults.ts";
import { answerExample } from "./example-routes.ts";
import { NonceWindow } from "./nonce-window.ts";
import { readMessage } from "./read-message.ts";
import { Recorder } from "./recorder.ts";
import { findRoute } from "./routes.ts";
import type { Route } from "./routes.ts";
import { verifySignature } from "./signature.ts";
import type { ReceivedMessage } from "./signature.ts";

export type ControlPlaneOptions = {
  /** 0 for any free port. */
  readonly port: number;
  /** Upstream credential (the bearer token) → tenant. */
  readonly credentials: Readonly<Record<string, string>>;
  /** The key that the gate signs with: base64url, at least 32 bytes. */
  readonly signingKey: string;
  /** Milliseconds since the epoch, by which workloads run and are metered; this machine's clock where left out. */
  readonly clock?: () => number;
};

/** A running example control plane. */
export type ControlPlane = { readonly url: string; readonly port: number; readonly close: () => Promise<void> };

/** Loopback only: this is an example and for checks. */
const HOST = "127.0.0.1";
const MIN_KEY_BYTES = 32;
const READS_BODY: ReadonlySet<string> = new Set(["POST", "PATCH"]);
/** Between the lines of a streamed log, so that a reader sees it arrive in pieces. Milliseconds. */
const LINE_GAP_MS = 20;

/**
 * Starts the example control plane: in memory, one cluster of 256 GPUs per tenant. It answers nobody without the
 * tenant's upstream credential and the gate's signature. Rejects when the port is taken or the key is too short.
 */
export async function startControlPlane(options: ControlPlaneOptions): Promise<ControlPlane> {
  const key = Buffer.from(options.signingKey, "base64url");
  if (key.length < MIN_KEY_BYTES) throw new Error(`the signing key must be at least ${MIN_KEY_BYTES} bytes, base64url`);
  const nextId = idCounter();
  const clusters = new Map(
    Object.entries(options.credentials).map(([credential, tenant]) => [credential, new Cluster(tenant, nextId)]),
  );
  const world: World = {
    key,
    clock: options.clock ?? Date.now,
    clusters,
    nonces: new NonceWindow(),
    recorder: new Recorder(),
    faults: new FaultPlan(),
    closing: new AbortController(),
  };
  const server = createServer((request, response) => {
    serve(world, request, response).catch(() => response.destroy());
  });
  // A server that closes idle connections races with the caller's next request on them, and the caller then cannot
  // know whether a write was executed. Faults are injected on purpose here, never by a timer.
  server.keepAliveTimeout = 0;
  const port = await listen(server, options.port);
  return { url: `http://${HOST}:${port}`, port, close: () => close(server, world.closing) };
}

type World = {
  readonly key: Uint8Array;
  readonly clock: () => number;
  /** Credential → cluster. */
  readonly clusters: ReadonlyMap<string, Cluster>;
  readonly nonces: NonceWindow;
  readonly recorder: Recorder;
  readonly faults: FaultPlan;
  readonly closing: AbortController;
};

async function serve(world: World, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const message = await readMessage(request);
  for (const cluster of world.clusters.values()) cluster.passTo(world.clock());
  const isExample = message.target.startsWith("/_example/");
  if (isExample) return send(world, response, answerExample(world, message, request.socket.remoteAddress));
  world.recorder.add({
    method: message.method,
    path: message.target,
    headers: Object.fromEntries(message.headers),
    body_base64: Buffer.from(message.body).toString("base64"),
  });
  const caller = authenticate(world, message);
  if (isAnswer(caller)) return send(world, response, caller);
  const [path = "", queryText = ""] = splitOnce(message.target);
  const found = findRoute(message.method, path);
  if (isAnswer(found)) return send(world, response, found);
  const execute = (): Answer => call(caller, found, queryText, message);
  const isDryRun = new URLSearchParams(queryText).get("dry_run") === "true";
  const fault = world.faults.take(message.method, message.target, isDryRun);
  return fault === null ? send(world, response, execute()) : fail(world, response, fault, execute);
}

/** The caller's cluster. Credential first, then the signature: both refusals are 401, their messages say which. */
function authenticate(world: World, message: ReceivedMessage): Cluster | Answer {
  const [, credential = ""] = /^Bearer ([^\s,]+)$/.exec(message.headers.get("authorization") ?? "") ?? [];
  const cluster = world.clusters.get(credential);
  if (cluster === undefined) return refusal(401, "unauthenticated", "the upstream credential is missing or unknown");
  const verified = verifySignature(message, world.key, Math.floor(Date.now() / 1_000), world.nonces);
  return verified.ok ? cluster : refusal(401, "signature_invalid", `not signed by the gate: ${verified.error}`);
}

function call(
  cluster: Cluster,
  { route, id }: { readonly route: Route; readonly id: string },
  queryText: string,
  message: ReceivedMessage,
): Answer {
  const read = readQuery(queryText, route.query);
  if (isAnswer(read)) return read;
  const dryRun = read.query.get("dry_run");
  if (dryRun !== undefined && dryRun !== "true") return refusal(400, "invalid_query", "dry_run can only be true");
  if (!READS_BODY.has(route.method) && message.body.length > 0)
    return refusal(400, "unexpected_body", "no body is read here");
  return route.handler({
    cluster,
    id,
    query: read.query,
    contentType: message.headers.get("content-type"),
    body: message.body,
    reference: message.headers.get("idempotency-key") ?? null,
    dryRun: dryRun === "true",
    ifMatch: message.headers.get("if-match") ?? null,
  });
}

async function fail(world: World, response: ServerResponse, fault: FaultKind, execute: () => Answer): Promise<void> {
  switch (fault.kind) {
    case "status":
      return send(world, response, refusal(fault.status, "injected_fault", `injected status ${fault.status}`));
    case "redirect":
      return send(world, response, { status: 307, body: {}, headers: { location: fault.location } });
    case "reset":
      response.socket?.resetAndDestroy();
      return;
    case "delay":
      await sleep(fault.delayMs, undefined, { signal: world.closing.signal });
      return send(world, response, execute());
    case "drop-after-execute":
      execute();
      response.socket?.destroy();
      return;
    case "garbage": {
      const { status } = execute();
      response.writeHead(status, { "content-type": "application/json" });
      response.end('{"id": "wl-');
    }
  }
}

async function send(world: World, response: ServerResponse, { status, body, lines, headers }: Answer): Promise<void> {
  if (lines === undefined) {
    const text = Buffer.from(`${JSON.stringify(body)}\n`);
    response.writeHead(status, { ...headers, "content-type": "application/json", "content-length": text.length });
    response.end(text);
    return;
  }
  response.writeHead(status, { ...headers, "content-type": "text/plain; charset=utf-8" });
  for (const line of lines) {
    response.write(`${line}\n`);
    await sleep(LINE_GAP_MS, undefined, { signal: world.closing.signal });
  }
  response.end();
}

const splitOnce = (target: string): readonly string[] => {
  const at = target.indexOf("?");
  return at === -1 ? [target] : [target.slice(0, at), target.slice(at + 1)];
};

function listen(server: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, HOST, () => {
      const address = server.address();
      if (address === null || typeof address === "string") reject(new Error("the server has no port"));
      else resolve(address.port);
    });
  });
}

function close(server: Server, closing: AbortController): Promise<void> {
  closing.abort();
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
