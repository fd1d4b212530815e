import { compactVerify, exportJWK, generateKeyPair, importJWK } from "jose";
import { describe, expect, test } from "vitest";
import { readApprovalKey } from "../../src/approval/approval-key.ts";
import { verifyApprovalToken } from "../../src/approval/approval-token.ts";
import { readCompactJws } from "../../src/identity/compact-jws.ts";
import { readKeySet } from "../../src/identity/jwks-document.ts";
import { verifyJwt } from "../../src/identity/jwt.ts";
import { SIGNATURE_ALGORITHMS } from "../../src/identity/issuers.ts";
import { ok } from "../../src/platform/result.ts";
import { filesOf, textOfFile } from "./corpus.ts";
import { fixedKeys, issuer, newSigningKey, NOW, valueOf } from "../identity/fixtures.ts";

/** RFC 7520 and RFC 7797 examples (github.com/ietf-jose/cookbook). */
type Example = {
  readonly title: string;
  readonly input: { readonly key?: Record<string, string>; readonly alg?: string };
  readonly output: { readonly compact?: string; readonly json?: unknown; readonly json_flat?: unknown };
};

const jsonFilesOf = (folder: string): readonly string[] =>
  filesOf(`jose-cookbook/${folder}`).filter((name) => name.endsWith(".json"));
const examples = ["jws", "rfc7797"].flatMap((folder) =>
  jsonFilesOf(folder).map((name): readonly [string, Example] => [
    `${folder}/${name}`,
    JSON.parse(textOfFile(`jose-cookbook/${folder}`, name)),
  ]),
);
const keyFiles = jsonFilesOf("jwk").map((name): readonly [string, Record<string, string>] => [
  name,
  JSON.parse(textOfFile("jose-cookbook/jwk", name)),
]);

/** Every form in which an example's token could be presented. */
const tokensOf = ({ output }: Example): readonly string[] =>
  [output.compact, output.json, output.json_flat].flatMap((form) => {
    if (form === undefined) return [];
    return [typeof form === "string" ? form : JSON.stringify(form)];
  });

test("the corpus is there", () => {
  expect(examples.length).toBeGreaterThanOrEqual(8);
  expect(keyFiles.length).toBeGreaterThanOrEqual(6);
  expect(examples.flatMap(([, example]) => tokensOf(example)).length).toBeGreaterThanOrEqual(16);
});

describe("no token of the cookbook is one of ours", () => {
  test.each(examples)("%s", async (_name, example) => {
    const ours = await newSigningKey("Ed25519", "ours");
    const { source } = await fixedKeys(ours.publicJwk);
    const { privateKey } = await generateKeyPair("EdDSA", { crv: "Ed25519", extractable: true });
    const key = valueOf(await readApprovalKey(JSON.stringify({ ...(await exportJWK(privateKey)), kid: "approval" })));
    for (const token of tokensOf(example)) {
      // The reader alone refuses them all: an unlisted header parameter, no typ, a kid that is an address, or the form.
      expect(readCompactJws(token).ok).toBe(false);
      const access = await verifyJwt(token, () => Promise.resolve(ok(issuer)), source, NOW);
      expect(access.kind).toBe("unauthenticated");
      const approval = await verifyApprovalToken(token, "acme", key, NOW);
      expect(approval.ok || approval.error.kind).toBe("approval-invalid");
    }
  });
});

describe("the cookbook's compact tokens are genuine: they are refused for their form, not for being broken", () => {
  const genuine = examples.filter(
    ([name, { input, output }]) =>
      name.startsWith("jws/") && output.compact?.includes("..") === false && input.key !== undefined,
  );

  test("there are some", () => expect(genuine.length).toBeGreaterThanOrEqual(4));

  test.each(genuine)("%s verifies through jose under its own key", async (_name, { input, output }) => {
    const { kty = "", ...members } = input.key ?? {};
    const { d: _d, p: _p, q: _q, dp: _dp, dq: _dq, qi: _qi, ...publicMembers } = members;
    const alg = input.alg ?? "";
    const key = await importJWK({ kty, ...publicMembers, alg }, alg);
    expect((await compactVerify(output.compact ?? "", key, { algorithms: [alg] })).protectedHeader.alg).toBe(alg);
  });
});

describe("the cookbook's keys", () => {
  test.each(keyFiles)("%s is no issuer's key set unless it is public", async (_name, jwk) => {
    const result = await readKeySet(JSON.stringify({ keys: [{ ...jwk, kid: "cookbook" }] }), SIGNATURE_ALGORITHMS);
    const secret = jwk["kty"] === "oct" || jwk["d"] !== undefined;
    // Public ones are of no use either: P-521 is not registered, and the RSA key could serve two algorithms.
    expect(result).toEqual({
      ok: false,
      error: secret ? expect.stringMatching(/private|not a public key/) : expect.stringContaining("no key"),
    });
  });

  test("the public RSA key is read where one registered algorithm fits it", async () => {
    const rsa = keyFiles.find(([name]) => name.includes("rsa_public"))?.[1];
    const result = await readKeySet(JSON.stringify({ keys: [{ ...rsa, kid: "cookbook" }] }), ["RS256"]);
    expect(result.ok && result.value.get("cookbook")?.alg).toBe("RS256");
  });
});
