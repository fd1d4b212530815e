import { describe, expect, it } from "vitest";
import { compileCatalogue } from "../../src/catalogue/compile.ts";
import { CATALOGUE_INCIDENT } from "../../src/catalogue/incident-key.ts";
import type { DerivedIncident, LookedUp } from "../../src/catalogue/types.ts";
import { exampleCatalogue, matched, valueOf } from "./shipped.ts";
import { smallCatalogue } from "./small-catalogue.ts";

const restarting = (lines: string, action = "{ title: Restart, floor: 4 }"): string =>
  smallCatalogue({
    actions: `  pools.restart: ${action}`,
    routes: `  - id: restart
    action: pools.restart
    method: POST
    path: /pools/{id}/restart
    query: { job: { type: string, grammar: lines } }
    look_ups: { pool: { method: GET, path: "/pools/{id}" } }
    cost: none
    outcome: { success: [200], definite_failures: [400], look_up: none }
${lines}`,
  });

function keyOf(rule: string, job: string | null, lookedUp: LookedUp = new Map()): DerivedIncident {
  const catalogue = valueOf(compileCatalogue(restarting(`    incident: ${rule}`)));
  const query = job === null ? {} : { query: { job } };
  return matched(catalogue, "POST", "/pools/p-7/restart", query).incident({}, lookedUp);
}

const key = (text: string): DerivedIncident => ({ kind: "key", key: text });

describe("the key of what a request works on", () => {
  it("stands in a namespace that no caller's key can enter", () => {
    expect(keyOf('{ concat: ["pool:", { path: id }] }', null)).toEqual(key("catalogue:pool:p-7"));
  });

  it("may rest on a look-up, on which nothing is guessed", () => {
    const rule = "{ look_up: pool, at: /failed_job }";
    expect(keyOf(rule, null, new Map([["pool", { failed_job: "j-9" }]]))).toEqual(key("catalogue:j-9"));
    expect(keyOf(rule, null, new Map([["pool", {}]]))).toEqual({ kind: "none" });
    expect(keyOf(rule, null)).toMatchObject({ kind: "unsized" });
    expect(keyOf(rule, null, new Map([["pool", { failed_job: 9 }]]))).toEqual({ kind: "unsized", reason: "not text" });
    expect(keyOf(rule, null, new Map([["pool", { failed_job: "" }]]))).toEqual({ kind: "unsized", reason: "not text" });
  });

  it.each([
    ["a character that keys do not have", "job one"],
    ["a beginning that keys do not have", "/sha256:0"],
    ["more than a key holds", "j".repeat(119)],
    ["what must not stand in records", `ghp_${"a1B2c3D4e5".repeat(3)}F6g7h8`],
  ])("is a digest for %s: one form, one length, and never another text's", (_, job) => {
    const derived = keyOf("{ query: job }", job);
    expect(derived).toEqual({
      kind: "key",
      key: expect.stringMatching(/^catalogue:\/sha256:[0-9a-f]{64}$/),
    });
    expect(keyOf("{ query: job }", `${job}.`)).not.toEqual(derived);
  });

  it("is the same for every change of a workload of the example, and none for a submission", () => {
    const { incident: cancel } = matched(exampleCatalogue(), "POST", "/v1/workloads/wl-1/cancel");
    const { incident: scale } = matched(exampleCatalogue(), "PATCH", "/v1/workloads/wl-1", { body: { gpus: 1 } });
    expect(cancel({}, new Map())).toEqual(key(`${CATALOGUE_INCIDENT}workload:wl-1`));
    expect(scale({}, new Map())).toEqual(cancel({}, new Map()));
    expect(matched(exampleCatalogue(), "DELETE", "/v1/allocations/al-1").incident({}, new Map())).toEqual({
      kind: "none",
    });
  });
});

describe("a catalogue is refused for", () => {
  it.each([
    [
      "a read that claims",
      restarting("    incident: a", "{ title: Restart, floor: 0 }"),
      "/routes/2/incident route restart is a read: it claims nothing",
    ],
    ["a key that is no text", restarting("    incident: 7"), "/routes/2/incident a string is required here"],
    ["a key of nothing", restarting("    incident: { path: pool }"), "/routes/2/incident/path the route has no path"],
  ])("%s", (_, text, problem) => {
    const compiled = compileCatalogue(text);
    const problems = compiled.ok ? [] : compiled.error.map(({ path, message }) => `${path} ${message}`);
    expect(problems).toEqual([expect.stringContaining(problem)]);
  });
});
