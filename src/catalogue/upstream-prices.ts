import { canonicalJson } from "../platform/canonical-json.ts";
import { digestOf } from "../platform/digest.ts";
import type { JsonPath } from "../platform/json-pointer.ts";
import type { Micros } from "../vocabulary.ts";
import type { RouteDocument } from "./document-schema.ts";
import type { Report } from "./text-rules.ts";

/** Shown of the digest of upstream's prices: 64 bits, to tell one price from the next and not to resist a forger. */
const DIGEST_HEX = 16;

/**
 * Names the prices of a request, so that the same prices have the same name: the version of the table that rates come from,
 * `upstream:<16 hex digits>` for unit prices of the control plane (in micro-USD, in the order of their charges), or both.
 */
export function priceVersion(table: string | null, upstreamMicros: readonly Micros[]): string {
  const names = table === null ? [] : [table];
  if (upstreamMicros.length > 0) {
    const digest = digestOf("portcullis/upstream-prices/v1", canonicalJson([...upstreamMicros]));
    names.push(`upstream:${digest.slice("sha256:".length, "sha256:".length + DIGEST_HEX)}`);
  }
  return names.join("+");
}

/** The look-ups that a route's unit prices are read from, by name. */
export function lookUpsOfPrices({ cost }: Pick<RouteDocument, "cost">): ReadonlySet<string> {
  const reads = readsIn(cost, []).filter(({ inPrice }) => inPrice);
  return new Set(reads.map(({ name }) => name));
}

/**
 * Reports a look-up whose answers are remembered (`max_age_s`) and that anything but a unit price reads: sizes and versions
 * are what upstream says now. Reports a unit price that reads no look-up: what is not upstream's belongs in the price table.
 */
export function checkPriceLookUps(route: RouteDocument, path: JsonPath, report: Report): void {
  const { cost, facts, version, affected } = route;
  const reads = readsIn({ cost, facts, version, affected }, path);
  for (const [name, { max_age_s: maxAgeS }] of Object.entries(route.look_ups ?? {})) {
    if (maxAgeS === undefined) continue;
    for (const read of reads.filter((one) => one.name === name && !one.inPrice))
      report(read.path, `look-up ${name} has max_age_s: only a unit_price can read an answer that is not of now`);
    if (!reads.some((one) => one.name === name && one.inPrice))
      report(
        [...path, "look_ups", name, "max_age_s"],
        "only prices are remembered, and no unit_price reads this look-up",
      );
  }
  for (const [index, charge] of (cost === undefined || cost === "none" ? [] : cost.charges).entries()) {
    if ("unit_price" in charge && lookUpsOfPrices({ cost: { charges: [charge] } }).size === 0)
      report([...path, "cost", "charges", index, "unit_price"], "a unit_price is upstream's: read it from a look-up");
  }
}

type Read = { readonly name: string; readonly path: JsonPath; readonly inPrice: boolean };

/** Every `look_up` inside expressions as written, where `look_up` is a key of nothing else. */
function readsIn(node: unknown, path: JsonPath, inPrice = false): readonly Read[] {
  if (typeof node !== "object" || node === null) return [];
  return Object.entries(node).flatMap(([key, value]): readonly Read[] => {
    const place = [...path, Array.isArray(node) ? Number(key) : key];
    if (key === "look_up" && typeof value === "string") return [{ name: value, path: place, inPrice }];
    return readsIn(value, place, inPrice || key === "unit_price");
  });
}
