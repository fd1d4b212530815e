import type { MoneyActor, ScopeCap } from "../../../src/ledger/money/finance-port.ts";

/** What random runs are about: who is there, what the agents want, and what the policy says of money. */

export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;
export const USD = 1_000_000;

/** Where every run begins, by the ledger's clock: noon, far from every edge. Ten days before the end of a month. */
export const START = Date.UTC(2031, 10, 20, 12);

/**
 * One thing that agents ask for. `needs`: a receipt, approvals of so many people, or one after a draft was completed. `resource`
 * is what it changes, `makes` what its answer names; `currentMicros` what a thing that runs costs as it is now.
 */
export type Wish = {
  readonly micros: number;
  readonly runsMs: number | null;
  readonly resource: string | null;
  readonly makes: string | null;
  readonly currentMicros: number | null;
  readonly action: string;
  readonly needs: "nothing" | "receipt" | "draft" | 1 | 2;
};

const wish = (micros: number, needs: Wish["needs"], over: Partial<Wish> = {}): Wish => ({
  micros,
  needs,
  runsMs: null,
  resource: null,
  makes: null,
  currentMicros: null,
  action: "workloads.submit",
  ...over,
});
const UPDATE = { action: "workloads.update", resource: "w" };

/** Each kind of requirement, with and without money, run time and resource; and something that runs, grows, shrinks and ends. */
export const WISHES: readonly Wish[] = [
  wish(30 * USD, "nothing"),
  wish(25 * USD, "nothing", { runsMs: 20 * MINUTE, resource: "c" }),
  wish(45 * USD, "receipt", { resource: "a" }),
  wish(0, "receipt", { resource: "a", action: "nodes.restart" }),
  wish(60 * USD, 2, { runsMs: 45 * MINUTE, resource: "b" }),
  wish(35 * USD, 1),
  wish(20 * USD, "draft"),
  wish(40 * USD, "nothing", { runsMs: 70 * MINUTE, makes: "w" }),
  wish(40 * USD + 7, "nothing", { runsMs: 3 * HOUR, makes: "w" }),
  wish(70 * USD, "nothing", { ...UPDATE, runsMs: 3 * HOUR, currentMicros: 40 * USD }),
  wish(15 * USD + 1, "nothing", { ...UPDATE, runsMs: 2 * HOUR, currentMicros: 35 * USD }),
  wish(55 * USD, 1, { ...UPDATE, runsMs: 2 * HOUR, currentMicros: 20 * USD }),
  wish(0, "nothing", { ...UPDATE, action: "workloads.cancel" }),
];

/** The policy's word on money, as a version has it. `gross` null: what the ledger makes of it. */
export type Policy = {
  readonly zone: string;
  readonly daily: number;
  readonly monthly: number;
  readonly gross: number | null;
  readonly teams: Readonly<Record<string, string | null>>;
  readonly inner: readonly ScopeCap[];
};

/** Room for a few wishes a day, and for less than three days of them a month. */
export const POLICY: Policy = {
  zone: "UTC",
  daily: 160 * USD,
  monthly: 450 * USD,
  gross: null,
  teams: { trainer: "research", tuner: "research" },
  inner: [],
};

/** The caps inside the tenant's that a request of this agent counts in. */
export const innerCaps = (policy: Policy, agent: string, action: string): readonly ScopeCap[] => {
  const own = [`principal:agent:${agent}`, `action:${action}`, `team:${policy.teams[agent] ?? ""}`];
  return policy.inner.filter(({ scope }) => own.includes(scope));
};

const person = (name: string, roles: readonly string[], fault: string | null = null): MoneyActor => ({
  subject: `person:${name}`,
  class: "person",
  owner: `person:${name}`,
  issuer: "person:ida",
  credentialId: `key_${name}`,
  demo: false,
  roles,
  fault,
});

const MINTED = "The credential was minted by somebody else.";

/** Who acts on the tenant's money. Agents' keys are dana's, issued by ida; the two keys were not made by whom they name. */
export const ACTORS: Readonly<Record<string, MoneyActor>> = {
  fay: person("fay", ["finance"]),
  finn: person("finn", ["finance"]),
  dana: person("dana", ["finance"]),
  ida: person("ida", ["finance"]),
  olga: person("olga", ["operator"]),
  max: person("max", ["operator", "finance"]),
  "key of finn": person("finn", ["finance"], MINTED),
  "key of max": person("max", ["operator", "finance"], MINTED),
  billing: { ...person("billing", ["billing"]), subject: "service:billing", class: "service", owner: "person:fay" },
  trainer: { ...person("trainer", []), subject: "agent:trainer", class: "agent", owner: "person:dana" },
};
