import { createExecutionContext, waitOnExecutionContext } from "cloudflare:test";
import { app } from "../../src/app.ts";
import type { Env } from "../../src/env.ts";
import type { Entrance } from "./black-box.ts";
import { testEnv } from "./test-env.ts";

/** An isolate of its own: what the gate caches between requests, it caches per `env` object. */
export type Isolate = {
  readonly entrance: Entrance;
  /** Resolves when all that the requests so far left behind (`waitUntil`) is done. */
  readonly idle: () => Promise<void>;
};

/** Opens another isolate on the same stores, some of its bindings replaced. Everything in it is cold. */
export function openIsolate(replaced: Partial<Env> = {}): Isolate {
  const env: Env = { ...testEnv, ...replaced };
  let contexts: ExecutionContext[] = [];
  return {
    entrance: async (request) => {
      const context = createExecutionContext();
      contexts.push(context);
      return app.fetch(request, env, context);
    },
    idle: async () => {
      const waiting = contexts;
      contexts = [];
      await Promise.all(waiting.map(waitOnExecutionContext));
    },
  };
}
