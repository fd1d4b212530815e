import { and, eq } from "drizzle-orm";
import { readApprovalIssuer, type ApprovalIssuer, type ApprovalIssuerDirectory } from "../approval/approval-issuers.ts";
import type { Environment } from "../identity/api-key.ts";
import { checkRecord, sealRecord } from "../identity/record-mac.ts";
import type { SecretKey } from "../identity/secret-key.ts";
import { createBoundedCache } from "../platform/bounded-cache.ts";
import { describeError } from "../platform/describe-error.ts";
import { err, ok } from "../platform/result.ts";
import { openDatabase } from "./client.ts";
import type { StoredIssuer } from "./issuer-directory.ts";
import { approvalIssuers } from "./schema.ts";

/** How long an isolate believes what it read about an authority; removing one reaches every isolate within this. */
const MAX_AGE_MS = 60_000;

/** Authorities remembered per isolate, unknown ones included (an unknown `iss` must not cost a query per request). */
const REMEMBERED_MAX = 256;

/** Registered approval authorities from D1. A row whose MAC does not hold is a store that cannot be trusted: unavailable. */
export function approvalIssuerDirectory(
  d1: D1Database,
  pepper: SecretKey,
  environment: Environment,
): ApprovalIssuerDirectory {
  const known = createBoundedCache<{ readonly issuer: ApprovalIssuer | null; readonly readAt: number }>(REMEMBERED_MAX);
  return async (tenant, iss) => {
    // A tenant's id has no space.
    const key = `${tenant} ${iss}`;
    const cached = known.get(key);
    if (cached !== undefined && Date.now() < cached.readAt + MAX_AGE_MS) return ok(cached.issuer);
    let row: typeof approvalIssuers.$inferSelect | undefined;
    try {
      [row] = await openDatabase(d1)
        .select()
        .from(approvalIssuers)
        .where(and(eq(approvalIssuers.tenant, tenant), eq(approvalIssuers.issuer, iss)))
        .limit(1);
    } catch (error) {
      return err(describeError(error));
    }
    let issuer: ApprovalIssuer | null = null;
    if (row !== undefined) {
      const { mac, ...fields } = row;
      if (!checkRecord("approval-issuer", fields, mac, pepper)) return err("the approval issuer's row fails its MAC");
      const read = readApprovalIssuer(row.registration, environment);
      if (!read.ok) return err(read.error);
      if (read.value.issuer !== row.issuer || read.value.tenant !== row.tenant)
        return err("the approval issuer's row contradicts itself");
      issuer = read.value;
    }
    known.set(key, { issuer, readAt: Date.now() });
    return ok(issuer);
  };
}

/** The tenant's registrations as they are stored. */
export async function listApprovalIssuers(d1: D1Database, tenant: string): Promise<readonly StoredIssuer[]> {
  const { issuer, registration, createdAt } = approvalIssuers;
  return openDatabase(d1)
    .select({ issuer, registration, createdAt })
    .from(approvalIssuers)
    .where(eq(approvalIssuers.tenant, tenant))
    .orderBy(issuer);
}

/** Deletes a registration. */
export async function deleteApprovalIssuer(d1: D1Database, tenant: string, issuer: string): Promise<void> {
  await openDatabase(d1)
    .delete(approvalIssuers)
    .where(and(eq(approvalIssuers.tenant, tenant), eq(approvalIssuers.issuer, issuer)));
}

/** Stores a registration that `readApprovalIssuer` has accepted, replacing an earlier one of the same issuer and tenant. */
export async function writeApprovalIssuer(
  d1: D1Database,
  issuer: { readonly tenant: string; readonly issuer: string; readonly registration: string },
  pepper: SecretKey,
  now: number,
): Promise<void> {
  const row = { ...issuer, createdAt: new Date(now).toISOString() };
  const values = { ...row, mac: sealRecord("approval-issuer", row, pepper) };
  await openDatabase(d1)
    .insert(approvalIssuers)
    .values(values)
    .onConflictDoUpdate({ target: [approvalIssuers.tenant, approvalIssuers.issuer], set: values });
}
