import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { AdmissionRequest } from "../../src/ledger/contract.ts";
import type { LedgerPort } from "../../src/ledger/ledger-port.ts";
import { RECEIPT_LIFETIME_MS } from "../../src/ledger/receipts.ts";
import { newId } from "../../src/platform/ids.ts";
import { checkInvariants } from "./check-invariants.ts";
import {
  again,
  agent,
  BUDGET,
  digest,
  ended,
  needing,
  newTenant,
  OPERATOR,
  priced,
  receiptFor,
  rowsOf,
  START,
  USD,
  verdict,
  windows,
  write,
} from "./fixture.ts";

const CAPS = { daily: BUDGET.dailyCapMicros, monthly: BUDGET.monthlyCapMicros };
const RECEIPT = { kind: "receipt" } as const;

beforeEach(() => void vi.useFakeTimers({ toFake: ["Date"], now: START }));
afterEach(() => void vi.useRealTimers());

describe("an admission", () => {
  it("commits hold, operation, handles, busy resource, deadline and intent together", async () => {
    const { tenant, ledger } = await newTenant();
    const request = write({ resource: "job-1", handles: { idempotencyKey: "k" } });
    const outcome = await ledger.admit(request);
    expect(outcome).toMatchObject({ kind: "admitted", approvalId: null, approvers: [], context: request.context });
    if (outcome.kind === "admitted") {
      expect(outcome.budget.daily).toMatchObject({
        window: "2031-11-20",
        held_micros: USD,
        remaining_micros: 99 * USD,
      });
    }
    const count = async (table: string): Promise<unknown> =>
      (await rowsOf(tenant, `SELECT count(*) AS n FROM ${table}`))[0]?.["n"];
    const counted = await Promise.all(["operations", "reservations", "busy_resources", "idempotency"].map(count));
    expect(counted).toEqual([1, 1, 1, 1]);
    await checkInvariants(tenant, CAPS);
  });

  it("that is refused writes nothing at all", async () => {
    const { tenant, ledger } = await newTenant();
    const before = await rowsOf(tenant, "SELECT count(*) AS n FROM journal");
    await ledger.admit(write({ cost: priced(101 * USD), resource: "job-1", handles: { idempotencyKey: "k" } }));
    await ledger.admit(write({ requirement: RECEIPT }));
    await ledger.admit(write({ refusal: { kind: "not-allowed", rule: "none" } }));
    for (const table of ["operations", "reservations", "busy_resources", "idempotency", '"windows"']) {
      expect(await rowsOf(tenant, `SELECT * FROM ${table}`), table).toEqual([]);
    }
    expect(await rowsOf(tenant, "SELECT count(*) AS n FROM journal")).toEqual(before);
  });

  it("under a request id that was admitted before throws, and leaves the books as they were", async () => {
    const { tenant, ledger } = await newTenant();
    const request = write();
    await ledger.admit(request);
    const second = ledger.admit({ ...request, requestDigest: digest("other") });
    expect(await second.then(verdict, String)).toMatch(/UNIQUE/);
    expect(await windows(tenant)).toEqual({ "2031-11-20": [USD, 0], "2031-11": [USD, 0] });
    await checkInvariants(tenant, CAPS);
  });
});

const freeze = (ledger: LedgerPort): Promise<void> =>
  ledger.freeze(OPERATOR, newId("req"), { scope: "tenant", reason: "x" });

describe("the order of refusals", () => {
  const refusal = { kind: "not-allowed", rule: "none" } as const;
  const dear = priced(101 * USD);

  /** Each row breaks everything from its own rule on; the first broken rule must answer. */
  it.each<[string, boolean, Partial<AdmissionRequest>]>([
    ["frozen", true, { refusal, resource: "busy", requirement: RECEIPT, cost: dear }],
    ["not-allowed", false, { refusal, resource: "busy", requirement: RECEIPT, cost: dear }],
    ["resource-busy", false, { resource: "busy", requirement: RECEIPT, cost: dear }],
    ["dry-run-required", false, { requirement: RECEIPT, cost: dear }],
    ["budget-exceeded", false, { requirement: needing(1), cost: dear }],
    ["approval-required", false, { requirement: needing(1) }],
  ])("%s comes before what follows it", async (expected, frozen, over) => {
    const { ledger } = await newTenant();
    await ledger.admit(write({ resource: "busy", requestDigest: digest("occupies the resource") }));
    if (frozen) await freeze(ledger);
    expect(verdict(await ledger.admit(write({ ...over, handles: {} })))).toBe(expected);
  });

  it("a replay comes before everything, also before a freeze", async () => {
    const { ledger } = await newTenant();
    const first = write({ resource: "busy", handles: { idempotencyKey: "k" } });
    await ledger.admit(first);
    await ledger.conclude(ended(first.requestId, "succeeded"));
    await freeze(ledger);
    const repeated = again(first, { refusal, requirement: RECEIPT, cost: dear });
    expect(verdict(await ledger.admit(repeated))).toBe("replay");
  });

  it("a faulty token counts where approvals come, not before the budget", async () => {
    const { ledger } = await newTenant();
    const tokenFault = { kind: "approval-invalid", reason: "bad signature" } as const;
    const request = write({ requirement: needing(1), handles: { tokenFault } });
    expect(verdict(await ledger.admit(request))).toBe("approval-invalid");
    expect(verdict(await ledger.admit(again(request, { cost: dear })))).toBe("budget-exceeded");
  });
});

describe("a dry-run receipt", () => {
  it("admits the request it was given for, once, and holds nothing until then", async () => {
    const { tenant, ledger } = await newTenant();
    const request = write({ requirement: RECEIPT });
    const receipt = await receiptFor(ledger, request);
    expect(await windows(tenant)).toEqual({});
    expect(verdict(await ledger.admit(again(request, { handles: { receipt } })))).toBe("admitted");
    expect(verdict(await ledger.admit(again(request, { handles: { receipt } })))).toBe("idempotency-in-progress");
    expect(await rowsOf(tenant, "SELECT count(*) AS n FROM operations")).toEqual([{ n: 1 }]);
    await checkInvariants(tenant, CAPS);
  });

  it.each<[string, (request: AdmissionRequest, receipt: string) => AdmissionRequest]>([
    ["none at all", (request) => again(request)],
    ["one that was never given", (request) => again(request, { handles: { receipt: newId("rcp") } })],
    [
      "one for another request",
      (request, receipt) => again(request, { requestDigest: digest("other"), handles: { receipt } }),
    ],
    [
      "one for another principal",
      (request, receipt) => again(request, { requester: agent("tuner"), handles: { receipt } }),
    ],
  ])("does not admit with %s", async (_, present) => {
    const { tenant, ledger } = await newTenant();
    const request = write({ requirement: RECEIPT });
    const receipt = await receiptFor(ledger, request);
    expect(verdict(await ledger.admit(present(request, receipt)))).toBe("dry-run-required");
    expect(await rowsOf(tenant, "SELECT consumed_by FROM receipts")).toEqual([{ consumed_by: null }]);
  });

  it("expires to the millisecond, ten minutes after it was given", async () => {
    const { ledger } = await newTenant();
    const request = write({ requirement: RECEIPT });
    const [first, second] = [await receiptFor(ledger, request), await receiptFor(ledger, request)];
    vi.setSystemTime(START + RECEIPT_LIFETIME_MS - 1);
    expect(verdict(await ledger.admit(again(request, { handles: { receipt: first } })))).toBe("admitted");
    vi.setSystemTime(START + RECEIPT_LIFETIME_MS);
    expect(verdict(await ledger.admit(again(request, { handles: { receipt: second } })))).toBe("dry-run-required");
  });

  it("stays unspent when the admission fails for another reason", async () => {
    const { ledger } = await newTenant();
    const request = write({ requirement: RECEIPT, cost: priced(60 * USD) });
    const receipt = await receiptFor(ledger, request);
    const blocker = write({ cost: priced(60 * USD), requestDigest: digest("blocker") });
    await ledger.admit(blocker);
    expect(verdict(await ledger.admit(again(request, { handles: { receipt } })))).toBe("budget-exceeded");
    await ledger.conclude(ended(blocker.requestId, "failed"));
    expect(verdict(await ledger.admit(again(request, { handles: { receipt } })))).toBe("admitted");
  });

  it("of another principal is unknown, spent or not: nothing tells that it exists", async () => {
    const { ledger } = await newTenant();
    const request = write({ requirement: RECEIPT });
    const receipt = await receiptFor(ledger, request);
    const stolen = (): AdmissionRequest => again(request, { requester: agent("tuner"), handles: { receipt } });
    const unspent = await ledger.admit(stolen());
    await ledger.admit(again(request, { handles: { receipt } }));
    const spent = await ledger.admit(stolen());
    const invented = await ledger.admit(
      again(request, { requester: agent("tuner"), handles: { receipt: newId("rcp") } }),
    );
    const reasons = [unspent, spent, invented].map((outcome) => outcome.kind === "refused" && outcome.refusal);
    expect(reasons[0]).toEqual(reasons[2]);
    expect(reasons[1]).toEqual(reasons[2]);
  });

  it("is not earned by a plan that would be refused", async () => {
    const { tenant, ledger } = await newTenant();
    await ledger.admit(write({ resource: "busy", requestDigest: digest("other") }));
    const plans = [
      write({ resource: "busy" }),
      write({ cost: priced(100 * USD) }),
      write({ refusal: { kind: "not-allowed", rule: "" } }),
    ];
    for (const request of plans) expect((await ledger.plan(request, true)).kind).toBe("refused");
    expect(await rowsOf(tenant, "SELECT * FROM receipts")).toEqual([]);
  });
});

describe("a plan", () => {
  it("shows the budget before and after, and how many may decide, without changing anything", async () => {
    const { tenant, ledger } = await newTenant();
    const planned = await ledger.plan(write({ cost: priced(7 * USD), requirement: needing(2) }), false);
    expect(planned).toMatchObject({
      kind: "planned",
      before: { daily: { held_micros: 0 } },
      after: { daily: { held_micros: 7 * USD }, monthly: { held_micros: 7 * USD } },
      eligible: 3,
      receipt: null,
    });
    expect(await windows(tenant)).toEqual({});
  });

  it("does not count the hold that this request's own proposal has already", async () => {
    const { ledger } = await newTenant();
    const request = write({ cost: priced(60 * USD), requirement: needing(1) });
    await ledger.admit(request);
    const planned = await ledger.plan(again(request), false);
    expect(planned).toMatchObject({ kind: "planned", after: { daily: { held_micros: 60 * USD } } });
  });

  it("is never a replay, whatever handles it carries", async () => {
    const { ledger } = await newTenant();
    const request = write({ handles: { idempotencyKey: "k", byDigest: true } });
    await ledger.admit(request);
    await ledger.conclude(ended(request.requestId, "succeeded"));
    expect((await ledger.plan(again(request), false)).kind).toBe("planned");
  });
});

describe("one change in flight per resource", () => {
  it("refuses a second until the first has a definite outcome, and names the operation", async () => {
    const { tenant, ledger } = await newTenant();
    const first = write({ resource: "job-1" });
    await ledger.admit(first);
    const second = again(first, { requestDigest: digest("second"), requester: agent("tuner") });
    expect(await ledger.admit(second)).toMatchObject({
      refusal: { kind: "resource-busy", operation_url: `/_gate/v1/operations/${first.requestId}` },
    });
    await ledger.conclude(ended(first.requestId, "unknown"));
    expect(verdict(await ledger.admit(again(second)))).toBe("resource-busy");
    expect(verdict(await ledger.admit(again(second, { resource: "job-2" })))).toBe("admitted");
    await ledger.conclude(ended(first.requestId, "failed"));
    expect(verdict(await ledger.admit(again(second)))).toBe("admitted");
    await checkInvariants(tenant, CAPS);
  });
});
