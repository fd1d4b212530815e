import { assert } from "../platform/assert.ts";
import type { AuditRetention } from "../policy/audit-retention.ts";
import type { SignalBounds } from "../policy/signals.ts";
import type { Refusal } from "../refusal.ts";
import type { Digest, EpochMs, Micros } from "../vocabulary.ts";
import type { Authority, Freeze, LedgerSnapshot, Requester } from "./contract.ts";
import { textOf, textOrNull, integerOf, type SqlRow } from "../platform/sql-row.ts";
import { isRemoved, removedIssuers } from "./lifecycle/registrations.ts";

/** Documents and caps of one policy version. */
export type VersionTerms = {
  readonly policy: Digest;
  readonly people: Digest;
  readonly catalogue: Digest;
  readonly prices: Digest;
  readonly dailyCapMicros: Micros;
  readonly monthlyCapMicros: Micros;
  /** SHA-256 over what else the policy says of money. Null: stored before it was kept, which is like no other. */
  readonly moneyDigest: Digest | null;
  /** At which figures people are told of the audit logs. Null: stored before they were kept, and then the defaults. */
  readonly signals: SignalBounds | null;
  /** How long audit records keep their text. Null: stored before it was kept, and then for ever. */
  readonly retention: AuditRetention | null;
};

export type ActiveVersion = VersionTerms & {
  readonly tenant: string;
  readonly version: number;
  readonly credentialEpoch: number;
};

/** The version in force, null before the tenant is bootstrapped (or after its storage was lost: everything is refused). */
export function activeVersion(sql: SqlStorage): ActiveVersion | null {
  const row = sql.exec("SELECT * FROM authority").toArray()[0];
  if (row === undefined) return null;
  return {
    ...termsOf(row),
    tenant: textOf(row, "tenant"),
    version: integerOf(row, "version"),
    credentialEpoch: integerOf(row, "credential_epoch"),
  };
}

/** Documents and caps in a row of `authority` or `versions`, which name these columns alike. */
export function termsOf(row: SqlRow): VersionTerms {
  return {
    policy: asDigest(row["policy"]),
    people: asDigest(row["people"]),
    catalogue: asDigest(row["catalogue"]),
    prices: asDigest(row["prices"]),
    dailyCapMicros: integerOf(row, "daily_cap_micros"),
    monthlyCapMicros: integerOf(row, "monthly_cap_micros"),
    moneyDigest: row["money"] === null ? null : asDigest(row["money"]),
    // Serialised by versions.ts.
    signals: JSON.parse(textOrNull(row, "signals") ?? "null"),
    retention: JSON.parse(textOrNull(row, "retention") ?? "null"),
  };
}

/** What Workers judge by; null before bootstrap. */
export function snapshot(sql: SqlStorage, now: EpochMs): LedgerSnapshot | null {
  const active = activeVersion(sql);
  if (active === null) return null;
  return {
    authority: authorityOf(active),
    version: active.version,
    revoked: sql
      .exec("SELECT credential_id FROM credentials WHERE revoked_at IS NOT NULL AND expires_at > ?", now)
      .toArray()
      .map((row) => textOf(row, "credential_id")),
    removedIssuers: removedIssuers(sql),
    freezes: listFreezes(sql),
  };
}

export const authorityOf = (active: ActiveVersion): Authority => ({
  policy: active.policy,
  people: active.people,
  catalogue: active.catalogue,
  prices: active.prices,
  credentialEpoch: active.credentialEpoch,
});

/**
 * Whether a decision made under `claimed` may stand: `stale` under any other documents or credentials, `none` while the
 * tenant has no version in force. Compared in SQL: every admission asks, and the answer is one column instead of ten.
 */
export function standing(sql: SqlStorage, claimed: Authority): "current" | "stale" | "none" {
  const row = sql
    .exec(
      `SELECT policy = ? AND people = ? AND catalogue = ? AND prices = ? AND credential_epoch = ? AS current FROM authority`,
      claimed.policy,
      claimed.people,
      claimed.catalogue,
      claimed.prices,
      claimed.credentialEpoch,
    )
    .toArray()[0];
  if (row === undefined) return "none";
  return row["current"] === 1 ? "current" : "stale";
}

/**
 * Confirms a credential at the moment of admission. An API key needs a positive, unrevoked, unexpired row (lost state
 * denies); a JWT must not be on the revoked list. Returns why not, or null.
 */
export function credentialFault(
  sql: SqlStorage,
  requester: Pick<Requester, "credentialId" | "listed" | "subject">,
  now: EpochMs,
): string | null {
  const [, issuer] = /^jwt:([^:]+):/.exec(requester.credentialId) ?? [];
  if (issuer !== undefined && isRemoved(sql, "access", issuer)) return "the credential's issuer is removed";
  const row = sql
    .exec("SELECT subject, expires_at, revoked_at FROM credentials WHERE credential_id = ?", requester.credentialId)
    .toArray()[0];
  if (row === undefined) return requester.listed ? "credential is not on record" : null;
  if (row["revoked_at"] !== null) return "credential is revoked";
  if (integerOf(row, "expires_at") <= now) return "credential is expired";
  return row["subject"] === requester.subject ? null : "credential belongs to another subject";
}

/** Records a credential. Its row is what admission confirms; nothing in it rebuilds the key. */
export function addCredential(
  sql: SqlStorage,
  credential: {
    readonly credentialId: string;
    readonly subject: string;
    readonly record: string;
    readonly expiresAt: EpochMs;
  },
  now: EpochMs,
): void {
  sql.exec(
    "INSERT INTO credentials (credential_id, subject, record, expires_at, created_at) VALUES (?, ?, ?, ?, ?)",
    credential.credentialId,
    credential.subject,
    credential.record,
    credential.expiresAt,
    now,
  );
}

/**
 * Revokes a credential and moves the epoch, so that every isolate's next write comes back `stale` and is judged again.
 * A JWT's id is added to the list even though it never stood there. False when it is revoked already or unknown.
 */
export function revokeCredential(
  sql: SqlStorage,
  credentialId: string,
  by: string,
  jwtExpiresAt: EpochMs | null,
  now: EpochMs,
): boolean {
  const known = sql.exec("SELECT revoked_at FROM credentials WHERE credential_id = ?", credentialId).toArray()[0];
  if (known === undefined && jwtExpiresAt === null) return false;
  if (known !== undefined && known["revoked_at"] !== null) return false;
  if (known === undefined) {
    addCredential(sql, { credentialId, subject: "", record: "{}", expiresAt: jwtExpiresAt ?? now }, now);
  }
  sql.exec("UPDATE credentials SET revoked_at = ?, revoked_by = ? WHERE credential_id = ?", now, by, credentialId);
  sql.exec("UPDATE authority SET credential_epoch = credential_epoch + 1");
  return true;
}

export function listFreezes(sql: SqlStorage): readonly Freeze[] {
  return sql
    .exec("SELECT * FROM freezes")
    .toArray()
    .map((row) => ({
      scope: textOf(row, "scope"),
      reason: textOf(row, "reason"),
      frozenBy: textOf(row, "frozen_by"),
      role: textOf(row, "role"),
      since: integerOf(row, "since"),
    }));
}

/** Scope of the freeze that stops whatever costs money and nothing else: finance's own. */
export const SPENDING = "spending";

/** Scope of the freeze of all tenants: the deployment's own. */
export const EVERYTHING = "everything";

/**
 * The freeze that covers a write of `action` that may cost `ceilingMicros`, as a refusal; null where none does. A freeze of a
 * principal covers what it owns. Of several the widest: whoever is refused learns how much is stopped.
 */
export function freezeRefusal(
  freezes: readonly Freeze[],
  { subject, owner }: { readonly subject: string; readonly owner: string },
  action: string,
  ceilingMicros: Micros,
): Refusal | null {
  const covering = [
    EVERYTHING,
    "tenant",
    ...(ceilingMicros > 0 ? [SPENDING] : []),
    `action:${action}`,
    `principal:${owner}`,
    `principal:${subject}`,
  ];
  const hit = freezes
    .filter(({ scope }) => covering.includes(scope))
    .toSorted((a, b) => covering.indexOf(a.scope) - covering.indexOf(b.scope))[0];
  if (hit === undefined) return null;
  const { scope, frozenBy, reason, since } = hit;
  return { kind: "frozen", scope, frozen_by: frozenBy, reason, since: new Date(since).toISOString() };
}

function asDigest(value: SqlStorageValue | undefined): Digest {
  assert(typeof value === "string" && value.startsWith("sha256:"), "authority columns are digests");
  return `sha256:${value.slice("sha256:".length)}`;
}
