import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { KEY_RETENTION_MS, KEYLESS_REPLAY_MS } from "../../src/ledger/replay.ts";
import { checkInvariants } from "./check-invariants.ts";
import {
  again,
  agent,
  BUDGET,
  decideAs,
  digest,
  ended,
  MINUTE,
  needing,
  newTenant,
  person,
  propose,
  receiptFor,
  rowsOf,
  runAlarm,
  START,
  verdict,
  write,
} from "./fixture.ts";

const CAPS = { daily: BUDGET.dailyCapMicros, monthly: BUDGET.monthlyCapMicros };

beforeEach(() => void vi.useFakeTimers({ toFake: ["Date"], now: START }));
afterEach(() => void vi.useRealTimers());

const operations = async (tenant: string): Promise<unknown> =>
  (await rowsOf(tenant, "SELECT count(*) AS n FROM operations"))[0]?.["n"];

describe("an idempotency key", () => {
  it.each(["succeeded", "failed"] as const)("answers the stored outcome again when the first one %s", async (state) => {
    const { tenant, ledger } = await newTenant();
    const request = write({ handles: { idempotencyKey: "k" } });
    await ledger.admit(request);
    expect(verdict(await ledger.admit(again(request)))).toBe("idempotency-in-progress");
    const conclusion = ended(request.requestId, state);
    await ledger.conclude(conclusion);
    expect(await ledger.admit(again(request))).toMatchObject({
      kind: "replay",
      outcome: { requestId: request.requestId, state, response: conclusion.response },
    });
    expect(await operations(tenant)).toBe(1);
    await checkInvariants(tenant, CAPS);
  });

  it("says unknown for as long as the outcome is, and the outcome once it is found", async () => {
    const { ledger } = await newTenant();
    const request = write({ handles: { idempotencyKey: "k" } });
    await ledger.admit(request);
    await ledger.conclude(ended(request.requestId, "unknown"));
    vi.setSystemTime(START + 60 * MINUTE);
    expect(await ledger.admit(again(request))).toMatchObject({ kind: "replay", outcome: { state: "unknown" } });
    await ledger.reconcile({ requestId: request.requestId, verdict: "happened", resource: null });
    expect(await ledger.admit(again(request))).toMatchObject({
      kind: "replay",
      outcome: { state: "succeeded", response: null },
    });
  });

  it("never dispatches again what was never sent", async () => {
    const { tenant, ledger } = await newTenant();
    const request = write({ handles: { idempotencyKey: "k" } });
    await ledger.admit(request);
    await ledger.conclude(ended(request.requestId, "not-sent"));
    expect(verdict(await ledger.admit(again(request)))).toBe("unavailable");
    expect(await operations(tenant)).toBe(1);
  });

  it("refuses another request under the same key, and belongs to one principal", async () => {
    const { tenant, ledger } = await newTenant();
    const request = write({ handles: { idempotencyKey: "k" } });
    await ledger.admit(request);
    expect(verdict(await ledger.admit(again(request, { requestDigest: digest("other") })))).toBe(
      "idempotency-key-reused",
    );
    expect(verdict(await ledger.admit(again(request, { requester: agent("tuner") })))).toBe("admitted");
    expect(verdict(await ledger.admit(again(request, { handles: { idempotencyKey: "k2" } })))).toBe("admitted");
    expect(await operations(tenant)).toBe(3);
  });

  it("is told apart from every other pair of subject and key", async () => {
    const { ledger } = await newTenant();
    const keys = ["a", "a\nb", "", "digest", "agent:trainer", "key\nagent:trainer\na"];
    for (const idempotencyKey of keys) {
      expect(verdict(await ledger.admit(write({ handles: { idempotencyKey } }))), JSON.stringify(idempotencyKey)).toBe(
        "admitted",
      );
    }
    for (const idempotencyKey of keys) {
      expect(verdict(await ledger.admit(write({ handles: { idempotencyKey } })))).toBe("idempotency-in-progress");
    }
  });

  it("is remembered for two days from admission, its stored answer included, and forgotten by pruning", async () => {
    const { tenant, ledger } = await newTenant();
    const request = write({ handles: { idempotencyKey: "k" } });
    await ledger.admit(request);
    await ledger.conclude(ended(request.requestId, "succeeded"));
    vi.setSystemTime(START + KEY_RETENTION_MS);
    await runAlarm(tenant);
    expect(await ledger.admit(again(request))).toMatchObject({
      kind: "replay",
      outcome: { response: { status: 201 } },
    });
    vi.setSystemTime(START + KEY_RETENTION_MS + 3_600_001);
    await runAlarm(tenant);
    expect(verdict(await ledger.admit(again(request)))).toBe("admitted");
    expect(await rowsOf(tenant, "SELECT response FROM operations WHERE response IS NOT NULL")).toEqual([]);
    await checkInvariants(tenant, CAPS);
  });
});

describe("an idempotency key whose outcome is unknown", () => {
  it("is never forgotten: the same request is not dispatched a second time", async () => {
    const { tenant, ledger } = await newTenant();
    const request = write({ handles: { idempotencyKey: "k" } });
    await ledger.admit(request);
    await ledger.conclude(ended(request.requestId, "unknown"));
    for (let day = 1; day <= 4; day++) {
      vi.setSystemTime(START + day * 24 * 60 * MINUTE);
      await runAlarm(tenant);
    }
    expect(await ledger.admit(again(request))).toMatchObject({ kind: "replay", outcome: { state: "unknown" } });
    await ledger.reconcile({ requestId: request.requestId, verdict: "happened", resource: null });
    vi.setSystemTime(START + 5 * 24 * 60 * MINUTE);
    await runAlarm(tenant);
    expect(verdict(await ledger.admit(again(request)))).toBe("admitted");
  });
});

describe("without a key", () => {
  it("a spent receipt replays to its principal for ten minutes from completion, then says that it is spent", async () => {
    const { tenant, ledger } = await newTenant();
    const request = write({ requirement: { kind: "receipt" } });
    const receipt = await receiptFor(ledger, request);
    const admitted = again(request, { handles: { receipt } });
    await ledger.admit(admitted);
    const repeated = () => ledger.admit(again(request, { handles: { receipt } }));
    vi.setSystemTime(START + 3 * MINUTE);
    expect(verdict(await repeated())).toBe("idempotency-in-progress");
    await ledger.conclude(ended(admitted.requestId, "succeeded"));
    vi.setSystemTime(START + 3 * MINUTE + KEYLESS_REPLAY_MS);
    expect(verdict(await repeated())).toBe("replay");
    vi.setSystemTime(START + 3 * MINUTE + KEYLESS_REPLAY_MS + 1);
    expect(await repeated()).toMatchObject({
      refusal: { kind: "approval-consumed", operation_url: `/_gate/v1/operations/${admitted.requestId}` },
    });
    expect(await operations(tenant)).toBe(1);
  });

  it("a spent receipt with a new key, or for another request, is a conflict", async () => {
    const { ledger } = await newTenant();
    const request = write({ requirement: { kind: "receipt" } });
    const receipt = await receiptFor(ledger, request);
    const admitted = again(request, { handles: { receipt, idempotencyKey: "k1" } });
    await ledger.admit(admitted);
    await ledger.conclude(ended(admitted.requestId, "succeeded"));
    expect(verdict(await ledger.admit(again(admitted)))).toBe("replay");
    expect(verdict(await ledger.admit(again(admitted, { handles: { idempotencyKey: "k2" } })))).toBe(
      "approval-consumed",
    );
    const other = again(admitted, { requestDigest: digest("other"), handles: { idempotencyKey: null } });
    expect(verdict(await ledger.admit(other))).toBe("approval-consumed");
  });

  it("the digest of a spent grant replays for ten minutes; after that the same request is a new one", async () => {
    const { tenant, ledger } = await newTenant();
    const request = write({ requirement: needing(1) });
    await decideAs(ledger, await propose(ledger, request), person("alice"), "approve");
    const admitted = again(request);
    expect(verdict(await ledger.admit(admitted))).toBe("admitted");
    expect(verdict(await ledger.admit(again(request)))).toBe("idempotency-in-progress");
    await ledger.conclude(ended(admitted.requestId, "succeeded"));
    expect(verdict(await ledger.admit(again(request)))).toBe("replay");
    expect(verdict(await ledger.admit(again(request, { requester: agent("tuner") })))).toBe("approval-required");
    vi.setSystemTime(START + KEYLESS_REPLAY_MS + 1);
    expect(verdict(await ledger.admit(again(request)))).toBe("approval-required");
    expect(await operations(tenant)).toBe(1);
    await checkInvariants(tenant, CAPS);
  });

  it("a spent token replays too, and with a new key it is a conflict", async () => {
    const { ledger } = await newTenant();
    const request = write({ requirement: needing(1) });
    const id = await propose(ledger, request);
    await decideAs(ledger, id, person("alice"), "approve");
    const approval = (await ledger.approval(id))?.approval;
    const named = { jti: approval?.grantJti ?? "", approvalId: id, requestDigest: request.requestDigest };
    const tokens = [{ ...named, approvalDigest: digest("wrong") }];
    expect(verdict(await ledger.admit(again(request, { handles: { tokens } })))).toBe("approval-invalid");
    const right = [{ ...named, approvalDigest: asDigest(approval?.approvalDigest) }];
    const admitted = again(request, { handles: { tokens: right } });
    expect(verdict(await ledger.admit(admitted))).toBe("admitted");
    await ledger.conclude(ended(admitted.requestId, "failed"));
    expect(verdict(await ledger.admit(again(admitted)))).toBe("replay");
    expect(verdict(await ledger.admit(again(admitted, { handles: { idempotencyKey: "new" } })))).toBe(
      "approval-consumed",
    );
  });

  it("nothing replays by digest alone unless the policy or a grant says so", async () => {
    const { tenant, ledger } = await newTenant();
    const request = write();
    expect(verdict(await ledger.admit(request))).toBe("admitted");
    expect(verdict(await ledger.admit(again(request)))).toBe("admitted");
    const derived = write({ handles: { byDigest: true } });
    expect(verdict(await ledger.admit(derived))).toBe("admitted");
    expect(verdict(await ledger.admit(again(derived)))).toBe("idempotency-in-progress");
    expect(await operations(tenant)).toBe(3);
  });
});

const asDigest = (text = ""): `sha256:${string}` => `sha256:${text.slice("sha256:".length)}`;
