import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { CLAIMS_MAX } from "../../src/ledger/incidents/incident-bounds.ts";
import type { AdmissionRequest } from "../../src/ledger/contract.ts";
import type { Actor, LedgerPort } from "../../src/ledger/ledger-port.ts";
import { newId } from "../../src/platform/ids.ts";
import {
  again,
  agent,
  AUTHORITY,
  CONTEXT,
  digest,
  ended,
  MINUTE,
  needing,
  newTenant,
  OPERATOR,
  rowsOf,
  START,
  verdict,
  write,
} from "./fixture.ts";

const CLAIM_MS = 60 * MINUTE;

beforeEach(() => void vi.useFakeTimers({ toFake: ["Date"], now: START }));
afterEach(() => void vi.useRealTimers());

/** A write of an agent that costs nothing, on what it calls so. */
const on = (who: string, key: string | null, derived: string | null = null): AdmissionRequest =>
  write({
    requester: { ...agent(who), credentialId: `jwt:staff:${who}`, listed: false },
    requestDigest: digest(newId("req")),
    cost: { kind: "none" },
    context: { ...CONTEXT, incident: key },
    incident: { derived, claimMs: CLAIM_MS },
  });

const actor = (subject: string): Actor => ({ ...OPERATOR, subject, class: "agent", roles: [] });

const handOver = async (ledger: LedgerPort, by: Actor, key: string, to: string): Promise<string> => {
  const result = await ledger.handOverIncident(by, { requestId: newId("req"), key, to, isPerson: false, note: null });
  return result.kind === "done" ? "done" : result.refusal.kind;
};

/** Has an agent claim as many as it may. */
async function flood(ledger: LedgerPort, who: string, prefix: string): Promise<readonly AdmissionRequest[]> {
  const requests = Array.from({ length: CLAIMS_MAX }, (_unused, number) => on(who, `${prefix}-${number}`));
  for (const request of requests) {
    expect(verdict(await ledger.admit(request))).toBe("admitted");
    await ledger.conclude(ended(request.requestId, "succeeded"));
  }
  return requests;
}

describe("one principal's claims", () => {
  it("are bounded, so that nobody takes every name there is; what it has goes on, and others are not touched", async () => {
    const { tenant, ledger } = await newTenant();
    await flood(ledger, "trainer", "INC");
    const next = on("trainer", "INC-next");
    expect(await ledger.admit(next)).toMatchObject({ refusal: { kind: "rate-limited", retry_after_s: 3_600 } });
    expect(await ledger.plan(again(next), true)).toMatchObject({ refusal: { kind: "rate-limited" } });
    expect(await rowsOf(tenant, "SELECT count(*) AS n FROM operations")).toEqual([{ n: CLAIMS_MAX }]);
    expect(verdict(await ledger.admit(on("trainer", "INC-3")))).toBe("admitted");
    expect(verdict(await ledger.admit(on("trainer", null)))).toBe("admitted");
    expect(verdict(await ledger.admit(on("trainer", "INC-a", "catalogue:workload:wl-1")))).toBe("admitted");
    expect(verdict(await ledger.admit(on("tuner", "INC-next")))).toBe("admitted");
  });

  it("are free again when one is said to be over, and when their time is", async () => {
    const { ledger } = await newTenant();
    await flood(ledger, "trainer", "INC");
    await ledger.resolveIncident(OPERATOR, { requestId: newId("req"), key: "INC-7", outcome: "fixed", note: null });
    expect(verdict(await ledger.admit(on("trainer", "INC-next")))).toBe("admitted");
    expect(verdict(await ledger.admit(on("trainer", "INC-after")))).toBe("rate-limited");
    // Also where no job has come yet; what is in flight stays claimed.
    vi.setSystemTime(START + CLAIM_MS);
    expect(verdict(await ledger.admit(on("trainer", "INC-after")))).toBe("admitted");
  });

  it("that others gave to it keep it from nothing, and are bounded, too", async () => {
    const { ledger } = await newTenant();
    await flood(ledger, "trainer", "INC");
    const trainer = actor("agent:trainer");
    for (let number = 0; number < CLAIMS_MAX; number++)
      expect(await handOver(ledger, trainer, `INC-${number}`, "agent:tuner")).toBe("done");
    expect(verdict(await ledger.admit(on("tuner", "INC-own")))).toBe("admitted");
    expect(verdict(await ledger.admit(on("trainer", "INC-more")))).toBe("admitted");
    expect(await handOver(ledger, trainer, "INC-more", "agent:tuner")).toBe("rate-limited");
  });
});

it("an incident is not given to a principal whose keys are all revoked, whatever it once asked people for", async () => {
  const { ledger } = await newTenant();
  const record = JSON.stringify({ owner: "person:dana" });
  const key = { credentialId: "key_gone", subject: "agent:gone", record, expiresAt: START + 24 * CLAIM_MS };
  await ledger.addCredential(OPERATOR, newId("req"), key);
  const asked = on("gone", null);
  await ledger.admit(again(asked, { requirement: needing(1) }));
  await ledger.admit(on("trainer", "INC-7"));
  expect(await handOver(ledger, actor("agent:trainer"), "INC-7", "agent:gone")).toBe("done");
  expect(await handOver(ledger, actor("agent:gone"), "INC-7", "agent:gone")).toBe("done");
  await ledger.revokeCredential(OPERATOR, newId("req"), "key_gone");
  const mine = { ...on("trainer", "INC-8"), authority: { ...AUTHORITY, credentialEpoch: 2 } };
  expect(verdict(await ledger.admit(mine))).toBe("admitted");
  expect(await handOver(ledger, actor("agent:trainer"), "INC-8", "agent:gone")).toBe("not-eligible");
});

it("of one escalation no principal takes all the places, so that others can add to it", async () => {
  const { ledger } = await newTenant();
  const escalate = async (who: string): Promise<string> => {
    const ask = { requestId: newId("req"), incident: "INC-7", hypothesis: "h", evidence: "e", tried: "t" };
    const result = await ledger.escalate(actor(`agent:${who}`), ask);
    return result.kind === "done" ? "done" : result.refusal.kind;
  };
  for (let sent = 0; sent < 25; sent++) {
    vi.setSystemTime(START + sent * 4 * MINUTE);
    expect(await escalate("trainer")).toBe("done");
  }
  vi.setSystemTime(START + 5 * CLAIM_MS);
  expect(await escalate("trainer")).toBe("rate-limited");
  expect(await escalate("tuner")).toBe("done");
});

/** How many messages of each event there are. */
const told = async (tenant: string): Promise<readonly unknown[]> =>
  (
    await rowsOf(
      tenant,
      "SELECT alert ->> '$.event' AS event, count(*) AS n FROM notices WHERE alert ->> '$.kind' = 'incident' GROUP BY 1",
    )
  ).map(({ event, n }) => `${String(n)} ${String(event)}`);

describe("people are told of so much and no more", () => {
  it("where one claims and resolves in a circle, and in the next hour again", async () => {
    const { tenant, ledger } = await newTenant();
    const circle = async (): Promise<void> => {
      for (let turn = 0; turn < 40; turn++) {
        vi.setSystemTime(Date.now() + 1_000);
        await ledger.admit(on("trainer", "INC-7"));
        const resolved = { requestId: newId("req"), key: "INC-7", outcome: "fixed", note: null } as const;
        await ledger.resolveIncident(actor("agent:trainer"), resolved);
      }
    };
    await circle();
    expect(await told(tenant)).toEqual(["30 claimed", "30 resolved"]);
    await ledger.admit(on("tuner", "INC-8"));
    expect(await told(tenant)).toEqual(["31 claimed", "30 resolved"]);
    vi.setSystemTime(START + 2 * CLAIM_MS);
    await circle();
    expect(await told(tenant)).toEqual(["61 claimed", "60 resolved"]);
  });

  it("where two give it to and fro, and of its end all the same", async () => {
    const { tenant, ledger } = await newTenant();
    await ledger.admit(on("trainer", "INC-7"));
    for (let turn = 0; turn < 10; turn++) {
      vi.setSystemTime(START + 2 * turn + 1);
      expect(await handOver(ledger, actor("agent:trainer"), "INC-7", "agent:tuner")).toBe("done");
      vi.setSystemTime(START + 2 * turn + 2);
      expect(await handOver(ledger, actor("agent:tuner"), "INC-7", "agent:trainer")).toBe("done");
    }
    await ledger.resolveIncident(OPERATOR, { requestId: newId("req"), key: "INC-7", outcome: "fixed", note: null });
    expect(await told(tenant)).toEqual(["1 claimed", "10 handed-over", "1 resolved"]);
  });
});
