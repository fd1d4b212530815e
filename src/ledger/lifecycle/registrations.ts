import { integerOf, textOf, type SqlRow } from "../../platform/sql-row.ts";
import type { Refusal } from "../../refusal.ts";
import type { Digest, EpochMs } from "../../vocabulary.ts";
import { tell } from "../signals.ts";

/**
 * Who may say who people are: issuers of access tokens, approval authorities, the way people sign in. What is registered stands in
 * D1; here stand what waits for a second person, and what was removed. A step of the ledger's schema.
 */
export const REGISTRATION_SCHEMA = `
  CREATE TABLE registration_asks (
    kind TEXT NOT NULL, id TEXT NOT NULL, issuer TEXT NOT NULL, text TEXT NOT NULL, digest TEXT NOT NULL,
    asked_by TEXT NOT NULL, asked_at INTEGER NOT NULL, PRIMARY KEY (kind, id)
  );
  CREATE TABLE registrations (
    kind TEXT NOT NULL, id TEXT NOT NULL, issuer TEXT NOT NULL, text TEXT NOT NULL, digest TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('in-force','removed')), by TEXT NOT NULL, at INTEGER NOT NULL,
    PRIMARY KEY (kind, id)
  );
`;

export const REGISTRATION_KINDS = ["access", "approval", "sign-in"] as const;
export type RegistrationKind = (typeof REGISTRATION_KINDS)[number];

/** An ask that nobody confirmed within a week is over. */
const ASK_LIFETIME_MS = 7 * 24 * 3_600_000;

/** A registration that is to be. `text`: as it will be stored. `digest`: of that text; whoever confirms names it. */
export type RegistrationAsk = {
  readonly kind: RegistrationKind;
  /** Unique among the tenant's of its kind. */
  readonly id: string;
  readonly issuer: string;
  readonly text: string;
  readonly digest: Digest;
};

export type WaitingRegistration = Omit<RegistrationAsk, "digest"> & {
  readonly digest: string;
  readonly askedBy: string;
  readonly askedAt: EpochMs;
};

/** Which registration somebody means: what they looked at, by its digest. */
export type RegistrationRef = { readonly kind: RegistrationKind; readonly id: string; readonly digest: string };

/** Has a registration wait for a second person; it replaces one of the same id that waits. People are told. */
export function askRegistration(sql: SqlStorage, ask: RegistrationAsk, by: string, now: EpochMs): void {
  const { kind, id, issuer, text, digest } = ask;
  sql.exec("DELETE FROM registration_asks WHERE asked_at <= ?", now - ASK_LIFETIME_MS);
  sql.exec(
    `INSERT OR REPLACE INTO registration_asks (kind, id, issuer, text, digest, asked_by, asked_at) VALUES (?, ?, ?, ?, ?, ?, ?)`,
    kind,
    id,
    issuer,
    text,
    digest,
    by,
    now,
  );
  tell(sql, { signal: "issuer-asked", registration: kind, id, issuer, by, since: now }, now);
}

/**
 * One more person's word: from now on the registration counts. The same word again answers the same, so that storing it can be
 * repeated. Returns what to store, or why it does not count. People are told. Run inside `transactionSync`.
 */
export function confirmRegistration(
  sql: SqlStorage,
  { kind, id, digest }: RegistrationRef,
  by: string,
  now: EpochMs,
): { readonly kind: "confirmed"; readonly text: string } | { readonly kind: "refused"; readonly refusal: Refusal } {
  const known = sql.exec("SELECT * FROM registrations WHERE kind = ? AND id = ?", kind, id).toArray()[0];
  if (known?.["state"] === "in-force" && known["digest"] === digest) {
    return { kind: "confirmed", text: textOf(known, "text") };
  }
  const row = sql.exec("SELECT * FROM registration_asks WHERE kind = ? AND id = ?", kind, id).toArray()[0];
  if (row === undefined) return { kind: "refused", refusal: { kind: "not-found" } };
  const ask = waitingFromRow(row);
  if (ask.askedAt <= now - ASK_LIFETIME_MS) return { kind: "refused", refusal: { kind: "not-found" } };
  if (ask.askedBy === by) {
    const reason = "A registration is confirmed by a second person, not by whoever asked for it.";
    return { kind: "refused", refusal: { kind: "not-eligible", reason } };
  }
  if (ask.digest !== digest)
    return { kind: "refused", refusal: { kind: "resource-changed", differences: ["registration"] } };
  sql.exec("DELETE FROM registration_asks WHERE kind = ? AND id = ?", kind, id);
  settle(sql, { ...ask, state: "in-force" }, by, now);
  tell(sql, { signal: "issuer-confirmed", registration: kind, id, issuer: ask.issuer, by, since: now }, now);
  return { kind: "confirmed", text: ask.text };
}

/**
 * Ends a registration, or takes back one that waits: it narrows, so one person suffices. From the next admission on nothing
 * counts that it vouches for, whatever isolates have cached or D1 is made to say. False where there is none. People are told.
 */
export function removeRegistration(
  sql: SqlStorage,
  { kind, id, issuer }: Pick<RegistrationAsk, "kind" | "id"> & { readonly issuer: string | null },
  by: string,
  now: EpochMs,
): boolean {
  const asked = sql
    .exec("DELETE FROM registration_asks WHERE kind = ? AND id = ? RETURNING issuer", kind, id)
    .toArray();
  const known = sql.exec("SELECT issuer, state FROM registrations WHERE kind = ? AND id = ?", kind, id).toArray()[0];
  const stands = issuer !== null || known?.["state"] === "in-force";
  if (!stands && asked[0] === undefined) return false;
  const row = known ?? asked[0];
  const named = issuer ?? (row === undefined ? "" : textOf(row, "issuer"));
  if (stands) {
    settle(sql, { kind, id, issuer: named, text: "", digest: "", state: "removed" }, by, now);
    // Every isolate's next write comes back and is judged by the ledger as it is now.
    sql.exec("UPDATE authority SET credential_epoch = credential_epoch + 1");
  }
  tell(sql, { signal: "issuer-removed", registration: kind, id, issuer: named, by, since: now }, now);
  return true;
}

/** Registrations of this kind that wait for a second person, the oldest first. */
export const waitingRegistrations = (
  sql: SqlStorage,
  kind: RegistrationKind,
  now: EpochMs,
): readonly WaitingRegistration[] =>
  sql
    .exec(
      "SELECT * FROM registration_asks WHERE kind = ? AND asked_at > ? ORDER BY asked_at, id",
      kind,
      now - ASK_LIFETIME_MS,
    )
    .toArray()
    .map(waitingFromRow);

/** Whether a registration was removed and not registered anew since. */
export const isRemoved = (sql: SqlStorage, kind: RegistrationKind, id: string): boolean =>
  sql.exec("SELECT 1 FROM registrations WHERE kind = ? AND id = ? AND state = 'removed'", kind, id).toArray().length >
  0;

/** Ids of issuers of access tokens that were removed. */
export const removedIssuers = (sql: SqlStorage): readonly string[] =>
  sql
    .exec("SELECT id FROM registrations WHERE kind = 'access' AND state = 'removed'")
    .toArray()
    .map((row) => textOf(row, "id"));

function settle(
  sql: SqlStorage,
  one: Omit<RegistrationAsk, "digest"> & { readonly digest: string; readonly state: "in-force" | "removed" },
  by: string,
  at: EpochMs,
): void {
  sql.exec(
    "INSERT OR REPLACE INTO registrations (kind, id, issuer, text, digest, state, by, at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    one.kind,
    one.id,
    one.issuer,
    one.text,
    one.digest,
    one.state,
    by,
    at,
  );
}

const waitingFromRow = (row: SqlRow): WaitingRegistration => ({
  kind: REGISTRATION_KINDS.find((known) => known === row["kind"]) ?? "access",
  id: textOf(row, "id"),
  issuer: textOf(row, "issuer"),
  text: textOf(row, "text"),
  digest: textOf(row, "digest"),
  askedBy: textOf(row, "asked_by"),
  askedAt: integerOf(row, "asked_at"),
});
