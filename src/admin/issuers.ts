import { deleteIssuer, listIssuers, tenantOfIssuer, writeIssuer } from "../db/issuer-directory.ts";
import type { Gate } from "../gateway/gate.ts";
import { readIssuer } from "../identity/issuers.ts";
import { assert } from "../platform/assert.ts";
import { canonicalJson } from "../platform/canonical-json.ts";
import type { JsonObject } from "../platform/json.ts";
import { err, ok, type Result } from "../platform/result.ts";
import type { Refusal } from "../refusal.ts";
import type { Registration, Registry } from "./registration.ts";

/** Issuers of access tokens: whoever signs tokens speaks for people and agents. An issuer is one tenant's. */
export const accessIssuers: Registry = {
  kind: "access",
  path: "/_gate/v1/issuers",
  read: async ({ body }, gate) => readText(gate, body === undefined ? "" : canonicalJson(body)),
  taken: async (gate, tenant, text) => {
    const read = readText(gate, text);
    if (!read.ok) return read.error;
    const owner = await tenantOfIssuer(gate.env.DB, read.value.issuer);
    return owner === null || owner === tenant
      ? null
      : { kind: "malformed-request", reason: "body /issuer: is another tenant's" };
  },
  store: async (gate, tenant, text, now) => {
    const read = readText(gate, text);
    assert(read.ok, "what waited was read before");
    await writeIssuer(gate.env.DB, { issuer: read.value.issuer, tenant, registration: text }, gate.keys.pepper, now);
    return read.value.issuer;
  },
  list: async (gate, tenant) =>
    (await listIssuers(gate.env.DB, tenant)).flatMap(({ issuer, registration }) => {
      const read = readIssuer(registration, gate.config.environment);
      return read.ok ? [{ id: read.value.id, issuer, json: plain(registration) }] : [];
    }),
  shown: async (_gate, _tenant, text) => plain(text),
  remove: (gate, tenant, issuer) => deleteIssuer(gate.env.DB, tenant, issuer),
  more: () => ({}),
};

function readText(gate: Gate, text: string): Result<Registration, Refusal> {
  const read = readIssuer(text, gate.config.environment);
  if (!read.ok) return err({ kind: "malformed-request", reason: `body: ${read.error}` });
  const { issuer, tenant, id } = read.value;
  return ok({ issuer, tenant, id, text });
}

/** A registration's text, which was canonical JSON of an object when it was read. */
const plain = (text: string): JsonObject => JSON.parse(text);
