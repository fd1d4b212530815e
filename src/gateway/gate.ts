import type { ApprovalIssuerDirectory } from "../approval/approval-issuers.ts";
import { createRecorder, type Recorder } from "../audit/recorder.ts";
import { createRedactor, type Redactor } from "../audit/redact.ts";
import { readConfig, type Config } from "../config.ts";
import { approvalIssuerDirectory } from "../db/approval-issuer-directory.ts";
import { issuerDirectory } from "../db/issuer-directory.ts";
import type { Env } from "../env.ts";
import { createCredentialCache, type CredentialCache } from "../identity/credential-cache.ts";
import type { IssuerDirectory } from "../identity/issuers.ts";
import { createJwksCache, type JwksSource } from "../identity/jwks-cache.ts";
import { ok, type Result } from "../platform/result.ts";
import { chooseLimiter } from "../quota/choose-limiter.ts";
import { quotaBuckets } from "../quota/durable-object-limiter.ts";
import type { QuotaLimiter } from "../quota/port.ts";
import { createDocumentSource, type DocumentSource } from "./documents.ts";
import { readKeys, type Keys } from "./keys.ts";
import { createPriceAnswers, type PriceAnswers } from "./price-answers.ts";
import { createTenantDirectory, type TenantDirectory } from "./tenant-context.ts";

/** What one isolate keeps between requests. Nothing in it is money, a nonce or an approval: losing it costs time only. */
export type Gate = {
  readonly env: Env;
  readonly config: Config;
  readonly keys: Keys;
  readonly credentials: CredentialCache;
  readonly issuers: IssuerDirectory;
  readonly approvalIssuers: ApprovalIssuerDirectory;
  readonly jwks: JwksSource;
  readonly documents: DocumentSource;
  readonly tenants: TenantDirectory;
  readonly prices: PriceAnswers;
  readonly limiter: QuotaLimiter;
  readonly recorder: Recorder;
  readonly redactor: Redactor;
};

const gates = new WeakMap<Env, Gate>();

/**
 * The isolate's gate, built on the first request and kept with its bindings. Fails with everything that is missing or
 * wrong in the configuration; the failure is not kept, so a corrected deployment recovers by itself.
 */
export async function openGate(env: Env): Promise<Result<Gate, readonly string[]>> {
  const known = gates.get(env);
  if (known !== undefined) return ok(known);
  const config = readConfig(env);
  if (!config.ok) return config;
  const keys = await readKeys(config.value);
  if (!keys.ok) return keys;
  const documents = createDocumentSource(env.DB);
  const { pepper } = keys.value;
  const { environment } = config.value;
  const gate: Gate = {
    env,
    config: config.value,
    keys: keys.value,
    credentials: createCredentialCache(),
    issuers: issuerDirectory(env.DB, pepper, environment),
    approvalIssuers: approvalIssuerDirectory(env.DB, pepper, environment),
    jwks: createJwksCache((url, init) => fetch(url, init)),
    documents,
    tenants: createTenantDirectory(env, config.value, keys.value, documents),
    prices: createPriceAnswers(() => Date.now()),
    limiter: chooseLimiter({ upstash: config.value.upstash, bucket: quotaBuckets(env.QUOTA) }),
    recorder: createRecorder(env.REQUEST_LOG),
    redactor: createRedactor(keys.value.redaction),
  };
  gates.set(env, gate);
  return ok(gate);
}
