import { and, eq } from "drizzle-orm";
import { checkRecord, sealRecord } from "../identity/record-mac.ts";
import type { SecretKey } from "../identity/secret-key.ts";
import { describeError } from "../platform/describe-error.ts";
import { err, ok, type Result } from "../platform/result.ts";
import { openDatabase } from "./client.ts";
import { channels } from "./schema.ts";

export type ChannelName = (typeof channels.$inferSelect)["name"];

/** A tenant's sealed settings of one channel, null where it has none. A row whose MAC does not hold is an error. */
export async function readChannelRow(
  d1: D1Database,
  tenant: string,
  name: ChannelName,
  pepper: SecretKey,
): Promise<Result<string | null, string>> {
  let row: typeof channels.$inferSelect | undefined;
  try {
    [row] = await openDatabase(d1)
      .select()
      .from(channels)
      .where(and(eq(channels.tenant, tenant), eq(channels.name, name)))
      .limit(1);
  } catch (error) {
    return err(describeError(error));
  }
  if (row === undefined) return ok(null);
  const { mac, ...fields } = row;
  return checkRecord("channel", fields, mac, pepper) ? ok(row.sealed) : err("the channel's row fails its MAC");
}

/** Stores sealed settings, replacing earlier ones of the same channel. */
export async function writeChannelRow(
  d1: D1Database,
  channel: {
    readonly tenant: string;
    readonly name: ChannelName;
    readonly address: string;
    readonly sealed: string;
  },
  pepper: SecretKey,
  now: number,
): Promise<void> {
  const row = { ...channel, createdAt: new Date(now).toISOString() };
  const values = { ...row, mac: sealRecord("channel", row, pepper) };
  await openDatabase(d1)
    .insert(channels)
    .values(values)
    .onConflictDoUpdate({ target: [channels.tenant, channels.name], set: values });
}

/** Removes a channel's settings; nothing happens where there are none. */
export async function deleteChannelRow(d1: D1Database, tenant: string, name: ChannelName): Promise<void> {
  await openDatabase(d1)
    .delete(channels)
    .where(and(eq(channels.tenant, tenant), eq(channels.name, name)));
}

/** When each of the tenant's channels was last set up. */
export async function listChannelRows(
  d1: D1Database,
  tenant: string,
): Promise<readonly { readonly name: ChannelName; readonly createdAt: string }[]> {
  return openDatabase(d1)
    .select({ name: channels.name, createdAt: channels.createdAt })
    .from(channels)
    .where(eq(channels.tenant, tenant))
    .orderBy(channels.name);
}

/** Tenants whose channel of this name has this address. Several may share one Slack workspace. At most `limit`. */
export async function tenantsAt(
  d1: D1Database,
  name: ChannelName,
  address: string,
  limit: number,
): Promise<Result<readonly string[], string>> {
  try {
    const rows = await openDatabase(d1)
      .select({ tenant: channels.tenant })
      .from(channels)
      .where(and(eq(channels.name, name), eq(channels.address, address)))
      .orderBy(channels.tenant)
      .limit(limit);
    return ok(rows.map((row) => row.tenant));
  } catch (error) {
    return err(describeError(error));
  }
}
