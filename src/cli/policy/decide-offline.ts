import type { CompiledPrices } from "../../catalogue/prices.ts";
import type { CompiledCatalogue, LookedUp, MatchedOperation } from "../../catalogue/types.ts";
import { requirementOf } from "../../gateway/admission-request.ts";
import { askedAggregates } from "../../gateway/aggregated.ts";
import { decide, denyUnnamed, gateKeep, type Judgement } from "../../gateway/judge.ts";
import { readRequest } from "../../gateway/read-request.ts";
import { openTrail, type Trail } from "../../gateway/trail.ts";
import type { Principal } from "../../identity/principal.ts";
import { classOfSubject } from "../../identity/subject-class.ts";
import type { AskedAggregate, Requirement } from "../../ledger/contract.ts";
import { ruleOf } from "../../ledger/aggregates/aggregates.ts";
import type { PolicyExplanation } from "../../policy/explanation.ts";
import type { Asker } from "../../policy/policy-tests-schema.ts";
import { staticCaps, type StaticCap } from "../../policy/static-caps.ts";
import type { CompiledPolicy } from "../../policy/types.ts";
import type { Refusal } from "../../refusal.ts";
import type { GateHeaders } from "../../strict-request.ts";
import type { EpochMs, Micros, Tier } from "../../vocabulary.ts";

/** The documents that decide. */
export type Documents = {
  readonly catalogue: CompiledCatalogue;
  readonly policy: CompiledPolicy;
  readonly prices: CompiledPrices;
};

/** One request of one requester at one moment. `lookedUp`: what the control plane answers to the catalogue's look-ups. */
export type Asking = {
  readonly as: Asker;
  readonly at: EpochMs;
  readonly request: {
    readonly method: string;
    readonly path: string;
    readonly query?: Readonly<Record<string, string>> | undefined;
    readonly headers?: Readonly<Record<string, string>> | undefined;
    readonly contentType?: string | undefined;
    /** JSON text. */
    readonly body?: string | undefined;
  };
  readonly lookedUp: LookedUp;
};

/** What the documents alone make of a request: nothing was spent, counted or frozen before it, and its context is there. */
export type OfflineDecision = {
  readonly trail: Trail;
  readonly operation: MatchedOperation | null;
  /** Null where it is refused before the policy is asked. */
  readonly explained: PolicyExplanation | null;
  readonly judgement: Judgement | null;
  readonly refusal: Refusal | OverLimit | null;
  /** The tier that it runs at: the decided one, or that to which an aggregate lifts it. */
  readonly tier: Tier | null;
  readonly requirement: Requirement | null;
  readonly money: Money;
  readonly aggregates: readonly AskedAggregate[];
};

export type Money = {
  readonly askedMicros: Micros;
  readonly caps: readonly StaticCap[];
  readonly short: readonly StaticCap[];
};

/** Refusals of the ledger that come whatever it holds: more in one request than a limit has room for in all. */
export type OverLimit = { readonly kind: "budget-exceeded" | "aggregate-exceeded"; readonly rule: string };

/** No request of a table leaves this machine; the address is read like any other. */
const ORIGIN = "https://gate.invalid";
const NO_MONEY: Money = { askedMicros: 0, caps: [], short: [] };

/**
 * Decides a request by the functions that the gate decides with: strict reading, catalogue, scopes, facts, floor, policy, price,
 * and what the decided tier asks for. What a ledger knows (spent money, counts, freezes, incidents, earlier requests) has no part.
 */
export async function decideOffline(
  { catalogue, policy, prices }: Documents,
  asking: Asking,
): Promise<OfflineDecision> {
  const request = requestOf(asking.request);
  const trail = openTrail(request, asking.at);
  const refused = (refusal: Refusal, operation: MatchedOperation | null = null): OfflineDecision => ({
    trail,
    operation,
    refusal,
    explained: null,
    judgement: null,
    requirement: null,
    tier: trail.tier,
    money: NO_MONEY,
    aggregates: [],
  });
  const strict = await readRequest(request);
  if (!strict.ok) return refused(strict.error);
  trail.gate = withContext(strict.value.gate);
  const principal = principalOf(asking.as, asking.at);
  trail.principal = principal;
  const matched = catalogue.match(strict.value);
  if (!matched.ok) return refused(matched.error);
  const operation = matched.value;
  trail.operation = operation;
  trail.tier = operation.minimumTier;
  const kept = gateKeep(trail, operation, { catalogue, policy }) ?? denyUnnamed(trail, operation, policy);
  if (kept !== null) return refused(kept, operation);
  const looked = { found: asking.lookedUp, pricesAskedAt: null, explain: (missing: readonly string[]) => missing };
  const judged = decide(trail, operation, { policy, prices }, looked);
  const { facts, missing } = operation.facts(asking.lookedUp);
  const floor = operation.floor(facts);
  const explained = policy.explain({ action: operation.action, facts, missing, floor, now: asking.at });
  if (!judged.ok) return { ...refused(judged.error, operation), explained };
  const judgement = judged.value;
  const money = moneyOf(policy, principal, operation, judgement);
  const aggregates = judgement.tier < 2 ? [] : askedAggregates(policy, operation.action, principal.subject, facts);
  const over = aggregates.filter(({ amount, max, isShadow }) => amount > max && !isShadow);
  const lifts = judgement.tier === 2 && judgement.missingIfLifted !== null && over.some(byPeople);
  const tier = lifts ? 3 : judgement.tier;
  const barring = over.find((one) => !byPeople(one) || (tier === 2 && !lifts));
  return {
    trail,
    operation,
    explained,
    judgement,
    money,
    aggregates,
    tier,
    refusal: barring === undefined ? tooDear(money) : { kind: "aggregate-exceeded", rule: ruleOf(barring) },
    requirement: requirementOf({ ...judgement, tier }, { policy }, operation.action),
  };
}

const byPeople = ({ over }: AskedAggregate): boolean => over === "approve";

const tooDear = ({ short }: Money): OverLimit | null =>
  short.length === 0 ? null : { kind: "budget-exceeded", rule: short.map(({ name }) => name).join(", ") };

/** A change of something that runs asks for its growth alone. */
function moneyOf(
  policy: CompiledPolicy,
  requester: Principal,
  { action }: MatchedOperation,
  { cost }: Judgement,
): Money {
  if (cost.kind !== "priced") return NO_MONEY;
  const askedMicros = Math.max(0, cost.ceilingMicros - (cost.currentMicros ?? 0));
  const caps = staticCaps(policy, requester, action);
  return { askedMicros, caps, short: caps.filter(({ capMicros }) => askedMicros > capMicros) };
}

function requestOf({ method, path, query, headers, contentType, body }: Asking["request"]): Request {
  const search = query === undefined ? "" : `?${new URLSearchParams({ ...query }).toString()}`;
  return new Request(`${ORIGIN}${path}${search}`, {
    method,
    headers: {
      ...(body === undefined ? {} : { "content-type": contentType ?? "application/json" }),
      ...headers,
    },
    ...(body === undefined ? {} : { body }),
  });
}

/** Whether people wrote a reason is no question to documents: what is not stated counts as given. */
const GIVEN = "given";
const withContext = (gate: GateHeaders): GateHeaders => ({
  ...gate,
  reason: gate.reason ?? GIVEN,
  evidence: gate.evidence ?? GIVEN,
  backOut: gate.backOut ?? GIVEN,
  incident: gate.incident ?? GIVEN,
});

function principalOf({ subject, owner, scopes }: Asker, now: EpochMs): Principal {
  return {
    tenant: "offline",
    subject,
    class: classOfSubject(subject),
    owner: owner ?? subject,
    issuer: owner ?? subject,
    delegation: [],
    credentialId: "offline",
    scopes: { actions: scopes?.actions ?? ["*"], maxTier: scopes?.max_tier ?? 4 },
    roles: [],
    expiresAt: now,
    authenticatedAt: null,
    demo: false,
  };
}
