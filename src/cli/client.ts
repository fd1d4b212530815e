import type { z } from "zod";
import { describeError } from "../platform/describe-error.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../platform/json.ts";
import { err, ok, type Result } from "../platform/result.ts";
import type { Invocation } from "./command.ts";
import { gateOrigin, openKey } from "./connection.ts";
import { failed, type Failure } from "./failure.ts";

/** Longest wait for an answer; a long poll of the gate takes 30 s of it. */
const ANSWER_WAIT_MS = 60_000;
/** Longest download: a busy month's book is tens of megabytes. */
const DOWNLOAD_WAIT_MS = 600_000;
/** After this the person is told what is being waited for. */
const SLOW_MS = 1_500;

/** What files that people send or keep consist of. */
export type MediaType = "application/json" | "application/x-ndjson" | "text/csv";

export type GateCall = {
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  readonly path: string;
  /** Members that are undefined are left out. */
  readonly query?: Readonly<Record<string, string | number | undefined>>;
  readonly body?: JsonObject;
  /** A body that is sent as it stands, instead of `body`: a file of somebody's. */
  readonly file?: { readonly type: MediaType; readonly text: string };
  /** The answer may take long, and nobody has to be told. */
  readonly patient?: true;
  /** Ends the call; what then comes back is a failure. */
  readonly stop?: AbortSignal;
};

export type GateAnswer = { readonly status: number; readonly body: JsonObject };

/** The gate, as one credential (or nobody) sees it. */
export type GateClient = {
  readonly origin: string;
  /** The body of a success; every refusal is a failure. */
  readonly call: (call: GateCall) => Promise<Result<JsonObject, Failure>>;
  /** Whatever JSON object came back, with its status. */
  readonly exchange: (call: GateCall) => Promise<Result<GateAnswer, Failure>>;
  /** The text of a success as it came, a byte order mark included, in this media type; every refusal is a failure. */
  readonly download: (call: GateCall, type: MediaType) => Promise<Result<string, Failure>>;
  /** The same given on as it comes. A failure may come after parts: what `write` had until then is the beginning of the answer. */
  readonly stream: (
    call: GateCall,
    type: MediaType,
    write: (part: Uint8Array) => void,
  ) => Promise<Result<null, Failure>>;
};

type Caller = Pick<Invocation<unknown>, "globals" | "terminal" | "note">;

/** A client with the caller's own key: there is no way to speak for anybody else. */
export function openClient(caller: Caller): Result<GateClient, Failure> {
  const key = openKey(caller.globals, caller.terminal, caller.note);
  return key.ok ? clientWith(caller, key.value) : key;
}

/** A client that presents `bearer` (the bootstrap secret), or nothing where the gate asks for nothing. */
export function clientWith(caller: Caller, bearer: string | null): Result<GateClient, Failure> {
  const origin = gateOrigin(caller.globals, caller.terminal.env);
  if (!origin.ok) return origin;
  const exchange = async (call: GateCall): Promise<Result<GateAnswer, Failure>> => {
    const received = await send(origin.value, bearer, call, JSON_ANSWER, caller.note);
    return received.ok ? readAnswer(origin.value, received.value) : received;
  };
  return ok({
    origin: origin.value,
    exchange,
    call: async (call) => {
      const answer = await exchange(call);
      if (!answer.ok) return answer;
      const { status, body } = answer.value;
      return isSuccess(status) ? ok(body) : err({ kind: "refused", status, problem: body });
    },
    stream: (call, type, write) => streamed(origin.value, bearer, call, type, write),
    download: async (call, type) => {
      const received = await send(origin.value, bearer, call, { type, waitMs: DOWNLOAD_WAIT_MS }, caller.note);
      if (!received.ok) return received;
      const { status, contentType, body } = received.value;
      if (isSuccess(status) && mediaTypeOf(contentType) === type) return ok(body);
      const answer = readAnswer(origin.value, received.value);
      if (!answer.ok) return answer;
      return err(
        isSuccess(status)
          ? notTheGate(origin.value, received.value)
          : { kind: "refused", status, problem: answer.value.body },
      );
    },
  });
}

const isSuccess = (status: number): boolean => status >= 200 && status < 300;
/** Without its parameters. */
const mediaTypeOf = (contentType: string | null): string => (contentType ?? "").split(";")[0]?.trim() ?? "";

/** The members of an answer that people are shown; a failure when the gate's answer has another form. */
export function readAs<T>(schema: z.ZodType<T>, body: JsonObject): Result<T, Failure> {
  const parsed = schema.safeParse(body);
  if (parsed.success) return ok(parsed.data);
  const [issue] = parsed.error.issues;
  const place = issue?.path.map(String).join("/") ?? "";
  return err(
    failed(
      "The answer has another form than expected",
      `At /${place}: ${issue?.message ?? "unexpected"}.`,
      OTHER_VERSION,
    ),
  );
}

const OTHER_VERSION = "Gate and command may be of different versions; --json prints the answer as it came.";

type Wanted = { readonly type: MediaType; readonly waitMs: number };
const JSON_ANSWER: Wanted = { type: "application/json", waitMs: ANSWER_WAIT_MS };

/** What came back, before anything is made of it. */
type Received = { readonly status: number; readonly contentType: string | null; readonly body: string };

async function streamed(
  origin: string,
  bearer: string | null,
  call: GateCall,
  type: MediaType,
  write: (part: Uint8Array) => void,
): Promise<Result<null, Failure>> {
  try {
    const response = await request(origin, bearer, call, type, AbortSignal.timeout(DOWNLOAD_WAIT_MS));
    const contentType = response.headers.get("content-type");
    if (!response.ok || mediaTypeOf(contentType) !== type) {
      const received = { status: response.status, contentType, body: textOf(await response.arrayBuffer()) };
      const answer = readAnswer(origin, received);
      if (!answer.ok) return answer;
      return err(
        response.ok
          ? notTheGate(origin, received)
          : { kind: "refused", status: response.status, problem: answer.value.body },
      );
    }
    if (response.body !== null) for await (const part of response.body) write(part);
    return ok(null);
  } catch (error) {
    return err(noAnswer(origin, call, DOWNLOAD_WAIT_MS, error));
  }
}

const request = (
  origin: string,
  bearer: string | null,
  call: GateCall,
  type: MediaType,
  signal: AbortSignal,
): Promise<Response> => {
  const content = contentOf(call);
  return fetch(`${origin}${call.path}${queryText(call.query ?? {})}`, {
    method: call.method,
    headers: {
      accept: type,
      ...(bearer === null ? {} : { authorization: `Bearer ${bearer}` }),
      ...(content === null ? {} : { "content-type": content.type }),
    },
    ...(content === null ? {} : { body: content.text }),
    // The key goes to the address that the person gave and to no other.
    redirect: "manual",
    signal,
  });
};

async function send(
  origin: string,
  bearer: string | null,
  call: GateCall,
  wanted: Wanted,
  note: (text: string) => void,
): Promise<Result<Received, Failure>> {
  const slow = call.patient === true ? undefined : setTimeout(() => note(`waiting for ${origin} …`), SLOW_MS);
  const deadline = AbortSignal.timeout(wanted.waitMs);
  try {
    const signal = call.stop === undefined ? deadline : AbortSignal.any([deadline, call.stop]);
    const response = await request(origin, bearer, call, wanted.type, signal);
    const contentType = response.headers.get("content-type");
    return ok({ status: response.status, contentType, body: textOf(await response.arrayBuffer()) });
  } catch (error) {
    return err(noAnswer(origin, call, wanted.waitMs, error));
  } finally {
    clearTimeout(slow);
  }
}

function contentOf({ body, file }: GateCall): NonNullable<GateCall["file"]> | null {
  if (file !== undefined) return file;
  return body === undefined ? null : { type: "application/json", text: JSON.stringify(body) };
}

/** `Response.text` would swallow the byte order mark by which spreadsheets know UTF-8. */
const textOf = (bytes: ArrayBuffer): string =>
  new TextDecoder("utf-8", { fatal: false, ignoreBOM: true }).decode(bytes);

/** The gate's strict reader takes no `+` for a space, which URLSearchParams would write. */
function queryText(query: NonNullable<GateCall["query"]>): string {
  const pairs = Object.entries(query).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}=${encodeURIComponent(value)}`],
  );
  return pairs.length === 0 ? "" : `?${pairs.join("&")}`;
}

function readAnswer(origin: string, received: Received): Result<GateAnswer, Failure> {
  const value = parseJson(received.body);
  if (isJsonObject(value) && /^application\/(?:problem\+)?json\b/.test(received.contentType ?? ""))
    return ok({ status: received.status, body: value });
  return err(notTheGate(origin, received));
}

const notTheGate = (origin: string, { status, contentType }: Received): Failure =>
  failed(
    `What answers at ${origin} is not the gate`,
    `It answered ${status} with ${contentType ?? "no content type"}.`,
    "Check --url (or PORTCULLIS_URL), and what stands between here and the gate. Redirects are not followed.",
  );

function parseJson(body: string): JsonValue | undefined {
  try {
    const value: JsonValue = JSON.parse(body);
    return value;
  } catch {
    return undefined;
  }
}

function noAnswer(origin: string, { method }: GateCall, waitMs: number, error: unknown): Failure {
  const timedOut = error instanceof Error && error.name === "TimeoutError";
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : describeError(cause);
  const detail = timedOut ? `No answer within ${waitMs / 1_000} s.` : `The connection failed (${code}).`;
  const remedy = "Is the gate running there? Say where it is with --url or PORTCULLIS_URL.";
  // A refused connection proves that nothing arrived; anything else does not.
  const unsure = method === "GET" || code === "ECONNREFUSED" || code === "ENOTFOUND";
  return failed(
    `No answer from ${origin}`,
    detail,
    unsure ? remedy : "It is not known whether the gate did what was asked: look before you repeat it.",
  );
}
