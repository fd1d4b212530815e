import type { EpochMs } from "../../vocabulary.ts";
import { ruleOf, type Counting, type Exceeded } from "./aggregates.ts";
import type { AdmissionRequest, Tally } from "../contract.ts";
import { findGrant } from "../approvals/grants.ts";

/** A request with what the aggregates made of it: the requirement that counts, and what records and people are told. */
export type Raised = { readonly request: AdmissionRequest; readonly tally: Tally };

/**
 * Puts a request that an aggregate lifts to tier 3 before people. One that people have approved already because of that runs on
 * their approval, also where there is room again meanwhile: nobody is asked for a dry run instead. Reads only.
 */
export function raised(sql: SqlStorage, request: AdmissionRequest, counting: Counting, now: EpochMs): Raised {
  const { lift, requirement, entry } = request;
  // What a change of something that runs costs is what it adds, as the records of its execution have it.
  const cost = request.cost.kind === "priced" ? { cost_micros: request.cost.ceilingMicros } : {};
  const noted = { ...request, entry: { ...entry, ...cost, shadow: [...entry.shadow, ...counting.shadow] } };
  const asIs: Raised = { request: noted, tally: { lifted: null, shadow: counting.shadow } };
  const beyond = counting.exceeded.map(exceededText);
  if (requirement.kind === "approval") {
    if (beyond.length === 0) return asIs;
    const rules = typeof request.shown["rule"] === "string" ? [request.shown["rule"]] : [];
    const shown = { ...request.shown, rule: [...rules, ...beyond].join("; ") };
    return { ...asIs, request: { ...noted, shown } };
  }
  if (lift === null) return asIs;
  const rule = counting.lifted?.rule ?? liftingRule(request);
  const asked: AdmissionRequest = {
    ...noted,
    tier: 3,
    requirement: lift.requirement,
    handles: { ...request.handles, byDigest: true },
    entry: { ...noted.entry, tier: 3, rule },
    shown: { ...request.shown, tier: 3, rule: beyond.length === 0 ? rule : beyond.join("; ") },
  };
  const isApproved = (): boolean =>
    request.handles.tokenFault === null && findGrant(sql, asked, lift.requirement, now).kind === "granted";
  if (counting.lifted === null && !isApproved()) return asIs;
  return { request: asked, tally: { lifted: { tier: 3, rule }, shadow: counting.shadow } };
}

/** The limit by which a request may be lifted, where none is exceeded at this moment. */
function liftingRule({ aggregates }: AdmissionRequest): string {
  const lifting = aggregates.find(({ over, isShadow }) => over === "approve" && !isShadow);
  return lifting === undefined ? "aggregate" : ruleOf(lifting);
}

/** For approvers: which limit, how much of it is used, and how much this would add. */
const exceededText = ({ aggregate, current, requested }: Exceeded): string =>
  `${ruleOf(aggregate)}: ${current} + ${requested} ${aggregate.measure.of} passes ${aggregate.max}`;
