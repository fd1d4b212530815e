import { Buffer } from "node:buffer";
import { addSignIn, readSignIn, takeSignIn, type SignInRow } from "../../db/sign-in-rows.ts";
import type { Gate } from "../../gateway/gate.ts";
import { toBase64url } from "../../identity/base64url.ts";
import { equalBytes, macOf, type SecretKey } from "../../identity/secret-key.ts";
import { canonicalJson } from "../../platform/canonical-json.ts";
import { newId } from "../../platform/ids.ts";
import { err, ok, type Result } from "../../platform/result.ts";
import type { EpochMs } from "../../vocabulary.ts";

/** A day's work with the demonstration; `npm start` prints new ones each time. */
export const LINK_MAX_MS = 12 * 3_600_000;

const TOKEN = /^(lnk_[0-9a-z]{26})\.([A-Za-z0-9_-]{43})$/;
const DOMAIN = "portcullis/page-link/v1";

/** A demonstration person whom a link signs in, once. */
export type Linked = Pick<SignInRow, "tenant" | "subject">;

/**
 * One-time links exist in a local gate only: there, and nowhere else, somebody may be a person without a provider saying so.
 */
export const hasLinks = ({ config }: Pick<Gate, "config">): boolean => config.environment === "local";

type Place = Pick<Gate, "env" | "keys">;

/** Makes a link for a person: a row that can be taken once, and a token that says which and whose it is. */
export async function makeLink(
  { env, keys }: Place,
  person: Linked,
  now: EpochMs,
): Promise<Result<{ readonly token: string; readonly expiresAt: EpochMs }, string>> {
  const row: SignInRow = { id: newId("lnk"), kind: "link", ...person, expiresAt: now + LINK_MAX_MS };
  const stored = await addSignIn(env.DB, row, now);
  return stored.ok ? ok({ token: `${row.id}.${macFor(row, keys.sealing)}`, expiresAt: row.expiresAt }) : stored;
}

/** Whom a link would sign in; null where it is used, over or none. Changes nothing: whoever previews a link does this. */
export const readLink = (place: Place, token: string, now: EpochMs): Promise<Result<Linked | null, string>> =>
  find(place, token, now, readSignIn);

/** The same, and the link is used. Of two at once one gets it. */
export const takeLink = async (place: Place, token: string, now: EpochMs): Promise<Result<Linked | null, string>> => {
  // A token that is none must not use up somebody's link.
  const known = await readLink(place, token, now);
  return known.ok && known.value !== null ? find(place, token, now, takeSignIn) : known;
};

async function find(
  { env, keys }: Place,
  token: string,
  now: EpochMs,
  look: typeof readSignIn,
): Promise<Result<Linked | null, string>> {
  const [, id, mac] = TOKEN.exec(token) ?? [];
  if (id === undefined || mac === undefined) return ok(null);
  const row = await look(env.DB, "link", id, now);
  if (!row.ok) return err(row.error);
  if (row.value === null || !equalBytes(Buffer.from(mac), Buffer.from(macFor(row.value, keys.sealing))))
    return ok(null);
  const { tenant, subject } = row.value;
  return ok({ tenant, subject });
}

/** Over the whole row: a row that somebody edits, or adds, is no link of the gate's. */
const macFor = ({ id, kind, tenant, subject, expiresAt }: SignInRow, key: SecretKey): string =>
  toBase64url(macOf(key, DOMAIN, canonicalJson({ id, kind, tenant, subject, expires_at: expiresAt })));
