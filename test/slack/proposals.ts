import type { ProposalView } from "../../src/approval/proposal-view.ts";
import type { Occasion } from "../../src/slack/wording.ts";

/** 2026-11-20 14:02 UTC: half an hour before the example expires. */
export const NOW = Date.UTC(2026, 10, 20, 14, 2);
export const OCCASION: Occasion = { now: NOW, escalationChannel: "#ml-ops-escalation" };

/** The mission's example: cancelling a job needs two people. */
export const CANCEL: ProposalView = {
  id: "apr_0123456789abcdefghjkmnpqrs",
  tenant: "acme",
  state: "pending",
  action: "workloads.cancel",
  tier: 4,
  rule: "tier_4/workloads.cancel",
  resource: "llama-finetune-v3",
  facts: { resource: "llama-finetune-v3" },
  request: { method: "POST", path: "/v1/workloads/llama-finetune-v3/cancel", query: {}, body: null },
  ceilingMicros: 0,
  blastRadius: "one job, 32 GPUs",
  elevated: false,
  window: null,
  shadow: [],
  reversible: false,
  affected: { count: 1, items: ["llama-finetune-v3 (running 6 h, 32 × H100)"] },
  reason: "Loss is NaN since step 4,100; every further hour is wasted.",
  evidence: "step 4098 loss 1.71\nstep 4099 loss 1.70\nstep 4100 loss nan\nstep 4101 loss nan",
  backOut: "Submit again from checkpoint 4000 with the learning rate halved.",
  incident: "INC-2041",
  requester: "agent:trainer",
  owner: "person:dana",
  needed: 2,
  given: 0,
  approvers: ["@alice", "@bob"],
  decisions: [],
  attempts: [],
  review: null,
  openedAt: "2026-11-20T14:02:00Z",
  expiresAt: "2026-11-20T14:32:00Z",
  requestDigest: `sha256:${"1".repeat(64)}`,
  approvalDigest: `sha256:${"0123456789abcdef".repeat(4)}`,
  confirm: "llama-finetune-v3",
  url: "https://gate.example/_gate/approvals/apr_0123456789abcdefghjkmnpqrs",
};

/** A tier-3 proposal: one click decides. */
export const SUBMIT: ProposalView = {
  ...CANCEL,
  action: "workloads.submit",
  tier: 3,
  rule: "tier_3/workloads.submit",
  resource: null,
  facts: { gpus: 64, gpu_type: "H100", max_hours: 8 },
  request: { method: "POST", path: "/v1/workloads", query: {}, body: { name: "eval", gpus: 64, max_hours: 8 } },
  ceilingMicros: 1_536_000_000,
  affected: null,
  needed: 1,
  confirm: null,
};

export const decided = (
  handle: string,
  decision: "approve" | "deny" = "approve",
): ProposalView["decisions"][number] => ({
  handle,
  subject: `person:${handle.slice(1)}`,
  decision,
  comment: null,
  demo: false,
  decidedAt: "2026-11-20T14:05:00Z",
});
