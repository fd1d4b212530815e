import type { StandingAsk } from "../../src/ledger/approvals/ask-standing-approval.ts";
import type { AdmissionRequest, Requester, StandingRules } from "../../src/ledger/contract.ts";
import type { LedgerPort } from "../../src/ledger/ledger-port.ts";
import { blankEntry } from "../../src/audit/record.ts";
import { newId } from "../../src/platform/ids.ts";
import {
  anyOf,
  APPROVERS,
  AUTHORITY,
  decideAs,
  digest,
  MINUTE,
  needing,
  person,
  START,
  UNBOUNDED,
  USD,
  write,
} from "./fixture.ts";

/** Who asks for standing approvals here: the owner of the agents' credentials. */
export const DANA: Requester = {
  subject: "person:dana",
  class: "person",
  owner: "person:dana",
  issuer: "issuer:staff",
  delegation: [],
  credentialId: "jwt:staff:1",
  listed: false,
};

/** Rules of tier 3, one of three people; whatever else is at stake goes into `over`. */
export const rules = (over: Partial<StandingRules> = {}): StandingRules => ({
  tier: 3,
  needed: 1,
  approvers: APPROVERS,
  groups: anyOf(over.needed ?? 1, over.approvers ?? APPROVERS),
  ruleDigest: digest("standing rule"),
  ...over,
});

/** An ask of dana's for three uses and ten USD within a day, for up to 8 GPUs. */
export const standingAsk = (over: Partial<StandingAsk> = {}): StandingAsk => ({
  asker: DANA,
  action: "workloads.submit",
  pins: { max_gpus: 8 },
  uses: 3,
  capMicros: 10 * USD,
  endsAt: START + 24 * 60 * MINUTE,
  reason: "nightly evaluation",
  requestDigest: digest(newId("ask")),
  rules: rules(),
  timeoutMs: 30 * MINUTE,
  bounds: UNBOUNDED,
  entry: { ...blankEntry("proposal", newId("req"), START), principal: "person:dana" },
  shown: {},
  ...over,
});

/** Asks; returns the id of what waits then. */
export async function ask(ledger: LedgerPort, asked: StandingAsk): Promise<string> {
  const outcome = await ledger.askStandingApproval(AUTHORITY, asked);
  if (outcome.kind !== "recorded") throw new Error(JSON.stringify(outcome));
  return outcome.approval.id;
}

/** A standing approval that as many people as it needs have approved. */
export async function given(ledger: LedgerPort, over: Partial<StandingAsk> = {}): Promise<string> {
  const asked = standingAsk(over);
  const id = await ask(ledger, asked);
  for (const { subject } of asked.rules.approvers.slice(0, asked.rules.needed))
    await decideAs(ledger, id, person(subject.slice("person:".length)), "approve", asked.rules.approvers);
  return id;
}

/** A tier-3 submit of the trainer's for 4 GPUs, one USD, each under a digest of its own. */
export const submit = (over: Parameters<typeof write>[0] = {}): AdmissionRequest =>
  write({
    tier: 3,
    facts: { gpus: 4 },
    requirement: needing(1, { standing: rules() }),
    requestDigest: digest(newId("submit")),
    ...over,
  });
