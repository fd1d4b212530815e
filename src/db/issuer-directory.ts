import { and, eq } from "drizzle-orm";
import type { Environment } from "../identity/api-key.ts";
import { readIssuer, type IssuerDirectory, type IssuerRegistration } from "../identity/issuers.ts";
import { checkRecord, sealRecord } from "../identity/record-mac.ts";
import type { SecretKey } from "../identity/secret-key.ts";
import { describeError } from "../platform/describe-error.ts";
import { dropOldest } from "../platform/drop-oldest.ts";
import { err, ok } from "../platform/result.ts";
import { openDatabase } from "./client.ts";
import { issuers } from "./schema.ts";

/** How long an isolate believes what it read about an issuer; removing one reaches every isolate within this. */
const ISSUER_MAX_AGE_MS = 60_000;

/** Issuers remembered per isolate, unknown ones included (an unknown `iss` must not cost a query per request). */
const ISSUERS_MAX = 256;

/** Registered issuers from D1. A row whose MAC does not hold is treated as a store that cannot be trusted: unavailable. */
export function issuerDirectory(d1: D1Database, pepper: SecretKey, environment: Environment): IssuerDirectory {
  const known = new Map<string, { readonly registration: IssuerRegistration | null; readonly readAt: number }>();
  return async (iss) => {
    const cached = known.get(iss);
    if (cached !== undefined && Date.now() < cached.readAt + ISSUER_MAX_AGE_MS) return ok(cached.registration);
    let row: typeof issuers.$inferSelect | undefined;
    try {
      [row] = await openDatabase(d1).select().from(issuers).where(eq(issuers.issuer, iss)).limit(1);
    } catch (error) {
      return err(describeError(error));
    }
    let registration: IssuerRegistration | null = null;
    if (row !== undefined) {
      const { mac, ...fields } = row;
      if (!checkRecord("issuer", fields, mac, pepper)) return err("the issuer's row fails its MAC");
      const read = readIssuer(row.registration, environment);
      if (!read.ok) return err(read.error);
      if (read.value.issuer !== row.issuer || read.value.tenant !== row.tenant)
        return err("the issuer's row contradicts itself");
      registration = read.value;
    }
    known.delete(iss);
    known.set(iss, { registration, readAt: Date.now() });
    dropOldest(known, ISSUERS_MAX);
    return ok(registration);
  };
}

/** The tenant's registrations as they are stored. */
export async function listIssuers(d1: D1Database, tenant: string): Promise<readonly StoredIssuer[]> {
  const { issuer, registration, createdAt } = issuers;
  return openDatabase(d1)
    .select({ issuer, registration, createdAt })
    .from(issuers)
    .where(eq(issuers.tenant, tenant))
    .orderBy(issuer);
}

/** A registration's row, without what only the directory needs. */
export type StoredIssuer = { readonly issuer: string; readonly registration: string; readonly createdAt: string };

/** The tenant that an issuer is registered for, null where it is none's. */
export async function tenantOfIssuer(d1: D1Database, issuer: string): Promise<string | null> {
  const rows = await openDatabase(d1)
    .select({ tenant: issuers.tenant })
    .from(issuers)
    .where(eq(issuers.issuer, issuer));
  return rows[0]?.tenant ?? null;
}

/** Deletes a registration. */
export async function deleteIssuer(d1: D1Database, tenant: string, issuer: string): Promise<void> {
  await openDatabase(d1)
    .delete(issuers)
    .where(and(eq(issuers.tenant, tenant), eq(issuers.issuer, issuer)));
}

/**
 * Stores a registration that `readIssuer` has accepted, replacing an earlier one of the same issuer and tenant. Another tenant's
 * stays as it is, also where both are stored at once.
 */
export async function writeIssuer(
  d1: D1Database,
  issuer: { readonly issuer: string; readonly tenant: string; readonly registration: string },
  pepper: SecretKey,
  now: number,
): Promise<void> {
  const row = { ...issuer, createdAt: new Date(now).toISOString() };
  const values = { ...row, mac: sealRecord("issuer", row, pepper) };
  await openDatabase(d1)
    .insert(issuers)
    .values(values)
    .onConflictDoUpdate({ target: issuers.issuer, set: values, setWhere: eq(issuers.tenant, issuer.tenant) });
}
