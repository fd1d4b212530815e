import { describeError } from "../platform/describe-error.ts";
import { log } from "../platform/log.ts";
import type { AuditEntry, Ending } from "./record.ts";
import { requestLogOf, type SubmittedEnding, type SubmittedEntry } from "./request-log-port.ts";
import type { EpochMs } from "../vocabulary.ts";
import { storableJson } from "./journal.ts";
import { createFloodGuard } from "./flood-guard.ts";

/** Where requests that were never authenticated are recorded; not a tenant id, so no credential can read it. */
export const NO_TENANT = "-";

/** A follower whose leader's client went away re-submits its own entry after this long. */
const FOLLOW_MS = 2_000;

/**
 * A batch that had to wait for the one before waits this much longer for company: the log is busy, and half as many commits
 * let everybody through sooner than 3 ms. A read that finds nothing under way never waits.
 */
const GATHER_MS = 3;

/** Endings wait this long for a batch to travel with. */
const ENDING_DELAY_MS = 100;

/** Entries per call: a few hundred kilobytes, far below the 32 MiB bound of an RPC. */
const BATCH_LIMIT = 256;

/** A Durable Object's SQLite takes no value above 2 MB; one character is three bytes of UTF-8 at most. */
const BATCH_CHARS = 500_000;

type WaitUntil = (work: Promise<unknown>) => void;

type Batch = {
  /** Entries as they travel: each a `SubmittedEntry` as JSON. */
  readonly entries: string[];
  chars: number;
  readonly done: Promise<boolean>;
  readonly settle: (durable: boolean) => void;
};

type Lane = {
  inFlight: Promise<unknown> | null;
  next: Batch | null;
  endings: SubmittedEnding[];
  endingsTimer: boolean;
};

/** Records reads and refusals in the tenant's request log, batched per isolate. */
export type Recorder = {
  /**
   * Makes an entry durable; resolves false when it could not be. `open`: `end` follows. `tellAfterMs`: within which time people
   * are told of it; null (or left out) where they are not.
   */
  readonly append: (
    tenant: string,
    entryId: string,
    entry: AuditEntry,
    open: boolean,
    waitUntil: WaitUntil,
    tellAfterMs?: EpochMs | null,
  ) => Promise<boolean>;
  /** Adds the ending of an open entry, off the response's path. */
  readonly end: (tenant: string, entryId: string, ending: Ending, waitUntil: WaitUntil) => void;
  /**
   * Records a refusal off the response's path. Loss bound: what one isolate has not handed over when it dies, at most one
   * batch. A flood of equal refusals is recorded one by one up to the guard's rate, then as counted summaries.
   */
  readonly refusal: (tenant: string, entryId: string, entry: AuditEntry, waitUntil: WaitUntil) => void;
};

/** One recorder per isolate. */
export function createRecorder(namespace: DurableObjectNamespace): Recorder {
  const lanes = new Map<string, Lane>();
  const guard = createFloodGuard();
  // Chosen on first use: random numbers are not to be had while the script is being loaded.
  let shard: number | null = null;

  const call = async (
    tenant: string,
    entries: readonly string[],
    endings: readonly SubmittedEnding[],
  ): Promise<boolean> => {
    shard ??= crypto.getRandomValues(new Uint8Array(1))[0] ?? 0;
    try {
      const { port, place } = requestLogOf(namespace, tenant, shard);
      const outcome = await port.append(
        place,
        entries.length === 0 ? null : `[${entries.join(",")}]`,
        endings.length === 0 ? null : storableJson(endings),
      );
      if (outcome.kind === "appended") return true;
      log("error", "audit-refused", { tenant, cause: outcome.cause });
    } catch (error) {
      log("error", "audit-append", { tenant, cause: describeError(error) });
    }
    return false;
  };

  const laneOf = (tenant: string): Lane => {
    const known = lanes.get(tenant);
    if (known !== undefined) return known;
    const lane: Lane = { inFlight: null, next: null, endings: [], endingsTimer: false };
    lanes.set(tenant, lane);
    return lane;
  };

  const flush = async (tenant: string, lane: Lane, batch: Batch): Promise<void> => {
    // Whoever leads waits for the batch before, but not for ever: its leader may be gone with its client.
    if (lane.inFlight !== null) {
      await Promise.race([lane.inFlight, pause(FOLLOW_MS)]);
      await pause(GATHER_MS);
    }
    if (lane.next === batch) lane.next = null;
    const sending = call(tenant, batch.entries, lane.endings.splice(0, BATCH_LIMIT));
    lane.inFlight = sending;
    batch.settle(await sending);
    if (lane.inFlight === sending) lane.inFlight = null;
  };

  const append: Recorder["append"] = async (tenant, entryId, entry, open, waitUntil, tellAfterMs = null) => {
    const lane = laneOf(tenant);
    const submitted = storableJson({
      entryId,
      entry,
      open,
      ...(tellAfterMs === null ? {} : { tellAfterMs }),
    } satisfies SubmittedEntry);
    const joined = lane.next;
    if (joined !== null && joined.entries.length < BATCH_LIMIT && joined.chars + submitted.length <= BATCH_CHARS) {
      joined.entries.push(submitted);
      joined.chars += submitted.length;
      const durable = await Promise.race([joined.done, pause(FOLLOW_MS).then(() => null)]);
      if (durable !== null) return durable;
      // Its leader is gone: nobody else must join it and wait as long.
      if (lane.next === joined) lane.next = null;
      return call(tenant, [submitted], []);
    }
    const batch = newBatch(submitted);
    lane.next = batch;
    waitUntil(flush(tenant, lane, batch));
    return batch.done;
  };

  const flushEndings = async (tenant: string, lane: Lane): Promise<void> => {
    await pause(ENDING_DELAY_MS);
    lane.endingsTimer = false;
    while (lane.endings.length > 0) await call(tenant, [], lane.endings.splice(0, BATCH_LIMIT));
  };

  return {
    append,
    end: (tenant, entryId, ending, waitUntil) => {
      const lane = laneOf(tenant);
      lane.endings.push({ entryId, ending });
      if (lane.endingsTimer) return;
      lane.endingsTimer = true;
      waitUntil(flushEndings(tenant, lane));
    },
    refusal: (tenant, entryId, entry, waitUntil) => {
      const verdict = guard.admit(
        `${tenant}\n${entry.principal ?? ""}\n${entry.reason_code ?? ""}`,
        Date.parse(entry.time),
      );
      if (verdict.kind === "record") waitUntil(append(tenant, entryId, entry, false, waitUntil));
      if (verdict.kind === "open-summary") {
        const summarise = async (): Promise<void> => {
          await pause(verdict.closesInMs);
          const count = verdict.close();
          await append(
            tenant,
            `${entryId}/summary`,
            { ...entry, count, detail: `${count} like refusals of this principal` },
            false,
            waitUntil,
          );
        };
        waitUntil(summarise());
      }
    },
  };
}

function newBatch(first: string): Batch {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  return { entries: [first], chars: first.length, done: promise, settle: resolve };
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
