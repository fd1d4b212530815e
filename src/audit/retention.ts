import { readLogRows } from "../db/log-rows.ts";
import { deleteEvidence, deleteTexts, unnamedEvidence } from "../db/retention-rows.ts";
import { toBase64 } from "../platform/base64.ts";
import { describeError } from "../platform/describe-error.ts";
import { log as writeLog } from "../platform/log.ts";
import { integerOf } from "../platform/sql-row.ts";
import type { AuditRetention } from "../policy/audit-retention.ts";
import type { Digest, EpochMs } from "../vocabulary.ts";
import type { Place } from "./journal.ts";
import { leafHash } from "./merkle.ts";
import type { AuditRecord } from "./record.ts";
import { recordUploads, RETENTION_CODE, stateRetention, type RetentionTerms } from "./retention-records.ts";
import { keepPlace, remainsDigest, retentionPlace, type RetentionPlace } from "./retention-state.ts";
import { AUDIT_LOGS, type LogLeavesPort } from "./tree-port.ts";

const DAY_MS = 86_400_000;

/**
 * From the record that says what goes to the first text that does. Within it a hold can be set; and an export that begins before has
 * every text that no record in it says is gone.
 */
export const NOTICE_MS = 3_600_000;

/** Between two runs when there is nothing left to do; when there is; and after D1 or a log could not be asked. */
export const RETENTION_EVERY_MS = DAY_MS;
const MORE_MS = 1_000;
const RETRY_MS = 10 * 60_000;

/** Records per question to D1 and per statement: 300 KB as a rule, a few megabytes where each is full of evidence. */
const BATCH_ROWS = 200;

/** Questions or statements per run: about half a second in which the ledger's alarm does nothing else. */
const BATCHES_PER_RUN = 6;

/** Records of one log that one audit record says are going: a busy day's, so that a log of millions makes tens of such records. */
const STATED_ROWS = 50_000;

/** Uploads of evidence per run: D1's 100 bound parameters. */
const EVIDENCE_ROWS = 90;

/**
 * What names evidence does so at once, but for a request that inherits it from its approval: that may come a day later at most
 * (a proposal's longest timeout), and its grant lasts half an hour.
 */
const EVIDENCE_GRACE_MS = 3 * DAY_MS;

/** What retention works with, all of it asked anew at each step. `policy`: that of the version in force, null before there is one. */
export type RetentionWorld = {
  readonly d1: D1Database;
  readonly tenant: string;
  readonly sql: SqlStorage;
  readonly leavesOf: (log: string) => LogLeavesPort;
  readonly policy: () => { readonly digest: Digest; readonly retention: AuditRetention | null } | null;
  /** Runs `work` as one transaction of the ledger. */
  readonly transact: (work: (place: Place, now: EpochMs) => void) => void;
};

/**
 * One bounded run of retention for one tenant: takes the texts of records away that are older than the policy in force keeps them.
 * What it deletes is always the beginning of a log, and in this order:
 *
 * 1. Records are read back and compared with the log's tree, which says what they were when they were signed: what is not the same
 *    is evidence of something else, and retention stops before it.
 * 2. One record in the ledger's log says how far each log goes, under which retention, and the digest of what is left.
 * 3. An hour later, and when D1 has that record, the texts go.
 *
 * Every step is stored before the next and does nothing when repeated: a crash after the record leaves texts that are still to go,
 * a crash between D1's deletion and its confirmation a statement that is repeated to no effect.
 *
 * Returns when to run again. Never throws.
 */
export async function retain(world: RetentionWorld): Promise<number> {
  const terms = termsNow(world);
  // Nothing is kept for a time only, or a legal hold lies on it.
  if (terms === null) return RETENTION_EVERY_MS;
  try {
    const places = AUDIT_LOGS.map((log) => retentionPlace(world.sql, log));
    const going = places.filter((place) => place.deleted < place.stated && place.checkedUntil < terms.bound);
    if (going.length > 0) {
      if (going.some(({ statedDays }) => statedDays !== terms.days)) return state(world, terms);
      const wait = noticeLeft(world.sql, going);
      if (wait > 0) return wait;
      return (await deleteStated(world, going)) ? MORE_MS : RETRY_MS;
    }
    const checked = await checkAll(world, terms);
    if (checked === "more") return MORE_MS;
    const isNew = AUDIT_LOGS.map((log) => retentionPlace(world.sql, log)).some(
      (place) => place.hasOthers && place.checkedUntil < terms.bound,
    );
    if (isNew) return state(world, terms);
    if (await deleteUploads(world, terms)) return MORE_MS;
    return checked === "failed" ? RETRY_MS : RETENTION_EVERY_MS;
  } catch (error) {
    writeLog("warn", "audit-retention", { tenant: world.tenant, cause: describeError(error) });
    return RETRY_MS;
  }
}

/** Null while nothing may be deleted. Asked before every statement: a hold that was set meanwhile stops the next one. */
function termsNow({ policy }: Pick<RetentionWorld, "policy">, now = Date.now()): RetentionTerms | null {
  const active = policy();
  const days = active?.retention?.retainDays ?? null;
  if (active === null || days === null || active.retention?.legalHold !== false) return null;
  return { days, bound: now - days * DAY_MS, policy: active.digest };
}

/** Reads records back from where each log stands on. `through`: there is none left that is old enough, or enough for one record. */
async function checkAll(world: RetentionWorld, terms: RetentionTerms): Promise<"through" | "more" | "failed"> {
  let batches = BATCHES_PER_RUN;
  let failed = false;
  for (const log of AUDIT_LOGS) {
    for (;;) {
      if (batches === 0) return "more";
      batches -= 1;
      const outcome = await checkBatch(world, terms, log);
      if (outcome === "failed") failed = true;
      if (outcome !== "more") break;
    }
  }
  return failed ? "failed" : "through";
}

async function checkBatch(
  world: RetentionWorld,
  terms: RetentionTerms,
  log: string,
): Promise<"through" | "more" | "failed"> {
  const { sql, tenant, d1 } = world;
  const before = retentionPlace(sql, log);
  const room = Math.min(BATCH_ROWS, before.stated + STATED_ROWS - before.checked);
  // What is checked already is too young: the policy keeps records for longer than when they were checked.
  if (room <= 0 || (before.checked > before.stated && before.checkedUntil >= terms.bound)) return "through";
  const rows = await readLogRows(d1, { tenant, log }, before.checked + 1, room);
  if (rows.length === 0) return "through";
  const leaves = await world.leavesOf(log).deletableLeaves(before.checked, rows.length);
  let place = before;
  let fault: string | null = null;
  for (const [index, leaf] of leaves.entries()) {
    const row = rows[index];
    const sequence = before.checked + 1 + index;
    if (row === undefined || row.sequence !== sequence) fault = `D1 has no record ${sequence}`;
    else if (row.leafHash !== null) fault = `record ${sequence} in D1 has lost its text, and not by retention`;
    else if (toBase64(leafHash(UTF8.encode(row.record))) !== leaf)
      fault = `record ${sequence} in D1 is not the one in the log's tree`;
    if (row === undefined || fault !== null) break;
    // The record that the tree has: the gate wrote it.
    const {
      time,
      hash,
      reason_code: code,
    }: Pick<AuditRecord, "time" | "hash" | "reason_code"> = JSON.parse(row.record);
    const at = Date.parse(time);
    if (at >= terms.bound) break;
    place = {
      ...place,
      checked: sequence,
      checkedDigest: remainsDigest(place.checkedDigest, { sequence, hash, leaf }),
      checkedUntil: Math.max(place.checkedUntil, at),
      hasOthers: place.hasOthers || code !== RETENTION_CODE,
    };
  }
  // Read again if this is lost.
  if (place !== before) world.transact(() => keepPlace(sql, place));
  if (fault !== null) writeLog("error", "audit-retention", { tenant, log, cause: fault });
  if (fault !== null) return "failed";
  return place.checked === before.checked + room ? "more" : "through";
}

/** Says what goes, and when it does. */
function state(world: RetentionWorld, terms: RetentionTerms): number {
  world.transact((place, now) => stateRetention(world.sql, place, terms, now));
  return NOTICE_MS;
}

/** How long to wait until the record that says what goes is an hour old and in D1; 0: it is. */
function noticeLeft(sql: SqlStorage, going: readonly RetentionPlace[]): number {
  const now = Date.now();
  const left = Math.max(...going.map(({ statedAt }) => Math.min(NOTICE_MS, statedAt + NOTICE_MS - now)));
  if (left > 0) return left;
  const confirmed = integerOf(sql.exec("SELECT confirmed FROM projection").one(), "confirmed");
  return going.every(({ statedBy }) => statedBy <= confirmed) ? 0 : RETRY_MS;
}

/** Takes texts away that a record says go. False where a log does not let go of what it has let go of before. */
async function deleteStated(world: RetentionWorld, going: readonly RetentionPlace[]): Promise<boolean> {
  let [batches, isAnyDone] = [BATCHES_PER_RUN, false];
  for (const { log, stated } of going) {
    for (let { deleted } = retentionPlace(world.sql, log); deleted < stated && batches > 0;) {
      batches -= 1;
      const leaves = await world.leavesOf(log).deletableLeaves(deleted, Math.min(BATCH_ROWS, stated - deleted));
      // A hold may have been set, or the retention lengthened, since this run began.
      const terms = termsNow(world);
      const place = retentionPlace(world.sql, log);
      if (terms === null || place.checkedUntil >= terms.bound || place.deleted !== deleted) return true;
      if (leaves.length === 0) break;
      const left = await deleteTexts(world.d1, { tenant: world.tenant, log }, deleted + 1, leaves, Date.now());
      if (left > 0) throw new Error(`D1 still has ${left} texts of ${log} after ${deleted}`);
      deleted += leaves.length;
      // After D1 has: were this lost, the same rows would be found without text, and this said again.
      world.transact(() => keepPlace(world.sql, { ...retentionPlace(world.sql, log), deleted }));
      isAnyDone = true;
    }
  }
  return isAnyDone;
}

/** Deletes uploaded evidence that nothing has named within the retention. True where there may be more. */
async function deleteUploads(world: RetentionWorld, terms: RetentionTerms): Promise<boolean> {
  const { d1, tenant, sql } = world;
  const before = terms.bound - EVIDENCE_GRACE_MS;
  const digests = await unnamedEvidence(d1, tenant, before, EVIDENCE_ROWS);
  if (digests.length === 0 || termsNow(world) === null) return false;
  // On record first. Should the deletion be lost, it is put on record again when it is repeated.
  world.transact((place, now) => recordUploads(sql, place, terms, digests.length, before, now));
  await deleteEvidence(d1, tenant, digests, before);
  return digests.length === EVIDENCE_ROWS;
}

const UTF8 = new TextEncoder();
