import { importJWK } from "jose";
import { isJsonObject } from "../platform/json.ts";
import type { Result } from "../platform/result.ts";
import { err, ok } from "../platform/result.ts";
import { parseStrictJson } from "../platform/strict-json.ts";
import { fromBase64url } from "./base64url.ts";
import { KID } from "./compact-jws.ts";

/** An Ed25519 key pair of the gate's own, for one purpose. `rawPublicKey`: the 32 bytes of RFC 8032. */
export type SigningKey = {
  readonly kid: string;
  readonly privateKey: CryptoKey;
  readonly publicKey: CryptoKey;
  readonly rawPublicKey: Uint8Array;
};

const MEMBERS: ReadonlySet<string> = new Set(["kty", "crv", "d", "x", "kid", "alg", "use", "key_ops", "ext"]);

const PUBLIC_KEY_BYTES = 32;

/**
 * Reads the secret `name`: a private Ed25519 JWK (RFC 8037) with a `kid`. Signs once to prove that both halves belong
 * together. The error never quotes the key.
 */
export async function readSigningKey(name: string, text: string): Promise<Result<SigningKey, string>> {
  const document = parseStrictJson(text);
  if (!document.ok || !isJsonObject(document.value)) return err(`${name} must be a JWK as JSON`);
  const { kty, crv, d, x, kid } = document.value;
  if (kty !== "OKP" || crv !== "Ed25519" || typeof d !== "string" || typeof x !== "string") {
    return err(`${name} must be a private Ed25519 JWK`);
  }
  if (typeof kid !== "string" || !KID.test(kid)) return err(`${name} must have a kid of [A-Za-z0-9._-]{1,64}`);
  if (Object.keys(document.value).some((member) => !MEMBERS.has(member))) return err(`${name} has an unknown member`);
  const rawPublicKey = fromBase64url(x);
  if (rawPublicKey?.byteLength !== PUBLIC_KEY_BYTES) return err(`${name} must have an x of 32 bytes in base64url`);
  try {
    const privateKey = await importJWK({ kty, crv, d, x }, "EdDSA");
    const publicKey = await importJWK({ kty, crv, x }, "EdDSA");
    if (!(privateKey instanceof CryptoKey) || !(publicKey instanceof CryptoKey)) return err(`${name} does not import`);
    const probe = new TextEncoder().encode("portcullis/signing-key/v1");
    const signature = await crypto.subtle.sign("Ed25519", privateKey, probe);
    const matches = await crypto.subtle.verify("Ed25519", publicKey, signature, probe);
    return matches ? ok({ kid, privateKey, publicKey, rawPublicKey }) : err(`${name}: d and x are not one key pair`);
  } catch {
    return err(`${name} does not import as an Ed25519 key`);
  }
}
