import { afterEach, expect, test, vi } from "vitest";
import { verdict, type Answered } from "../support/answer.ts";
import { useBlackBox, type BlackBox } from "../support/black-box.ts";
import { projectedRows, readBooks, recordOf } from "../support/books.ts";
import { openIsolate } from "../support/isolates.ts";
import { CONTEXT, decide, job, proposalOf, submit, SUBMIT } from "../support/requests.ts";
import { testEnv } from "../support/test-env.ts";

/** D1 is where people look things up; the audit record is the journal. Here D1 fails for everybody, objects included. */
const open = useBlackBox("outage");

/** The projection runs by itself, and backs off to two seconds in the outages here. */
const PATIENCE = { timeout: 20_000 } as const;

afterEach(() => {
  vi.restoreAllMocks();
});

/**
 * Every D1 binding shares one prototype: from now on all of them fail, in the Worker and in its objects. Returns how
 * often a ledger's projection met that.
 */
function breakD1(kind: "before" | "after execution" = "before"): () => number {
  let met = 0;
  const statement: unknown = Object.getPrototypeOf(testEnv.DB.prepare("SELECT 1"));
  if (!isStatement(statement)) throw new Error("a D1 statement without methods");
  for (const method of ["run", "all", "raw", "first"] as const) {
    const original = statement[method];
    vi.spyOn(statement, method).mockImplementation(async function (this: unknown, ...given: unknown[]) {
      if (JSON.stringify(this).includes('"ledger"')) met += 1;
      if (kind === "after execution") await Reflect.apply(original, this, given);
      throw new Error("D1_ERROR: injected outage");
    });
  }
  return () => met;
}

type Statement = Record<"run" | "all" | "raw" | "first", (...given: unknown[]) => Promise<unknown>>;
const isStatement = (value: unknown): value is Statement =>
  typeof value === "object" && value !== null && ["run", "all", "raw", "first"].every((name) => name in value);

/** The whole ledger log is in D1, once, with the hashes that the journal has. */
async function expectAllProjected(box: BlackBox): Promise<void> {
  const { journal } = await readBooks(box.tenant);
  const last = journal.at(-1)?.sequence ?? 0;
  await expect.poll(async () => (await projectedRows(box.tenant, "ledger")).length, PATIENCE).toBe(last);
  const rows = new Map((await projectedRows(box.tenant, "ledger")).map((row) => [row.sequence, row]));
  for (const row of journal) expect(rows.get(row.sequence)).toMatchObject(row);
}

test("while D1 is down, a warm gate goes on: writes run, are journaled, and reach D1 once it is back", async () => {
  const box = await open();
  const agent = await box.as("agent");
  await decide(box, proposalOf(await agent.post(SUBMIT, job({ gpus: 8 }), CONTEXT)), ["alice"]);
  expect(verdict(await agent.get(SUBMIT))).toBe("200");
  await expectAllProjected(box);
  const before = (await projectedRows(box.tenant, "ledger")).length;

  const failures = breakD1();
  expect(verdict(await submit(agent, job()))).toBe("201");
  expect(verdict(await agent.post(SUBMIT, job({ gpus: 8 })))).toBe("201");
  expect(verdict(await agent.get(SUBMIT))).toBe("200");
  expect(verdict(await agent.post(SUBMIT, job({ gpus: 128 }), CONTEXT))).toBe("403 constraint-exceeded");
  await expect.poll(failures, PATIENCE).toBeGreaterThanOrEqual(2);
  const waiting = (await readBooks(box.tenant)).journal.filter(({ sequence }) => sequence > before);
  expect(waiting.map((row) => recordOf(row).kind).filter((kind) => kind === "intent")).toHaveLength(2);

  vi.restoreAllMocks();
  expect(await projectedRows(box.tenant, "ledger")).toHaveLength(before);
  await expectAllProjected(box);
});

test("rows that D1 took although it said no are not written twice", async () => {
  const box = await open();
  const agent = await box.as("agent");
  expect(verdict(await agent.get(SUBMIT))).toBe("200");
  await expectAllProjected(box);
  const before = (await projectedRows(box.tenant, "ledger")).length;
  const failures = breakD1("after execution");
  expect(verdict(await submit(agent, job()))).toBe("201");
  await expect.poll(failures, PATIENCE).toBeGreaterThanOrEqual(1);
  vi.restoreAllMocks();
  // They are there, and nobody has confirmed them: the next run writes them again, to no effect.
  expect((await projectedRows(box.tenant, "ledger")).length).toBeGreaterThan(before);
  await expectAllProjected(box);
});

test("a cold isolate, which would have to load the tenant's documents, refuses everything and sends nothing", async () => {
  const box = await open();
  const agent = (await box.as("agent")).through(openIsolate().entrance);
  breakD1();
  for (const answered of [await agent.get(SUBMIT), await agent.post(SUBMIT, job({ gpus: 8 }), CONTEXT)]) {
    expect(verdict(answered)).toBe("503 unavailable");
    expect(answered.text).not.toContain("injected");
  }
  vi.restoreAllMocks();
  expect(await box.upstream.requests()).toEqual([]);
  expect(verdict(await agent.get(SUBMIT))).toBe("200");
});

test("a record that D1 holds differently halts the projection and stops writes: somebody edited the audit table", async () => {
  const box = await open();
  const agent = await box.as("agent");
  await expectAllProjected(box);
  const { journal } = await readBooks(box.tenant);
  const next = (journal.at(-1)?.sequence ?? 0) + 1;
  const forged = testEnv.DB.prepare(
    "INSERT INTO audit (tenant, log, sequence, hash, record) VALUES (?, 'ledger', ?, ?, ?)",
  );
  await forged.bind(box.tenant, next, "sha256:forged", "{}").run();
  await agent.post(SUBMIT, job({ gpus: 8 }), CONTEXT);
  const write = (): Promise<Answered> => agent.post(SUBMIT, job({ gpus: 9 }), CONTEXT);
  await expect.poll(async () => verdict(await write()), PATIENCE).toBe("503 unavailable");
  const refused = await write();
  expect(refused.body).toMatchObject({ dependency: "audit" });
  // For the check of the books: the forgery is gone, what it hid is still in the journal.
  await testEnv.DB.prepare("DELETE FROM audit WHERE hash = 'sha256:forged'").run();
});
