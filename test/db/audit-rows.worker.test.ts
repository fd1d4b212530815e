import { describe, expect, test } from "vitest";
import { auditPage, type AuditFilters, type AuditPlace } from "../../src/db/audit-rows.ts";
import { auditRuns } from "../../src/db/audit-runs.ts";
import { newId } from "../../src/platform/ids.ts";
import { auditLog, RECORDS_START } from "../audit/records.ts";
import { storeRecords, STORED_LOG } from "../support/stored-records.ts";
import { testEnv } from "../support/test-env.ts";

const NONE: AuditFilters = { since: null, until: null, equal: {}, tier: null, approver: null, text: null };
const newTenant = (): string => newId("t").replace("_", "-");
const at = (seconds: number): string => new Date(RECORDS_START + seconds * 1_000).toISOString();

/** Every page of a search, by the sequences that it found. */
async function pages(
  tenant: string,
  filters: AuditFilters,
  limit: number,
  all: number,
  near = all,
): Promise<readonly number[][]> {
  const found: number[][] = [];
  let after: AuditPlace | null = null;
  do {
    const page = await auditPage(testEnv.DB, tenant, filters, after, limit, { near, all });
    found.push(page.rows.map(({ sequence }) => sequence));
    after = page.next;
  } while (after !== null && found.length < 100);
  return found;
}

describe("an answer looks at a bounded number of records", () => {
  test("and goes on where it stopped, so that nothing is left out or found twice", async () => {
    const tenant = newTenant();
    await storeRecords(
      auditLog(
        Array.from({ length: 40 }, (_, index) => ({ principal: index === 3 ? "agent:rare" : "agent:usual" })),
        STORED_LOG,
        tenant,
      ),
    );
    const rare = { ...NONE, equal: { principal: "agent:rare" } };
    expect(await pages(tenant, rare, 5, 10)).toEqual([[], [], [], [4], []]);
    expect(await pages(tenant, rare, 5, 40)).toEqual([[4], []]);
    expect(await pages(tenant, rare, 5, 41)).toEqual([[4]]);
    expect(await pages(tenant, rare, 5, 41, 7)).toEqual([[4]]);
    expect(await pages(tenant, rare, 5, 37, 36)).toEqual([[4], []]);
    expect(await pages(tenant, rare, 1, 39)).toEqual([[4], []]);
    const usual = { ...NONE, equal: { principal: "agent:usual" } };
    for (const [limit, scan, near] of [
      [7, 10],
      [10, 10],
      [10, 3],
      [100, 13],
      [5, 9, 2],
      [3, 30, 29],
    ] as const) {
      const found = (await pages(tenant, usual, limit, scan, near)).flat();
      expect(found, `${limit} of ${scan}`).toEqual(
        Array.from({ length: 40 }, (_, index) => 40 - index).filter((n) => n !== 4),
      );
    }
  });

  test("which a list without filters, or with an index of its own, never notices", async () => {
    const tenant = newTenant();
    await storeRecords(
      auditLog(
        Array.from({ length: 20 }, () => ({ incident: "INC-1" })),
        STORED_LOG,
        tenant,
      ),
    );
    for (const filters of [NONE, { ...NONE, equal: { incident: "INC-1" } }])
      expect((await auditPage(testEnv.DB, tenant, filters, null, 20, { near: 2, all: 3 })).rows).toHaveLength(20);
  });
});

describe("the run of a time is what looking at every record would find", () => {
  /** Minutes in the order of the log: mostly ascending, with clocks that stepped and endings that came late. */
  const DISORDERED = [0, 1, 3, 2, 5, 5, 4, 9, 8, 7, 12, 30, 31, 29, 33, 60];

  test("for every pair of bounds", async () => {
    const tenant = newTenant();
    await storeRecords(
      auditLog(
        DISORDERED.map((minute) => ({ time: at(minute * 60) })),
        STORED_LOG,
        tenant,
      ),
    );
    const bounds = [0, 4, 5, 8, 20, 31, 61];
    for (const since of [null, ...bounds]) {
      for (const until of bounds) {
        const inRange = DISORDERED.flatMap((minute, index) =>
          (since === null || minute >= since) && minute < until ? [index + 1] : [],
        );
        const expected = inRange.length === 0 ? [] : [{ log: STORED_LOG, first: inRange[0], last: inRange.at(-1) }];
        const range = { since: since === null ? null : at(since * 60), until: at(until * 60), log: null };
        const runs = await auditRuns(testEnv.DB, tenant, range);
        expect(runs, `${since} to ${until}`).toEqual(expected);
      }
    }
  });

  test("in a log of which rows are gone, and in each of several logs", async () => {
    const tenant = newTenant();
    const minutes = Array.from({ length: 50 }, (_, index) => ({ time: at(index * 60) }));
    await storeRecords([...auditLog(minutes, "b-0", tenant), ...auditLog(minutes.slice(0, 5), "a-0", tenant)]);
    await testEnv.DB.prepare(
      "DELETE FROM audit WHERE tenant = ? AND log = 'b-0' AND (sequence < 9 OR sequence BETWEEN 20 AND 30)",
    )
      .bind(tenant)
      .run();
    const runs = (since: number, until: number) =>
      auditRuns(testEnv.DB, tenant, { since: at(since * 60), until: at(until * 60), log: null });
    expect(await runs(0, 1_000)).toEqual([
      { log: "a-0", first: 1, last: 5 },
      { log: "b-0", first: 9, last: 50 },
    ]);
    expect(await runs(24, 40)).toEqual([{ log: "b-0", first: 31, last: 40 }]);
    expect(await runs(20, 25)).toEqual([]);
    expect(await runs(15, 25)).toEqual([{ log: "b-0", first: 16, last: 19 }]);
  });
});
