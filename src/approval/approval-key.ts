import { importJWK } from "jose";
import { KID } from "../identity/compact-jws.ts";
import { isJsonObject } from "../platform/json.ts";
import type { Result } from "../platform/result.ts";
import { err, ok } from "../platform/result.ts";
import { parseStrictJson } from "../platform/strict-json.ts";

/** The key pair that signs approval tokens and nothing else. */
export type ApprovalKey = { readonly kid: string; readonly privateKey: CryptoKey; readonly publicKey: CryptoKey };

const MEMBERS: ReadonlySet<string> = new Set(["kty", "crv", "d", "x", "kid", "alg", "use", "key_ops", "ext"]);

/**
 * Reads APPROVAL_KEY: a private Ed25519 JWK (RFC 8037) with a `kid`. Signs once to prove that both halves belong
 * together. The error never quotes the key.
 */
export async function readApprovalKey(text: string): Promise<Result<ApprovalKey, string>> {
  const document = parseStrictJson(text);
  if (!document.ok || !isJsonObject(document.value)) return err("APPROVAL_KEY must be a JWK as JSON");
  const { kty, crv, d, x, kid } = document.value;
  if (kty !== "OKP" || crv !== "Ed25519" || typeof d !== "string" || typeof x !== "string") {
    return err("APPROVAL_KEY must be a private Ed25519 JWK");
  }
  if (typeof kid !== "string" || !KID.test(kid)) return err("APPROVAL_KEY must have a kid of [A-Za-z0-9._-]{1,64}");
  if (Object.keys(document.value).some((name) => !MEMBERS.has(name))) return err("APPROVAL_KEY has an unknown member");
  try {
    const privateKey = await importJWK({ kty, crv, d, x }, "EdDSA");
    const publicKey = await importJWK({ kty, crv, x }, "EdDSA");
    if (!(privateKey instanceof CryptoKey) || !(publicKey instanceof CryptoKey))
      return err("APPROVAL_KEY does not import");
    const probe = new TextEncoder().encode("portcullis/approval-key/v1");
    const signature = await crypto.subtle.sign("Ed25519", privateKey, probe);
    const matches = await crypto.subtle.verify("Ed25519", publicKey, signature, probe);
    return matches ? ok({ kid, privateKey, publicKey }) : err("APPROVAL_KEY: d and x are not one key pair");
  } catch {
    return err("APPROVAL_KEY does not import as an Ed25519 key");
  }
}
