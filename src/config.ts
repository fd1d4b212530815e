import { z } from "zod";
import type { Env } from "./env.ts";
import { slackBaseUrl } from "./slack/base-url.ts";
import { err, ok, type Result } from "./platform/result.ts";

/** 32 random bytes in base64url: the least that any secret of the gate may be. */
const secret = z.string().regex(/^[A-Za-z0-9_-]{43,}$/, "must be at least 32 random bytes in base64url");

const jwk = z.string().startsWith("{", "must be a private Ed25519 JWK with a kid");

const milliseconds = (fallback: number, min: number, max: number): z.ZodType<number> =>
  z
    .string()
    .regex(/^[0-9]{1,9}$/)
    .default(String(fallback))
    .transform(Number)
    .pipe(z.number().int().min(min).max(max));

/** Default time that upstream has to answer; the dispatch deadline is twice that. */
const UPSTREAM_DEADLINE_MS = 30_000;

/** Default pause between two look-ups that may prove absence. */
const RECONCILE_GRACE_MS = 60_000;

const timings = {
  UPSTREAM_DEADLINE_MS: milliseconds(UPSTREAM_DEADLINE_MS, 100, 300_000),
  RECONCILE_GRACE_MS: milliseconds(RECONCILE_GRACE_MS, 100, 86_400_000),
};

const schema = z.object({
  ENVIRONMENT: z.enum(["live", "test", "local"]),
  UPSTREAMS: z.string().transform((text, context): Record<string, string> => {
    const parsed = z.record(z.string().regex(/^[a-z][a-z0-9-]{0,31}$/), z.url()).safeParse(parseJson(text));
    if (parsed.success) return parsed.data;
    context.addIssue({ code: "custom", message: "must be a JSON object of control plane name → origin URL" });
    return {};
  }),
  CREDENTIAL_KEY: secret,
  RECORD_PEPPER: secret,
  SEALING_KEY: secret,
  APPROVAL_KEY: jwk,
  CHECKPOINT_KEY: jwk,
  UPSTREAM_SIGNING_KEY: secret,
  REDACTION_KEY: secret,
  BOOTSTRAP_SECRET: secret.optional(),
  UPSTASH_REDIS_REST_URL: z.url().optional(),
  UPSTASH_REDIS_REST_TOKEN: z.string().min(1).optional(),
  PUBLIC_URL: z.url().optional(),
  SLACK_SIGNING_SECRETS: z
    .string()
    .transform((text) => text.split(","))
    .pipe(z.array(z.string().regex(/^[A-Za-z0-9]{16,128}$/, "is a Slack signing secret, or two")).max(2))
    .default([]),
  SLACK_API_URL: z.url().optional(),
  WEBHOOK_ORIGINS: z
    .string()
    .transform((text) => text.split(",").filter((origin) => origin !== ""))
    .pipe(z.array(z.url()).max(20))
    .default([]),
  ...timings,
});

export type Config = Readonly<{
  environment: "live" | "test" | "local";
  upstreams: Readonly<Record<string, string>>;
  credentialKey: string;
  recordPepper: string;
  sealingKey: string;
  approvalKey: string;
  checkpointKey: string;
  upstreamSigningKey: string;
  redactionKey: string;
  bootstrapSecret: string | null;
  upstash: { readonly url: string; readonly token: string } | null;
  /** The gate's own origin as people reach it, without trailing slash; null: links to it are left out. */
  publicUrl: string | null;
  /** The Slack app's signing secret, and during a rotation its successor. Empty: no interaction is accepted. */
  slackSigningSecrets: readonly string[];
  /** Slack's own address, or a stand-in where the deployment is not live. */
  slackApiUrl: string;
  /** Origins that tenants may have webhooks at: a tenant cannot make the gate talk to any other. */
  webhookOrigins: readonly string[];
  upstreamDeadlineMs: number;
  reconcileGraceMs: number;
}>;

/**
 * Judges the Worker's variables and secrets once, and names everything that is missing or wrong at once. Without a valid
 * configuration the gate answers 503 to everything: it never runs half configured.
 */
export function readConfig(env: Env): Result<Config, readonly string[]> {
  const parsed = schema.safeParse(env);
  if (!parsed.success) return err(parsed.error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`));
  const { data } = parsed;
  const problems: string[] = [];
  for (const [name, origin] of Object.entries(data.UPSTREAMS)) {
    const problem = originProblem(origin, data.ENVIRONMENT);
    if (problem !== null) problems.push(`UPSTREAMS.${name}: ${problem}`);
  }
  if ((data.UPSTASH_REDIS_REST_URL === undefined) !== (data.UPSTASH_REDIS_REST_TOKEN === undefined)) {
    problems.push("UPSTASH_REDIS_REST_URL and UPSTASH_REDIS_REST_TOKEN must be set together");
  }
  for (const origin of [...data.WEBHOOK_ORIGINS, ...(data.PUBLIC_URL === undefined ? [] : [data.PUBLIC_URL])]) {
    const problem = originProblem(origin, data.ENVIRONMENT);
    if (problem !== null) problems.push(`${origin === data.PUBLIC_URL ? "PUBLIC_URL" : "WEBHOOK_ORIGINS"}: ${problem}`);
  }
  const slackApiUrl = slackBaseUrl(data.SLACK_API_URL, data.ENVIRONMENT);
  if (!slackApiUrl.ok) problems.push(`SLACK_API_URL: ${slackApiUrl.error}`);
  if (env.AUDIT_BUCKET !== undefined && typeof env.AUDIT_BUCKET !== "object") {
    problems.push("AUDIT_BUCKET: must be the binding of an R2 bucket");
  }
  if (problems.length > 0 || !slackApiUrl.ok) return err(problems);
  return ok({
    environment: data.ENVIRONMENT,
    upstreams: data.UPSTREAMS,
    credentialKey: data.CREDENTIAL_KEY,
    recordPepper: data.RECORD_PEPPER,
    sealingKey: data.SEALING_KEY,
    approvalKey: data.APPROVAL_KEY,
    checkpointKey: data.CHECKPOINT_KEY,
    upstreamSigningKey: data.UPSTREAM_SIGNING_KEY,
    redactionKey: data.REDACTION_KEY,
    bootstrapSecret: data.BOOTSTRAP_SECRET ?? null,
    upstash:
      data.UPSTASH_REDIS_REST_URL === undefined || data.UPSTASH_REDIS_REST_TOKEN === undefined
        ? null
        : { url: data.UPSTASH_REDIS_REST_URL, token: data.UPSTASH_REDIS_REST_TOKEN },
    publicUrl: data.PUBLIC_URL?.replace(/\/$/, "") ?? null,
    slackSigningSecrets: data.SLACK_SIGNING_SECRETS,
    slackApiUrl: slackApiUrl.value,
    webhookOrigins: data.WEBHOOK_ORIGINS.map((origin) => origin.replace(/\/$/, "")),
    upstreamDeadlineMs: data.UPSTREAM_DEADLINE_MS,
    reconcileGraceMs: data.RECONCILE_GRACE_MS,
  });
}

/** An upstream is an https origin without path, query or user; plain http only on loopback of a local deployment. */
function originProblem(text: string, environment: string): string | null {
  const url = new URL(text);
  if (url.origin !== text.replace(/\/$/, "")) return "must be an origin without path, query or credentials";
  if (url.protocol === "https:") return null;
  const loopback = url.hostname === "127.0.0.1" || url.hostname === "localhost" || url.hostname === "[::1]";
  return url.protocol === "http:" && loopback && environment !== "live" ? null : "must be https";
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** The ledger's share of the configuration, readable without the Worker's secrets. */
export function ledgerTimings(env: Env): { readonly dispatchDeadlineMs: number; readonly graceMs: number } {
  const parsed = z.object(timings).safeParse(env);
  const { UPSTREAM_DEADLINE_MS: deadline, RECONCILE_GRACE_MS: grace } = parsed.success
    ? parsed.data
    : { UPSTREAM_DEADLINE_MS, RECONCILE_GRACE_MS };
  // Twice the upstream deadline: the Worker reports its own timeout long before the ledger gives it up.
  return { dispatchDeadlineMs: 2 * deadline, graceMs: grace };
}
