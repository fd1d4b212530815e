import { canonicalJson } from "../../src/platform/canonical-json.ts";
import type { AdmissionRequest, AskedAggregate, Lift } from "../../src/ledger/contract.ts";
import type { LedgerPort } from "../../src/ledger/ledger-port.ts";
import type { Measure } from "../../src/policy/types.ts";
import type { Facts } from "../../src/vocabulary.ts";
import { agent, digest, ended, priced, rowsOf, USD, verdict, write } from "./fixture.ts";

export const HOUR = 3_600_000;

/** A limit as a request brings it; `scope` follows from `per` as the Worker makes it. */
export type Limit = Partial<Omit<Measure, "of">> & {
  readonly of?: string;
  readonly name?: string;
  readonly max: number;
  readonly over?: "refuse" | "approve";
  readonly isShadow?: boolean;
};

export const gpusPerHour = (max: number, over: Partial<Limit> = {}): Limit => ({ max, ...over });

function asked(limit: Limit, who: string, facts: Facts): AskedAggregate {
  const { of = "gpus", per = "tenant", within = "hour", actions = null } = limit;
  const measure: Measure = { of, per, within, actions };
  const label = typeof per === "string" ? undefined : facts[per.fact];
  const amount = of === "submissions" || of === "resources" ? 1 : facts[of];
  return {
    name: limit.name ?? `${of}-${within}`,
    key: canonicalJson(measure),
    measure,
    max: limit.max,
    over: limit.over ?? "refuse",
    isShadow: limit.isShadow ?? false,
    scope:
      per === "tenant"
        ? "tenant"
        : per === "principal"
          ? `principal:agent:${who}`
          : typeof label === "string"
            ? `${per.fact}:${label}`
            : null,
    amount: typeof amount === "number" ? amount : 0,
  };
}

export type Wish = {
  readonly who?: string;
  readonly facts?: Facts;
  readonly resource?: string;
  readonly lift?: Lift | null;
  readonly over?: Parameters<typeof write>[0];
};

let made = 0;

/** A request for so many GPUs under these limits: a submission, or a change of `resource` that results in so many. */
export function gpus(limits: readonly Limit[], amount: number, wish: Wish = {}): AdmissionRequest {
  const { who = "trainer", resource = null, facts: more = {}, lift = null } = wish;
  made += 1;
  const facts = { gpus: amount, ...more };
  const action = resource === null ? "workloads.submit" : "workloads.scale";
  const request = write({
    requester: agent(who),
    facts,
    resource,
    action,
    cost: priced(USD / 100, HOUR * 100),
    requestDigest: digest(`${who} wants ${amount} (${made})`),
    aggregates: limits
      .filter(({ actions = null }) => actions === null || actions.includes(action))
      .map((limit) => asked(limit, who, facts)),
    lift,
    ...wish.over,
  });
  return { ...request, entry: { ...request.entry, facts, tier: request.tier, principal: `agent:${who}` } };
}

/** Admits a request and, unless it is left in flight, tells how it ended. Returns the verdict and what was made or changed. */
export async function ask(
  ledger: LedgerPort,
  request: AdmissionRequest,
  outcome: "succeeded" | "failed" | "not-sent" | "unknown" | null = "succeeded",
): Promise<string> {
  const said = verdict(await ledger.admit(request));
  if (said === "admitted" && outcome !== null)
    await ledger.conclude(
      ended(request.requestId, outcome, { resource: outcome === "succeeded" ? madeBy(request) : null }),
    );
  return said;
}

/** The resource that a submission made. */
export const madeBy = (request: AdmissionRequest): string => request.resource ?? `job-of-${request.requestId}`;

/** What is counted in all: `{ "tenant": 12 }` per scope, over every bucket that is there. */
export async function counted(
  tenant: string,
  within: Measure["within"] = "hour",
): Promise<Readonly<Record<string, number>>> {
  const rows = await rowsOf(
    tenant,
    "SELECT scope, sum(amount) AS amount FROM aggregate_counts WHERE measure ->> '$.within' = ? GROUP BY scope HAVING sum(amount) > 0",
    within,
  );
  return Object.fromEntries(rows.map((row) => [String(row["scope"]), Number(row["amount"])]));
}
