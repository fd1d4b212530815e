import { inArray } from "drizzle-orm";
import { openDatabase } from "../db/client.ts";
import { documents } from "../db/schema.ts";
import type { Activation } from "../ledger/lifecycle/activations.ts";
import type { PolicyVersion } from "../ledger/lifecycle/versions.ts";
import type { JsonObject } from "../platform/json.ts";
import type { Digest } from "../vocabulary.ts";
import { queryInteger, unknownQuery } from "./body.ts";
import { json, malformed, refuse, type AdminAnswer, type AdminCall, type AdminRoute } from "./call.ts";
import { changesJson } from "./policy-changes.ts";

/** Who reads what versions say and who put them in force. */
const READERS = ["operator", "security", "finance"] as const;

/** Most activations that one answer lists. */
export const ACTIVATION_LIST_MAX = 200;

/** What versions there are, what each says and would change, and when which was in force. */
export const policyVersionRoutes: readonly AdminRoute[] = [
  { method: "GET", path: "/_gate/v1/policy/versions", roles: READERS, handle: versions },
  { method: "GET", path: "/_gate/v1/policy/versions/:version", roles: READERS, handle: version },
  { method: "GET", path: "/_gate/v1/policy/versions/:version/diff", roles: READERS, handle: diff },
  { method: "GET", path: "/_gate/v1/policy/activations", roles: READERS, handle: activations },
];

async function versions({ ledger }: AdminCall): Promise<AdminAnswer> {
  return json({ records: (await ledger.versions()).map(versionJson), next_cursor: null });
}

async function version(call: AdminCall): Promise<AdminAnswer> {
  const found = await versionOf(call, call.param("version"));
  if (found === null) return refuse({ kind: "not-found" });
  const texts = await documentTexts(call, found);
  return json({
    ...versionJson(found),
    documents: {
      policy: texts.get(found.policy) ?? null,
      people: texts.get(found.people) ?? null,
      catalogue: texts.get(found.catalogue) ?? null,
      prices: texts.get(found.prices) ?? null,
    },
  });
}

async function diff(call: AdminCall): Promise<AdminAnswer> {
  const unknown = unknownQuery(call.strict, ["against"]);
  if (unknown !== null) return refuse(unknown);
  const against = call.strict.query.get("against") ?? String(call.context.snapshot.version);
  const [before, after] = await Promise.all([versionOf(call, against), versionOf(call, call.param("version"))]);
  if (before === null || after === null) return refuse({ kind: "not-found" });
  return json({ version: after.version, changes: await changesJson(call.gate, before, after, call.trail.receivedAt) });
}

async function activations(call: AdminCall): Promise<AdminAnswer> {
  const unknown = unknownQuery(call.strict, ["limit"]);
  if (unknown !== null) return refuse(unknown);
  const limit = queryInteger(call.strict, "limit", 50, ACTIVATION_LIST_MAX);
  if (limit === null) return malformed(`query: limit is a number up to ${ACTIVATION_LIST_MAX}`);
  return json({ records: (await call.ledger.activations(limit)).map(activationJson), next_cursor: null });
}

/** The version that a path or query names by its number, null where there is none. */
export async function versionOf({ ledger }: AdminCall, number: string): Promise<PolicyVersion | null> {
  return /^[1-9][0-9]{0,8}$/.test(number) ? ledger.version(Number(number)) : null;
}

/** The stored texts of a version's documents, by digest. */
export async function documentTexts(
  { gate }: AdminCall,
  { policy, people, catalogue, prices }: Pick<PolicyVersion, "policy" | "people" | "catalogue" | "prices">,
): Promise<ReadonlyMap<Digest, string>> {
  const digests = [policy, people, catalogue, prices];
  const rows = await openDatabase(gate.env.DB)
    .select({ digest: documents.digest, body: documents.body })
    .from(documents)
    .where(inArray(documents.digest, digests));
  const bodies = new Map(rows.map((row) => [row.digest, row.body]));
  return new Map(
    digests.flatMap((digest) => {
      const body = bodies.get(digest);
      return body === undefined ? [] : [[digest, body] as const];
    }),
  );
}

const versionJson = (one: PolicyVersion): JsonObject => ({
  version: one.version,
  digests: { policy: one.policy, people: one.people, catalogue: one.catalogue, prices: one.prices },
  author: one.author,
  reason: one.reason,
  git_commit: one.gitCommit,
  created_at: new Date(one.createdAt).toISOString(),
  activated_by: one.activatedBy,
  activated_at: one.activatedAt === null ? null : new Date(one.activatedAt).toISOString(),
});

const activationJson = ({ version: number, previous, by, at, how, reason }: Activation): JsonObject => ({
  version: number,
  previous,
  by,
  at: new Date(at).toISOString(),
  how,
  reason,
});
