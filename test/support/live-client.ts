import { request } from "node:http";
import type { IncomingMessage } from "node:http";
import { z } from "zod";

/** An answer of the gate; status null when none came (the gate was killed meanwhile). */
export type Answer = {
  readonly status: number | null;
  readonly requestId: string | null;
  readonly text: string;
  readonly header: (name: string) => string | null;
};

/** What a call comes to when the gate ends before it has answered. */
export const NO_ANSWER: Answer = { status: null, requestId: null, text: "", header: () => null };

/** A job that the gate has planned and not yet executed. */
export type Planned = { readonly name: string; readonly receipt: string };

/** One agent at one gate. */
export type LiveClient = {
  readonly plan: (name: string) => Promise<Answer>;
  /** Executes what was planned, with an idempotency key where one is given; `onHead` runs when the answer's head is here. */
  readonly execute: (planned: Planned, key?: string, onHead?: () => void) => Promise<Answer>;
  readonly get: (path: string) => Promise<Answer>;
};

type Call = {
  readonly method: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly onHead?: (() => void) | undefined;
};

/** The smallest job: 0.80 USD, so that a tenant's 500 USD a day admit 625 of them. */
export const jobBody = (name: string): string =>
  JSON.stringify({ name, image: "repo/train:1", job_type: "elastic", gpus: 1, gpu_type: "L40S", max_hours: 1 });

/** A client of the gate at `url` with this API key. */
export function liveClient(url: string, key: string): LiveClient {
  const ask = (call: Call): Promise<Answer> => askOnce(url, key, call).catch(() => NO_ANSWER);
  const submit = (name: string, headers: Record<string, string>, onHead?: () => void): Promise<Answer> =>
    ask({
      method: "POST",
      path: "/v1/workloads",
      headers: { "content-type": "application/json", "gate-reason": "fault suite", ...headers },
      body: jobBody(name),
      onHead,
    });
  return {
    plan: (name) => submit(name, { "gate-dry-run": "?1" }),
    execute: ({ name, receipt }, idempotencyKey, onHead) => {
      const repeatable = idempotencyKey === undefined ? {} : { "idempotency-key": `"${idempotencyKey}"` };
      return submit(name, { "gate-plan": receipt, ...repeatable }, onHead);
    },
    get: (path) => ask({ method: "GET", path }),
  };
}

const PLAN = z.object({ receipt: z.string() });

/** The receipt of a plan that was granted, null of any other answer. */
export const receiptOf = ({ status, text }: Answer): string | null =>
  status === 200 ? PLAN.parse(JSON.parse(text)).receipt : null;

const SLUG = z.object({ slug: z.string() });

/** Status, and the slug of a refusal: `201`, `504 outcome-unknown`, `none`. */
export function verdictOf({ status, text }: Answer): string {
  if (status === null) return "none";
  if (status < 400) return String(status);
  const refusal = SLUG.safeParse(JSON.parse(text));
  return refusal.success ? `${status} ${refusal.data.slug}` : String(status);
}

/** One request on a connection of its own, so that a killed gate leaves no stale one. Rejects when the answer is cut off. */
function askOnce(url: string, key: string, { method, path, headers, body, onHead }: Call): Promise<Answer> {
  const { hostname, port } = new URL(url);
  const all = { authorization: `Bearer ${key}`, ...headers };
  return new Promise((resolve, reject) => {
    const outgoing = request({ hostname, port, method, path, headers: all, agent: false }, (response) => {
      onHead?.();
      const parts: Buffer[] = [];
      response.on("data", (part: Buffer) => parts.push(part));
      response.on("error", reject);
      response.on("end", () => resolve(answerOf(response, Buffer.concat(parts).toString("utf8"))));
    });
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}

function answerOf({ statusCode, headers }: IncomingMessage, text: string): Answer {
  const header = (name: string): string | null => {
    const value = headers[name];
    return typeof value === "string" ? value : null;
  };
  return { status: statusCode ?? null, requestId: header("gate-request-id"), text, header };
}
