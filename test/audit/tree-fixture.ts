import { backfill, type BackfillOutcome } from "../../src/audit/backfill.ts";
import { checkpointNow, type SignedCheckpoint } from "../../src/audit/checkpoints.ts";
import { appendEntry } from "../../src/audit/journal.ts";
import { treeSize } from "../../src/audit/log-tree.ts";
import { projectJournal, type ProjectionOutcome } from "../../src/audit/projection.ts";
import { auditTreeOf, type AuditTreePort } from "../../src/audit/tree-port.ts";
import { readSigningKey, type SigningKey } from "../../src/identity/signing-key.ts";
import { testEnv } from "../support/test-env.ts";
import { faultyD1 } from "./faulty-d1.ts";
import { entry, newLog, storedRows } from "./fixture.ts";

/** A request log of its own. */
export type Log = ReturnType<typeof newLog>;

/** What can be asked of its tree. */
export const treeOf = ({ place }: Log): AuditTreePort => auditTreeOf(testEnv, place.tenant, place.log);

/** `request <n>`, from the first number to the last. */
export const names = (from: number, to: number): readonly string[] =>
  Array.from({ length: to - from + 1 }, (_, index) => `request ${from + index}`);

/** Appends complete entries with these numbers. */
export const append = (log: Log, from: number, to: number): Promise<void> =>
  log.inside(({ sql }) => {
    for (const name of names(from, to)) appendEntry(sql, log.place, name, entry(name), Date.now());
  });

/** One run of the projection, D1 with these faults. */
export const project = (log: Log, faults: Parameters<typeof faultyD1>[1] = {}): Promise<ProjectionOutcome> =>
  log.inside((storage) => projectJournal(storage, faultyD1(testEnv.DB, faults), log.place, 0, Date.now()));

/** One run of the backfill, D1 with these faults. */
export const fill = (log: Log, faults: Parameters<typeof faultyD1>[1] = {}): Promise<BackfillOutcome> =>
  log.inside((storage) => backfill(storage, faultyD1(testEnv.DB, faults), log.place));

/** Leaves of the tree. */
export const sizeOf = (log: Log): Promise<number> => log.inside(({ sql }) => treeSize(sql));

/** The log's records in D1, as their text. */
export const recordsOf = async (log: Log): Promise<readonly string[]> =>
  (await storedRows(log.place)).map((row) => String(row["record"]));

/** CHECKPOINT_KEY, or this one. */
export const keyOf = async (text?: string): Promise<SigningKey> => {
  const read = await readSigningKey("CHECKPOINT_KEY", text ?? String(testEnv["CHECKPOINT_KEY"]));
  if (!read.ok) throw new Error(read.error);
  return read.value;
};

/** Signs the tree as it stands. */
export const sign = async (log: Log, key?: SigningKey): Promise<SignedCheckpoint | null> => {
  const signing = key ?? (await keyOf());
  return log.inside((storage) => checkpointNow(storage, log.place, signing, Date.now()));
};

/** The place that a log gets with its first append. */
export const settle = (log: Log): Promise<void> =>
  log.inside(
    ({ sql }) =>
      void sql.exec("INSERT INTO place (only, tenant, log) VALUES (1, ?, ?)", log.place.tenant, log.place.log),
  );
