import { createHash } from "node:crypto";
import { createServer } from "node:http";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { createClient, ErrorReply } from "redis";

/**
 * How the bridge misbehaves: `delayMs` answers late, `garbage` answers 200 with this body and asks Redis nothing, `status`
 * answers this status with an Upstash error body.
 */
export type BridgeFault =
  | { readonly kind: "none" }
  | { readonly kind: "delay"; readonly delayMs: number }
  | { readonly kind: "garbage"; readonly body: string }
  | { readonly kind: "status"; readonly status: number };

export type RedisRestBridge = {
  readonly url: string;
  readonly token: string;
  /** Every command that was received, in order. */
  readonly commands: readonly (readonly string[])[];
  readonly misbehave: (fault: BridgeFault) => void;
  /** Cuts every connection and stops listening. */
  readonly stop: () => Promise<void>;
};

type RedisClient = { readonly sendCommand: (args: string[]) => Promise<unknown> };
type Reply = { readonly result: unknown } | { readonly error: string };

/**
 * A small HTTP server that speaks Upstash's REST dialect to a stock Redis: `POST /` takes one command as a JSON array, `POST
 * /pipeline` a list of them, `Upstash-Encoding: base64` encodes string results, errors come as `{error}`.
 *
 * Upstash's scripts open with `#!lua flags=allow-key-locking`, a flag that stock Redis refuses. The bridge removes that line.
 * The script's SHA changes with it, so EVALSHA of the original is translated once the script itself was seen.
 */
export async function startRedisRestBridge(options: {
  readonly redisUrl: string;
  readonly delayMs?: number;
}): Promise<RedisRestBridge> {
  const client = createClient({ url: options.redisUrl });
  // Without a listener a lost connection would end the test run; each command still fails with its own error.
  client.on("error", () => undefined);
  await client.connect();

  const token = "bridge-token";
  const commands: string[][] = [];
  const translate = scriptTranslator();
  let fault: BridgeFault =
    options.delayMs === undefined ? { kind: "none" } : { kind: "delay", delayMs: options.delayMs };
  const server = createServer((request, response) => {
    void answer(request, response).catch((error: unknown) => send(response, 500, { error: String(error) }));
  });

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await readText(request);
    if (request.headers.authorization !== `Bearer ${token}`) return send(response, 401, { error: "Unauthorized" });
    const current = fault;
    if (current.kind === "garbage") return void response.writeHead(200).end(current.body);
    if (current.kind === "status") return send(response, current.status, { error: "ERR injected" });
    if (current.kind === "delay") await new Promise((resolve) => setTimeout(resolve, current.delayMs));
    const base64 = request.headers["upstash-encoding"] === "base64";
    const parsed: unknown = JSON.parse(body);
    if (request.url === "/pipeline") {
      const replies: Reply[] = [];
      for (const command of listOf(parsed)) replies.push(await run(commandOf(command), base64));
      return send(response, 200, replies);
    }
    const reply = await run(commandOf(parsed), base64);
    return send(response, "error" in reply ? 400 : 200, reply);
  }

  async function run(command: string[], base64: boolean): Promise<Reply> {
    commands.push(command);
    return await runCommand(client, translate(command), base64);
  }

  const port = await listen(server);
  return {
    url: `http://127.0.0.1:${port}`,
    token,
    commands,
    misbehave: (next) => {
      fault = next;
    },
    stop: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
      client.destroy();
    },
  };
}

async function runCommand(client: RedisClient, command: string[], base64: boolean): Promise<Reply> {
  try {
    const result = await client.sendCommand(command);
    return { result: base64 ? encodeStrings(result) : result };
  } catch (error) {
    if (error instanceof ErrorReply) return { error: error.message };
    throw error;
  }
}

/** Replaces scripts by what stock Redis accepts, and the SHA of an original by the SHA of its replacement. */
function scriptTranslator(): (command: string[]) => string[] {
  const shaOfStripped = new Map<string, string>();
  const strip = (script: string): string => {
    const stripped = script.replace(/^#!lua[^\n]*\n/, "");
    shaOfStripped.set(sha1(script), sha1(stripped));
    return stripped;
  };
  return (command) => {
    const [name = "", first = "", second = ""] = command;
    switch (name.toUpperCase()) {
      case "EVAL":
        return [name, strip(first), ...command.slice(2)];
      case "EVALSHA":
        return [name, shaOfStripped.get(first) ?? first, ...command.slice(2)];
      case "SCRIPT":
        return first.toUpperCase() === "LOAD" ? [name, first, strip(second)] : command;
      default:
        return command;
    }
  };
}

/** Upstash's encoding: strings at any depth become base64, except the status `OK`. Numbers and null stay. */
function encodeStrings(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(encodeStrings);
  return typeof value === "string" && value !== "OK" ? Buffer.from(value, "utf8").toString("base64") : value;
}

function listOf(value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw new Error("expected a JSON array");
  return value;
}

const commandOf = (value: unknown): string[] => listOf(value).map(String);

const sha1 = (text: string): string => createHash("sha1").update(text, "utf8").digest("hex");

async function readText(request: IncomingMessage): Promise<string> {
  let text = "";
  request.setEncoding("utf8");
  for await (const chunk of request) text += String(chunk);
  return text;
}

function send(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the bridge has no port");
  return address.port;
}
