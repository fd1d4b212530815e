import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseEnv } from "node:util";
import { z } from "zod";
import { startGate } from "../../example/start/running-gate.ts";
import type { RunningGate } from "../../example/start/running-gate.ts";
import { keepExampleTokens } from "../../example/start/state-folder.ts";
import { filesOf } from "../../example/start/wrangler.ts";
import { call } from "../example/signed-call.ts";
import { liveClient } from "./live-client.ts";
import type { LiveClient } from "./live-client.ts";
import { livePort } from "./live-ports.ts";
import { stretchWire } from "./live-wire.ts";
import type { Wire } from "./live-wire.ts";

export type Fault = { readonly method: string; readonly path: string; readonly times: number; readonly kind: string };

/** A gate as `npm start` runs it, in a state folder of its own, with a wire to the example control plane that can fail. */
export type LiveGate = {
  readonly running: RunningGate;
  readonly stateDir: string;
  readonly wire: Wire;
  /** acme's agent. */
  readonly client: LiveClient;
  /** What goes wrong at the control plane from now on, instead of what was planned before. */
  readonly upstreamFaults: (faults: readonly Fault[]) => Promise<void>;
  /** References of acme's workloads at the control plane, one per workload, asked without the gate. */
  readonly jobs: () => Promise<readonly string[]>;
  /** References of the submits that arrived at the control plane, dry runs apart: one per arrival. */
  readonly arrivals: () => Promise<readonly string[]>;
  readonly close: () => Promise<void>;
};

/** Starts one. `variables` are the gate's own configuration, such as its deadlines. */
export async function openLiveGate(variables: Readonly<Record<string, string>> = {}): Promise<LiveGate> {
  const stateDir = mkdtempSync(join(tmpdir(), "portcullis-live-"));
  const [port, upstreamPort, wirePort] = [await livePort(), await livePort(), await livePort()];
  const wire = await stretchWire(wirePort, upstreamPort);
  const remove = (): void => rmSync(stateDir, { recursive: true, force: true, maxRetries: 5 });
  try {
    const extraEnv = { UPSTREAMS: JSON.stringify({ example: wire.url }), ...variables };
    const running = await startGate({ port, upstreamPort, stateDir, extraEnv });
    return {
      running,
      stateDir,
      wire,
      client: liveClient(running.gate, running.demo.tenants.acme.agent),
      ...upstreamOf(running.upstream, stateDir),
      close: async () => {
        await running.stop();
        await wire.close();
        remove();
      },
    };
  } catch (error) {
    await wire.close();
    remove();
    throw error;
  }
}

const PAGE = z.object({ workloads: z.array(z.object({ id: z.string(), reference: z.string().nullable() })) });
const PAGE_SIZE = 1_000;
const RECORDED = z.array(z.object({ method: z.string(), path: z.string(), headers: z.record(z.string(), z.string()) }));

function upstreamOf(url: string, stateDir: string): Pick<LiveGate, "upstreamFaults" | "jobs" | "arrivals"> {
  const credential = keepExampleTokens(stateDir).acme;
  const key = parseEnv(readFileSync(filesOf(stateDir).secrets, "utf8"))["UPSTREAM_SIGNING_KEY"] ?? "";
  return {
    upstreamFaults: async (faults) => {
      const headers = { "content-type": "application/json" };
      const answer = await fetch(`${url}/_example/faults`, { method: "PUT", headers, body: JSON.stringify(faults) });
      if (answer.status !== 200) throw new Error(`the faults were refused: ${await answer.text()}`);
    },
    jobs: async () => {
      const { text } = await call(url, "GET", `/v1/workloads?limit=${PAGE_SIZE}`, { credential, sign: { key } });
      const { workloads } = PAGE.parse(JSON.parse(text));
      if (workloads.length === PAGE_SIZE) throw new Error("more workloads than one page holds");
      return workloads.map(({ id, reference }) => reference ?? `none: ${id}`);
    },
    arrivals: async () => {
      const recorded = RECORDED.parse(await (await fetch(`${url}/_example/requests`)).json());
      return recorded
        .filter(({ method, path }) => method === "POST" && path === "/v1/workloads")
        .map(({ headers }) => headers["idempotency-key"] ?? "none");
    },
  };
}
