import { defineConfig } from "vitest/config";
import { reporters } from "./test/support/reporters.ts";

/** Public test vectors, read from the folder that CORPORA_DIR names. Not part of `npm test`: the project ships none of them. */
export default defineConfig({
  test: { ...reporters("corpora"), include: ["test/corpora/**/*.test.ts"], testTimeout: 60_000 },
});
