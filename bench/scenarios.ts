import type { TenantKeys } from "../example/start/seed.ts";
import { message } from "./load.ts";
import type { Load } from "./load.ts";
import type { Stand } from "./stand.ts";

/** What a path may cost, as a ratio to pass; null where no target is set. */
export type Targets = { readonly cpu: number | null; readonly p50: number | null; readonly p99: number | null };

/** One path through the gate. */
export type Scenario = {
  readonly name: string;
  readonly title: string;
  readonly targets: Targets;
  /** Status of every answer; another one makes the measurement worthless and ends it. */
  readonly status: number;
  /** Whether an operation is left behind whose dispatch deadline is still to come. */
  readonly leavesDeadline: boolean;
  /** Requests at 32, 1 and 8 connections of one round. */
  readonly counts: { readonly c32: number; readonly c1: number; readonly c8: number };
  /** Makes `count` requests that were never sent before; whatever must precede them (receipt, approval) is done here. */
  readonly prepare: (count: number) => Promise<readonly string[]>;
};

/** What the default policy requires of a write, in the length that people write. */
const CONTEXT = {
  "gate-reason": "Nightly retraining of the ranking model on fresh data",
  "gate-evidence": "Validation loss has risen for three days in a row; see the dashboard of the ranking team",
  "gate-back-out": "Cancel the workload; the model that serves now stays in place",
};
const PREPARE_CONNECTIONS = 8;
/** Below the ledger's own bound on open proposals. */
const OPEN_AT_ONCE = 40;
const PREPARE_LIMIT_MS = 120_000;

const by = (key: string): Record<string, string> => ({ authorization: `Bearer ${key}`, accept: "application/json" });

/** The measured paths, over one tenant's credentials. */
export function scenarios(stand: Stand, load: Load, keys: TenantKeys): readonly Scenario[] {
  const agent = by(keys.agent);
  let made = 0;

  const send = async (requests: readonly string[], status: number): Promise<readonly Record<string, unknown>[]> => {
    const job = {
      port: stand.gate.port,
      connections: PREPARE_CONNECTIONS,
      limitMs: PREPARE_LIMIT_MS,
      keepBodies: true,
    };
    const outcome = await load.run({ ...job, requests, count: requests.length });
    if (outcome.statuses[status] !== requests.length) {
      throw new Error(
        `preparation: expected ${status} only, got ${JSON.stringify(outcome.statuses)}: ${outcome.bodies[0]}`,
      );
    }
    return outcome.bodies.map((body) => JSON.parse(body));
  };
  const submit = (name: string, gpus: number, headers: Record<string, string>): string =>
    message(
      "POST",
      "/v1/workloads",
      { ...agent, ...CONTEXT, ...headers },
      {
        name,
        image: "registry.example/train@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        job_type: "elastic",
        gpus,
        gpu_type: "L40S",
        max_hours: 1,
      },
    );
  const names = (count: number): readonly string[] => Array.from({ length: count }, () => `bench-${++made}`);

  return [
    {
      name: "read",
      title: "tier 0 read",
      targets: { cpu: 1.8, p50: 2.4, p99: 2 },
      status: 200,
      leavesDeadline: false,
      counts: { c32: 2_000, c1: 400, c8: 800 },
      prepare: async (count) => repeat(message("GET", "/v1/workloads?limit=50", agent), count),
    },
    {
      name: "refusal",
      title: "refusal (not-allowed)",
      targets: { cpu: 1, p50: 0.9, p99: null },
      status: 403,
      leavesDeadline: false,
      counts: { c32: 2_000, c1: 400, c8: 800 },
      prepare: async (count) => repeat(message("GET", "/v1/capacity", agent), count),
    },
    {
      name: "write",
      title: "tier 2 write, receipt",
      targets: { cpu: 3.5, p50: 2.5, p99: 4 },
      status: 201,
      leavesDeadline: true,
      counts: { c32: 800, c1: 200, c8: 400 },
      prepare: async (count) => {
        const fresh = names(count);
        const plans = await send(
          fresh.map((name) => submit(name, 1, { "gate-dry-run": "?1" })),
          200,
        );
        return fresh.map((name, i) => submit(name, 1, { "gate-plan": String(plans[i]?.["receipt"]) }));
      },
    },
    {
      name: "grant",
      title: "tier 3 write, grant",
      targets: { cpu: 3.7, p50: 2.7, p99: null },
      status: 201,
      leavesDeadline: true,
      counts: { c32: 300, c1: 100, c8: 200 },
      prepare: async (count) => {
        const requests = names(count).map((name) => submit(name, 8, {}));
        // In portions: a principal may not have more proposals open than people can look at.
        for (let from = 0; from < count; from += OPEN_AT_ONCE) {
          const proposals = await send(requests.slice(from, from + OPEN_AT_ONCE), 428);
          const urls = proposals.map((proposal) => urlOf(proposal["approval"]));
          await send(
            urls.map((url) => message("POST", `${url}/decisions`, by(keys.alice), { decision: "approve" })),
            200,
          );
        }
        return requests;
      },
    },
  ];
}

const repeat = (text: string, count: number): readonly string[] => Array.from({ length: count }, () => text);

function urlOf(approval: unknown): string {
  if (typeof approval === "object" && approval !== null && "url" in approval && typeof approval.url === "string") {
    return approval.url;
  }
  throw new Error(`preparation: no approval was opened: ${JSON.stringify(approval)}`);
}
