import { afterEach, describe, expect, test, vi } from "vitest";
import { newSigningKey, signText } from "../identity/fixtures.ts";
import { text, verdict } from "../support/answer.ts";
import { ACME_PEOPLE, caller, replaceOnce, useBlackBox, type BlackBox, type Caller } from "../support/black-box.ts";
import { confirmed } from "../support/registered.ts";
import { testEnv } from "../support/test-env.ts";

/** Money is widened by people with a sign-in of their own: who they are is the people document's to say. */
const open = useBlackBox("finance-sign-in");
const BUDGET = "/_gate/v1/budget";

afterEach(() => void vi.unstubAllGlobals());

/** People sign in at an identity provider of the tenant; each name is a caller with an access token of its own. */
async function signInOf(box: BlackBox): Promise<(name: string) => Promise<Caller>> {
  const issuer = `https://${box.tenant}.login.example`;
  const key = await newSigningKey("Ed25519", "login-1");
  const before = globalThis.fetch;
  vi.stubGlobal("fetch", async (input: RequestInfo, init?: RequestInit) =>
    input === `${issuer}/jwks.json` ? Response.json({ keys: [key.publicJwk] }) : before(input, init),
  );
  const registered = await caller(testEnv.BOOTSTRAP_SECRET, "").post("/_gate/v1/issuers", {
    id: "login",
    issuer,
    tenant: box.tenant,
    jwks_uri: `${issuer}/jwks.json`,
    algorithms: ["Ed25519"],
    audience: "https://gate.example",
    class: "person",
    subject_prefix: "person:",
    owner: null,
    actions: [],
    max_tier: 0,
  });
  await confirmed(box, "issuers/login", registered);
  return async (name) => {
    const issuedAt = Math.floor(Date.now() / 1_000);
    const claims = {
      iss: issuer,
      aud: "https://gate.example",
      sub: name,
      client_id: "cli",
      jti: crypto.randomUUID(),
      iat: issuedAt,
      exp: issuedAt + 600,
    };
    const header = { alg: key.alg, kid: key.kid, typ: "at+jwt" };
    return caller(await signText(JSON.stringify(header), JSON.stringify(claims), key), "");
  };
}

describe("with sign-ins of their own", () => {
  test("two people of finance raise a cap; the gate knows them by the people document", async () => {
    const box = await open();
    const signIn = await signInOf(box);
    const [finance, finance2] = [await signIn("finance"), await signIn("finance2")];
    expect((await finance.get("/_gate/v1/whoami")).body).toMatchObject({ roles: ["finance"], demo: false });
    expect(verdict(await finance.put(BUDGET, { daily_cap_usd: 100, reason: "careful" }))).toBe("200");
    const asked = await finance.put(BUDGET, { daily_cap_usd: 300, reason: "an evaluation" });
    expect(verdict(asked)).toBe("202");
    const decided = await finance2.post(`/_gate/v1/approvals/${text(asked, "daily", "id")}/decisions`, {
      decision: "approve",
    });
    expect(decided.body).toMatchObject({ state: "approved", decisions: [{ subject: "person:finance2" }] });
    expect((await finance.get(BUDGET)).body).toMatchObject({ daily: { cap_usd: 300 } });
  });

  test.each(["alice", "security", "operator", "nobody"])(
    "%s is nobody of finance, and has no role at all",
    async (name) => {
      const box = await open();
      const other = await (await signInOf(box))(name);
      expect((await other.get("/_gate/v1/whoami")).body).toMatchObject({ roles: [] });
      expect(verdict(await other.put(BUDGET, { daily_cap_usd: 100, reason: "careful" }))).toBe("403 out-of-scope");
      const asked = await (await box.as("finance")).put(BUDGET, { monthly_cap_usd: 20_000, reason: "more" });
      const word = { decision: "approve" };
      const decided = await other.post(`/_gate/v1/approvals/${text(asked, "monthly", "id")}/decisions`, word);
      expect(decided.status).toBe(404);
    },
  );

  test("whoever changes who finance is needs finance to put it in force", async () => {
    const box = await open();
    const people = replaceOnce(
      ACME_PEOPLE,
      "    subject: person:carol\n",
      "    subject: person:carol\n    roles: [finance]\n",
    );
    const pushed = await (
      await box.as("operator")
    ).post("/_gate/v1/policy/versions", { people, reason: "carol joins finance" });
    const version = { version: 2 };
    expect(pushed.body).toMatchObject(version);
    expect(verdict(await (await box.as("security")).post("/_gate/v1/policy/activate", version))).toBe(
      "403 not-eligible",
    );
    expect(verdict(await (await box.as("finance")).post("/_gate/v1/policy/activate", version))).toBe("200");
    const carol = await (await signInOf(box))("carol");
    expect((await carol.get("/_gate/v1/whoami")).body).toMatchObject({ roles: ["finance"] });
  });
});
