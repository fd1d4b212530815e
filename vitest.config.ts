import { cloudflareTest, readD1Migrations } from "@cloudflare/vitest-plugin";
import { defineConfig } from "vitest/config";
import { reporters } from "./test/support/reporters.ts";

/**
 * Two projects. `node`: pure decisions, the CLI, and everything that needs a process of its own (Redis, the running
 * gate). `workerd` (`*.worker.test.ts`): Durable Objects, races and the black box, inside the real runtime.
 */
export default defineConfig({
  test: {
    ...reporters("unit"),
    // What the Worker logs of faults that tests cause on purpose; errors and tests' own output are shown.
    onConsoleLog: (line) => !/^\{"level":"(?:info|warn)"/.test(line),
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
          cloudflareTest(async ({ inject }) => ({
            wrangler: { configPath: "./wrangler.toml" },
            miniflare: {
              // Under a name that the gate does not know: tests of the second copy hand it in, all others go without.
              r2Buckets: ["TEST_BUCKET"],
              bindings: { ...inject("gateBindings"), TEST_MIGRATIONS: await readD1Migrations("./migrations") },
            },
          })),
        ],
        test: {
          name: "workerd",
          // Half of what these tests do is wait: for alarms, deadlines, another object.
          maxWorkers: 2,
          include: ["test/**/*.worker.test.ts"],
          exclude: ["test/live/**"],
          globalSetup: ["./test/support/upstream-setup.ts"],
          setupFiles: ["./test/support/apply-migrations.ts"],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          // What is polled for comes by itself, on a busy machine later than the default second.
          expect: { poll: { timeout: 20_000 } },
        },
      },
    ],
  },
});
