import { toBase64 } from "../../platform/base64.ts";
import { verifyManifest } from "../manifest-note.ts";
import type { VerifierKey } from "../signed-note.ts";
import { placeOf } from "./checkpoints.ts";
import { readManifest, statedBy } from "./manifest.ts";

/**
 * What the signature of an export's manifest is worth. `missing`: there is none. `no-key`: none of the given keys is of its tenant.
 */
export type ManifestSignature =
  | { readonly kind: "holds" | "missing" | "no-key" }
  | { readonly kind: "broken"; readonly why: string };

/**
 * Judges the signature of a manifest line by the public keys of its tenant's logs, which are one and the same unless the gate's key was
 * changed; null for a line that is no manifest.
 */
export async function judgeManifest(line: string, keys: readonly VerifierKey[]): Promise<ManifestSignature | null> {
  const stated = statedBy(line);
  const manifest = readManifest(line);
  if (stated === null || manifest === null) return null;
  const { signature } = stated;
  if (signature === undefined || signature === null) return { kind: "missing" };
  if (typeof signature !== "string") return { kind: "broken", why: "it is no note" };
  const ours = keys.filter(({ name }) => placeOf(name)?.tenant === manifest.tenant);
  const known = new Map(ours.map(({ publicKey }) => [toBase64(publicKey), publicKey]));
  if (known.size === 0) return { kind: "no-key" };
  try {
    const judged = await verifyManifest(manifest.tenant, stated, signature, [...known.values()]);
    return judged.ok ? { kind: "holds" } : { kind: "broken", why: judged.error };
  } catch {
    // Half characters, or deeper nesting than any stack: no gate has signed that.
    return { kind: "broken", why: "the manifest has no canonical form (RFC 8785)" };
  }
}
