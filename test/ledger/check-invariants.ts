import { runInDurableObject } from "cloudflare:test";
import { expect } from "vitest";
import { GENESIS } from "../../src/audit/journal.ts";
import { canonicalJson } from "../../src/platform/canonical-json.ts";
import { digestOf } from "../../src/platform/digest.ts";
import { testEnv } from "../support/test-env.ts";
import type { Row } from "./fixture.ts";

type Tables = Readonly<Record<string, readonly Row[]>> & { readonly alarm: readonly Row[] };

const HELD: ReadonlySet<unknown> = new Set(["held", "dispatching", "committed", "unknown"]);
const OPEN: ReadonlySet<unknown> = new Set(["draft", "pending", "approved"]);

/** The reservation states that go with each state of an operation. */
const HOLD_OF_OPERATION: Readonly<Record<string, readonly string[]>> = {
  dispatching: ["dispatching"],
  unknown: ["unknown"],
  succeeded: ["committed", "settled"],
  failed: ["released"],
  "not-sent": ["released"],
};

const READ = [
  "reservations",
  '"windows"',
  "operations",
  "approvals",
  "receipts",
  "standing_approvals",
  "standing_uses",
  "busy_resources",
  "due",
  "journal",
  "projection",
] as const;

/**
 * What must hold in a ledger between any two of its transactions: windows equal the sum of their reservations and stay
 * within `caps`; every operation, approval and busy resource has the hold and the planned job that its state says; each
 * approval and receipt was spent once at most, and of each standing approval no more uses and USD than it grants; the alarm is
 * set no later than the first job; the journal is a chain.
 * Reads the object's own tables: it shares no code with what it checks but the hash function.
 */
export async function checkInvariants(
  tenant: string,
  caps: { readonly daily: number; readonly monthly: number },
): Promise<void> {
  const tables = await readTables(tenant);
  checkWindows(tables, caps);
  checkOperations(tables);
  checkApprovals(tables);
  checkStandingUses(tables);
  checkJobs(tables);
  checkChain(rows(tables, "journal"));
  checkRecords(tables, rows(tables, "journal"));
}

/** As `checkInvariants` for the log as a whole: what the object still holds together with what D1 has. */
export async function checkWholeLog(tenant: string): Promise<void> {
  const tables = await readTables(tenant);
  const stored = await testEnv.DB.prepare(
    "SELECT sequence, hash, record FROM audit WHERE tenant = ? AND log = 'ledger' ORDER BY sequence",
  )
    .bind(tenant)
    .all<Row>();
  const log = new Map(stored.results.map((row) => [row["sequence"], row]));
  expect(log.size, "no row twice in D1").toBe(stored.results.length);
  for (const row of rows(tables, "journal")) {
    const copy = log.get(row["sequence"] ?? null);
    if (copy !== undefined) expect(copy["record"], "D1 holds the journal's own text").toBe(row["record"]);
    log.set(row["sequence"] ?? null, row);
  }
  const ordered = [...log.values()].toSorted((a, b) => Number(a["sequence"]) - Number(b["sequence"]));
  expect(ordered[0]?.["sequence"], "the log begins at 1").toBe(1);
  checkChain(ordered);
  checkRecords(tables, ordered);
}

async function readTables(tenant: string): Promise<Tables> {
  return await runInDurableObject(testEnv.LEDGER.getByName(tenant), async (_, { storage }) => ({
    ...Object.fromEntries(
      READ.map((table) => [table.replaceAll('"', ""), storage.sql.exec<Row>(`SELECT * FROM ${table}`).toArray()]),
    ),
    alarm: [{ at: await storage.getAlarm() }],
  }));
}

const rows = (tables: Tables, name: string): readonly Row[] => tables[name] ?? [];

const sum = (values: readonly (Row[string] | undefined)[]): number =>
  values.reduce<number>((total, value) => total + Number(value ?? 0), 0);

function checkWindows(tables: Tables, caps: { readonly daily: number; readonly monthly: number }): void {
  const reservations = rows(tables, "reservations");
  const named = new Set([...reservations].flatMap((r) => [r["daily_window"], r["monthly_window"]]));
  const known = new Map(rows(tables, "windows").map((row) => [row["window"], row]));
  for (const id of new Set([...named, ...known.keys()])) {
    const inside = reservations.filter((r) => r["daily_window"] === id || r["monthly_window"] === id);
    const held = sum(inside.filter((r) => HELD.has(r["state"])).map((r) => r["ceiling_micros"]));
    const settled = sum(inside.filter((r) => r["state"] === "settled").map((r) => r["settled_micros"]));
    const row = known.get(id ?? null);
    const shown = { held: Number(row?.["held_micros"] ?? 0), settled: Number(row?.["settled_micros"] ?? 0) };
    expect(shown, `window ${String(id)} is the sum of its reservations`).toEqual({ held, settled });
    const cap = String(id).length === "2031-11-20".length ? caps.daily : caps.monthly;
    expect(held + settled, `window ${String(id)} is within its cap`).toBeLessThanOrEqual(cap);
  }
  for (const { id, state, ceiling_micros: ceiling, settled_micros: settled, resolved_at: at } of reservations) {
    const resolved = !HELD.has(state);
    expect([settled !== null, at !== null], `reservation ${String(id)} (${String(state)})`).toEqual([
      resolved,
      resolved,
    ]);
    if (resolved) expect(Number(settled)).toBeLessThanOrEqual(Number(ceiling));
    if (state === "released") expect(settled).toBe(0);
  }
}

function checkOperations(tables: Tables): void {
  const holds = new Map(rows(tables, "reservations").map((row) => [row["id"], row["state"]]));
  const busy = new Map(rows(tables, "busy_resources").map((row) => [row["request_id"], row["resource"]]));
  for (const { request_id: id, state, resource, completed_at: completedAt } of rows(tables, "operations")) {
    const name = `operation ${String(id)} (${String(state)})`;
    expect(HOLD_OF_OPERATION[String(state)], name).toContain(holds.get(id ?? null));
    const open = state === "dispatching" || state === "unknown";
    expect(completedAt === null, `${name}: completed`).toBe(open);
    expect(busy.get(id ?? null) ?? null, `${name}: busy resource`).toBe(open ? resource : null);
    busy.delete(id ?? null);
  }
  expect([...busy], "nothing is kept busy without an operation").toEqual([]);
}

function checkApprovals(tables: Tables): void {
  const holds = new Map(rows(tables, "reservations").map((row) => [row["id"], row["state"]]));
  const operations = new Map(rows(tables, "operations").map((row) => [row["request_id"], row]));
  const standing = new Set(rows(tables, "standing_approvals").map((row) => row["id"]));
  for (const approval of rows(tables, "approvals")) {
    const { id, state, consumed_by: by, grant_jti: jti } = approval;
    const name = `approval ${String(id)} (${String(state)})`;
    if (standing.has(id ?? null)) {
      expect([holds.get(id ?? null), by, jti, state === "consumed"], name).toEqual([undefined, null, null, false]);
      continue;
    }
    const expected = state === "draft" ? undefined : OPEN.has(state) ? "held" : "released";
    const held = holds.get(id ?? null);
    // One that ended as a draft never held anything.
    if (!(expected === "released" && held === undefined)) expect(held, `${name}: hold`).toBe(expected);
    expect(by !== null, `${name}: spent`).toBe(state === "consumed");
    if (state === "approved" || state === "consumed") expect(jti, name).not.toBeNull();
    if (by === null) continue;
    const operation = operations.get(by ?? null);
    expect(
      [operation?.["principal"], operation?.["request_digest"]],
      `${name}: spent on its own request by its own principal`,
    ).toEqual([approval["principal"], approval["request_digest"]]);
  }
  const open = rows(tables, "approvals").filter((row) => OPEN.has(row["state"]));
  const requests = open.map((row) => `${String(row["principal"])} ${String(row["request_digest"])}`);
  expect(new Set(requests).size, "one open approval per request and principal").toBe(requests.length);
  const uses = [
    ...[...rows(tables, "approvals"), ...rows(tables, "receipts")].flatMap((row) => row["consumed_by"] ?? []),
    ...rows(tables, "standing_uses").flatMap((row) => row["request_id"] ?? []),
  ];
  expect(new Set(uses).size, "each admission spends one approval, receipt or use at most").toBe(uses.length);
  expect(uses.filter((use) => !operations.has(use))).toEqual([]);
}

/** The counts of a standing approval are its uses, its USD their holds, and neither is more than was granted. */
function checkStandingUses(tables: Tables): void {
  const uses = rows(tables, "standing_uses");
  const ceilings = new Map(rows(tables, "reservations").map((row) => [row["id"], row["ceiling_micros"]]));
  for (const { id, uses: granted, cap_micros: cap, used, used_micros: usedMicros } of rows(
    tables,
    "standing_approvals",
  )) {
    const own = uses.filter((use) => use["approval_id"] === id);
    const name = `standing approval ${String(id)}`;
    expect([used, usedMicros], `${name}: what is used`).toEqual([own.length, sum(own.map((use) => use["micros"]))]);
    expect(own.length, `${name}: uses`).toBeLessThanOrEqual(Number(granted));
    expect(Number(usedMicros), `${name}: USD`).toBeLessThanOrEqual(Number(cap));
  }
  const granted = new Set(rows(tables, "standing_approvals").map((row) => row["id"]));
  for (const { request_id: id, approval_id: approval, micros } of uses) {
    expect(granted.has(approval ?? null), `use ${String(id)}: of a standing approval`).toBe(true);
    expect(ceilings.get(id ?? null), `use ${String(id)}: its hold`).toBe(micros);
  }
}

/** Whatever waits for time to pass has a job that will come, and the alarm comes for it. */
function checkJobs(tables: Tables): void {
  const due = rows(tables, "due");
  const planned = (job: string, ref: Row[string] | undefined): readonly number[] =>
    due.filter((row) => row["job"] === job && row["ref"] === ref).map((row) => Number(row["at"]));
  for (const { id, state, expires_at: at } of rows(tables, "approvals")) {
    if (OPEN.has(state)) expect(planned("approval-expiry", id), `expiry of ${String(id)}`).toContain(at);
  }
  for (const { request_id: id, state, sent } of rows(tables, "operations")) {
    if (state === "dispatching") expect(planned("dispatch-deadline", id).length, `deadline of ${String(id)}`).toBe(1);
    if (state === "unknown" && sent !== null) {
      expect(planned("reconcile", id).length, `look-up of ${String(id)}`).toBeGreaterThanOrEqual(1);
    }
  }
  for (const { id, state } of rows(tables, "reservations")) {
    if (state === "committed") expect(planned("ceiling", id).length, `end of ${String(id)}`).toBe(1);
  }
  const first = Math.min(...due.map((row) => Number(row["at"])));
  if (due.length > 0) expect(tables.alarm[0]?.["at"], "an alarm is set").not.toBeNull();
  if (due.length > 0)
    expect(Number(tables.alarm[0]?.["at"]), "the alarm comes for the first job").toBeLessThanOrEqual(first);
}

/** Rows in order: gapless, each chained to the one before, each hash recomputable from the stored text alone. */
function checkChain(log: readonly Row[]): void {
  let before: { readonly sequence: number; readonly hash: string } | null = null;
  for (const row of log) {
    const { hash, ...unhashed } = recordOf(row);
    const sequence = Number(row["sequence"]);
    if (before !== null) expect(sequence, "sequences are gapless").toBe(before.sequence + 1);
    if (before !== null || sequence === 1) expect(unhashed["previous_hash"]).toBe(before?.hash ?? GENESIS);
    expect(unhashed["sequence"]).toBe(sequence);
    expect([hash, digestOf("portcullis/audit/v1", canonicalJson(unhashed))], `hash of ${sequence}`).toEqual([
      row["hash"],
      row["hash"],
    ]);
    before = { sequence, hash: String(hash) };
  }
}

/** Each intent is there once, and has one outcome exactly when its operation is over. Counts what of the log is given. */
function checkRecords(tables: Tables, log: readonly Row[]): void {
  const ended = new Map(
    rows(tables, "operations").map((row) => [
      row["request_id"],
      row["state"] !== "dispatching" && row["state"] !== "unknown",
    ]),
  );
  const ofKind = (kind: string): readonly string[] =>
    log.map(recordOf).flatMap((record) => (record["kind"] === kind ? [String(record["request_id"])] : []));
  const [intents, outcomes] = [ofKind("intent"), ofKind("outcome")];
  expect(new Set(intents).size, "one intent per admission").toBe(intents.length);
  expect(new Set(outcomes).size, "one outcome per intent").toBe(outcomes.length);
  expect(intents.filter((id) => !ended.has(id))).toEqual([]);
  expect(outcomes.filter((id) => ended.get(id) !== true)).toEqual([]);
  if (log[0]?.["sequence"] !== 1) return;
  expect(intents.length, "every admission has its intent").toBe(ended.size);
  expect(outcomes.length, "every ending has its outcome").toBe([...ended.values()].filter(Boolean).length);
}

type Json = { [name: string]: string | number | boolean | null };

function recordOf(row: Row): Json {
  const parsed: Json = JSON.parse(String(row["record"]));
  return parsed;
}
