import { runInDurableObject } from "cloudflare:test";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { KEY_RETENTION_MS } from "../../src/ledger/replay.ts";
import { testEnv } from "../support/test-env.ts";
import { again, agent, ended, newTenant, runAlarm, START, verdict, write, type Row } from "./fixture.ts";
import { HOUR } from "./money-fixture.ts";

const SECRET = "hf_c0ffeec0ffeec0ffeec0ffee";
const ANSWER = { status: 201, contentType: "application/json", body: `{"id":"job-1","join_token":"${SECRET}"}` };

beforeEach(() => void vi.useFakeTimers({ toFake: ["Date"], now: START }));
afterEach(() => void vi.useRealTimers());

/** Where in the ledger's tables the secret stands: `operations.response`. */
const placesOf = (tenant: string): Promise<readonly string[]> =>
  runInDurableObject(testEnv.LEDGER.getByName(tenant), (_, { storage: { sql } }) => {
    const tables = sql
      .exec<{ name: string }>(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '\\_%' ESCAPE '\\'",
      )
      .toArray();
    return tables.flatMap(({ name }) => {
      const rows = sql.exec<Row>(`SELECT * FROM "${name}"`).toArray();
      const columns = new Set(
        rows.flatMap((row) => Object.keys(row).filter((key) => String(row[key]).includes(SECRET))),
      );
      return [...columns].map((column) => `${name}.${column}`);
    });
  });

/** A write under a key that was answered with a secret. */
async function answered() {
  const { tenant, ledger } = await newTenant();
  const request = write({ handles: { idempotencyKey: "k" } });
  await ledger.admit(request);
  await ledger.conclude(ended(request.requestId, "succeeded", { response: ANSWER }));
  return { tenant, ledger, request };
}

it("a secret in a control plane's answer is kept in one place, which no record and no route shows", async () => {
  const { tenant, ledger, request } = await answered();
  expect(await placesOf(tenant)).toEqual(["operations.response"]);
  const shown = [
    await ledger.operation(request.requestId),
    await ledger.budgetHolds(null, 10),
    await ledger.snapshot(),
  ];
  expect(JSON.stringify(shown)).not.toContain(SECRET);
  vi.setSystemTime(START + HOUR);
  await runAlarm(tenant);
  const stored = await testEnv.DB.prepare("SELECT record FROM audit WHERE tenant = ?")
    .bind(tenant)
    .all<{ record: string }>();
  expect(stored.results.length).toBeGreaterThan(1);
  expect(JSON.stringify(stored.results)).not.toContain(SECRET);
});

it("it is answered to its own principal only, as it came", async () => {
  const { ledger, request } = await answered();
  expect(await ledger.admit(again(request))).toMatchObject({ kind: "replay", outcome: { response: ANSWER } });
  expect(verdict(await ledger.admit(again(request, { requester: agent("tuner") })))).toBe("admitted");
});

it("it is gone with the key that it was kept for", async () => {
  const { tenant, ledger, request } = await answered();
  vi.setSystemTime(START + KEY_RETENTION_MS + 2 * HOUR);
  await runAlarm(tenant);
  expect(await placesOf(tenant)).toEqual([]);
  expect(verdict(await ledger.admit(again(request)))).toBe("admitted");
});
