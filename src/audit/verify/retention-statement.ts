import { isJsonObject, type JsonObject } from "../../platform/json.ts";

const DAY_MS = 86_400_000;
const LOG_PLACE = /^(\S+) (\d{1,15}) (sha256:[0-9a-f]{64})$/;

/** What the gate put on record before it deleted texts: how far each log goes, and the digest of what is left of it up to there. */
export type RetentionStatement = {
  /** Its own place in the ledger's log. */
  readonly sequence: number;
  readonly retainDays: number;
  readonly olderThan: string;
  /** Whether what goes was older than the retention when this was written. */
  readonly isOldEnough: boolean;
  readonly logs: ReadonlyMap<string, { readonly to: number; readonly digest: string }>;
};

/** The statement in a record; null for any other record. */
export function readStatement(record: JsonObject, sequence: number): RetentionStatement | null {
  const { kind, log, principal_class: by, reason_code: code, facts, time } = record;
  if (kind !== "admin" || log !== "ledger" || by !== "gate" || code !== "audit-retention") return null;
  const { retain_days: retainDays, older_than: olderThan, logs }: JsonObject = isJsonObject(facts) ? facts : {};
  if (typeof retainDays !== "number" || typeof olderThan !== "string" || !Array.isArray(logs)) return null;
  const places = logs.flatMap((one) => {
    const [, name, to, digest] = typeof one === "string" ? (LOG_PLACE.exec(one) ?? []) : [];
    return name === undefined || to === undefined || digest === undefined
      ? []
      : [[name, { to: Number(to), digest }] as const];
  });
  const isOldEnough = typeof time === "string" && Date.parse(olderThan) <= Date.parse(time) - retainDays * DAY_MS;
  return { sequence, retainDays, olderThan, isOldEnough, logs: new Map(places) };
}
