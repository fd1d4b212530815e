import { z } from "zod";
import { addSignIn, readSignIn, takeSignIn } from "../db/sign-in-rows.ts";
import type { Gate } from "../gateway/gate.ts";
import type { Principal } from "../identity/principal.ts";
import { open, seal } from "../identity/sealed.ts";
import { newId } from "../platform/ids.ts";
import { err, ok, type Result } from "../platform/result.ts";
import { SUBJECT, TENANT_ID, type EpochMs } from "../vocabulary.ts";

/** A working day. Approving at tier 4 asks for a sign-in of the last five minutes whatever the session's age. */
export const SESSION_MAX_MS = 8 * 3_600_000;

/** Another context than any other sealed value's: nothing else that SEALING_KEY sealed opens as a session. */
const CONTEXT = "page-session";

/** A person at the page. */
export type Visitor = {
  readonly tenant: string;
  readonly subject: string;
  /** Names the sign-in in records, and binds forms to it. */
  readonly sessionId: string;
  readonly via: "oidc" | "access" | "link";
  /** When the person signed in, as the provider says; null where it does not. */
  readonly authenticatedAt: EpochMs | null;
  readonly demo: boolean;
  readonly expiresAt: EpochMs;
};

const claims = z.strictObject({
  id: z.string().regex(/^ses_[0-9a-z]{26}$/),
  tenant: z.string().regex(TENANT_ID),
  subject: z.string().regex(SUBJECT),
  via: z.enum(["oidc", "link"]),
  authenticated_at: z.int().nullable(),
  demo: z.boolean(),
  expires_at: z.int(),
});

export type NewSession = Pick<Visitor, "tenant" | "subject" | "authenticatedAt" | "demo"> & {
  readonly via: "oidc" | "link";
};

export type OpenedSession = { readonly visitor: Visitor; readonly cookie: string; readonly maxAgeS: number };

/**
 * Opens a session under a fresh id, whatever the browser had before; `replaced` is the session it had, which ends. The error
 * is for a store that could not be asked: then there is no session.
 */
export async function openSession(
  { env, keys }: Pick<Gate, "env" | "keys">,
  session: NewSession,
  replaced: string | null,
  now: EpochMs,
): Promise<Result<OpenedSession, string>> {
  const id = newId("ses");
  const expiresAt = now + SESSION_MAX_MS;
  const { tenant, subject, via, authenticatedAt, demo } = session;
  if (replaced !== null) {
    const ended = await takeSignIn(env.DB, "session", replaced, now);
    if (!ended.ok) return ended;
  }
  const stored = await addSignIn(env.DB, { id, kind: "session", tenant, subject, expiresAt }, now);
  if (!stored.ok) return stored;
  const cookie = await seal(
    { id, tenant, subject, via, authenticated_at: authenticatedAt, demo, expires_at: expiresAt },
    keys.sealing,
    CONTEXT,
  );
  return ok({ visitor: { ...session, sessionId: id, expiresAt }, cookie, maxAgeS: SESSION_MAX_MS / 1_000 });
}

/**
 * Who a session cookie stands for; null where it opens with another key, its time is over, it was signed out, or it is a
 * demonstration's in a live deployment. The error is for a store that could not be asked: nobody is let in without it.
 */
export async function readSession(
  { env, keys, config }: Pick<Gate, "env" | "keys" | "config">,
  cookie: string,
  now: EpochMs,
): Promise<Result<Visitor | null, string>> {
  const opened = await open(cookie, keys.sealing, CONTEXT);
  const read = claims.safeParse(opened.ok ? opened.value : null);
  if (!read.success) return ok(null);
  const { id, tenant, subject, via, authenticated_at: authenticatedAt, demo, expires_at: expiresAt } = read.data;
  if (expiresAt <= now || expiresAt > now + SESSION_MAX_MS || (demo && config.environment === "live")) return ok(null);
  const row = await readSignIn(env.DB, "session", id, now);
  if (!row.ok) return err(row.error);
  if (row.value?.tenant !== tenant || row.value.subject !== subject) return ok(null);
  return ok({ tenant, subject, sessionId: id, via, authenticatedAt, demo, expiresAt });
}

/** Ends a session: its cookie opens nothing from now on. */
export const endSession = async (
  { env }: Pick<Gate, "env">,
  id: string,
  now: EpochMs,
): Promise<Result<null, string>> => {
  const ended = await takeSignIn(env.DB, "session", id, now);
  return ended.ok ? ok(null) : ended;
};

/** The person as records name them. A page session has no role and no scope: it reads proposals and decides them. */
export const principalOf = (visitor: Visitor): Principal => ({
  tenant: visitor.tenant,
  subject: visitor.subject,
  class: "person",
  owner: visitor.subject,
  issuer: `page:${visitor.via}`,
  credentialId: credentialIdOf(visitor),
  scopes: { actions: [], maxTier: 0 },
  roles: [],
  expiresAt: visitor.expiresAt,
  authenticatedAt: visitor.authenticatedAt,
  delegation: [],
  demo: visitor.demo,
});

export const credentialIdOf = ({ sessionId }: Pick<Visitor, "sessionId">): string => `session:${sessionId}`;
