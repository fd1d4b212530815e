import { proposalView } from "../approval/proposal-view.ts";
import type { Env } from "../env.ts";
import { executeStored } from "../gateway/execute-stored.ts";
import { openGate, type Gate } from "../gateway/gate.ts";
import { openCall } from "../gateway/sealed-request.ts";
import { ledgerOf, type Actor } from "../ledger/ledger-port.ts";
import { DONE, type Channel, type Delivery, type PostingStore } from "../notify/delivery.ts";
import type { Notice } from "../notify/notice.ts";
import { webhook } from "../notify/webhook.ts";
import { describeError } from "../platform/describe-error.ts";
import { newId } from "../platform/ids.ts";
import { log } from "../platform/log.ts";
import { unreachable } from "../platform/assert.ts";
import { slackChannel } from "../slack/deliver.ts";
import type { Job } from "./jobs.ts";
import { lookUpOutcome } from "./look-up.ts";
import type { LookUpJob } from "./port.ts";

/** Every way to tell people, in no order: each has its own lane and its own tries. */
const DELIVERERS: readonly Channel[] = [slackChannel, webhook];

export const CHANNELS: readonly string[] = DELIVERERS.map(({ name }) => name);

type Background = (work: Promise<unknown>) => void;

/** What became of a job, and what people are to be told because of it. */
type JobOutcome = { readonly delivery: Delivery; readonly notice: Notice | null };

/** Does one job, once. Expected troubles are answers; what it throws is a bug or the platform's. */
export async function runJob(job: Job, env: Env, postings: PostingStore, background: Background): Promise<JobOutcome> {
  const gate = await openGate(env);
  if (!gate.ok) return { delivery: later(gate.error.join("; ")), notice: null };
  switch (job.kind) {
    case "look-up":
      return { delivery: await lookUp(gate.value, job, background), notice: null };
    case "notice":
      return { delivery: await deliver(gate.value, job, postings, background), notice: null };
    case "execute":
      return execute(gate.value, job, background);
    default:
      return unreachable(job);
  }
}

const later = (reason: string): Delivery => ({ kind: "retry", afterMs: null, reason });

async function lookUp(gate: Gate, job: LookUpJob, background: Background): Promise<Delivery> {
  const context = await gate.tenants.get(job.tenant, Date.now(), background);
  const catalogue = await gate.documents.catalogue(job.catalogue);
  const call = await openCall(job.sent, job.tenant, gate.keys.sealing);
  if (!context.ok || !catalogue.ok || !call.ok) {
    log("warn", "look-up", { requestId: job.requestId, cause: "tenant, catalogue or request unavailable" });
    return later("tenant, catalogue or request unavailable");
  }
  const asked = { requestId: job.requestId, call: call.value };
  const verdict = await lookUpOutcome(asked, catalogue.value, context.value.upstream, newId("lku"));
  log("info", "look-up", { tenant: job.tenant, requestId: job.requestId, verdict });
  await ledgerOf(gate.env.LEDGER, job.tenant).reconcile({ requestId: job.requestId, verdict, resource: null });
  return DONE;
}

async function deliver(
  gate: Gate,
  { tenant: id, channel: name, notice }: Extract<Job, { kind: "notice" }>,
  postings: PostingStore,
  background: Background,
): Promise<Delivery> {
  const channel = DELIVERERS.find((one) => one.name === name);
  if (channel === undefined) return { kind: "failed", reason: `this build has no channel ${name}` };
  const now = Date.now();
  const tenant = await gate.tenants.get(id, now, background);
  if (!tenant.ok) return later(`tenant unavailable: ${tenant.error.kind}`);
  const ledger = ledgerOf(gate.env.LEDGER, id);
  const found = await ledger.approval(notice.approvalId);
  if (found === null) return { kind: "failed", reason: "the ledger has no such proposal" };
  const { policy, people } = tenant.value;
  const view = proposalView(found, { tenant: id, policy, people, publicUrl: gate.config.publicUrl });
  return channel.deliver({ gate, tenant: tenant.value, ledger, notice, found, view, postings, now });
}

async function execute(
  gate: Gate,
  { tenant, approvalId }: Extract<Job, { kind: "execute" }>,
  background: Background,
): Promise<JobOutcome> {
  const { delivery, requestId, refused } = await executeStored(gate, tenant, approvalId, background);
  if (refused === null) return { delivery, notice: null };
  const id = `${approvalId}/execution-refused/${requestId}`;
  return {
    delivery,
    notice: { id, kind: "execution-refused", approvalId, requestId, detail: refused, at: Date.now() },
  };
}

const OUTBOX: Actor = { subject: "outbox", class: "gate", credentialId: "outbox", demo: false, roles: [] };

/** What nobody was told, or nobody ran, stands in the audit record. */
export async function giveUp(job: Job, env: Env, reason: string): Promise<void> {
  if (job.kind === "look-up") return;
  const detail =
    job.kind === "notice"
      ? `${job.channel}: ${job.notice.kind} of ${job.notice.approvalId}: ${reason}`
      : `${job.approvalId}: ${reason}`;
  try {
    const code = job.kind === "notice" ? "notice-undelivered" : "stored-execution-abandoned";
    await ledgerOf(env.LEDGER, job.tenant).recordAct(OUTBOX, newId("req"), code, detail);
  } catch (error) {
    log("error", "outbox-gave-up", { detail, cause: describeError(error) });
  }
}
