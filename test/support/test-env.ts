import { env } from "cloudflare:workers";
import type { D1Migration } from "cloudflare:test";
import type { Env } from "../../src/env.ts";

/** The Worker's bindings in the `workerd` project, with what only tests get. */
export type TestEnv = Env & {
  readonly BOOTSTRAP_SECRET: string;
  readonly CREDENTIAL_KEY: string;
  /** JSON: suite → origin of its control plane. */
  readonly UPSTREAMS: string;
  /** One that nobody calls, then the tests' own webhooks (`webhook-standin.ts`). */
  readonly WEBHOOK_ORIGINS: string;
  /** The stand-in's Web API; its commands are beside it (`slack-standin.ts`). */
  readonly SLACK_API_URL: string;
  /** Origin of the identity provider's stand-in (`provider-standin.ts`). */
  readonly PROVIDER_URL: string;
  /** A bucket for tests of the second copy. */
  readonly TEST_BUCKET: R2Bucket;
  readonly TEST_MIGRATIONS: D1Migration[];
};

// What wrangler.toml and vitest.config.ts bind; the test runner leaves it untyped.
// oxlint-disable-next-line typescript/no-unsafe-type-assertion
export const testEnv = env as unknown as TestEnv;
