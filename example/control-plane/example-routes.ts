import { answer, refusal } from "./answer.ts";
import type { Answer } from "./answer.ts";
import { isAnswer } from "./answer.ts";
import { readBody } from "./bodies.ts";
import { FAULTS } from "./faults.ts";
import type { FaultPlan } from "./faults.ts";
import type { Recorder } from "./recorder.ts";
import type { ReceivedMessage } from "./signature.ts";

const LOOPBACK = new Set(["127.0.0.1", "::1", "::ffff:127.0.0.1"]);

/** The routes for checks under `/_example/`: no credential, loopback only, never recorded, never subject to faults. */
export function answerExample(
  { recorder, faults }: { readonly recorder: Recorder; readonly faults: FaultPlan },
  message: ReceivedMessage,
  remoteAddress: string | undefined,
): Answer {
  if (!LOOPBACK.has(remoteAddress ?? "")) return refusal(403, "loopback_only", "for checks on this machine only");
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
