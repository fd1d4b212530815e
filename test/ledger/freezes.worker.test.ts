import { runInDurableObject } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { DeploymentFreeze } from "../../src/ledger/contract.ts";
import type { Followed } from "../../src/ledger/freezes.ts";
import { ledgerOf, type Actor, type LedgerPort } from "../../src/ledger/ledger-port.ts";
import { newId } from "../../src/platform/ids.ts";
import { testEnv } from "../support/test-env.ts";
import {
  again,
  agent,
  decideAs,
  digest,
  hold,
  MINUTE,
  needing,
  newTenant,
  OPERATOR,
  person,
  priced,
  propose,
  rowsOf,
  runAlarm,
  SEALED,
  START,
  USD,
  verdict,
  versionTerms,
  write,
} from "./fixture.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["Date"], now: START }));
afterEach(() => void vi.useRealTimers());

const SECURITY: Actor = { ...OPERATOR, subject: "person:sam", roles: ["security"] };
const DEPLOYMENT: Actor = { ...OPERATOR, subject: "deployment", class: "deployment", roles: [] };

const order = (generation: number, frozen: boolean, reason = "breach"): DeploymentFreeze => ({
  generation,
  frozen,
  reason,
  since: START,
});
const follow = (ledger: LedgerPort, ...said: Parameters<typeof order>) =>
  ledger.followDeployment(DEPLOYMENT, newId("req"), order(...said));

const freeze = (ledger: LedgerPort, scope: string) => ledger.freeze(OPERATOR, newId("req"), { scope, reason: "drill" });
const lift = (ledger: LedgerPort, scope: string, actor = OPERATOR) => ledger.unfreeze(actor, newId("req"), scope);

const scopeOf = async (ledger: LedgerPort): Promise<string> => {
  const outcome = await ledger.admit(write({ requestDigest: digest(newId("d")) }));
  return outcome.kind === "refused" && outcome.refusal.kind === "frozen" ? outcome.refusal.scope : outcome.kind;
};

describe("a freeze of everything", () => {
  it("is the deployment's: nobody of the tenant takes it over or lifts it, and the tenant's own stay", async () => {
    const { ledger } = await newTenant();
    await freeze(ledger, "tenant");
    expect(await follow(ledger, 1, true)).toBe("changed");
    for (const actor of [OPERATOR, SECURITY])
      expect(await lift(ledger, "everything", actor)).toMatchObject({ refusal: { kind: "not-eligible" } });
    expect(await scopeOf(ledger)).toBe("everything");
    expect(await follow(ledger, 2, false)).toBe("changed");
    expect(await scopeOf(ledger)).toBe("tenant");
    await lift(ledger, "tenant");
    expect(await scopeOf(ledger)).toBe("admitted");
  });

  it("is as the newest order says, in whichever order and however often they arrive", async () => {
    const { tenant, ledger } = await newTenant();
    const said: [Parameters<typeof order>, Followed, string][] = [
      [[3, true], "changed", "everything"],
      [[3, true], "unchanged", "everything"],
      [[2, false], "overtaken", "everything"],
      [[4, false], "changed", "admitted"],
      // Overtaken on its way by the order to lift.
      [[3, true], "overtaken", "admitted"],
      [[6, false], "unchanged", "admitted"],
      [[5, true], "overtaken", "admitted"],
      [[7, true, "again"], "changed", "everything"],
      [[8, true, "for another reason"], "changed", "everything"],
    ];
    for (const [one, answer, scope] of said) {
      expect(await follow(ledger, ...one)).toBe(answer);
      expect(await scopeOf(ledger)).toBe(scope);
    }
    const records = await rowsOf(
      tenant,
      "SELECT record ->> 'reason_code' AS code, record ->> 'detail' AS detail FROM journal WHERE record ->> 'principal' = 'deployment' ORDER BY sequence",
    );
    expect(records.map((row) => `${row["code"]} ${row["detail"]}`)).toEqual([
      "frozen everything: breach",
      "unfrozen everything",
      "frozen everything: again",
      "frozen everything: for another reason",
    ]);
  });

  it("holds from a tenant's first moment on, whether its ledger or its bootstrap heard of it first", async () => {
    for (const heardBefore of [true, false]) {
      const tenant = newId("t").replace("_", "-");
      const ledger = ledgerOf(testEnv.LEDGER, tenant);
      if (heardBefore) expect(await follow(ledger, 1, true)).toBe("changed");
      await ledger.bootstrap({
        tenant,
        requestId: newId("req"),
        terms: versionTerms,
        founders: [
          { credentialId: "key_trainer", subject: "agent:trainer", record: "{}", expiresAt: START + 86_400_000 },
        ],
        deployment: { actor: DEPLOYMENT, order: order(1, true) },
      });
      expect(await scopeOf(ledger)).toBe("everything");
      expect(await follow(ledger, 2, false)).toBe("changed");
      expect(await scopeOf(ledger)).toBe("admitted");
    }
  });

  it("that was lifted before a tenant's bootstrap read it is not set by that bootstrap", async () => {
    const tenant = newId("t").replace("_", "-");
    const ledger = ledgerOf(testEnv.LEDGER, tenant);
    await follow(ledger, 2, false);
    await ledger.bootstrap({
      tenant,
      requestId: newId("req"),
      terms: versionTerms,
      founders: [
        { credentialId: "key_trainer", subject: "agent:trainer", record: "{}", expiresAt: START + 86_400_000 },
      ],
      deployment: { actor: DEPLOYMENT, order: order(1, true) },
    });
    expect(await scopeOf(ledger)).toBe("admitted");
  });
});

describe("of several freezes", () => {
  it("the widest is the one that is told", async () => {
    const { ledger } = await newTenant();
    for (const scope of ["principal:agent:trainer", "action:workloads.submit", "spending", "tenant"]) {
      await freeze(ledger, scope);
      expect(await scopeOf(ledger)).toBe(scope);
    }
  });

  it("one of spending covers what costs, and nothing that does not", async () => {
    const { ledger } = await newTenant();
    await freeze(ledger, "spending");
    expect(await scopeOf(ledger)).toBe("spending");
    expect(verdict(await ledger.admit(write({ cost: { kind: "none" } })))).toBe("admitted");
  });
});

const kim = (...roles: Actor["roles"]): Actor => ({ ...OPERATOR, subject: "person:kim", roles });

describe("a freeze that somebody of several roles has set", () => {
  const FINANCE = kim("finance");

  it.each<[Actor["roles"], string, Actor, string]>([
    [["operator", "security"], "tenant", OPERATOR, "not-eligible"],
    [["operator", "security"], "tenant", SECURITY, "done"],
    [["operator", "finance"], "spending", OPERATOR, "not-eligible"],
    [["operator", "finance"], "spending", FINANCE, "done"],
    [["finance", "operator"], "tenant", OPERATOR, "done"],
    [["operator"], "spending", OPERATOR, "done"],
  ])("%o of %s is the strictest role's to lift", async (held, scope, lifting, expected) => {
    const { ledger } = await newTenant();
    await ledger.freeze(kim(...held), newId("req"), { scope, reason: "drill" });
    const outcome = await lift(ledger, scope, lifting);
    expect(outcome.kind === "refused" ? outcome.refusal.kind : outcome.kind).toBe(expected);
  });
});

describe("a freeze between approval and execution", () => {
  it("refuses and consumes nothing; decisions still count; the grant is used after it is lifted", async () => {
    const { tenant, ledger } = await newTenant();
    const request = write({ requirement: needing(1), cost: priced(5 * USD), resource: "wl_1" });
    const approvalId = await propose(ledger, request);
    await freeze(ledger, "tenant");
    expect(await decideAs(ledger, approvalId, person("alice"), "approve")).toBe("recorded");
    const before = await rowsOf(tenant, 'SELECT window, held_micros, settled_micros FROM "windows" ORDER BY window');
    for (let times = 0; times < 3; times++) expect(verdict(await ledger.admit(again(request)))).toBe("frozen");
    expect(await rowsOf(tenant, 'SELECT window, held_micros, settled_micros FROM "windows" ORDER BY window')).toEqual(
      before,
    );
    expect((await ledger.approval(approvalId))?.approval).toMatchObject({ state: "approved", consumedBy: null });
    expect(await hold(tenant, approvalId)).toBe(`held ${5 * USD}`);
    expect(await rowsOf(tenant, "SELECT * FROM operations UNION ALL SELECT * FROM operations")).toEqual([]);
    expect(await rowsOf(tenant, "SELECT * FROM busy_resources")).toEqual([]);
    await lift(ledger, "tenant");
    expect(verdict(await ledger.admit(again(request)))).toBe("admitted");
    expect((await ledger.approval(approvalId))?.approval.state).toBe("consumed");
  });

  it("that stands longer than the grant lives leaves neither the grant nor its hold", async () => {
    const { tenant, ledger } = await newTenant();
    const request = write({ requirement: needing(1) });
    const approvalId = await propose(ledger, request);
    await decideAs(ledger, approvalId, person("alice"), "approve");
    await freeze(ledger, "principal:agent:trainer");
    vi.setSystemTime(START + 31 * MINUTE);
    await runAlarm(tenant);
    await lift(ledger, "principal:agent:trainer");
    expect(await hold(tenant, approvalId)).toBe(`released ${USD}/0`);
    expect(verdict(await ledger.admit(again(request)))).toBe("approval-required");
  });
});

/** How many orders to run an approved request wait to be handed over; they are taken. */
const executions = async (tenant: string): Promise<number> =>
  runInDurableObject(testEnv.LEDGER.getByName(tenant), (_, { storage }) => {
    const waiting = storage.sql.exec("SELECT id FROM notices WHERE kind = 'execute'").toArray().length;
    storage.sql.exec("DELETE FROM notices");
    return waiting;
  });

/** A tenant with an approved request that the gate keeps. */
async function approved(name = "request") {
  const { tenant, ledger } = await newTenant();
  const requirement = needing(1, { execute: "stored" });
  const request = write({ requirement, stored: SEALED, requestDigest: digest(name) });
  const approvalId = await propose(ledger, request);
  await decideAs(ledger, approvalId, person("alice"), "approve");
  expect(await executions(tenant)).toBe(1);
  return { tenant, ledger, request, approvalId };
}

describe("a request that the gate was about to run when a freeze said no", () => {
  it("is handed over once more when that freeze is lifted, and not when another is", async () => {
    const { tenant, ledger, approvalId } = await approved();
    for (const scope of ["tenant", "spending"]) await freeze(ledger, scope);
    await ledger.awaitLift(approvalId, "tenant");
    await lift(ledger, "spending");
    expect(await executions(tenant)).toBe(0);
    await lift(ledger, "tenant");
    expect(await executions(tenant)).toBe(1);
    for (let times = 0; times < 2; times++) {
      await freeze(ledger, "tenant");
      await lift(ledger, "tenant");
      expect(await executions(tenant)).toBe(0);
    }
  });

  it("is handed over at once where the freeze was lifted before the ledger heard of it", async () => {
    const { tenant, ledger, approvalId } = await approved();
    await freeze(ledger, "tenant");
    await lift(ledger, "tenant");
    await ledger.awaitLift(approvalId, "tenant");
    expect(await executions(tenant)).toBe(1);
  });

  it("is handed over under another id each time, however often it is frozen and lifted in one moment", async () => {
    const { tenant, ledger, approvalId } = await approved();
    const ids = new Set<unknown>();
    for (let times = 0; times < 3; times++) {
      await freeze(ledger, "tenant");
      await ledger.awaitLift(approvalId, "tenant");
      await lift(ledger, "tenant");
      for (const row of await rowsOf(tenant, "SELECT id FROM notices WHERE kind = 'execute'")) ids.add(row["id"]);
      await executions(tenant);
    }
    expect(ids.size).toBe(3);
  });

  it("is not run again where its requester took it back, sent it, or its time is over", async () => {
    const ended = await approved("withdrawn");
    await freeze(ended.ledger, "tenant");
    await ended.ledger.awaitLift(ended.approvalId, "tenant");
    await ended.ledger.withdraw({
      requestId: newId("req"),
      approvalId: ended.approvalId,
      by: person("dana"),
    });
    await executions(ended.tenant);
    await lift(ended.ledger, "tenant");
    await ended.ledger.awaitLift(ended.approvalId, "tenant");
    expect(await executions(ended.tenant)).toBe(0);

    const sent = await approved("sent");
    await freeze(sent.ledger, "principal:agent:tuner");
    await sent.ledger.awaitLift(sent.approvalId, "principal:agent:tuner");
    expect(verdict(await sent.ledger.admit(again(sent.request)))).toBe("admitted");
    await executions(sent.tenant);
    await lift(sent.ledger, "principal:agent:tuner");
    expect(await executions(sent.tenant)).toBe(0);
  });

  it("is found by its state, not by reading every approval", async () => {
    const { tenant } = await newTenant();
    const plan = await rowsOf(
      tenant,
      "EXPLAIN QUERY PLAN SELECT id FROM approvals INDEXED BY approvals_by_state WHERE state = 'approved' AND waits_for = 'tenant'",
    );
    expect(String(plan[0]?.["detail"])).toContain("approvals_by_state");
  });
});

describe("200 admissions at once with a freeze among them", () => {
  it("none is admitted behind the freeze in the journal's order, and every one before it was", async () => {
    const { tenant, ledger } = await newTenant();
    const asked = Array.from({ length: 200 }, (_, index) =>
      write({
        requestDigest: digest(`n${index}`),
        cost: { kind: "none" },
        requester: agent(index % 2 === 0 ? "trainer" : "tuner"),
      }),
    );
    const outcomes = await Promise.all([
      ...asked.slice(0, 100).map((one) => ledger.admit(one)),
      freeze(ledger, "tenant"),
      ...asked.slice(100).map((one) => ledger.admit(one)),
    ]);
    const verdicts = outcomes.flatMap((one) => (one === undefined ? [] : [verdict(one)]));
    expect(new Set(verdicts)).toEqual(new Set(["admitted", "frozen"]));
    const records = await rowsOf(
      tenant,
      "SELECT sequence, record ->> 'kind' AS kind, record ->> 'reason_code' AS code FROM journal ORDER BY sequence",
    );
    const frozenAt = Number(records.find((row) => row["code"] === "frozen")?.["sequence"]);
    const intents = records.filter((row) => row["kind"] === "intent");
    expect(intents.length).toBe(verdicts.filter((one) => one === "admitted").length);
    expect(Math.max(...intents.map((row) => Number(row["sequence"])))).toBeLessThan(frozenAt);
  });
});
