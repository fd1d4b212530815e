import { Buffer } from "node:buffer";
import { hash } from "node:crypto";
import { assert } from "../platform/assert.ts";
import { fromBase64, toBase64 } from "../platform/base64.ts";
import { err, ok, type Result } from "../platform/result.ts";
import { equalHashes, HASH_BYTES, type Hash } from "./merkle.ts";

/** What a log's signer commits to: under this origin, a tree of this size has this root (C2SP tlog-checkpoint). */
export type Checkpoint = { readonly origin: string; readonly size: number; readonly root: Hash };

/** A public key with the name that it signs under; two keys of one name, or two names of one key, have different ids. */
export type VerifierKey = { readonly name: string; readonly keyId: Uint8Array; readonly publicKey: Uint8Array };

/** The private counterpart. `publicKey`: 32 bytes, raw. */
export type NoteSigner = { readonly name: string; readonly publicKey: Uint8Array; readonly privateKey: CryptoKey };

/** Signature type of Ed25519 (C2SP signed-note, "Signature types"). */
const ED25519 = 0x01;
const KEY_ID_BYTES = 4;
const PUBLIC_KEY_BYTES = 32;

/** More signatures than any log's signers and witnesses; a note with more is refused unread. */
const SIGNATURES_MAX = 16;
/** Room for sixteen signatures of the largest kinds in use. */
const NOTE_MAX = 64 * 1024;

const SIGNATURE_PREFIX = "— ";
const SIZE = /^(?:0|[1-9][0-9]{0,15})$/;
/** Neither white space nor plus signs: both separate (C2SP signed-note, "Format"). */
const NAME = /^[^\s+]{1,256}$/u;
// oxlint-disable-next-line no-control-regex -- what a note must not contain
const CONTROL = /[\u0000-\u0009\u000b-\u001f]/;

const UTF8 = new TextEncoder();

/** The key under `name`. Its id: the first four bytes of SHA-256(name ‖ 0x0A ‖ 0x01 ‖ public key). */
export function verifierKeyOf(name: string, publicKey: Uint8Array): VerifierKey {
  assert(NAME.test(name) && publicKey.byteLength === PUBLIC_KEY_BYTES, "a key name and an Ed25519 key");
  const named = Buffer.concat([UTF8.encode(`${name}\n`), Uint8Array.of(ED25519), publicKey]);
  return { name, keyId: new Uint8Array(hash("sha256", named, "buffer")).subarray(0, KEY_ID_BYTES), publicKey };
}

/** `<name>+<key id>+<key>`: the form in which auditors hold the key. */
export const writeVerifierKey = ({ name, keyId, publicKey }: VerifierKey): string =>
  `${name}+${hexOf(keyId)}+${toBase64(Buffer.concat([Uint8Array.of(ED25519), publicKey]))}`;

/** Reads that form. Refuses a key whose id is not its own: a mistyped name or key. */
export function readVerifierKey(text: string): Result<VerifierKey, string> {
  const [name = "", keyId = "", ...rest] = text.split("+");
  // Base64 may hold plus signs itself.
  const key = fromBase64(rest.join("+"));
  if (!NAME.test(name) || key === null) return err("a verifier key is <name>+<key id>+<base64>");
  if (key[0] !== ED25519 || key.byteLength !== 1 + PUBLIC_KEY_BYTES) return err("the verifier key is not Ed25519");
  const known = verifierKeyOf(name, key.subarray(1));
  return hexOf(known.keyId) === keyId ? ok(known) : err("the verifier key's id is not that of its name and key");
}

/** The text that is signed: origin, size, root, and no more lines (C2SP tlog-checkpoint, "Note text"). */
export function checkpointText({ origin, size, root }: Checkpoint): string {
  assert(
    NAME.test(origin) && Number.isSafeInteger(size) && size >= 0 && root.byteLength === HASH_BYTES,
    "a checkpoint",
  );
  return `${origin}\n${size}\n${toBase64(root)}\n`;
}

/** The checkpoint as a signed note with one signature. Equal for equal input: Ed25519 is deterministic. */
export const signCheckpoint = (checkpoint: Checkpoint, signer: NoteSigner): Promise<string> =>
  signNote(checkpointText(checkpoint), signer);

/** A text of whole lines as a note with one signature. Equal for equal input. */
export async function signNote(text: string, signer: NoteSigner): Promise<string> {
  const { keyId } = verifierKeyOf(signer.name, signer.publicKey);
  const signature = await crypto.subtle.sign("Ed25519", signer.privateKey, UTF8.encode(text));
  return `${text}\n${SIGNATURE_PREFIX}${signer.name} ${toBase64(Buffer.concat([keyId, new Uint8Array(signature)]))}\n`;
}

type Signature = { readonly name: string; readonly keyId: Uint8Array; readonly bytes: Uint8Array<ArrayBuffer> };

/**
 * The checkpoint of a note that `key` has signed under its own name. Signatures of other keys are passed over, as long as
 * they have the form of one; one of `key` that does not hold refuses the note, whatever others it has.
 */
export async function verifyCheckpoint(note: string, key: VerifierKey): Promise<Result<Checkpoint, string>> {
  const text = await openNote(note, key);
  if (!text.ok) return text;
  const checkpoint = readCheckpointText(text.value);
  if (checkpoint.ok && checkpoint.value.origin !== key.name) return err("the note is about another log");
  return checkpoint;
}

/** The text of a note that `key` has signed, by the same rules. */
export async function openNote(note: string, key: VerifierKey): Promise<Result<string, string>> {
  const parts = readNote(note);
  if (!parts.ok) return parts;
  const { text, signatures } = parts.value;
  const ours = signatures.filter(({ name, keyId }) => name === key.name && equalHashes(keyId, key.keyId));
  if (ours.length === 0) return err(`no signature by ${key.name} with this key`);
  const imported = await importKey(key.publicKey);
  if (imported === null) return err("the verifier key is no point of Ed25519");
  for (const { bytes } of ours) {
    if (!(await crypto.subtle.verify("Ed25519", imported, bytes, UTF8.encode(text))))
      return err(`the signature by ${key.name} does not hold`);
  }
  return ok(text);
}

/** Text and signatures of a note (C2SP signed-note, "Format"); nothing is verified yet. */
function readNote(note: string): Result<{ readonly text: string; readonly signatures: readonly Signature[] }, string> {
  if (note.length > NOTE_MAX || !note.isWellFormed() || CONTROL.test(note)) return err("not the text of a note");
  // The text may hold blank lines, signatures do not: the last one separates.
  const end = note.lastIndexOf("\n\n");
  if (end < 1 || !note.endsWith("\n")) return err("a note is a text, a blank line and signatures");
  const lines = note.slice(end + 2, -1).split("\n");
  if (lines.length > SIGNATURES_MAX) return err(`more than ${SIGNATURES_MAX} signatures`);
  const signatures: Signature[] = [];
  for (const line of lines) {
    const signature = readSignature(line);
    if (signature === null) return err("a signature is — <name> <base64>");
    signatures.push(signature);
  }
  return ok({ text: note.slice(0, end + 1), signatures });
}

function readSignature(line: string): Signature | null {
  const [name = "", base64 = "", ...rest] = line.slice(SIGNATURE_PREFIX.length).split(" ");
  const bytes = fromBase64(base64);
  const hasForm = line.startsWith(SIGNATURE_PREFIX) && rest.length === 0 && NAME.test(name);
  if (!hasForm || bytes === null || bytes.byteLength <= KEY_ID_BYTES) return null;
  return { name, keyId: bytes.subarray(0, KEY_ID_BYTES), bytes: bytes.slice(KEY_ID_BYTES) };
}

/** Reads a checkpoint's text. Extension lines are refused: this gate writes none, and what they would mean is unknown. */
function readCheckpointText(text: string): Result<Checkpoint, string> {
  const [origin = "", size = "", root = "", end, ...rest] = text.split("\n");
  if (end !== "" || rest.length > 0) return err("a checkpoint has three lines: origin, size, root");
  const hashed = fromBase64(root);
  if (!NAME.test(origin)) return err("the checkpoint's origin is no key name");
  if (!SIZE.test(size) || !Number.isSafeInteger(Number(size)))
    return err("the checkpoint's size is no number of leaves");
  if (hashed === null || hashed.byteLength !== HASH_BYTES) return err("the checkpoint's root is no SHA-256 in base64");
  return ok({ origin, size: Number(size), root: hashed });
}

async function importKey(publicKey: Uint8Array): Promise<CryptoKey | null> {
  try {
    return await crypto.subtle.importKey("raw", new Uint8Array(publicKey), "Ed25519", false, ["verify"]);
  } catch {
    return null;
  }
}

const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
