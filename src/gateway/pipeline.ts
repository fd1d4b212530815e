import type { ErrorDialect, MatchedOperation } from "../catalogue/types.ts";
import { nameEvidence } from "../db/evidence.ts";
import { tellAfterMs } from "../policy/notify.ts";
import { quotaHeaders } from "../quota/headers.ts";
import { quotaRule } from "../quota/quota-rule.ts";
import type { Refusal } from "../refusal.ts";
import type { StrictRequest } from "../strict-request.ts";
import { log } from "../platform/log.ts";
import { isWrite, type Tier } from "../vocabulary.ts";
import { send } from "../upstream/send.ts";
import type { Ended } from "./ended.ts";
import type { Gate } from "./gate.ts";
import { governWrite } from "./govern-write.ts";
import { identify } from "./identify.ts";
import { gateKeep, judge } from "./judge.ts";
import { quotaRefusal } from "./quota-refusal.ts";
import { readRequest } from "./read-request.ts";
import { recordEnding } from "./record-ending.ts";
import { requestDigest } from "./request-digest.ts";
import { passThrough, problemResponse } from "./respond.ts";
import { isRevoked, type TenantContext } from "./tenant-context.ts";
import { entryOf, openTrail, type Trail } from "./trail.ts";
import type { Write } from "./write.ts";

type WaitUntil = (work: Promise<unknown>) => void;

/**
 * The life of a data-plane request, top to bottom: read strictly → authenticate → classify → scope → quota → judge → serve
 * a read, or govern a write. Every step either adds to the trail or ends the request with a refusal; every ending becomes
 * one audit record.
 */
export async function handleRequest(request: Request, gate: Gate, waitUntil: WaitUntil): Promise<Response> {
  const trail = openTrail(request, Date.now());
  let dialect: ErrorDialect = "problem";

  const finish = (ended: Ended): Response => {
    recordEnding(gate, trail, ended, waitUntil);
    return "response" in ended ? ended.response : problemResponse(trail, ended.refusal, dialect, Date.now());
  };
  const refuse = (refusal: Refusal): Response => finish({ kind: "refused", refusal });

  const read = await readRequest(request);
  if (!read.ok) return refuse(read.error);
  const strict = read.value;
  trail.gate = strict.gate;

  const principal = await identify(strict.header, gate, trail.receivedAt);
  if (!principal.ok) return refuse(principal.error);

  // Twice at most: the second time under the documents that the ledger says are in force.
  for (let attempt = 1; attempt <= 2; attempt++) {
    const context = await gate.tenants.get(principal.value.tenant, trail.receivedAt, waitUntil);
    if (!context.ok) return refuse(context.error);
    // Known before the rest: what a revoked credential still tries stands in its own tenant's record.
    trail.principal = principal.value;
    if (isRevoked(principal.value, context.value))
      return refuse({ kind: "unauthenticated", cause: "credential is revoked, or its issuer removed" });
    // Exactly one carrier was sent; here is the catalogue that says which ones its clients may use.
    if (!context.value.catalogue.credentialCarriers.some(({ header }) => strict.header(header) !== null))
      return refuse({ kind: "unauthenticated", cause: "the catalogue does not name the header of the credential" });
    dialect = context.value.catalogue.errorDialect;

    const matched = context.value.catalogue.match(strict);
    if (!matched.ok) return refuse(matched.error);
    const operation = matched.value;
    trail.operation = operation;
    trail.tier = operation.minimumTier;
    const kept = gateKeep(trail, operation, context.value);
    if (kept !== null) return refuse(kept);
    trail.requestDigest = requestDigest(
      principal.value.tenant,
      principal.value.subject,
      operation.action,
      operation.call,
    );

    if (attempt === 1) {
      const limited = await takeQuota(gate, trail, context.value, operation.minimumTier, waitUntil);
      if (limited !== null) return refuse(limited);
      const unfounded = await checkEvidence(gate, strict, principal.value.tenant, trail.receivedAt);
      if (unfounded !== null) return refuse(unfounded);
    }
    const write: Write = {
      gate,
      trail,
      principal: principal.value,
      operation,
      digest: trail.requestDigest,
      passed: passedHeaders(strict, context.value),
      waitUntil,
    };
    const ended = await serveOrGovern(write, context.value);
    if (ended !== "stale") return finish(ended);
    gate.tenants.forget(principal.value.tenant);
  }
  return refuse({ kind: "unavailable", dependency: "policy", cause: "the policy changed twice during one request" });
}

/** Evidence that a request names must be there, and stays there with the record that names it: a digest of nothing is no evidence. */
async function checkEvidence(gate: Gate, strict: StrictRequest, tenant: string, now: number): Promise<Refusal | null> {
  const reference = strict.gate.evidenceRef;
  if (reference === null) return null;
  const found = await nameEvidence(gate.env.DB, tenant, reference, now);
  if (!found.ok) return { kind: "unavailable", dependency: "d1", cause: found.error };
  return found.value
    ? null
    : { kind: "malformed-request", reason: "header Gate-Evidence-Ref: no evidence is stored under this digest" };
}

/** Draws on the tenant's rate limit. Writes refuse when the limiter cannot say; reads have their local cap. */
async function takeQuota(
  gate: Gate,
  trail: Trail,
  context: TenantContext,
  tier: Tier,
  waitUntil: WaitUntil,
): Promise<Refusal | null> {
  const rule = quotaRule(tier, context.policy.rateLimits);
  const outcome = await gate.limiter.take(context.tenant, rule, trail.receivedAt, waitUntil);
  Object.assign(trail.headers, quotaHeaders(rule, outcome));
  if (outcome.kind !== "unavailable" && outcome.degraded) log("warn", "limiter-degraded", { tenant: context.tenant });
  return quotaRefusal(rule, outcome);
}

/** Client headers that the catalogue passes on: a few harmless ones, by name, as read. */
function passedHeaders(strict: StrictRequest, context: TenantContext): Readonly<Record<string, string>> {
  const passed: Record<string, string> = {};
  for (const name of context.catalogue.requestHeaders) {
    const value = strict.header(name);
    if (value !== null) passed[name] = value;
  }
  return passed;
}

/** Reads go straight through; whatever the policy makes a write, and every dry run, is governed. */
async function serveOrGovern(write: Write, context: TenantContext): Promise<Ended | "stale"> {
  const { operation, trail } = write;
  if (isWrite(operation.minimumTier) || trail.gate?.dryRun === true) return governWrite(write, context);
  const judged = await judge(trail, operation, context, write.gate.prices);
  if (!judged.ok) return { kind: "refused", refusal: judged.error };
  if (isWrite(judged.value.tier)) {
    // The policy made a write of what the catalogue calls a read: it draws on the writes' limit as well.
    const limited = await takeQuota(write.gate, trail, context, judged.value.tier, write.waitUntil);
    return limited === null ? governWrite(write, context) : { kind: "refused", refusal: limited };
  }
  return serveRead(write, operation, context);
}

/**
 * A tier 0/1 request: the record is made durable while upstream answers, the response is released when both are done, and
 * the ending is added to the record afterwards. Nothing is held, nothing can be unknown.
 */
async function serveRead(write: Write, operation: MatchedOperation, context: TenantContext): Promise<Ended> {
  const { gate, trail, passed, waitUntil } = write;
  if (!context.upstream.breaker.allows(trail.receivedAt)) {
    return {
      kind: "refused",
      refusal: { kind: "unavailable", dependency: "upstream", cause: "circuit breaker is open" },
    };
  }
  const entryId = `${trail.requestId}/request`;
  const entry = { ...entryOf(trail, gate.redactor, "request", Date.now()), decision: "allow" as const };
  const told = trail.tier === null ? null : tellAfterMs(context.policy.notify, operation.action, trail.tier);
  const [sent, durable] = await Promise.all([
    send(context.upstream, operation.call, passed, trail.requestId, Date.now()),
    gate.recorder.append(context.tenant, entryId, entry, true, waitUntil, told),
  ]);
  const end = (outcome: string, status: number | null, detail: string | null): void =>
    gate.recorder.end(
      context.tenant,
      entryId,
      { outcome, upstream_status: status, duration_ms: Date.now() - trail.receivedAt, detail },
      waitUntil,
    );
  if (!durable) {
    if (sent.kind === "answered") await sent.response.body?.cancel();
    return {
      kind: "refused",
      refusal: { kind: "unavailable", dependency: "audit", cause: "the record could not be stored" },
    };
  }
  if (sent.kind === "answered") {
    end(sent.response.ok ? "succeeded" : "failed", sent.response.status, null);
    return {
      kind: "served",
      response: passThrough(trail, sent.response, context.catalogue.responseHeaders, Date.now()),
    };
  }
  end("failed", null, sent.cause);
  const refusal: Refusal =
    sent.kind === "no-answer" && sent.timeout
      ? { kind: "upstream-timeout" }
      : { kind: "upstream-failed", reason: "The control plane gave no usable answer." };
  return { kind: "served", response: problemResponse(trail, refusal, context.catalogue.errorDialect, Date.now()) };
}
