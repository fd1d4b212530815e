import type { TestProject } from "vitest/node";
import { startControlPlane } from "../../example/control-plane/server.ts";
import { startProvider } from "./provider-standin.ts";
import { STANDIN_SIGNING_SECRET } from "./slack-names.ts";
import { startSlackStandin } from "./slack-standin.ts";
import { SUITES, TENANTS_PER_SUITE, upstreamToken, type Suite } from "./suites.ts";
import { testSecrets } from "./test-secrets.ts";
import { startWebhooks } from "./webhook-standin.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** Variables and secrets of the Worker under test. */
    readonly gateBindings: Readonly<Record<string, string>>;
  }
}

/** Time that upstream has to answer, in milliseconds: long for 200 calls at once, short for the test that lets it pass. */
const UPSTREAM_DEADLINE_MS = 5_000;
/** Pause between the two look-ups that prove absence, in milliseconds. */
const RECONCILE_GRACE_MS = 300;

/**
 * Global set-up of the `workerd` project: real example control planes on free loopback ports, one per suite, webhooks, a
 * Slack, an identity provider, and the bindings with which the Worker under test reaches them. Returns the teardown.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const secrets = await testSecrets();
  const controlPlanes = await Promise.all(
    SUITES.map(async (suite) => {
      const credentials = credentialsOf(suite);
      const started = await startControlPlane({ port: 0, credentials, signingKey: secrets.UPSTREAM_SIGNING_KEY });
      return { suite, started };
    }),
  );
  const webhooks = await startWebhooks();
  const slack = await startSlackStandin();
  const provider = await startProvider();
  project.provide("gateBindings", {
    ...secrets,
    ENVIRONMENT: "test",
    WEBHOOK_ORIGINS: `https://hooks.example,${webhooks.url}`,
    SLACK_API_URL: slack.url,
    SLACK_SIGNING_SECRETS: STANDIN_SIGNING_SECRET,
    PROVIDER_URL: provider.url,
    UPSTREAMS: JSON.stringify(Object.fromEntries(controlPlanes.map(({ suite, started }) => [suite, started.url]))),
    UPSTREAM_DEADLINE_MS: String(UPSTREAM_DEADLINE_MS),
    RECONCILE_GRACE_MS: String(RECONCILE_GRACE_MS),
  });
  return async () => {
    await Promise.all([
      webhooks.close(),
      slack.stop(),
      provider.close(),
      ...controlPlanes.map(({ started }) => started.close()),
    ]);
  };
}

const credentialsOf = (suite: Suite): Record<string, string> =>
  Object.fromEntries(
    Array.from({ length: TENANTS_PER_SUITE }, (_, index) => [upstreamToken(suite, index + 1), `${suite}-${index + 1}`]),
  );
