import { vi } from "vitest";
import { newSigningKey, signText, type SigningKey } from "../identity/fixtures.ts";
import { isJsonObject } from "../../src/platform/json.ts";
import { text } from "./answer.ts";
import { caller, type BlackBox } from "./black-box.ts";
import { confirmed } from "./registered.ts";
import { testEnv } from "./test-env.ts";

/** An approval authority of a tenant, as its chat bot would be: it has a key, publishes it, and signs what people decide. */
export type Authority = {
  readonly issuer: string;
  readonly key: SigningKey;
  /** Its key set cannot be had while this is on. */
  readonly outage: (on: boolean) => void;
  /** A token in which `name` approves this proposal; `over` replaces claims, `signing` the key. */
  readonly sign: (approval: string, name: string, over?: object, signing?: SigningKey) => Promise<string>;
};

/**
 * Registers an authority for the tenant and serves its keys; every other fetch goes where it went before. Undone by
 * `vi.unstubAllGlobals`.
 */
export async function approvalAuthority(box: BlackBox, host = `${box.tenant}.bot.example`): Promise<Authority> {
  const issuer = `https://${host}`;
  const key = await newSigningKey("Ed25519", "bot-1");
  const before = globalThis.fetch;
  let down = false;
  const keys = (): Response => (down ? new Response("", { status: 500 }) : Response.json({ keys: [key.publicJwk] }));
  vi.stubGlobal("fetch", async (input: RequestInfo, init?: RequestInit) =>
    input === `${issuer}/jwks.json` ? keys() : before(input, init),
  );
  const registered = await caller(testEnv.BOOTSTRAP_SECRET, "").post("/_gate/v1/approval-issuers", {
    id: "chat-bot",
    issuer,
    tenant: box.tenant,
    jwks_uri: `${issuer}/jwks.json`,
    algorithms: ["Ed25519"],
    subject_prefix: "person:",
  });
  const audience = text(await confirmed(box, "approval-issuers/chat-bot", registered), "audience");
  const sign: Authority["sign"] = async (approval, name, over = {}, signing = key) => {
    const seen = await (await box.as("security")).get(`/_gate/v1/approvals/${approval}`);
    const digest = isJsonObject(seen.body) ? seen.body["approval_digest"] : undefined;
    const issuedAt = Math.floor(Date.now() / 1_000);
    const claims = {
      iss: issuer,
      aud: audience,
      sub: name,
      jti: crypto.randomUUID(),
      iat: issuedAt,
      exp: issuedAt + 1_800,
      approval_id: approval,
      approval_digest: digest,
      ...over,
    };
    const header = { alg: signing.alg, kid: signing.kid, typ: "approval+jwt" };
    return signText(JSON.stringify(header), JSON.stringify(claims), signing);
  };
  return { issuer, key, sign, outage: (on) => void (down = on) };
}
