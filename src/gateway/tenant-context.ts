import type { Config } from "../config.ts";
import { readUpstreamCredential } from "../db/tenant-rows.ts";
import type { Env } from "../env.ts";
import type { Principal } from "../identity/principal.ts";
import { open } from "../identity/sealed.ts";
import type { LedgerSnapshot } from "../ledger/contract.ts";
import { ledgerOf } from "../ledger/ledger-port.ts";
import type { JsonObject } from "../platform/json.ts";
import { describeError } from "../platform/describe-error.ts";
import { err, ok, type Result } from "../platform/result.ts";
import type { Refusal } from "../refusal.ts";
import { createBreaker, type Breaker } from "../upstream/breaker.ts";
import { credentialHeaders } from "../upstream/credential.ts";
import type { Upstream } from "../upstream/send.ts";
import type { EpochMs } from "../vocabulary.ts";
import { createBoundedCache } from "../platform/bounded-cache.ts";
import type { DocumentSource, Rulebook } from "./documents.ts";
import type { Keys } from "./keys.ts";

/** Oldest snapshot that a read may be judged by (wire contract, section 9). Writes are confirmed by the ledger anyway. */
const MAX_AGE_MS = 30_000;

/** From this age on a request refreshes the snapshot in the background, so that warm requests never wait for one. */
const REFRESH_AFTER_MS = 15_000;

/** Tenants kept per isolate. */
const TENANTS_MAX = 2_000;

/** Longest wait for the ledger when a snapshot is needed. */
const LEDGER_WAIT_MS = 5_000;

/** Everything a request of this tenant is judged by, of one moment. */
export type TenantContext = Rulebook & {
  readonly tenant: string;
  readonly snapshot: LedgerSnapshot;
  readonly revoked: ReadonlySet<string>;
  readonly upstream: Upstream;
  readonly loadedAt: EpochMs;
};

export type TenantDirectory = {
  /** The tenant's context, at most 30 s old. Refuses with `unavailable`: what cannot be loaded denies. */
  readonly get: (
    tenant: string,
    now: EpochMs,
    background: (work: Promise<unknown>) => void,
  ) => Promise<Result<TenantContext, Refusal>>;
  /** Forgets what is cached, so that the next request asks the ledger: after `stale`, and after this isolate changed something. */
  readonly forget: (tenant: string) => void;
};

/** One directory per isolate. */
export function createTenantDirectory(
  env: Env,
  config: Config,
  keys: Keys,
  documents: DocumentSource,
): TenantDirectory {
  const contexts = createBoundedCache<TenantContext>(TENANTS_MAX);
  const breakers = new Map<string, Breaker>();
  const refreshing = new Map<string, EpochMs>();
  const upstreams = createBoundedCache<Upstream>(TENANTS_MAX);

  const breakerOf = (name: string): Breaker => {
    const known = breakers.get(name) ?? createBreaker();
    breakers.set(name, known);
    return known;
  };

  const loadUpstream = async (tenant: string, { catalogue }: Rulebook): Promise<Result<Upstream, Refusal>> => {
    const origin = config.upstreams[catalogue.controlPlane];
    if (origin === undefined)
      return err(unavailable("upstream", `no origin is configured for ${catalogue.controlPlane}`));
    const opened = await openCredential(env, keys, tenant);
    if (!opened.ok) {
      // While D1 is down a warm isolate goes on with the credential that it opened before.
      const known = upstreams.get(tenant);
      return known?.name === catalogue.controlPlane ? ok(known) : err(unavailable("upstream-credential", opened.error));
    }
    const headers = credentialHeaders(catalogue.upstreamAuth, opened.value);
    if (!headers.ok) return err(unavailable("upstream-credential", headers.error));
    const upstream: Upstream = {
      name: catalogue.controlPlane,
      origin,
      credentialHeaders: headers.value,
      signingKey: keys.upstreamSigning,
      deadlineMs: config.upstreamDeadlineMs,
      breaker: breakerOf(catalogue.controlPlane),
    };
    upstreams.set(tenant, upstream);
    return ok(upstream);
  };

  const load = async (tenant: string, now: EpochMs): Promise<Result<TenantContext, Refusal>> => {
    const snapshot = await takeSnapshot(env, tenant);
    if (!snapshot.ok) return err(unavailable("ledger", snapshot.error));
    const rulebook = await documents.rulebook(snapshot.value.authority);
    if (!rulebook.ok) return err(unavailable("policy", rulebook.error));
    const upstream = await loadUpstream(tenant, rulebook.value);
    if (!upstream.ok) return upstream;
    const context: TenantContext = {
      ...rulebook.value,
      tenant,
      snapshot: snapshot.value,
      revoked: new Set(snapshot.value.revoked),
      upstream: upstream.value,
      loadedAt: now,
    };
    contexts.set(tenant, context);
    return ok(context);
  };

  return {
    get: async (tenant, now, background) => {
      const cached = contexts.get(tenant);
      const age = cached === undefined ? Number.POSITIVE_INFINITY : now - cached.loadedAt;
      if (cached === undefined || age >= MAX_AGE_MS || age < 0) return load(tenant, now);
      if (age >= REFRESH_AFTER_MS && now - (refreshing.get(tenant) ?? 0) > LEDGER_WAIT_MS) {
        refreshing.set(tenant, now);
        // Nobody waits for this: its failure leaves the context to age until a request has to load one itself.
        background(load(tenant, now).finally(() => refreshing.delete(tenant)));
      }
      return ok(cached);
    },
    forget: (tenant) => contexts.delete(tenant),
  };
}

async function openCredential(env: Env, keys: Keys, tenant: string): Promise<Result<JsonObject, string>> {
  const sealed = await readUpstreamCredential(env.DB, tenant, keys.pepper);
  return sealed.ok ? open(sealed.value, keys.sealing, sealingContext(tenant)) : sealed;
}

/** Whether the tenant's snapshot says that a credential counts no more: it was revoked, or its issuer removed. */
export const isRevoked = ({ credentialId, issuer }: Principal, { revoked, snapshot }: TenantContext): boolean =>
  revoked.has(credentialId) ||
  (credentialId.startsWith("jwt:") && snapshot.removedIssuers.some((id) => issuer === `issuer:${id}`));

/** What a tenant's upstream credential is sealed for: it opens for no other tenant. */
export const sealingContext = (tenant: string): string => `upstream-credential/${tenant}`;

async function takeSnapshot(env: Env, tenant: string): Promise<Result<LedgerSnapshot, string>> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<"late">((resolve) => {
    timer = setTimeout(() => resolve("late"), LEDGER_WAIT_MS);
  });
  try {
    const snapshot = await Promise.race([ledgerOf(env.LEDGER, tenant).snapshot(), late]);
    if (snapshot === "late") return err("no answer in time");
    return snapshot === null ? err("the tenant has no active policy version") : ok(snapshot);
  } catch (error) {
    return err(describeError(error));
  } finally {
    clearTimeout(timer);
  }
}

const unavailable = (dependency: string, cause: string): Refusal => ({ kind: "unavailable", dependency, cause });
