import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/**
 * Adds up the JSON reports that the test runs left in a folder, prints the totals as the last line, and fails when a test
 * failed, was skipped, or none ran: a suite that could not run must not look like one that passed.
 */
const folder = process.argv[2];
if (folder === undefined) throw new Error("usage: test-totals <folder of JSON reports>");

const totals = { passed: 0, failed: 0, skipped: 0 };
for (const name of readdirSync(folder).filter((file) => file.endsWith(".json"))) {
  const report = JSON.parse(readFileSync(join(folder, name), "utf8"));
  totals.passed += report.numPassedTests;
  totals.failed += report.numFailedTests;
  totals.skipped += report.numPendingTests + report.numTodoTests;
}
console.log(`${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped`);
if (totals.failed > 0 || totals.skipped > 0 || totals.passed === 0) process.exit(1);
