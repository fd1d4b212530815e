import { expect, it } from "vitest";
import { checkInvariants } from "./check-invariants.ts";
import { CALL, newTenant, priced, USD, verdict, write, BUDGET } from "./fixture.ts";
it.each([1_500_000, 2_200_000, 4_000_000])("a success with an answer of %i bytes", async (bytes) => {
  const { tenant, ledger } = await newTenant();
  const request = write({ sent: CALL, cost: priced(10 * USD, 3_600_000) });
  expect(verdict(await ledger.admit(request))).toBe("admitted");
  let thrown = "none";
  try {
    await ledger.conclude({
      requestId: request.requestId,
      outcome: "succeeded",
      upstreamStatus: 201,
      resource: "r",
      response: { status: 201, contentType: "application/json", body: "x".repeat(bytes) },
      detail: null,
    });
  } catch (e) {
    thrown = String(e).slice(0, 100);
  }
  expect([thrown, (await ledger.operation(request.requestId))?.state]).toEqual(["none", "succeeded"]);
  await checkInvariants(tenant, { daily: BUDGET.dailyCapMicros, monthly: BUDGET.monthlyCapMicros });
});
