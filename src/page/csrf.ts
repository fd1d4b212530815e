import { Buffer } from "node:buffer";
import { toBase64url } from "../identity/base64url.ts";
import { equalBytes, macOf, type SecretKey } from "../identity/secret-key.ts";
import { canonicalJson } from "../platform/canonical-json.ts";

/** SEALING_KEY under a purpose of its own: what seals cookies makes no form token. */
const DOMAIN = "portcullis/page-form/v1";

/** What a form is for: one session, one act, and for a decision the proposal exactly as it was shown. */
export type FormPurpose = {
  readonly sessionId: string;
  readonly tenant: string;
  readonly act: "decide" | "sign-out";
  /** Id and approval digest of the proposal that is decided; null for the rest. */
  readonly proposal: { readonly id: string; readonly digest: string } | null;
};

/** A token that only a form rendered by the gate for this purpose has: another site can neither read nor compute it. */
export const formToken = (key: SecretKey, purpose: FormPurpose): string =>
  toBase64url(macOf(key, DOMAIN, canonicalJson(purpose)));

/** Whether `token` is this purpose's; compared in constant time. */
export const isFormToken = (key: SecretKey, purpose: FormPurpose, token: string): boolean =>
  equalBytes(Buffer.from(token), Buffer.from(formToken(key, purpose)));

/**
 * Why a form did not come from one of the gate's own pages, null where it did. Browsers say so themselves (`Sec-Fetch-Site`);
 * ones that do not must send `Origin`. Pages here have `no-referrer`, with which browsers send `Origin: null`, so null proves
 * nothing either way.
 */
export function foreignForm(headers: Headers, origin: string): string | null {
  const site = headers.get("sec-fetch-site");
  const stated = headers.get("origin");
  if (site !== null && site !== "same-origin")
    return `Sec-Fetch-Site is ${site.length > 32 ? `${site.length} characters` : site}`;
  if (stated !== null && stated !== "null" && stated !== origin) return "Origin is another site";
  return site === null && stated !== origin ? "neither Sec-Fetch-Site nor Origin says where it came from" : null;
}
