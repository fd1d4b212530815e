/**
 * Words that every room shares. Only types and their constructors: no behaviour, no I/O.
 */

/** Risk tier: 0 observe, 1 inform, 2 low write, 3 high write, 4 destructive, 5 prohibited. */
export type Tier = 0 | 1 | 2 | 3 | 4 | 5;
export const TIERS = [0, 1, 2, 3, 4, 5] as const satisfies readonly Tier[];

/** Whether the tier changes something upstream (tier 2 and above): writes fail closed on every dependency error. */
export const isWrite = (tier: Tier): boolean => tier >= 2;

/** Integer millionths of a US dollar. All money inside the gate is this; `number` is exact up to 9.007 × 10^15 = 9 billion USD. */
export type Micros = number;

/** Milliseconds since the epoch, UTC. */
export type EpochMs = number;

/** `sha256:<64 lower-case hex digits>`. */
export type Digest = `sha256:${string}`;

/** One extracted property of a request. Numbers are finite; a fact that could not be extracted is absent, never zero. */
export type Fact = string | number | boolean | readonly string[];
export type Facts = Readonly<Record<string, Fact>>;

/** What a rule in shadow (`mode: shadow`) would have decided otherwise: a problem slug, or `tier N`. */
export type ShadowVerdict = { readonly rule: string; readonly verdict: string };

/** Tenant ids: fixed grammar, no delimiter that any store key uses. */
export const TENANT_ID = /^[a-z][a-z0-9-]{0,62}$/;

/** Immutable subject ids of people, agents and services, e.g. `person:alice`, `agent:trainer`, `https://idp/|00u1`. */
export const SUBJECT = /^[A-Za-z0-9][A-Za-z0-9._:@/|-]{0,127}$/;

/** Action names: `workloads.submit`. */
export const ACTION = /^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+$/;
