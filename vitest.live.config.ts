import { defineConfig } from "vitest/config";
import { reporters } from "./test/support/reporters.ts";

/** Suites against the gate as `npm start` runs it and against real control planes. One at a time: they share ports and CPUs. */
export default defineConfig({
  test: {
    ...reporters("live"),
    include: ["test/live/**/*.test.ts"],
    fileParallelism: false,
    testTimeout: 300_000,
    hookTimeout: 180_000,
  },
});
