import { readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { ROOT } from "../example/start/wrangler.ts";
import { auditPage, type AuditFilters, type AuditPlace } from "../src/db/audit-rows.ts";
import { auditRunPage, auditRuns } from "../src/db/audit-runs.ts";
import { sqliteD1 } from "./sqlite-d1.ts";
import { spreadOf, type Spread } from "./statistics.ts";

/** One query at two sizes of the table: CPU milliseconds (SQLite runs in this process), and how much longer it takes with ten times the records. */
export type QueryOutcome = {
  readonly title: string;
  readonly found: number;
  readonly small: Spread;
  readonly large: Spread;
  readonly ratio: number;
};

const LARGE = 1_000_000;
export const SIZES = [LARGE / 10, LARGE] as const;
const ROUNDS = 5;
/** Calls per round: CPU time is counted in steps too large for one. */
const CALLS = 5;
const TENANT = "bench";
const PAGE = 100;

/** Records are spread over 340 days: 31 of them hold about a tenth. */
const SPAN_MS = 340 * 86_400_000;
const END_MS = Date.UTC(2026, 10, 20);

const NONE: AuditFilters = { since: null, until: null, equal: {}, tier: null, approver: null, text: null };
const daysAgo = (days: number): string => new Date(END_MS - days * 86_400_000).toISOString();

type Query = readonly [title: string, run: (d1: D1Database, size: number) => Promise<readonly unknown[]>];

const page =
  (filters: Partial<AuditFilters>, after: AuditPlace | null = null): Query[1] =>
  async (d1) =>
    (await auditPage(d1, TENANT, { ...NONE, ...filters }, after, PAGE)).rows;

/** What people ask, and the worst of it: what nobody has done, so that everything is looked at. */
const QUERIES: readonly Query[] = [
  ["newest 100", page({})],
  ["a page in the middle", page({}, { time: daysAgo(170), log: "ledger", sequence: 1 })],
  ["one request", page({ equal: { request_id: requestId(4_711) } })],
  ["one approval", page({ equal: { approval_id: "apr_3" } })],
  ["one incident", page({ equal: { incident: "INC-3" } })],
  ["break-glass", page({ equal: { kind: "break-glass" } })],
  ["kind of none", page({ equal: { kind: "settlement" } })],
  ["one principal", page({ equal: { principal: "agent:7" } })],
  ["denials of one principal", page({ equal: { principal: "agent:7", decision: "refuse" } })],
  ["one approver", page({ approver: "person:alice" })],
  ["a principal of none", page({ equal: { principal: "agent:nobody" } })],
  ["the same, 31 days", page({ equal: { principal: "agent:nobody" }, since: daysAgo(31) })],
  ["free text, found", page({ text: "driver crash", since: daysAgo(31) })],
  ["free text of none, 31 days", page({ text: "nobody wrote this", since: daysAgo(31) })],
  ["a page of an export", (d1, size) => auditRunPage(d1, TENANT, { log: "ledger", last: size }, size / 20, 200)],
  ["the range of a year", (d1) => auditRuns(d1, TENANT, { since: null, until: daysAgo(0), log: null })],
  ["the range of a month", (d1) => auditRuns(d1, TENANT, { since: daysAgo(60), until: daysAgo(30), log: null })],
];

/** The queries of the audit API on SQLite with the project's own migrations, at a tenth of the records and at all of them. */
export async function measureAuditQueries(
  folder: string,
  progress: (text: string) => void,
): Promise<readonly QueryOutcome[]> {
  const measured: { readonly found: number; readonly times: Spread }[][] = [];
  for (const size of SIZES) {
    progress(`making ${size} audit records`);
    const file = join(folder, `audit-${size}.db`);
    const database = new DatabaseSync(file);
    fill(database, size);
    const d1 = sqliteD1(database);
    const outcomes = [];
    for (const [title, run] of QUERIES) {
      progress(`${title}, ${size} records`);
      outcomes.push(await time(() => run(d1, size)));
    }
    measured.push(outcomes);
    database.close();
    rmSync(file);
  }
  const [smalls = [], larges = []] = measured;
  return QUERIES.flatMap(([title], index) => {
    const [small, large] = [smalls[index], larges[index]];
    if (small === undefined || large === undefined) return [];
    const ratio = large.times.median / small.times.median;
    return [{ title, found: large.found, small: small.times, large: large.times, ratio }];
  });
}

async function time(
  run: () => Promise<readonly unknown[]>,
): Promise<{ readonly found: number; readonly times: Spread }> {
  const rounds: number[] = [];
  let found = 0;
  for (let round = 0; round <= ROUNDS; round++) {
    const begun = process.cpuUsage();
    for (let call = 0; call < CALLS; call++) found = (await run()).length;
    const { user, system } = process.cpuUsage(begun);
    // The first one fills the cache.
    if (round > 0) rounds.push((user + system) / 1_000 / CALLS);
  }
  return { found, times: spreadOf(rounds) };
}

function requestId(number: number): string {
  return `req_${String(number).padStart(26, "0")}`;
}

/**
 * Nine of ten records are reads without any text, one in ten is of a write with 300 characters of evidence, one in a hundred a refusal, one in
 * two hundred is approved; break-glass is one in a hundred thousand.
 */
function fill(database: DatabaseSync, size: number): void {
  database.exec("PRAGMA journal_mode = off; PRAGMA synchronous = off; PRAGMA cache_size = -1000000");
  for (const name of readdirSync(join(ROOT, "migrations"))
    .filter((one) => one.endsWith(".sql"))
    .toSorted()) {
    const [schema] = [readFileSync(join(ROOT, "migrations", name), "utf8")];
    for (const statement of schema.split("--> statement-breakpoint")) database.exec(statement);
  }
  const step = SPAN_MS / size;
  database.exec(`
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${size})
    INSERT INTO audit (tenant, log, sequence, hash, record)
    SELECT '${TENANT}', CASE WHEN i % 10 = 0 THEN 'ledger' ELSE 'requests-' || (i % 4) END, i, printf('sha256:%064d', i), json_object(
      'action', CASE WHEN i % 10 = 0 THEN 'workloads.submit' ELSE 'workloads.list' END,
      'approval_id', iif(i % 200 = 0, 'apr_' || (i / 1000), NULL),
      'approvers', json(iif(i % 200 = 0, '["person:alice","person:bob"]', '[]')),
      'back_out', NULL, 'cost_micros', iif(i % 10 = 0, 20000000, NULL), 'count', 1, 'credential_id', 'key_' || (i % 97),
      'decision', CASE WHEN i % 100 = 1 THEN 'refuse' ELSE 'allow' END, 'demo', json('false'),
      'detail', iif(i % 100 = 1, 'the cap of the day leaves no room for request ' || i, NULL), 'duration_ms', 12,
      'evidence', iif(i % 10 = 0, printf('%.*c', 300, 'e') || iif(i % 5000 = 0, ' driver crash', ''), NULL),
      'facts', json('{"gpus":4,"gpu_type":"H100","hours":2,"job_type":"elastic"}'), 'hash', printf('sha256:%064d', i),
      'incident', iif(i % 1000 = 0, 'INC-' || (i / 10000), NULL),
      'kind', CASE WHEN i % 100000 = 0 THEN 'break-glass' WHEN i % 20 = 0 THEN 'outcome' WHEN i % 10 = 0 THEN 'intent' ELSE 'request' END,
      'log', 'ledger', 'method', 'POST', 'outcome', 'succeeded', 'owner', 'person:dana', 'path', '/v1/workloads',
      'policy_digest', printf('sha256:%064d', i % 3), 'previous_hash', printf('sha256:%064d', i - 1), 'price_version', '2026-11-01',
      'principal', 'agent:' || (i % 53), 'principal_class', 'agent',
      'reason', iif(i % 10 = 0, 'weekly retraining of the model ' || i, NULL),
      'reason_code', iif(i % 100 = 1, 'budget-exceeded', NULL), 'request_digest', printf('sha256:%064d', i),
      'request_id', printf('req_%026d', i), 'reservation', NULL, 'rule', 'allowed_tools.tier_2[0] workloads.submit', 'sequence', i,
      'tenant', '${TENANT}', 'tier', iif(i % 10 = 0, 2, 0),
      'time', strftime('%Y-%m-%dT%H:%M:%fZ', (${END_MS - SPAN_MS} + i * ${step}) / 1000.0, 'unixepoch'),
      'upstream_status', 201, 'version', 1)
    FROM n`);
}
