import { CATALOGUE_INCIDENT } from "../catalogue/incident-key.ts";
import type { LookedUp, MatchedOperation } from "../catalogue/types.ts";
import { NOT_THE_CATALOGUES } from "../ledger/incidents/incident-record.ts";
import { err, ok, type Result } from "../platform/result.ts";
import type { Refusal } from "../refusal.ts";
import { isWrite, type Facts, type Tier } from "../vocabulary.ts";
import type { Trail } from "./trail.ts";

/**
 * The key that the catalogue derives for what the request works on; null where it derives none. Refuses a write whose key cannot be
 * told, and a caller's key that begins like the catalogue's and is not this one. Adds the key to the trail.
 */
export function incidentKey(
  trail: Trail,
  operation: MatchedOperation,
  facts: Facts,
  lookedUp: LookedUp,
  tier: Tier,
): Result<string | null, Refusal> {
  const derived = operation.incident(facts, lookedUp);
  if (isWrite(tier) && derived.kind === "unsized")
    return err({ kind: "unsized", missing: [`incident: ${derived.reason}`] });
  const key = derived.kind === "key" ? derived.key : null;
  trail.derivedIncident = key;
  const given = trail.gate?.incident ?? null;
  return given?.startsWith(CATALOGUE_INCIDENT) === true && given !== key
    ? err({ kind: "malformed-request", reason: NOT_THE_CATALOGUES })
    : ok(key);
}
