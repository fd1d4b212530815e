import { exports } from "cloudflare:workers";
import { afterEach, expect } from "vitest";
import exampleCatalogue from "../../policies/catalogues/example.yaml?raw";
import examplePrices from "../../policies/prices/example.yaml?raw";
import acmePeople from "../../policies/tenants/acme.people.yaml?raw";
import acmePolicy from "../../policies/tenants/acme.yaml?raw";
import { readAnswered, text, type Answered } from "./answer.ts";
import { checkBooks } from "./invariants.ts";
import { upstreamToken, type Suite } from "./suites.ts";
import { testEnv } from "./test-env.ts";
import { upstreamOf, type UpstreamLog } from "./upstream-log.ts";

export type RequestHeaders = Readonly<Record<string, string>>;

/** How a request reaches the gate: through the Worker's own entry, or through another isolate (`isolates.ts`). */
export type Entrance = (request: Request) => Promise<Response>;

/** One credential, and requests with it. A body that is text is sent as it is. */
export type Caller = {
  readonly key: string;
  readonly keyId: string;
  readonly send: (method: string, path: string, body?: unknown, headers?: RequestHeaders) => Promise<Answered>;
  readonly get: (path: string, headers?: RequestHeaders) => Promise<Answered>;
  readonly post: (path: string, body: unknown, headers?: RequestHeaders) => Promise<Answered>;
  readonly put: (path: string, body: unknown, headers?: RequestHeaders) => Promise<Answered>;
  readonly delete: (path: string, headers?: RequestHeaders) => Promise<Answered>;
  /** The same credential through another entrance. */
  readonly through: (entrance: Entrance) => Caller;
};

/** A tenant of its own behind the gate, as its people and agents meet it. */
export type BlackBox = {
  readonly tenant: string;
  readonly upstream: UpstreamLog;
  /** The standing cast (see `CAST`); each credential is made on first use, by the tenant's operator. */
  readonly as: (name: CastName) => Promise<Caller>;
  /** A credential with these claims, made by `by` (the operator). */
  readonly mint: (claims: object, by?: CastName) => Promise<Caller>;
};

const person = (name: string, roles: readonly string[] = []): object => ({
  subject: `person:${name}`,
  class: "person",
  owner: `person:${name}`,
  roles,
});
const agent = (name: string): object => ({
  subject: `agent:${name}`,
  class: "agent",
  owner: "person:dana",
  actions: ["*"],
  max_tier: 4,
});

/** The people and agents of every tenant here: dana owns the agents and approves nothing, nor does carol. */
const CAST = {
  agent: agent("trainer"),
  agent2: agent("sweeper"),
  alice: person("alice"),
  bob: person("bob"),
  carol: person("carol"),
  dana: person("dana"),
  billing: { subject: "service:meter", class: "service", owner: "person:finance", roles: ["billing"] },
} as const;
/** Whom a tenant begins with: bootstrap makes their credentials. */
type Founder = "operator" | "security" | "finance";
export type CastName = keyof typeof CAST | Founder;

export const ACME_POLICY: string = acmePolicy;
export const EXAMPLE_PRICES: string = examplePrices;
export const ACME_PEOPLE: string = acmePeople;
export const catalogueOf = (suite: Suite): string =>
  replaceOnce(exampleCatalogue, "control_plane: example", `control_plane: ${suite}`);

/** `text` with its one `from` replaced; fails where `from` stands there not once, so that no variant is silently the original. */
export function replaceOnce(original: string, from: string, to: string): string {
  if (original.split(from).length !== 2) throw new Error(`${JSON.stringify(from)} does not stand there exactly once`);
  return original.replace(from, () => to);
}

const ORIGIN = "https://gate.example";
const entry: Entrance = (request) => exports.default.fetch(request);

/** The documents that a tenant begins with, where a test needs others than acme's. */
export type Documents = {
  readonly policy?: string;
  readonly people?: string;
  readonly catalogue?: string;
  readonly prices?: string;
};

/**
 * The black box of one test file: `open` makes a fresh tenant behind the gate. After each test the books of every tenant
 * it made are checked (`invariants.ts`), and injected faults are removed.
 */
export function useBlackBox(suite: Suite): (documents?: Documents) => Promise<BlackBox> {
  let made = 0;
  let opened: BlackBox[] = [];
  afterEach(async () => {
    const boxes = opened;
    opened = [];
    for (const box of boxes) await box.upstream.inject([]);
    for (const box of boxes) await checkBooks(box.tenant, box.upstream);
  });
  return async (documents = {}) => {
    made += 1;
    const box = await openBox(suite, made, documents);
    opened.push(box);
    return box;
  };
}

async function openBox(suite: Suite, index: number, documents: Documents): Promise<BlackBox> {
  const tenant = `${suite}-${index}`;
  const token = upstreamToken(suite, index);
  const answered = await caller(testEnv.BOOTSTRAP_SECRET, "").post("/_gate/v1/bootstrap", {
    tenant,
    documents: {
      policy: ACME_POLICY,
      people: ACME_PEOPLE,
      catalogue: catalogueOf(suite),
      prices: EXAMPLE_PRICES,
      ...documents,
    },
    upstream_credential: { token },
    operator: { subject: "person:operator" },
    security: { subject: "person:security" },
    finance: { subject: "person:finance" },
    demo: true,
  });
  expect(answered.status, answered.text).toBe(201);
  const founder = (name: Founder): readonly [CastName, Promise<Caller>] => [
    name,
    Promise.resolve(caller(text(answered, name, "key"), text(answered, name, "key_id"))),
  ];
  const known = new Map<CastName, Promise<Caller>>([founder("operator"), founder("security"), founder("finance")]);

  const mint = async (claims: object, by: CastName = "operator"): Promise<Caller> => {
    const minted = await (await as(by)).post("/_gate/v1/credentials", { expires_in_days: 30, demo: true, ...claims });
    expect(minted.status, minted.text).toBe(201);
    return caller(text(minted, "key"), text(minted, "key_id"));
  };
  const as = (name: CastName): Promise<Caller> => {
    const claims = Object.entries(CAST).find(([one]) => one === name)?.[1] ?? {};
    const minted = known.get(name) ?? mint(claims, name === "billing" ? "finance" : "operator");
    known.set(name, minted);
    return minted;
  };
  return { tenant, upstream: upstreamOf(suite, token), as, mint };
}

/** Requests with one credential; `null` for none. */
export function caller(key: string | null, keyId: string, entrance: Entrance = entry): Caller {
  const send: Caller["send"] = async (method, path, body, headers = {}) => {
    const request = new Request(`${ORIGIN}${path}`, {
      method,
      redirect: "manual",
      headers: {
        ...(key === null ? {} : { authorization: `Bearer ${key}` }),
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
    });
    return readAnswered(await entrance(request));
  };
  return {
    key: key ?? "",
    keyId,
    send,
    get: (path, headers) => send("GET", path, undefined, headers),
    post: (path, body, headers) => send("POST", path, body, headers),
    put: (path, body, headers) => send("PUT", path, body, headers),
    delete: (path, headers) => send("DELETE", path, undefined, headers),
    through: (other) => caller(key, keyId, other),
  };
}
