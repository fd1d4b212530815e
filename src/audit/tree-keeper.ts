import type { Env } from "../env.ts";
import { readSigningKey, type SigningKey } from "../identity/signing-key.ts";
import type { HandOver } from "../ledger/notices.ts";
import { outboxOf } from "../outbox/port.ts";
import { toBase64 } from "../platform/base64.ts";
import { describeError } from "../platform/describe-error.ts";
import { log } from "../platform/log.ts";
import { err, ok, type Result } from "../platform/result.ts";
import type { EpochMs } from "../vocabulary.ts";
import { backfill } from "./backfill.ts";
import {
  checkpointAt,
  checkpointNow,
  checkpointUpTo,
  latestCheckpoint,
  markAnchored,
  unanchored,
  type SignedCheckpoint,
} from "./checkpoints.ts";
import type { Place } from "./journal.ts";
import { leafAt, missingLeaves, storedTiles, treeSize } from "./log-tree.ts";
import { consistencyProof, inclusionProof } from "./merkle.ts";
import { NO_TENANT } from "./recorder.ts";
import type { AuditTreePort, TreeAnswer } from "./tree-port.ts";

/** From the first record that no checkpoint covers to the next checkpoint, and between two of them. */
export const CHECKPOINT_EVERY_MS = 60_000;

/** Wait after signing or handing over has failed. */
const RETRY_MS = 30_000;

/** For how long records that D1 does not give back are nobody's concern: a short outage mends itself. */
const BACKFILL_PATIENCE_MS = 10 * 60_000;

/** Checkpoints per hand-over: an hour's of a busy log and more. */
const HAND_OVER_MAX = 100;

/** What a log's object keeps its tree with: it asks when there is something to do, and lets it be done by its alarm. */
export type TreeKeeper = AuditTreePort & {
  /** When the tree has something to do next, null for never; asked after each run and each projection. */
  readonly nextAt: (now: EpochMs) => EpochMs | null;
  /** Why nothing of this log is signed, where people have to look; null where nothing is wrong, or it may mend itself. */
  readonly trouble: (now: EpochMs) => string | null;
  /** Fetches records from before there were trees, signs, hands over: what of it is due. Never throws. */
  readonly run: (now: EpochMs) => Promise<void>;
};

/**
 * The tree of one log. `place`: null while the log is empty and does not know whose it is. Times in memory are lost with the
 * object; what there is to do is in its tables, and then done at once.
 */
export function createTreeKeeper(storage: DurableObjectStorage, env: Env, place: () => Place | null): TreeKeeper {
  const { sql } = storage;
  let signingKey: SigningKey | null = null;
  // Since when records wait for a checkpoint. From the beginning for those that an earlier instance has left.
  let waitingSince: EpochMs | null = 0;
  const notBefore = { backfill: 0, sign: 0, handOver: 0 };
  /** What fails, and since when; lost with the object, and found out again half a minute later. */
  const failing = new Map<keyof typeof notBefore, { readonly since: EpochMs; readonly cause: string }>();

  const key = async (): Promise<Result<SigningKey, string>> => {
    if (signingKey !== null) return ok(signingKey);
    const secret = env["CHECKPOINT_KEY"];
    const read = await readSigningKey("CHECKPOINT_KEY", typeof secret === "string" ? secret : "");
    if (read.ok) signingKey = read.value;
    return read;
  };

  const sign = async (): Promise<Result<SignedCheckpoint | null, string>> => {
    const at = place();
    if (at === null) return ok(null);
    if (missingLeaves(sql) > 0) return err("the tree is being built");
    const read = await key();
    if (!read.ok) return read;
    return ok(await checkpointNow(storage, at, read.value, Date.now()));
  };

  const signAt = (now: EpochMs): EpochMs | null => {
    const at = place();
    const last = latestCheckpoint(sql);
    // Requests of nobody: no credential can read them, and there is nobody to tell.
    if (at === null || at.tenant === NO_TENANT || treeSize(sql) === (last?.size ?? 0)) {
      waitingSince = null;
      return null;
    }
    waitingSince ??= now;
    const due = Math.max(waitingSince, last?.signedAt ?? 0) + CHECKPOINT_EVERY_MS;
    // The clock may have stepped back since.
    return Math.max(notBefore.sign, Math.min(due, now + CHECKPOINT_EVERY_MS));
  };

  const handOver = async (): Promise<void> => {
    const at = place();
    const waiting = unanchored(sql, HAND_OVER_MAX);
    const last = waiting.at(-1);
    if (at === null || last === undefined) return;
    const notices = waiting.map((one): HandOver => {
      const id = `audit-checkpoint/${at.log}/${one.size}`;
      return { kind: "alert", id, at: one.signedAt, alert: { kind: "audit-checkpoint", log: at.log, ...one } };
    });
    await outboxOf(env.OUTBOX, at.tenant).accept(at.tenant, notices);
    markAnchored(sql, last.size);
  };

  const nextAt: TreeKeeper["nextAt"] = (now) => {
    // Nothing is signed before everything is in.
    if (missingLeaves(sql) > 0) return Math.max(now, notBefore.backfill);
    const due = [signAt(now), unanchored(sql, 1).length > 0 ? Math.max(now, notBefore.handOver) : null];
    const times = due.filter((at) => at !== null);
    return times.length === 0 ? null : Math.min(...times);
  };

  /** One thing that fails is put off, and keeps nothing else of the object from being done. */
  const attempt = async (what: keyof typeof notBefore, work: () => Promise<string | null>): Promise<void> => {
    let failure: string | null;
    try {
      failure = await work();
    } catch (error) {
      failure = describeError(error);
    }
    if (failure === null) return void failing.delete(what);
    failing.set(what, { since: failing.get(what)?.since ?? Date.now(), cause: failure });
    notBefore[what] = Math.max(notBefore[what], Date.now() + RETRY_MS);
    log("error", "audit-tree", { ...place(), what, cause: failure });
  };

  const run: TreeKeeper["run"] = async (now) => {
    const at = place();
    if (at === null) return;
    if (missingLeaves(sql) > 0) {
      if (notBefore.backfill > now) return;
      return attempt("backfill", async () => {
        const { nextInMs, failure } = await backfill(storage, env.DB, at);
        notBefore.backfill = Date.now() + (nextInMs ?? 0);
        return failure;
      });
    }
    const due = signAt(now);
    if (due !== null && due <= now) {
      await attempt("sign", async () => {
        const signed = await sign();
        return signed.ok ? null : signed.error;
      });
    }
    if (notBefore.handOver <= now) await attempt("handOver", async () => handOver().then(() => null));
  };

  const trouble: TreeKeeper["trouble"] = (now) => {
    const [signed, backfilled] = [failing.get("sign"), failing.get("backfill")];
    if (signed !== undefined) return signed.cause;
    return backfilled !== undefined && backfilled.since + BACKFILL_PATIENCE_MS <= now ? backfilled.cause : null;
  };

  /** The checkpoint for a question that names no size: the newest, if it reaches. */
  const reaching = async (sequence: number): Promise<TreeAnswer<number>> => {
    const last = latestCheckpoint(sql);
    if (last !== null && last.size >= sequence) return { kind: "found", value: last.size };
    const signed = await checkpoint();
    if (signed.kind !== "found") return signed;
    const { size } = signed.value;
    return size >= sequence ? { kind: "found", value: size } : { kind: "absent", size };
  };

  const checkpoint: AuditTreePort["checkpoint"] = async () => {
    const signed = await sign();
    if (!signed.ok) return { kind: "unavailable", cause: signed.error };
    return signed.value === null ? { kind: "absent", size: 0 } : { kind: "found", value: signed.value };
  };

  const within = async (least: number, asked: number | null): Promise<TreeAnswer<number>> => {
    if (asked === null) return reaching(least);
    const size = treeSize(sql);
    return asked <= size ? { kind: "found", value: asked } : { kind: "absent", size };
  };

  return {
    nextAt,
    run,
    trouble,
    checkpoint,
    latestCheckpoint: async () => latestCheckpoint(sql),
    checkpointUpTo: async (size) => checkpointUpTo(sql, size),
    inclusion: async (sequence, asked) => {
      const size = await within(sequence, asked);
      if (size.kind !== "found") return size;
      const read = storedTiles(sql);
      const hashes = inclusionProof(read, sequence - 1, size.value).map(toBase64);
      const leafHash = toBase64(leafAt(read, sequence - 1));
      const value = { sequence, size: size.value, leafHash, hashes, checkpoint: checkpointAt(sql, size.value) };
      return { kind: "found", value };
    },
    consistency: async (from, asked) => {
      const to = await within(from, asked);
      if (to.kind !== "found") return to;
      const hashes = consistencyProof(storedTiles(sql), from, to.value).map(toBase64);
      return { kind: "found", value: { from, to: to.value, hashes } };
    },
  };
}
