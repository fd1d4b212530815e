import { fork } from "node:child_process";
import { join } from "node:path";

/** What the load generator sends: `count` of `requests` (in turn), or fewer when `limitMs` is over. */
export type LoadJob = {
  readonly port: number;
  readonly connections: number;
  /** Whole HTTP/1.1 messages. */
  readonly requests: readonly string[];
  readonly count: number;
  readonly limitMs: number;
  readonly keepBodies: boolean;
};

export type LoadOutcome = {
  readonly elapsedMs: number;
  /** Ascending. */
  readonly latenciesMs: readonly number[];
  readonly statuses: Readonly<Record<string, number>>;
  /** By index of the request; empty unless asked for. */
  readonly bodies: readonly string[];
};

/** The generator's process. Rejects when it ends, or when a connection breaks off. */
export type Load = {
  readonly run: (job: LoadJob) => Promise<LoadOutcome>;
  readonly stop: () => void;
  readonly pid: number;
};

export function startLoad(): Load {
  const child = fork(join(import.meta.dirname, "load-generator.ts"), { serialization: "advanced" });
  return {
    pid: child.pid ?? 0,
    run: (job) => {
      const { promise, resolve, reject } = Promise.withResolvers<LoadOutcome>();
      const ended = (code: number | null): void => reject(new Error(`the load generator ended with ${code}`));
      child.once("message", (outcome: LoadOutcome) => {
        child.off("exit", ended);
        resolve(outcome);
      });
      child.once("exit", ended);
      child.send(job);
      return promise;
    },
    stop: () => void child.kill("SIGKILL"),
  };
}

/** One HTTP/1.1 message. `headers` are written as they stand. */
export function message(
  method: string,
  path: string,
  headers: Readonly<Record<string, string>>,
  body: object | null = null,
): string {
  const text = body === null ? "" : JSON.stringify(body);
  const all = {
    host: "127.0.0.1",
    ...headers,
    ...(body === null ? {} : { "content-type": "application/json", "content-length": String(Buffer.byteLength(text)) }),
  };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return `${method} ${path} HTTP/1.1\r\n${lines.join("")}\r\n${text}`;
}
