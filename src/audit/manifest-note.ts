import { canonicalJson } from "../platform/canonical-json.ts";
import { digestOf } from "../platform/digest.ts";
import type { JsonObject } from "../platform/json.ts";
import { err, ok, type Result } from "../platform/result.ts";
import { openNote, signNote, verifierKeyOf, type NoteSigner } from "./signed-note.ts";

const MANIFEST_DOMAIN = "portcullis/manifest/v1";

/**
 * Under which name manifests of a tenant's exports are signed. The key is that of the checkpoints: whoever holds the verifier key of
 * one log has its public half. No log has this name, and no checkpoint has two lines.
 */
const exportName = (tenant: string): string => `portcullis/${tenant}/export`;

/** What is signed of a manifest: whose export it is, and the digest of all that the manifest says (RFC 8785 text without `signature`). */
function manifestNoteText(tenant: string, manifest: JsonObject): string {
  const { signature: _, ...stated } = manifest;
  return `${exportName(tenant)}\n${digestOf(MANIFEST_DOMAIN, canonicalJson(stated))}\n`;
}

/** The manifest's signature, as a note. Equal for equal manifests. */
export const signManifest = (
  tenant: string,
  manifest: JsonObject,
  key: Pick<NoteSigner, "publicKey" | "privateKey">,
): Promise<string> => signNote(manifestNoteText(tenant, manifest), { name: exportName(tenant), ...key });

/** Whether `note` is about this manifest and by one of these keys; why not. `publicKeys`: 32 bytes each, one at least. */
export async function verifyManifest(
  tenant: string,
  manifest: JsonObject,
  note: string,
  publicKeys: readonly Uint8Array[],
): Promise<Result<null, string>> {
  const keys = publicKeys.map((publicKey) => verifierKeyOf(exportName(tenant), publicKey));
  const opened = await Promise.all(keys.map((key) => openNote(note, key)));
  const [first = err("no key")] = opened;
  const found = opened.find((one) => one.ok) ?? first;
  if (!found.ok) return found;
  return found.value === manifestNoteText(tenant, manifest) ? ok(null) : err("it was signed of another manifest");
}
