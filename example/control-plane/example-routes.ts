import { answer, notFound, refusal } from "./answer.ts";
import type { Answer } from "./answer.ts";
import { isAnswer } from "./answer.ts";
import { BODIES, readBody } from "./bodies.ts";
import type { Cluster } from "./cluster.ts";
import { FAULTS } from "./faults.ts";
import type { FaultPlan } from "./faults.ts";
import { isLive } from "./objects.ts";
import type { Recorder } from "./recorder.ts";
import type { ReceivedMessage } from "./signature.ts";

const LOOPBACK = new Set(["127.0.0.1", "::1", "::ffff:127.0.0.1"]);

type ExampleWorld = {
  readonly recorder: Recorder;
  readonly faults: FaultPlan;
  /** By credential. */
  readonly clusters: ReadonlyMap<string, Cluster>;
};

/** The routes for checks under `/_example/`: no credential, loopback only, never recorded, never subject to faults. */
export function answerExample(
  { recorder, faults, clusters }: ExampleWorld,
  message: ReceivedMessage,
  remoteAddress: string | undefined,
): Answer {
  if (!LOOPBACK.has(remoteAddress ?? "")) return refusal(403, "loopback_only", "for checks on this machine only");
  const end = /^POST \/_example\/workloads\/([^/]+)\/end$/.exec(`${message.method} ${message.target}`);
  if (end !== null) return endWorkload(clusters, end[1] ?? "", message);
  switch (`${message.method} ${message.target}`) {
    case "GET /_example/health":
      return answer({ status: "ok" });
    case "GET /_example/requests":
      return answer(recorder.all());
    case "DELETE /_example/requests":
      recorder.clear();
      return answer([]);
    case "GET /_example/faults":
      return answer({ pending: faults.pending });
    case "PUT /_example/faults": {
      const plan = readBody(FAULTS, message.headers.get("content-type") ?? "application/json", message.body);
      if (isAnswer(plan)) return plan;
      faults.set(plan);
      return answer({ pending: faults.pending });
    }
    default:
      return refusal(404, "unknown_route", "no such route");
  }
}

/** `POST /_example/workloads/{id}/end` `{state, ran_seconds}`: ends a workload now, of whichever tenant. */
function endWorkload(clusters: ReadonlyMap<string, Cluster>, id: string, { headers, body }: ReceivedMessage): Answer {
  const end = readBody(BODIES.end, headers.get("content-type") ?? "application/json", body);
  if (isAnswer(end)) return end;
  // Ids are given out once per server, so that one tenant's is never another's.
  const cluster = [...clusters.values()].find(({ workloads }) => workloads.has(id));
  const workload = cluster?.workloads.get(id);
  if (cluster === undefined || workload === undefined) return notFound(id);
  if (!isLive(workload)) return refusal(409, "conflict", `${id} has ended: ${workload.state}`);
  const over = cluster.endAfter(workload, end.state, end.ran_seconds);
  return answer({ ...over, ...cluster.usage(over) });
}
