import { Buffer } from "node:buffer";
import { z } from "zod";
import type { Suite } from "./suites.ts";
import { testEnv } from "./test-env.ts";

const RECORDED = z.array(
  z.object({
    method: z.string(),
    path: z.string(),
    headers: z.record(z.string(), z.string()),
    body_base64: z.string(),
  }),
);

/** One request as the example control plane received it. */
export type Received = {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
};

export type Fault = { readonly method: string; readonly path: string; readonly times?: number; readonly kind: string };

/** What one tenant's requests look like from the control plane. */
export type UpstreamLog = {
  readonly url: string;
  /** The credential that the gate presents for this tenant. */
  readonly token: string;
  readonly requests: () => Promise<readonly Received[]>;
  /** Those that change something: writes that are no dry runs. */
  readonly mutations: () => Promise<readonly Received[]>;
  /** What goes wrong from now on, for the whole suite; replaces what was planned. */
  readonly inject: (faults: readonly Fault[]) => Promise<void>;
};

const READS_BY_POST = /^\/v1\/(?:insights|capacity\/plan|workloads\/[^/]+\/explain)$/;

/** The request log of the tenant whose upstream credential is `token`, at the suite's own control plane. */
export function upstreamOf(suite: Suite, token: string): UpstreamLog {
  const url = z.record(z.string(), z.string()).parse(JSON.parse(testEnv.UPSTREAMS))[suite] ?? "";
  const requests = async (): Promise<readonly Received[]> => {
    const recorded = RECORDED.parse(await (await fetch(`${url}/_example/requests`)).json());
    return recorded
      .filter(({ headers }) => headers["authorization"] === `Bearer ${token}`)
      .map(({ body_base64: body, ...rest }) => ({ ...rest, body: Buffer.from(body, "base64").toString("utf8") }));
  };
  return {
    url,
    token,
    requests,
    mutations: async () =>
      (await requests()).filter(
        ({ method, path }) =>
          method !== "GET" && method !== "HEAD" && !path.includes("dry_run=true") && !READS_BY_POST.test(path),
      ),
    inject: async (faults) => {
      const answered = await fetch(`${url}/_example/faults`, {
        method: "PUT",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(faults),
      });
      if (answered.status !== 200) throw new Error(await answered.text());
      await answered.body?.cancel();
    },
  };
}
