import type { MatchedOperation } from "../catalogue/types.ts";
import {
  LEDGER_RPC_VERSION,
  type AdmissionRequest,
  type Lift,
  type Requirement,
  type StandingRules,
} from "../ledger/contract.ts";
import { canonicalJson } from "../platform/canonical-json.ts";
import { digestOf } from "../platform/digest.ts";
import type { JsonObject } from "../platform/json.ts";
import type { Principal } from "../identity/principal.ts";
import { tellAfterMs } from "../policy/notify.ts";
import type { CompiledPolicy } from "../policy/types.ts";
import type { Refusal } from "../refusal.ts";
import type { Digest, Tier } from "../vocabulary.ts";
import { askedAggregates } from "./aggregated.ts";
import type { Gate } from "./gate.ts";
import { confirmable } from "./identify.ts";
import type { Judgement } from "./judge.ts";
import { shownReach, type Observation } from "./observe.ts";
import type { Tokens } from "./present-tokens.ts";
import type { TenantContext } from "./tenant-context.ts";
import { entryOf, type Trail } from "./trail.ts";

type Rules = Pick<TenantContext, "policy">;
type Asked = Pick<Judgement, "tier" | "missingContext" | "cost">;

/** What the decided tier still asks for before it may run. */
export function requirementOf(judgement: Asked, context: Rules, action: string): Requirement {
  const { policy } = context;
  if (judgement.tier < 2) return { kind: "none" };
  if (judgement.tier === 2) return policy.dryRun === "receipt" ? { kind: "receipt" } : { kind: "none" };
  return approvalOf(judgement, context, action);
}

function approvalOf(judgement: Asked, context: Rules, action: string): Lift["requirement"] {
  const { policy } = context;
  const approvers = policy.approvers(judgement.tier);
  return {
    kind: "approval",
    needed: approvers.needed,
    approvers: approvers.people,
    groups: approvers.groups,
    missingContext: judgement.missingContext,
    breakGlass: policy.breakGlass,
    timeoutMs: policy.approvalTimeoutMs,
    bounds: policy.proposalBounds,
    execute: policy.execute,
    ruleDigest: ruleDigestOf(
      context,
      action,
      judgement.tier,
      judgement.cost.kind === "priced" ? judgement.cost.priceVersion : null,
    ),
    standing: standingRules(policy, action),
  };
}

/** What people are asked for where an aggregate is exceeded. Context that only tier 2 asks for may stand in the approval. */
export function liftOf(judgement: Judgement, context: Rules, action: string): Lift | null {
  const { missingIfLifted: missingContext, missingContext: missing } = judgement;
  if (missingContext === null) return null;
  return {
    requirement: approvalOf({ tier: 3, missingContext, cost: judgement.cost }, context, action),
    otherwise: missing.length === 0 ? null : { kind: "reason-required", missing },
  };
}

/** The rules by which standing approvals of this action are given; null where the policy has nobody approve it. */
export function standingRules(policy: CompiledPolicy, action: string): StandingRules | null {
  const tier = policy.approvalTier(action);
  if (tier === null) return null;
  const { needed, people, groups } = policy.approvers(tier);
  return { tier, needed, approvers: people, groups, ruleDigest: policy.ruleDigest(action, tier) };
}

/** Digest of this action's rule, approvers, catalogue entry and price: only a change in these invalidates an approval. */
const ruleDigestOf = (context: Rules, action: string, tier: Tier, priceVersion: string | null): Digest =>
  digestOf(
    "portcullis/decision-rule/v1",
    canonicalJson({ rule: context.policy.ruleDigest(action, tier), price_version: priceVersion }),
  );

/**
 * The one call that a write makes to its ledger, from what the Worker has found out. `refusal`: what the Worker would
 * answer; the ledger says whether a replay or a freeze comes before it.
 */
export function admissionRequest(
  gate: Gate,
  trail: Trail,
  principal: Principal,
  operation: MatchedOperation,
  context: TenantContext,
  digest: Digest,
  decided: {
    readonly judgement: Judgement | null;
    readonly refusal: Refusal | null;
    readonly observation: Observation;
    readonly tokens: Tokens;
    readonly kept: Pick<AdmissionRequest, "sent" | "stored">;
  },
): AdmissionRequest {
  const { judgement, refusal } = decided;
  const requirement: Requirement =
    judgement === null ? { kind: "none" } : requirementOf(judgement, context, operation.action);
  const headers = trail.gate;
  const lift = judgement === null ? null : liftOf(judgement, context, operation.action);
  return {
    rpcVersion: LEDGER_RPC_VERSION,
    requestId: trail.requestId,
    authority: context.snapshot.authority,
    requester: {
      ...confirmable(principal),
      class: principal.class,
      owner: principal.owner,
      issuer: principal.issuer,
      delegation: [...principal.delegation],
    },
    action: operation.action,
    route: context.catalogue.status(operation.routeId) === null ? null : operation.routeId,
    tier: judgement?.tier ?? operation.minimumTier,
    facts: judgement?.facts.facts ?? {},
    requestDigest: digest,
    ...decided.kept,
    resource: judgement?.facts.resource ?? null,
    observed: decided.observation.observed,
    cost: judgement?.cost ?? { kind: "none" },
    budget: {
      timezone: context.policy.timezone,
      ...context.policy.budget,
      ...context.policy.spending(principal, operation.action),
    },
    context: {
      // Redacted before anything is bound or stored: equal text stays equal, a pasted secret goes no further.
      reason: gate.redactor.text(headers?.reason ?? null),
      evidence: gate.redactor.text(headers?.evidence ?? null),
      evidenceRef: headers?.evidenceRef ?? null,
      backOut: gate.redactor.text(headers?.backOut ?? null),
      incident: gate.redactor.text(headers?.incident ?? null),
    },
    handles: {
      idempotencyKey: keyDigest(headers?.idempotencyKey ?? null),
      byDigest:
        requirement.kind === "approval" || (requirement.kind === "none" && context.policy.idempotency === "derived"),
      receipt: headers?.plan ?? null,
      ...decided.tokens,
    },
    incident: { derived: judgement?.incident ?? null, claimMs: context.policy.incidents.claimMs },
    requirement,
    aggregates:
      judgement === null || judgement.tier < 2
        ? []
        : askedAggregates(
            context.policy,
            operation.action,
            principal.subject,
            gate.redactor.facts(judgement.facts.facts),
          ),
    lift,
    open: judgement?.open ?? null,
    refusal,
    tellAfterMs: judgement === null ? null : tellAfterMs(context.policy.notify, operation.action, judgement.tier),
    entry: entryOf(trail, gate.redactor, "intent", trail.receivedAt),
    // Only what is put before people needs rendering.
    shown:
      requirement.kind === "approval" || lift !== null
        ? {
            ...shownRequest(gate, trail, operation, judgement),
            ...shownReach(context, operation.action, decided.observation),
          }
        : {},
  };
}

/** What the ledger remembers a key by. Clients choose their keys, and some choose what is a secret elsewhere. */
const keyDigest = (key: string | null): Digest | null =>
  key === null ? null : digestOf("portcullis/idempotency-key/v1", key);

/** The maintenance window that lets it run, and until when: whoever decides later than that decides in vain. */
const shownWindow = (judgement: Judgement | null): JsonObject | null => {
  const open = judgement?.open ?? null;
  return open === null ? null : { name: open.name, closes_at: new Date(open.closesAt).toISOString() };
};

/** What approvers see: rendered by the gate from the rebuilt request, secrets redacted. Plain objects only: it crosses RPC. */
function shownRequest(gate: Gate, trail: Trail, operation: MatchedOperation, judgement: Judgement | null): JsonObject {
  const { call } = operation;
  const { redactor } = gate;
  const resource = judgement?.facts.resource ?? null;
  const { resource: named, ...facts } = trail.facts ?? {};
  return {
    action: operation.action,
    tier: judgement?.tier ?? null,
    rule: trail.rule,
    // People decide about this one resource, however long and random the control plane's name for it is.
    facts: { ...redactor.facts(facts), ...(named === undefined ? {} : { resource: named }) },
    resource,
    window: shownWindow(judgement),
    shadow: trail.shadow.map(({ rule, verdict }) => ({ rule, verdict })),
    request: {
      method: call.method,
      path: call.path
        .split("/")
        .map((segment) => (segment === resource ? segment : redactor.path(segment)))
        .join("/"),
      query: redactor.body(Object.fromEntries(call.query)),
      body: call.body === null ? null : redactor.body(JSON.parse(call.body)),
    },
  };
}
