import { member, text, type Answered } from "./answer.ts";
import type { BlackBox, Caller, CastName, RequestHeaders } from "./black-box.ts";

/** A submit body: 4 elastic H100 for one hour, 10 USD, tier 2 under acme's policy. */
export const job = (over: object = {}): object => ({
  name: "job-1",
  image: "registry.example/train:1",
  job_type: "elastic",
  gpus: 4,
  gpu_type: "H100",
  max_hours: 1,
  ...over,
});

export const REASON = { "gate-reason": "nightly training" } as const;
/** Everything that a tier-3 or tier-4 request has to say. */
export const CONTEXT = {
  ...REASON,
  "gate-evidence": "loss diverged at step 400",
  "gate-back-out": "cancel the job",
} as const;

export const SUBMIT = "/v1/workloads";

/** Obtains a receipt: the dry run of exactly this submit. */
export async function receiptFor(agent: Caller, body: unknown, headers: RequestHeaders = REASON): Promise<string> {
  return text(await agent.post(SUBMIT, body, { ...headers, "gate-dry-run": "?1" }), "receipt");
}

/** Submits the two-step way of tier 2: dry run, then execution with its receipt. */
export async function submit(agent: Caller, body: unknown, headers: RequestHeaders = REASON): Promise<Answered> {
  const receipt = await receiptFor(agent, body, headers);
  return agent.post(SUBMIT, body, { ...headers, "gate-plan": receipt });
}

/** Id of the proposal that a refusal opened or joined. */
export const proposalOf = (answered: Answered): string => text(answered, "approval", "id");

/** Approves or denies as these people, in order; each must be recorded. */
export async function decide(
  box: BlackBox,
  approval: string,
  people: readonly CastName[],
  decision: "approve" | "deny" = "approve",
): Promise<void> {
  for (const name of people) {
    const answered = await (await box.as(name)).post(`/_gate/v1/approvals/${approval}/decisions`, { decision });
    if (answered.status !== 200) throw new Error(`${name}: ${answered.status} ${answered.text}`);
  }
}

/** The micro-USD of a budget window as the tenant sees it. */
export async function budgetOf(
  box: BlackBox,
): Promise<{ held: number; settled: number; cap: number; remaining: number }> {
  const answered = await (await box.as("agent")).get("/_gate/v1/budget");
  const micros = (name: string): number => Number(member(answered, "daily", `${name}_micros`));
  return { held: micros("held"), settled: micros("settled"), cap: micros("cap"), remaining: micros("remaining") };
}
