import { cloudflareTest, readD1Migrations } from "@cloudflare/vitest-plugin";
import { defineConfig } from "vitest/config";
import { reporters } from "./test/support/reporters.ts";
import { testSecrets } from "./test/support/test-secrets.ts";

/**
 * Two projects. `node`: pure decisions, the CLI, and everything that needs a process of its own (Redis, the running
 * gate). `workerd` (`*.worker.test.ts`): Durable Objects, races and the black box, inside the real runtime.
 */
export default defineConfig({
  test: {
    ...reporters("unit"),
    projects: [
      {
        test: {
          name: "node",
          include: ["test/**/*.test.ts"],
          exclude: ["test/**/*.worker.test.ts", "test/live/**", "test/corpora/**"],
          testTimeout: 30_000,
          hookTimeout: 60_000,
        },
      },
      {
        plugins: [
          cloudflareTest(async () => ({
            wrangler: { configPath: "./wrangler.toml" },
            miniflare: {
              bindings: { ...(await testSecrets()), TEST_MIGRATIONS: await readD1Migrations("./migrations") },
            },
          })),
        ],
        test: {
          name: "workerd",
          include: ["test/**/*.worker.test.ts"],
          exclude: ["test/live/**"],
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
    ],
  },
});
