import type { Demo } from "../../../example/start/demo-file.ts";
import { text } from "../answer.ts";
import type { Answered } from "../answer.ts";
import { sendVerbatim } from "./verbatim.ts";
import type { Verbatim } from "./verbatim.ts";

type Name = keyof Demo["tenants"]["acme"];

/** What a request of tier 3 or 4 has to say; tier 2 needs the reason. */
const CONTEXT = {
  "gate-reason": "nightly training",
  "gate-evidence": "the queue is empty",
  "gate-back-out": "cancel the job",
} as const;

/** One holder of a demo credential in front of the gate. */
export type Seat = {
  /** Exactly this request with the credential as bearer, unless the request brings a credential of its own. */
  readonly send: (request: Verbatim) => Promise<Answered>;
  /** A call with a JSON body, a reason, evidence and a back-out. */
  readonly call: (
    method: Verbatim["method"],
    path: string,
    body?: object,
    headers?: Verbatim["headers"],
  ) => Promise<Answered>;
};

/** The seat of `name` in the demo tenant acme. */
export function seatOf(demo: Demo, name: Name): Seat {
  const authorization = `Bearer ${demo.tenants.acme[name]}`;
  const send: Seat["send"] = (request) =>
    sendVerbatim(demo.gate, { ...request, headers: { authorization, ...request.headers } });
  return {
    send,
    call: (method, path, body, headers = {}) =>
      send({
        method,
        path,
        headers: { ...CONTEXT, ...(body === undefined ? {} : { "content-type": "application/json" }), ...headers },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      }),
  };
}

/** Tier 2 as an agent does it: dry run, then the same request with the receipt. */
export async function withReceipt(
  seat: Seat,
  method: Verbatim["method"],
  path: string,
  body: object,
): Promise<Answered> {
  const plan = await seat.call(method, path, body, { "gate-dry-run": "?1" });
  return seat.call(method, path, body, { "gate-plan": text(plan, "receipt") });
}

/** Approves a proposal as these people, one after the other; each approval must be recorded. */
export async function approve(demo: Demo, proposal: string, people: readonly Name[]): Promise<void> {
  for (const name of people) {
    const path = `/_gate/v1/approvals/${proposal}/decisions`;
    const headers = { "content-type": "application/json" };
    const body = JSON.stringify({ decision: "approve" });
    const decided = await seatOf(demo, name).send({ method: "POST", path, headers, body });
    if (decided.status !== 200) throw new Error(`${name}: ${decided.status} ${decided.text}`);
  }
}
