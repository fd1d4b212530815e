import type { DocumentProblem } from "../platform/document.ts";
import type { JsonValue } from "../platform/json.ts";
import type { Result } from "../platform/result.ts";
import type { Refusal } from "../refusal.ts";
import type { Method, StrictRequest } from "../strict-request.ts";
import type { Digest, EpochMs, Facts, Micros, Tier } from "../vocabulary.ts";
import type { ActionBounds } from "./bounds.ts";
import type { CostOfFacts } from "./cost-of-facts.ts";
import type { CompiledPrices } from "./prices.ts";

/**
 * What one control plane's API means, compiled to closures. Closed: `match` refuses whatever the document does not list.
 */
export type CompiledCatalogue = {
  readonly id: string;
  /** Key into the deployment's `UPSTREAMS`; a tenant cannot name an origin. */
  readonly controlPlane: string;
  readonly digest: Digest;
  readonly actions: ReadonlyMap<string, ActionSpec>;
  /** How far mistakes can reach, smallest first; the actions' `blastRadius` are words of these. */
  readonly blastRadii: readonly string[];
  /** Where the client's gate credential may travel, in order: header name (lower case) and the prefix to strip. */
  readonly credentialCarriers: readonly { readonly header: string; readonly prefix: string }[];
  readonly upstreamAuth: UpstreamAuth;
  /** Lower-case names of client headers that may be passed on (never credentials, never hop-by-hop). */
  readonly requestHeaders: readonly string[];
  /** Lower-case names of upstream response headers that may be passed back. */
  readonly responseHeaders: readonly string[];
  /** Lower-case names of client headers whose mere presence refuses the request (`X-SLURM-USER-NAME`): `match` does it. */
  readonly refusedHeaders: readonly string[];
  readonly errorDialect: ErrorDialect;
  /**
   * Finds the one operation that the request is. Refuses with `unknown-operation` (method + path not listed),
   * `unsupported-media-type`, or `malformed-request` (query key, body key or value outside the closed schema).
   */
  readonly match: (request: StrictRequest) => Result<MatchedOperation, Refusal>;
  /** How to read whether what a request of this route made still runs; null where there is no such route or read. */
  readonly status: (routeId: string) => StatusRule | null;
  /** What requests of an action can be at all; computed when it is asked for. */
  readonly bounds: () => ReadonlyMap<string, ActionBounds>;
  /** What a request costs whose facts alone are known any more. */
  readonly costOfFacts: CostOfFacts;
  /** What the document says although it can hardly be meant. */
  readonly warnings: readonly DocumentProblem[];
};

/** How the status of a resource is read, from the resource's id and the answer alone. */
export type StatusRule = {
  /** Null where the id cannot be one segment of a path (`..`): it can only be percent-encoded. */
  readonly call: (resource: string) => UpstreamCall | null;
  /**
   * What a complete answer says; `body` is undefined when it is not JSON, `reference` what the gate sent with the request that
   * made the resource. Anything but 200 is `unknown`: what is not there may have ended or never been seen.
   */
  readonly judge: (status: number, body: JsonValue | undefined, reference: string) => StatusVerdict;
};

export type StatusVerdict = {
  readonly verdict: "running" | "ended" | "unknown";
  /** What it cost; null unless it has ended and the answer says so. */
  readonly actualMicros: Micros | null;
  /** For how long it ran; null unless it has ended and the answer says so. */
  readonly ranMs: number | null;
};

/** How the gate itself authenticates upstream; the secret values are per tenant and sealed. */
export type UpstreamAuth =
  | { readonly kind: "bearer" }
  | { readonly kind: "basic" }
  /** Header name → name of the field in the tenant's sealed upstream credential. */
  | { readonly kind: "headers"; readonly headers: Readonly<Record<string, string>> };

export type ErrorDialect = "problem" | "slurm" | "kubernetes" | "error-object";

/** One action name of the control plane: what a policy may name and never go below. */
export type ActionSpec = {
  readonly action: string;
  /** Floor rows, lowest tier first; the first whose condition the facts meet is the floor. The last has no condition. */
  readonly floors: readonly FloorRow[];
  /** Lowest tier that any facts can have, and whether the action is prohibited outright (floor 5). */
  readonly minimumTier: Tier;
  /** Names of facts that the action's routes extract, with their types: policies may constrain only these. */
  readonly factNames: ReadonlyMap<string, FactType>;
  /** How far a mistake reaches, a word of the catalogue's own; null where it says none. */
  readonly blastRadius: string | null;
  /** Whether that is more than the smallest of the catalogue's radii. */
  readonly elevated: boolean;
  /** Whether another action undoes it; null where the catalogue does not say. */
  readonly reversible: boolean | null;
  /** Whether the action's cost is declared `none` (cancel, reads). */
  readonly free: boolean;
  /** SHA-256 over this action's part of the document (routes, facts, floors, cost): part of the rule digest. */
  readonly digest: Digest;
};

export type FactType = "number" | "string" | "boolean" | "strings";

/** Same constraint grammar as a policy's: `max_gpus: 4`, `job_type: [elastic]`. Null: always. */
export type FloorRow = {
  readonly tier: Tier;
  readonly when: Readonly<Record<string, number | string | boolean | readonly string[]>> | null;
};

/** A request identified in the catalogue, before facts are known. */
export type MatchedOperation = {
  readonly routeId: string;
  readonly action: string;
  readonly minimumTier: Tier;
  /** Upstream reads that sizing needs (updates); empty for most routes. Run only after policy named the action. */
  readonly lookUps: readonly LookUp[];
  /** Extracts facts; `lookedUp` holds the parsed body per look-up name. Never throws; what is missing is named. */
  readonly facts: (lookedUp: LookedUp) => FactsOutcome;
  readonly floor: (facts: Facts) => Tier;
  /** The key of the incident that the request works on, where the catalogue says what that is. */
  readonly incident: (facts: Facts, lookedUp: LookedUp) => DerivedIncident;
  /** Priced by the table in force at `now`, and by what upstream's price calls have answered. */
  readonly cost: (facts: Facts, lookedUp: LookedUp, prices: CompiledPrices, now: EpochMs) => CostOutcome;
  /** The request as it will be sent, rebuilt from the validated value. The canonical body is RFC 8785 text. */
  readonly call: UpstreamCall;
  /** `call` with the gate's reference injected where the catalogue says (header or body), for later look-up. */
  readonly dispatch: (reference: string) => UpstreamCall;
  /** How upstream's own dry run is asked for; null where it has none (the gate's plan is the dry run). */
  readonly dryRun: { readonly call: UpstreamCall; readonly successStatuses: ReadonlySet<number> } | null;
  readonly outcome: OutcomeRules;
  /** Null where the route declares neither what it affects nor a version. */
  readonly observation: ObservationRules | null;
  /** Whether the response is passed on as a stream (logs, watch). */
  readonly streaming: boolean;
};

/** What is asked of the control plane before people are: what the change would affect, and which version it would change. */
export type ObservationRules = {
  /** The read that lists what would be affected; null where only a version is declared, from a sizing look-up. */
  readonly call: UpstreamCall | null;
  /**
   * Reads the call's complete answer (null where there is no call) and the sizing look-ups. Fails with what they lack:
   * what is not known is never "nothing affected".
   */
  readonly read: (answer: ObservedAnswer | null, lookedUp: LookedUp) => Result<Observation, string>;
};

/** `body` is undefined when it is not JSON. */
export type ObservedAnswer = { readonly status: number; readonly body: JsonValue | undefined };

export type Observation = {
  /** Names or ids of what would be affected, sorted; null where the catalogue declares no such read. */
  readonly affected: readonly string[] | null;
  /** Null where the catalogue declares none, or where there is no such resource. */
  readonly version: string | null;
};

export type LookedUp = ReadonlyMap<string, JsonValue>;

export type LookUp = {
  readonly name: string;
  readonly call: UpstreamCall;
  /** Whether a unit price is read from its answer. */
  readonly price: boolean;
  /** How old an answer may be that is used again (prices only); 0: always asked anew. */
  readonly maxAgeMs: number;
};

export type FactsOutcome = {
  readonly facts: Facts;
  /** Facts that the route declares but this request did not let the gate extract, with the reason. Never zero. */
  readonly missing: readonly { readonly fact: string; readonly reason: string }[];
  /** Id of the one resource that the request acts on, null for creations and lists. */
  readonly resource: string | null;
};

/** `unsized`: what the key is made of is there and cannot be understood. */
export type DerivedIncident =
  | { readonly kind: "none" }
  | { readonly kind: "key"; readonly key: string }
  | { readonly kind: "unsized"; readonly reason: string };

export type CostOutcome =
  | { readonly kind: "none" }
  /** `durationMs` is how long the committed resource may run: until then the ceiling stays held. Null: ends at once. */
  | {
      readonly kind: "priced";
      readonly ceilingMicros: Micros;
      readonly priceVersion: string;
      readonly durationMs: number | null;
      /** For a change of something that runs: what it costs as the control plane has it now. Null: not such a change. */
      readonly currentMicros: Micros | null;
    }
  | { readonly kind: "unpriced"; readonly missing: readonly string[] };

/** One upstream request, complete but for origin, credential and signature. */
export type UpstreamCall = {
  readonly method: Method;
  readonly path: string;
  /** Sorted by name. */
  readonly query: readonly (readonly [string, string])[];
  readonly headers: Readonly<Record<string, string>>;
  readonly contentType: string | null;
  /** RFC 8785 text of the validated body; null without one. */
  readonly body: string | null;
};

export type OutcomeRules = {
  /** Statuses that prove nothing was changed: the hold is released. Everything else but success is unknown. */
  readonly definiteFailures: ReadonlySet<number>;
  /** What a complete response means. `body` is undefined when it is not JSON. */
  readonly judge: (status: number, body: JsonValue | undefined) => "succeeded" | "failed" | "unknown";
  /** Id of the created or changed resource in a success body, null where there is none. */
  readonly resource: (body: JsonValue | undefined) => string | null;
  /** Version of that resource (etag, resourceVersion), null where the body has none. */
  readonly version: (body: JsonValue | undefined) => string | null;
  /** What the upstream says the operation really costs, null where it does not say. */
  readonly actualMicros: (body: JsonValue | undefined) => Micros | null;
  /** How to find out later whether the mutation with this reference happened; null where upstream cannot say. */
  readonly lookUp: ((reference: string) => OutcomeLookUp) | null;
};

export type OutcomeLookUp = {
  readonly call: UpstreamCall;
  readonly judge: LookUpJudge;
  /** Id of the resource in a body that proves that it happened; null where it names none, or several. */
  readonly resource: (body: JsonValue | undefined) => string | null;
};

/** What a look-up's complete response proves about the mutation. */
export type LookUpJudge = (status: number, body: JsonValue | undefined) => "happened" | "absent" | "unknown";
