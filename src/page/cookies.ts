/** Cookies of the approval page. Each is the whole origin's, unreadable for scripts, and says to which requests it is sent. */
const SESSION = "portcullis";
const TRANSACTION = "portcullis-sign-in";
const TENANT = "portcullis-tenant";

export type CookieName = "session" | "transaction" | "tenant";

/**
 * `__Host-` (RFC 6265bis, section 4.1.3.2) keeps a cookie to this host, to https and to what this host itself has set. Plain
 * http, which only a local gate is reached by, has no such cookies; there it has another name.
 */
const NAMES: Readonly<Record<CookieName, { readonly https: string; readonly http: string }>> = {
  session: { https: `__Host-${SESSION}`, http: `${SESSION}-session` },
  transaction: { https: `__Host-${TRANSACTION}`, http: TRANSACTION },
  tenant: { https: `__Host-${TENANT}`, http: TENANT },
};

/**
 * The session goes with requests that this site itself causes, and with no others. The sign-in transaction has to come back
 * with the provider's redirect, which another site causes; it is worth nothing after ten minutes and without a code. The
 * tenant's name only saves typing it.
 */
const SAME_SITE: Readonly<Record<CookieName, "Strict" | "Lax">> = {
  session: "Strict",
  transaction: "Lax",
  tenant: "Lax",
};

/** Longest value read: a sealed session has about 400 characters, a transaction 600. */
const VALUE_MAX = 2_048;
const VALUE = /^[A-Za-z0-9._-]+$/;

/** A cookie's value; null where it is absent, set twice (one of them somebody else's) or not of the gate's making. */
export function readCookie(header: string | null, name: CookieName, secure: boolean): string | null {
  const wanted = `${nameOf(name, secure)}=`;
  const values = (header ?? "")
    .split(";")
    .map((pair) => pair.trim())
    .filter((pair) => pair.startsWith(wanted))
    .map((pair) => pair.slice(wanted.length));
  const [value = ""] = values;
  return values.length === 1 && value.length <= VALUE_MAX && VALUE.test(value) ? value : null;
}

/** A `Set-Cookie` line. `maxAgeS` of 0 removes the cookie. */
export const setCookie = (name: CookieName, value: string, maxAgeS: number, secure: boolean): string =>
  `${nameOf(name, secure)}=${value}; Path=/; Max-Age=${maxAgeS}; HttpOnly; SameSite=${SAME_SITE[name]}${secure ? "; Secure" : ""}`;

export const dropCookie = (name: CookieName, secure: boolean): string => setCookie(name, "", 0, secure);

const nameOf = (name: CookieName, secure: boolean): string => NAMES[name][secure ? "https" : "http"];
