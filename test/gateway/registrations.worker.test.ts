import { afterEach, describe, expect, test, vi } from "vitest";
import { tenantOfIssuer, writeIssuer } from "../../src/db/issuer-directory.ts";
import { readSecretKey } from "../../src/identity/secret-key.ts";
import { newSigningKey, signText } from "../identity/fixtures.ts";
import { list, text, verdict, type Answered } from "../support/answer.ts";
import { approvalAuthority } from "../support/authority.ts";
import { caller, useBlackBox, type BlackBox, type Caller } from "../support/black-box.ts";
import { ledgerRecords } from "../support/books.ts";
import { openIsolate, type Isolate } from "../support/isolates.ts";
import { confirmed } from "../support/registered.ts";
import { CONTEXT, job, proposalOf, REASON, SUBMIT } from "../support/requests.ts";
import { testEnv } from "../support/test-env.ts";

/** Whoever signs tokens speaks for people: no one person alone lets them, and any one may stop them. */
const open = useBlackBox("registrations");

afterEach(() => void vi.unstubAllGlobals());

const ISSUERS = "/_gate/v1/issuers";
const ask = (body: object): Promise<Answered> => caller(testEnv.BOOTSTRAP_SECRET, "").post(ISSUERS, body);

type Issuer = {
  readonly box: BlackBox;
  readonly registration: { readonly id: string; readonly issuer: string };
  /** The agent with a fresh token, in an isolate that has not seen it. */
  readonly agent: (isolate?: Isolate) => Promise<Caller>;
};

/** An issuer of agents' tokens that nobody has registered yet, and its keys. */
async function issuerOf(box: BlackBox): Promise<Issuer> {
  const issuer = `https://${box.tenant}.agents.example`;
  const key = await newSigningKey("Ed25519", "agents-1");
  const before = globalThis.fetch;
  vi.stubGlobal("fetch", async (input: RequestInfo, init?: RequestInit) =>
    input === `${issuer}/jwks.json` ? Response.json({ keys: [key.publicJwk] }) : before(input, init),
  );
  const registration = {
    id: "agents",
    issuer,
    tenant: box.tenant,
    jwks_uri: `${issuer}/jwks.json`,
    algorithms: ["Ed25519"],
    audience: "https://gate.example",
    class: "agent",
    subject_prefix: "agent:",
    owner: { subject: "person:dana" },
    actions: ["*"],
    max_tier: 4,
  };
  const agent: Issuer["agent"] = async (isolate = openIsolate()) => {
    const issuedAt = Math.floor(Date.now() / 1_000);
    const claims = {
      iss: issuer,
      aud: "https://gate.example",
      sub: "runner",
      client_id: "cli",
      jti: crypto.randomUUID(),
      iat: issuedAt,
      exp: issuedAt + 600,
    };
    const header = { alg: key.alg, kid: key.kid, typ: "at+jwt" };
    const token = await signText(JSON.stringify(header), JSON.stringify(claims), key);
    return caller(token, "", isolate.entrance);
  };
  return { box, registration, agent };
}

const dryRun = async (agent: Caller): Promise<string> =>
  verdict(await agent.post(SUBMIT, job(), { ...REASON, "gate-dry-run": "?1" }));

describe("an issuer that was asked for with the deployment's secret", () => {
  test("counts for nothing until somebody with role security has confirmed just that", async () => {
    const box = await open();
    const { registration, agent } = await issuerOf(box);
    const asked = await ask(registration);
    expect([asked.status, asked.body]).toMatchObject([202, { registered: false, waits_for: "security" }]);
    expect(await dryRun(await agent())).toBe("401 unauthenticated");
    const path = `${ISSUERS}/agents/confirm`;
    const digest = text(asked, "digest");
    for (const name of ["operator", "finance", "agent", "alice"] as const)
      expect(verdict(await (await box.as(name)).post(path, { digest }))).toBe("403 out-of-scope");
    expect(verdict(await caller(testEnv.BOOTSTRAP_SECRET, "").post(path, { digest }))).toBe("401 unauthenticated");
    const security = await box.as("security");
    expect(list(await security.get(ISSUERS), "records")).toMatchObject([
      { id: "agents", state: "waiting", digest, asked_by: "deployment", registration },
    ]);
    // Asked for once more, with more: what was looked at is not what waits.
    await ask({ ...registration, subject_prefix: "agent:ours-" });
    expect(verdict(await security.post(path, { digest }))).toBe("409 resource-changed");
    await confirmed(box, "issuers/agents", await ask(registration));
    expect(await dryRun(await agent())).toBe("200");
    expect(list(await security.get(ISSUERS), "records")).toMatchObject([{ state: "in-force", registration }]);
    const acts = (await ledgerRecords(box.tenant)).filter((one) => one.reason_code?.startsWith("issuer-"));
    expect(acts.map((one) => [one.reason_code, one.decision, one.principal])).toEqual([
      ["issuer-asked", "allow", "deployment"],
      ["issuer-asked", "allow", "deployment"],
      ["issuer-registered", "refuse", "person:security"],
      ["issuer-asked", "allow", "deployment"],
      ["issuer-registered", "allow", "person:security"],
    ]);
  });

  test("may be confirmed again: what a crash left unstored is stored then", async () => {
    const box = await open();
    const { registration, agent } = await issuerOf(box);
    const asked = await ask(registration);
    await confirmed(box, "issuers/agents", asked);
    await testEnv.DB.prepare("DELETE FROM issuers WHERE tenant = ?").bind(box.tenant).run();
    expect(await dryRun(await agent())).toBe("401 unauthenticated");
    await confirmed(box, "issuers/agents", asked);
    expect(await dryRun(await agent())).toBe("200");
  });

  test("is one tenant's: another cannot take it over", async () => {
    const [box, other] = [await open(), await open()];
    const { registration } = await issuerOf(box);
    const early = await ask({ ...registration, tenant: other.tenant });
    await confirmed(box, "issuers/agents", await ask(registration));
    expect(verdict(await ask({ ...registration, tenant: other.tenant }))).toBe("400 malformed-request");
    const digest = text(early, "digest");
    expect(verdict(await (await other.as("security")).post(`${ISSUERS}/agents/confirm`, { digest }))).toBe(
      "400 malformed-request",
    );
  });
});

test("of two tenants that are let register one issuer at the same moment exactly one has it, and the other is told", async () => {
  const boxes = [await open(), await open()];
  const [first] = boxes;
  if (first === undefined) throw new Error("no tenant");
  const { registration } = await issuerOf(first);
  const confirm = await Promise.all(
    boxes.map(async (box) => {
      const digest = text(await ask({ ...registration, tenant: box.tenant }), "digest");
      const security = await box.as("security");
      return () => security.post(`${ISSUERS}/agents/confirm`, { digest });
    }),
  );
  const said = await Promise.all(confirm.map((one) => one()));
  expect(said.map(verdict).toSorted()).toEqual(["200", "400 malformed-request"]);
  const owner = boxes[said.findIndex((one) => verdict(one) === "200")]?.tenant;
  expect(await tenantOfIssuer(testEnv.DB, registration.issuer)).toBe(owner);
  // And what is stored a moment later, after a look that saw nothing, takes nothing over.
  const secret: unknown = testEnv.RECORD_PEPPER;
  const pepper = readSecretKey("RECORD_PEPPER", typeof secret === "string" ? secret : "");
  if (!pepper.ok) throw new Error(pepper.error);
  const late = { issuer: registration.issuer, tenant: "another", registration: "{}" };
  await writeIssuer(testEnv.DB, late, pepper.value, Date.now());
  expect(await tenantOfIssuer(testEnv.DB, registration.issuer)).toBe(owner);
});

describe("an issuer that one person removes", () => {
  test("admits nothing from then on, in an isolate that has its token, row and keys cached, or with its row put back", async () => {
    const box = await open();
    const { registration, agent } = await issuerOf(box);
    await confirmed(box, "issuers/agents", await ask(registration));
    const old = await agent(openIsolate());
    const receipt = text(await old.post(SUBMIT, job(), { ...REASON, "gate-dry-run": "?1" }), "receipt");
    const rows = await testEnv.DB.prepare("SELECT * FROM issuers WHERE tenant = ?").bind(box.tenant).all();
    const [row = {}] = rows.results;
    expect((await (await box.as("operator")).delete(`${ISSUERS}/agents`)).body).toEqual({
      id: "agents",
      removed: true,
    });
    expect(verdict(await old.post(SUBMIT, job(), { ...REASON, "gate-plan": receipt }))).toBe("401 unauthenticated");
    expect(await dryRun(old)).toBe("401 unauthenticated");
    const names = Object.keys(row);
    await testEnv.DB.prepare(`INSERT INTO issuers (${names.join()}) VALUES (${names.map(() => "?").join()})`)
      .bind(...Object.values(row))
      .run();
    const fresh = await agent();
    expect(verdict(await fresh.get(SUBMIT))).toBe("401 unauthenticated");
    expect(await dryRun(fresh)).toBe("401 unauthenticated");
    expect(await box.upstream.mutations()).toEqual([]);
  });

  test("counts again only when two people have let it", async () => {
    const box = await open();
    const { registration, agent } = await issuerOf(box);
    await confirmed(box, "issuers/agents", await ask(registration));
    const security = await box.as("security");
    await security.delete(`${ISSUERS}/agents`);
    expect(verdict(await security.delete(`${ISSUERS}/agents`))).toBe("404 not-found");
    const asked = await ask(registration);
    expect(await dryRun(await agent())).toBe("401 unauthenticated");
    await confirmed(box, "issuers/agents", asked);
    expect(await dryRun(await agent())).toBe("200");
  });

  test("one that only waits is taken back in the same way", async () => {
    const box = await open();
    const { registration } = await issuerOf(box);
    const asked = await ask(registration);
    const security = await box.as("security");
    expect(verdict(await security.delete(`${ISSUERS}/agents`))).toBe("200");
    expect(list(await security.get(ISSUERS), "records")).toEqual([]);
    const digest = text(asked, "digest");
    expect(verdict(await security.post(`${ISSUERS}/agents/confirm`, { digest }))).toBe("404 not-found");
  });
});

test("what an approval authority signed counts no more once it is removed, in isolates that know it too", async () => {
  const box = await open();
  const authority = await approvalAuthority(box);
  const isolate = openIsolate();
  const agent = (await box.as("agent")).through(isolate.entrance);
  const first = proposalOf(await agent.post(SUBMIT, job({ gpus: 8 }), CONTEXT));
  const second = proposalOf(await agent.post(SUBMIT, job({ gpus: 9 }), CONTEXT));
  const signed = await authority.sign(first, "alice");
  const other = await authority.sign(second, "alice");
  const token = { ...CONTEXT, "gate-approval": signed };
  expect(verdict(await agent.post(SUBMIT, job({ gpus: 8 }), token))).toBe("201");
  expect(verdict(await (await box.as("security")).delete("/_gate/v1/approval-issuers/chat-bot"))).toBe("200");
  expect(verdict(await agent.post(SUBMIT, job({ gpus: 9 }), { ...CONTEXT, "gate-approval": other }))).toBe(
    "403 approval-invalid",
  );
  expect(verdict(await agent.post(`/_gate/v1/approvals/${second}/tokens`, { token: other }))).toBe(
    "403 approval-invalid",
  );
  expect(await box.upstream.mutations()).toHaveLength(1);
});
