import { readFileSync } from "node:fs";
import { join } from "node:path";
import { compileCatalogue } from "../../../src/catalogue/compile.ts";
import { floorOf } from "../../../src/catalogue/floors.ts";
import { compilePrices } from "../../../src/catalogue/prices.ts";
import type { AuditEntry, AuditRecord } from "../../../src/audit/record.ts";
import type { ReplayWorld } from "../../../src/audit/replay/rejudge.ts";
import { compilePolicy } from "../../../src/policy/compile-policy.ts";
import { compilePeople } from "../../../src/policy/people.ts";
import type { Facts } from "../../../src/vocabulary.ts";
import { auditRecord } from "../records.ts";

const ROOT = join(import.meta.dirname, "../../..");
const textOf = (file: string): string => readFileSync(join(ROOT, "policies", file), "utf8");

export const ACME_POLICY = textOf("tenants/acme.yaml");

/** acme's documents with this policy, compiled as the gate compiles them. */
export function acmeWorld(policyText: string = ACME_POLICY): ReplayWorld {
  const catalogue = valueOf(compileCatalogue(textOf("catalogues/example.yaml")));
  const people = valueOf(compilePeople(textOf("tenants/acme.people.yaml")));
  const prices = valueOf(compilePrices(textOf("prices/example.yaml")));
  const { policy } = valueOf(compilePolicy(policyText, people, catalogue));
  return { policy, people, catalogue, prices };
}

function valueOf<T>(
  result: { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: unknown },
): T {
  if (!result.ok) throw new Error(JSON.stringify(result.error));
  return result.value;
}

/** Numbers that are the same for the same seed (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** 2026-10-21T00:00:00Z: a month before the tests' usual time. */
export const MONTH_START = Date.UTC(2026, 9, 21);
const MONTH_MS = 30 * 86_400_000;
const AGENTS = ["agent:trainer", "agent:tuner", "agent:scheduler"] as const;
const READS = ["workloads.list", "workloads.get", "metrics.get", "gpus.status", "workloads.explain"] as const;

/** One of several, each as likely as the others. */
type Pick = <T>(first: T, ...others: readonly T[]) => T;
type Drawn = { readonly action: string; readonly facts: Facts };

/**
 * A tenant's month: every record that the gate would have written under acme's policy, in order of time within each log, chained. About
 * two of three are reads; writes are proposed, approved, dispatched and concluded as their tier asks; some dry runs and repeats.
 */
export function* generatedAudit(records: number, seed = 1): Generator<AuditRecord> {
  const world = acmeWorld();
  const random = randomFrom(seed);
  const pick: Pick = (first, ...others) => others[Math.floor(random() * (others.length + 1)) - 1] ?? first;
  const last = new Map<string, AuditRecord>();
  let requests = 0;
  const made = (): number => [...last.values()].reduce((sum, { sequence }) => sum + sequence, 0);
  const write = (log: string, over: Partial<AuditEntry>): AuditRecord => {
    const before = last.get(log);
    const record = auditRecord({ ...over, log, sequence: (before?.sequence ?? 0) + 1 }, before?.hash);
    last.set(log, record);
    return record;
  };
  for (let written = 0; written < records; written = made()) {
    const at = MONTH_START + Math.floor((written / records) * MONTH_MS);
    const { action, facts } = draw(random, pick);
    requests += 1;
    const request_id = `req_${String(requests).padStart(26, "0")}`;
    const log = `requests-${requests % 4}`;
    const floor = floorOf(world.catalogue.actions.get(action)?.floors ?? [], facts);
    const outcome = world.policy.evaluate({ action, facts, missing: [], floor, now: at });
    const shared = { request_id, time: new Date(at).toISOString(), action, facts, principal: pick(...AGENTS) };
    if (outcome.kind !== "matched") {
      const rule = "rule" in outcome ? outcome.rule : null;
      const refusal = { decision: "refuse", reason_code: outcome.kind, rule, tier: floor, cost_micros: null } as const;
      yield write(log, { ...shared, ...refusal, kind: "request", outcome: "refused" });
      continue;
    }
    const { tier, rule } = outcome;
    if (tier < 2) {
      yield write(log, { ...shared, kind: "request", tier, rule, cost_micros: 0, outcome: "succeeded" });
      continue;
    }
    const cost = world.prices === null ? null : world.catalogue.costOfFacts(action, facts, world.prices, at);
    const cost_micros = cost?.kind === "priced" ? cost.ceilingMicros : 0;
    const known = { ...shared, tier, rule, cost_micros };
    if (tier === 2) {
      if (random() < 0.3) yield write(log, { ...known, kind: "plan", decision: "plan", outcome: "planned" });
      yield write("ledger", { ...known, kind: "intent" });
      yield write("ledger", { ...known, kind: "outcome", decision: null, outcome: "succeeded" });
      continue;
    }
    const approval_id = `apr_${String(requests).padStart(26, "0")}`;
    yield write("ledger", {
      ...known,
      kind: "proposal",
      decision: null,
      reason_code: "opened",
      approval_id,
      outcome: null,
    });
    yield write(log, {
      ...known,
      kind: "request",
      decision: "refuse",
      reason_code: "approval-required",
      approval_id,
      outcome: "refused",
    });
    if (random() < 0.2) continue;
    yield write("ledger", {
      ...known,
      kind: "decision",
      decision: null,
      reason_code: "approve",
      approval_id,
      outcome: null,
    });
    yield write("ledger", { ...known, request_id: `${request_id}x`, kind: "intent", approval_id });
    yield write("ledger", {
      ...known,
      request_id: `${request_id}x`,
      kind: "outcome",
      decision: null,
      approval_id,
      outcome: "succeeded",
    });
  }
}

function draw(random: () => number, pick: Pick): Drawn {
  const chance = random();
  if (chance < 0.75) return { action: pick(...READS), facts: {} };
  if (chance < 0.94) {
    const gpus = pick(1, 2, 3, 4, 4, 4, 8, 16, 64, 128);
    const job_type = pick("elastic", "elastic", "reserved");
    return {
      action: "workloads.submit",
      facts: { gpus, gpu_type: pick("H100", "A100"), job_type, hours: pick(1, 4, 24) },
    };
  }
  if (chance < 0.97)
    return {
      action: "allocations.create",
      facts: { instances: pick(1, 4, 8, 12), instance_type: "8xA100", hours: 2 },
    };
  return pick(
    { action: "workloads.cancel", facts: {} },
    { action: "allocations.transfer", facts: {} },
    { action: "capacity.get", facts: {} },
  );
}
