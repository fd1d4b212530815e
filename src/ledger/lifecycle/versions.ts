import { assert } from "../../platform/assert.ts";
import type { Refusal } from "../../refusal.ts";
import type { EpochMs } from "../../vocabulary.ts";
import { recordActivation, type Activation } from "./activations.ts";
import { forgetMeasures } from "../aggregates/aggregate-fill.ts";
import { activeVersion, termsOf, type VersionTerms } from "../authority.ts";
import { textOf, integerOf, textOrNull, integerOrNull, type SqlRow } from "../../platform/sql-row.ts";
import { mintersOf } from "./minters.ts";
import { tell } from "../signals.ts";

export type PolicyVersion = VersionTerms & {
  readonly version: number;
  readonly author: string;
  readonly reason: string;
  readonly gitCommit: string | null;
  readonly createdAt: EpochMs;
  readonly activatedBy: string | null;
  readonly activatedAt: EpochMs | null;
};

/** Adds a version: documents by digest, with author and reason. Not in force until activated. Returns its number. */
export function addVersion(
  sql: SqlStorage,
  terms: VersionTerms,
  by: { readonly author: string; readonly reason: string; readonly gitCommit: string | null },
  now: EpochMs,
): number {
  const version = integerOf(sql.exec("SELECT coalesce(max(version), 0) + 1 AS next FROM versions").one(), "next");
  sql.exec(
    `INSERT INTO versions (version, policy, people, catalogue, prices, daily_cap_micros, monthly_cap_micros, money, signals, retention, author, reason, git_commit, created_at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    version,
    terms.policy,
    terms.people,
    terms.catalogue,
    terms.prices,
    terms.dailyCapMicros,
    terms.monthlyCapMicros,
    terms.moneyDigest,
    JSON.stringify(terms.signals ?? null),
    JSON.stringify(terms.retention ?? null),
    by.author,
    by.reason,
    by.gitCommit,
    now,
  );
  return version;
}

/** Versions, newest first. */
export function listVersions(sql: SqlStorage): readonly PolicyVersion[] {
  return sql.exec("SELECT * FROM versions ORDER BY version DESC LIMIT 200").toArray().map(fromRow);
}

/** The version with this number, null where there is none. */
export function findVersion(sql: SqlStorage, version: number): PolicyVersion | null {
  const row = sql.exec("SELECT * FROM versions WHERE version = ?", version).toArray()[0];
  return row === undefined ? null : fromRow(row);
}

/** Roles that write versions, and those that put them in force. */
const AUTHORS = ["operator"] as const;
const ACTIVATORS = ["security", "finance"] as const;

/** Who puts a version in force, as far as it counts. */
type Activator = { readonly subject: string; readonly roles: readonly string[] };

/** What an activation says besides its version. `replaces`: it is meant for the case that this one is in force, and no other. */
export type ActivationTerms = { readonly reason: string | null; readonly replaces: number | null };

/**
 * Puts a version in force, one that was in force before as well as a new one. Its schedule, if there is one, is over with that. Returns
 * why not, or null when it is in force now.
 */
export function activateVersion(
  sql: SqlStorage,
  version: number,
  by: Activator,
  now: EpochMs,
  { reason, replaces }: ActivationTerms,
): Refusal | null {
  const candidate = findVersion(sql, version);
  const active = activeVersion(sql);
  if (candidate === null || active === null) return { kind: "not-found" };
  if (candidate.version === active.version || (replaces !== null && replaces !== active.version)) {
    const current = findVersion(sql, active.version);
    const state = `version ${active.version} is in force`;
    return { kind: "already-decided", state, decided_by: [current?.activatedBy ?? ""] };
  }
  const fault = activationFault(sql, candidate, active, by);
  if (fault !== null) return { kind: "not-eligible", reason: fault };
  sql.exec("DELETE FROM schedules WHERE version = ?", version);
  putInForce(sql, candidate, { previous: active.version, by: by.subject, at: now, how: "at-once", reason });
  return null;
}

/**
 * Why this person does not put `candidate` in force while `active` is, null where they may. Nobody widens alone: operators write
 * versions, security or finance puts them in force (the route's roles), never the author, nor a name that the author may have made,
 * and finance where it says more or other things of money. Reads only.
 */
export function activationFault(
  sql: SqlStorage,
  candidate: PolicyVersion,
  active: VersionTerms,
  by: Activator,
): string | null {
  if (candidate.author === by.subject) return "A version is activated by a second person, not by its author.";
  const behindAuthor = mintersOf(sql, candidate.author, AUTHORS);
  const both = [...mintersOf(sql, by.subject, ACTIVATORS)].find((name) => behindAuthor.has(name));
  if (both !== undefined)
    return `A version is activated by a second person: ${both} stands behind its author and behind you, as one of them or by having minted their keys.`;
  return concernsFinance(candidate, active) && !by.roles.includes("finance")
    ? "This version raises a cap, or changes prices, teams or other terms of the budget: finance activates it."
    : null;
}

/** Anything about money but lower caps of the tenant: whether another change widens is a comparison too easy to get wrong. */
export const concernsFinance = (candidate: VersionTerms, active: VersionTerms): boolean =>
  candidate.dailyCapMicros > active.dailyCapMicros ||
  candidate.monthlyCapMicros > active.monthlyCapMicros ||
  candidate.prices !== active.prices ||
  candidate.moneyDigest === null ||
  candidate.moneyDigest !== active.moneyDigest;

/** The first version of a new tenant: no earlier one to widen, so bootstrap puts it in force itself. */
export function putFirstVersionInForce(
  sql: SqlStorage,
  tenant: string,
  version: number,
  by: string,
  now: EpochMs,
): void {
  assert(activeVersion(sql) === null, "bootstrap happens once");
  const candidate = fromRow(sql.exec("SELECT * FROM versions WHERE version = ?", version).one());
  sql.exec(
    `INSERT INTO authority (only, tenant, version, policy, people, catalogue, prices, daily_cap_micros, monthly_cap_micros, credential_epoch)
     VALUES (1, ?, 0, '', '', '', '', 0, 0, 1)`,
    tenant,
  );
  putInForce(sql, candidate, { previous: null, by, at: now, how: "founding", reason: null });
}

/** Puts a version in force whatever it says: whoever calls has judged whether it may. People are told, but of a tenant's first one. */
export function putInForce(sql: SqlStorage, version: PolicyVersion, how: Omit<Activation, "version">): void {
  sql.exec(
    "UPDATE authority SET version = ?, policy = ?, people = ?, catalogue = ?, prices = ?, daily_cap_micros = ?, monthly_cap_micros = ?, money = ?, signals = ?, retention = ?",
    version.version,
    version.policy,
    version.people,
    version.catalogue,
    version.prices,
    version.dailyCapMicros,
    version.monthlyCapMicros,
    version.moneyDigest,
    JSON.stringify(version.signals),
    JSON.stringify(version.retention),
  );
  const { by, at, previous, reason } = how;
  sql.exec("UPDATE versions SET activated_by = ?, activated_at = ? WHERE version = ?", by, at, version.version);
  recordActivation(sql, { ...how, version: version.version });
  forgetMeasures(sql);
  if (previous === null) return;
  const scheduled = how.how === "scheduled";
  tell(
    sql,
    {
      signal: "policy-activated",
      version: version.version,
      previous,
      by,
      author: version.author,
      reason,
      scheduled,
      since: at,
    },
    at,
  );
}

function fromRow(row: SqlRow): PolicyVersion {
  return {
    ...termsOf(row),
    version: integerOf(row, "version"),
    author: textOf(row, "author"),
    reason: textOf(row, "reason"),
    gitCommit: textOrNull(row, "git_commit"),
    createdAt: integerOf(row, "created_at"),
    activatedBy: textOrNull(row, "activated_by"),
    activatedAt: integerOrNull(row, "activated_at"),
  };
}
