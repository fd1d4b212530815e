import { auditTreeOf, AUDIT_LOGS } from "../audit/tree-port.ts";
import { proposalView } from "../approval/proposal-view.ts";
import type { Env } from "../env.ts";
import { executeStored } from "../gateway/execute-stored.ts";
import { openGate, type Gate } from "../gateway/gate.ts";
import { openCall } from "../gateway/sealed-request.ts";
import type { TenantContext } from "../gateway/tenant-context.ts";
import { ledgerOf, type Actor } from "../ledger/ledger-port.ts";
import { DONE, type Channel, type Delivery, type PostingStore, type ShownAlert } from "../notify/delivery.ts";
import type { AnchoredCheckpoint } from "../notify/alert.ts";
import type { AlertNotice, Notice } from "../notify/notice.ts";
import { webhook } from "../notify/webhook.ts";
import { describeError } from "../platform/describe-error.ts";
import { newId } from "../platform/ids.ts";
import { log } from "../platform/log.ts";
import { err, ok, type Result } from "../platform/result.ts";
import { unreachable } from "../platform/assert.ts";
import { slackChannel } from "../slack/deliver.ts";
import type { EpochMs } from "../vocabulary.ts";
import { isAsking, type Asking, type Job } from "./jobs.ts";
import { lookUpOutcome } from "./look-up.ts";
import type { LookUpJob } from "./port.ts";
import { notHeard, readStatus } from "./read-status.ts";

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
    case "status":
      return { delivery: await checkStatus(gate.value, job, background), notice: null };
    case "notice":
      return { delivery: await deliver(gate.value, job, postings, background), notice: null };
    case "alert":
      return { delivery: await tell(gate.value, job, postings, background), notice: null };
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
  const { verdict, resource } = await lookUpOutcome(asked, catalogue.value, context.value.upstream, newId("lku"));
  log("info", "look-up", { tenant: job.tenant, requestId: job.requestId, verdict });
  await ledgerOf(gate.env.LEDGER, job.tenant).reconcile({ requestId: job.requestId, verdict, resource });
  return DONE;
}

type StatusJob = Extract<Job, { kind: "status" }>;

/** What cannot be asked is reported too: the ledger hears of every read that it has planned. */
async function checkStatus(gate: Gate, job: StatusJob, background: Background): Promise<Delivery> {
  const context = await gate.tenants.get(job.tenant, Date.now(), background);
  const catalogue = await gate.documents.catalogue(job.catalogue);
  const finding =
    context.ok && catalogue.ok
      ? await readStatus(job, catalogue.value, context.value.upstream, newId("sts"))
      : notHeard(job.requestId);
  const { requestId, verdict } = finding;
  log("info", "status", { tenant: job.tenant, requestId, verdict, asked: context.ok && catalogue.ok });
  await ledgerOf(gate.env.LEDGER, job.tenant).settleByStatus(finding);
  return DONE;
}

async function deliver(
  gate: Gate,
  job: Extract<Job, { kind: "notice" }>,
  postings: PostingStore,
  background: Background,
): Promise<Delivery> {
  const now = Date.now();
  const reached = await reach(gate, job, now, background);
  if (!reached.ok) return reached.error;
  const { channel, tenant } = reached.value;
  const { tenant: id, notice } = job;
  const ledger = ledgerOf(gate.env.LEDGER, id);
  const found = await ledger.approval(notice.approvalId);
  if (found === null) return { kind: "failed", reason: "the ledger has no such proposal" };
  const { policy, people } = tenant;
  const view = proposalView(found, { tenant: id, policy, people, publicUrl: gate.config.publicUrl });
  return channel.deliver({ gate, tenant, ledger, notice, found, view, postings, now });
}

/** Needs no proposal: money and audit logs are told of as long as the tenant is known. */
async function tell(
  gate: Gate,
  job: Extract<Job, { kind: "alert" }>,
  postings: PostingStore,
  background: Background,
): Promise<Delivery> {
  const now = Date.now();
  const reached = await reach(gate, job, now, background);
  if (!reached.ok) return reached.error;
  const { channel, tenant } = reached.value;
  const { id, at } = job.notice;
  const alert = await shown(job.notice, gate.env, job.tenant);
  if (alert === null) return { kind: "failed", reason: "the ledger has no such change" };
  return channel.tell({ gate, tenant, id, at, alert, postings, now });
}

/** The job's channel and tenant, or what becomes of the try without them. */
async function reach(
  gate: Gate,
  { tenant: id, channel: name }: Extract<Job, { kind: "notice" | "alert" }>,
  now: EpochMs,
  background: Background,
): Promise<Result<{ readonly channel: Channel; readonly tenant: TenantContext }, Delivery>> {
  const channel = DELIVERERS.find((one) => one.name === name);
  if (channel === undefined) return err({ kind: "failed", reason: `this build has no channel ${name}` });
  const tenant = await gate.tenants.get(id, now, background);
  return tenant.ok ? ok({ channel, tenant: tenant.value }) : err(later(`tenant unavailable: ${tenant.error.kind}`));
}

async function shown({ alert }: AlertNotice, env: Env, tenant: string): Promise<ShownAlert | null> {
  if (alert.kind === "audit-anchor") return { kind: alert.kind, checkpoints: await latestCheckpoints(env, tenant) };
  if (alert.kind !== "budget-change") return alert;
  const change = await ledgerOf(env.LEDGER, tenant).budgetChange(alert.id);
  return change === null ? null : { kind: alert.kind, event: alert.event, change };
}

async function latestCheckpoints(env: Env, tenant: string): Promise<readonly AnchoredCheckpoint[]> {
  const found = await Promise.all(
    AUDIT_LOGS.map(async (name) => ({ log: name, last: await auditTreeOf(env, tenant, name).latestCheckpoint() })),
  );
  return found.flatMap(({ log: name, last }) => (last === null ? [] : [{ log: name, ...last }]));
}

async function execute(
  gate: Gate,
  { tenant, approvalId }: Extract<Job, { kind: "execute" }>,
  background: Background,
): Promise<JobOutcome> {
  const executed = await executeStored(gate, tenant, approvalId, background);
  const { delivery, requestId, refused, frozenScope } = executed;
  if (refused === null) return { delivery, notice: null };
  // Should this fail, the job comes again, and is refused or run again.
  if (frozenScope !== null) await ledgerOf(gate.env.LEDGER, tenant).awaitLift(approvalId, frozenScope);
  const id = `${approvalId}/execution-refused/${requestId}`;
  return {
    delivery,
    notice: { id, kind: "execution-refused", approvalId, requestId, detail: refused, at: Date.now() },
  };
}

const OUTBOX: Actor = { subject: "outbox", class: "gate", credentialId: "outbox", demo: false, roles: [] };

/**
 * What nobody was told, or nobody ran, stands in the audit record. But for checkpoints: each such record would make the log
 * grow, and be signed, and not be told again.
 */
export async function giveUp(job: Job, env: Env, reason: string): Promise<void> {
  if (isAsking(job) || isAnchor(job)) return;
  const { code, detail } = abandoned(job, reason);
  try {
    await ledgerOf(env.LEDGER, job.tenant).recordAct(OUTBOX, newId("req"), code, detail);
  } catch (error) {
    log("error", "outbox-gave-up", { detail, cause: describeError(error) });
  }
}

const isAnchor = (job: Job): boolean =>
  job.kind === "alert" && (job.notice.alert.kind === "audit-checkpoint" || job.notice.alert.kind === "audit-anchor");

function abandoned(job: Exclude<Job, Asking>, reason: string): { readonly code: string; readonly detail: string } {
  switch (job.kind) {
    case "notice": {
      const { kind, approvalId } = job.notice;
      return { code: "notice-undelivered", detail: `${job.channel}: ${kind} of ${approvalId}: ${reason}` };
    }
    case "alert":
      return { code: "notice-undelivered", detail: `${job.channel}: ${job.notice.id}: ${reason}` };
    case "execute":
      return { code: "stored-execution-abandoned", detail: `${job.approvalId}: ${reason}` };
    default:
      return unreachable(job);
  }
}
