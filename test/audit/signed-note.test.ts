import { createPrivateKey, createPublicKey, sign, type KeyObject } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { EMPTY_ROOT, leafHash } from "../../src/audit/merkle.ts";
import {
  checkpointText,
  readVerifierKey,
  signCheckpoint,
  verifierKeyOf,
  verifyCheckpoint,
  writeVerifierKey,
  type NoteSigner,
  type VerifierKey,
} from "../../src/audit/signed-note.ts";

/** The key of the Go checksum database, as its clients hold it. */
const SUMDB_KEY = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8";
/** C2SP tlog-checkpoint's own example. */
const C2SP_EXAMPLE = [
  "example.com/behind-the-sofa",
  "20852163",
  "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=",
  "",
  "— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=",
  "",
].join("\n");

const NAME = "portcullis/acme/ledger";
const CHECKPOINT = { origin: NAME, size: 7, root: leafHash(Buffer.from("x")) };

type Pair = { readonly signer: NoteSigner; readonly key: VerifierKey; readonly node: KeyObject };

/** The pair of RFC 8032, section 7.1, test 1 (`seed` counts up for others), so that vectors stay what they are. */
async function pair(name: string, seed = 0): Promise<Pair> {
  const secret = Buffer.from("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60", "hex");
  secret[0] = ((secret[0] ?? 0) + seed) % 256;
  const pkcs8 = Buffer.concat([Buffer.from("302e020100300506032b657004220420", "hex"), secret]);
  const node = createPrivateKey({ key: pkcs8, format: "der", type: "pkcs8" });
  const publicKey = new Uint8Array(createPublicKey(node).export({ format: "der", type: "spki" }).subarray(-32));
  const privateKey = await crypto.subtle.importKey("pkcs8", pkcs8, "Ed25519", false, ["sign"]);
  return { signer: { name, publicKey, privateKey }, key: verifierKeyOf(name, publicKey), node };
}

/** A note as somebody else writes it: any text, signed by Node. */
function noteOf(text: string, ...by: readonly Pair[]): string {
  const lines = by.map(({ key, node }) => {
    const signature = Buffer.concat([key.keyId, sign(null, Buffer.from(text), node)]);
    return `— ${key.name} ${signature.toString("base64")}\n`;
  });
  return `${text}\n${lines.join("")}`;
}

const error = (reason: string): object => ({ ok: false, error: expect.stringContaining(reason) });

describe("a verifier key", () => {
  it("is written and read as others write it", async () => {
    const sumdb = readVerifierKey(SUMDB_KEY);
    expect(sumdb.ok && writeVerifierKey(sumdb.value)).toBe(SUMDB_KEY);
    const { key } = await pair(NAME);
    expect(readVerifierKey(writeVerifierKey(key))).toEqual({ ok: true, value: key });
  });

  it.each([
    ["another name", SUMDB_KEY.replace("sum.golang", "sum.golanh"), "id"],
    ["another id", SUMDB_KEY.replace("033de0ae", "033de0af"), "id"],
    ["an id in capitals", SUMDB_KEY.replace("033de0ae", "033DE0AE"), "id"],
    ["another key", SUMDB_KEY.replace("Ac4z", "Ac4y"), "id"],
    ["another algorithm", SUMDB_KEY.replace("+Ac4", "+As4"), "Ed25519"],
    ["a short key", "a+00000000+AQ==", "Ed25519"],
    ["no name", SUMDB_KEY.replace("sum.golang.org", ""), "<name>"],
    ["a name with a space", SUMDB_KEY.replace("sum.", "sum "), "<name>"],
    ["no base64", "a+00000000+*", "<name>"],
    ["nothing", "", "<name>"],
  ])("is refused with %s", (_, text, reason) => {
    expect(readVerifierKey(text)).toEqual(error(reason));
  });
});

describe("a checkpoint", () => {
  it("is the text and signature that the format prescribes, the same every time", async () => {
    const { signer, key, node } = await pair(NAME);
    const note = await signCheckpoint(CHECKPOINT, signer);
    expect(checkpointText(CHECKPOINT)).toBe(`${NAME}\n7\n${Buffer.from(CHECKPOINT.root).toString("base64")}\n`);
    expect(note).toBe(noteOf(checkpointText(CHECKPOINT), { signer, key, node }));
    expect(await signCheckpoint(CHECKPOINT, signer)).toBe(note);
    expect(await verifyCheckpoint(note, key)).toEqual({ ok: true, value: CHECKPOINT });
  });

  it("is read in the form that the specification shows, and then asks for its key", async () => {
    const { key } = await pair("example.com/behind-the-sofa");
    expect(await verifyCheckpoint(C2SP_EXAMPLE, key)).toEqual(error("no signature by example.com/behind-the-sofa"));
  });

  it("is what docs/audit.md shows, and verifies with the key beside it", async () => {
    const page = readFileSync("docs/audit.md", "utf8");
    const [, note = ""] = /```\n(portcullis\/acme\/ledger\n[^`]*)```/.exec(page) ?? [];
    const [, text = ""] = /`(portcullis\/acme\/ledger\+[^`]*)`/.exec(page) ?? [];
    const key = readVerifierKey(text);
    expect(key.ok && (await verifyCheckpoint(note, key.value))).toMatchObject({ ok: true, value: { size: 20_852 } });
  });

  it("of an empty log and of the largest one can be signed", async () => {
    const { signer, key } = await pair(NAME);
    for (const size of [0, Number.MAX_SAFE_INTEGER]) {
      const checkpoint = { origin: NAME, size, root: EMPTY_ROOT };
      expect(await verifyCheckpoint(await signCheckpoint(checkpoint, signer), key)).toEqual({
        ok: true,
        value: checkpoint,
      });
    }
  });

  it("holds among signatures of others, known or not", async () => {
    const [ours, witness, namesake] = [await pair(NAME), await pair("witness", 1), await pair(NAME, 2)];
    const text = checkpointText(CHECKPOINT);
    const note = noteOf(text, witness, namesake, ours);
    expect(await verifyCheckpoint(note, ours.key)).toEqual({ ok: true, value: CHECKPOINT });
    const unknown = `— other ${Buffer.from("abcdefgh").toString("base64")}\n`;
    expect((await verifyCheckpoint(`${note}${unknown}`, ours.key)).ok).toBe(true);
    expect(await verifyCheckpoint(noteOf(text, witness, namesake), ours.key)).toEqual(error("no signature by"));
    // A second signature of the same key, by somebody who does not have it.
    const forged = noteOf(text, { ...namesake, key: ours.key });
    expect(await verifyCheckpoint(`${note}${forged.slice(text.length + 1)}`, ours.key)).toEqual(error("does not hold"));
  });

  it("with as many signatures as allowed holds, with one more it is refused unread", async () => {
    const ours = await pair(NAME);
    const line = `— other ${Buffer.from("abcdefgh").toString("base64")}\n`;
    const note = noteOf(checkpointText(CHECKPOINT), ours);
    expect((await verifyCheckpoint(`${note}${line.repeat(15)}`, ours.key)).ok).toBe(true);
    expect(await verifyCheckpoint(`${note}${line.repeat(16)}`, ours.key)).toEqual(error("more than 16"));
  });

  const root = Buffer.from(CHECKPOINT.root).toString("base64");
  it.each([
    ["an extension line", `${NAME}\n7\n${root}\nmore\n`, "three lines"],
    ["a blank line in it", `${NAME}\n7\n${root}\n\nmore\n`, "three lines"],
    ["two lines", `${NAME}\n7\n`, "three lines"],
    ["another origin", `portcullis/other/ledger\n7\n${root}\n`, "another log"],
    ["no origin", `\n7\n${root}\n`, "origin"],
    ["a leading zero", `${NAME}\n07\n${root}\n`, "size"],
    ["a sign", `${NAME}\n+7\n${root}\n`, "size"],
    ["a negative size", `${NAME}\n-7\n${root}\n`, "size"],
    ["a size beyond exact numbers", `${NAME}\n9007199254740993\n${root}\n`, "size"],
    ["a size in hexadecimal", `${NAME}\n0x7\n${root}\n`, "size"],
    ["a short root", `${NAME}\n7\nAAAA\n`, "root"],
    ["a root without padding", `${NAME}\n7\n${root.replace("=", "")}\n`, "root"],
    ["a root in base64url", `${NAME}\n7\n${"_".repeat(43)}=\n`, "root"],
    ["a root with bits to spare", `${NAME}\n7\n${"A".repeat(42)}B=\n`, "root"],
  ])("with %s is refused though it is signed", async (_, text, reason) => {
    const ours = await pair(NAME);
    expect(await verifyCheckpoint(noteOf(text, ours), ours.key)).toEqual(error(reason));
  });

  it("whose text, signature or frame was touched anywhere is refused", async () => {
    const ours = await pair(NAME);
    const note = noteOf(checkpointText(CHECKPOINT), ours);
    for (let at = 0; at < note.length; at++) {
      const before = note[at] ?? "";
      for (const other of [before === "A" ? "B" : "A", "", `${before}${before}`]) {
        const touched = `${note.slice(0, at)}${other}${note.slice(at + 1)}`;
        expect((await verifyCheckpoint(touched, ours.key)).ok, JSON.stringify(touched)).toBe(false);
      }
    }
  });

  it.each([
    ["nothing", ""],
    ["no signature", checkpointText(CHECKPOINT)],
    ["a blank line and no signature", `${checkpointText(CHECKPOINT)}\n`],
    ["a carriage return", noteLines().join("\r\n")],
    ["half a character", noteLines().join("\n").replace("—", String.fromCharCode(0xd83d))],
    ["a hyphen for the dash", noteLines().join("\n").replace("—", "-")],
    ["no line end", noteLines().join("\n").slice(0, -1)],
    ["too much of it", `${"a".repeat(70_000)}\n\n— a ${Buffer.from("abcdefgh").toString("base64")}\n`],
  ])("is no note with %s", async (_, note) => {
    const { key } = await pair(NAME);
    expect((await verifyCheckpoint(note, key)).ok).toBe(false);
  });
});

function noteLines(): readonly string[] {
  return [...checkpointText(CHECKPOINT).split("\n"), `— ${NAME} ${Buffer.from("abcdefgh").toString("base64")}`, ""];
}
