import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { z } from "zod";
import type { Upstream } from "./settings.ts";
import { ROOT } from "./wrangler.ts";

/** The texts that a tenant is bootstrapped with. */
export type Documents = {
  readonly policy: string;
  readonly people: string;
  readonly catalogue: string;
  readonly prices: string;
};

/** Reads a demo tenant's documents from `policies/`. Throws with the path of a file that is missing. */
export function readDocuments(tenant: string, upstream: Upstream): Documents {
  const catalogue = catalogueOf(upstream);
  const policy = upstream.kind === "external" && upstream.policy !== null ? upstream.policy : tenant;
  // A policy for everybody may come without people of its own: the tenant's then decide.
  const people = existsSync(join(ROOT, `policies/tenants/${policy}.people.yaml`)) ? policy : tenant;
  const prices = existsSync(join(ROOT, `policies/prices/${policy}.yaml`)) ? policy : catalogue;
  return {
    policy: read(`policies/tenants/${policy}.yaml`),
    people: read(`policies/tenants/${people}.people.yaml`),
    catalogue: read(`policies/catalogues/${catalogue}.yaml`),
    prices: read(`policies/prices/${prices}.yaml`),
  };
}

const CATALOGUE = z.object({ control_plane: z.string().min(1) });

/** The name under which the catalogue expects its origin in `UPSTREAMS`. Throws when the document states none. */
export function controlPlaneOf(upstream: Upstream): string {
  const catalogue = catalogueOf(upstream);
  const stated = CATALOGUE.safeParse(parse(read(`policies/catalogues/${catalogue}.yaml`)));
  if (!stated.success) throw new Error(`policies/catalogues/${catalogue}.yaml states no control_plane`);
  return stated.data.control_plane;
}

const PEOPLE = z.object({ people: z.record(z.string(), z.object({ subject: z.string() })) });

/** The subject behind `handle` (without `@`) in a people document; `person:<handle>` where the document has none. */
export function subjectOf(peopleText: string, handle: string): string {
  const people = PEOPLE.safeParse(parse(peopleText));
  return (people.success ? people.data.people[`@${handle}`]?.subject : undefined) ?? `person:${handle}`;
}

const catalogueOf = (upstream: Upstream): string => (upstream.kind === "external" ? upstream.catalogue : "example");

function read(path: string): string {
  const file = join(ROOT, path);
  if (!existsSync(file)) throw new Error(`${path} does not exist`);
  return readFileSync(file, "utf8");
}
