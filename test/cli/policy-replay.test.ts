import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { auditRecord } from "../audit/records.ts";
import { generatedAudit } from "../audit/replay/generated-audit.ts";
import { flat, jsonOf, ROOT, runCli, scratchFile, scratchFolder, widest } from "./run-cli.ts";
import { startStubGate } from "./stub-gate.ts";

const ACME = "policies/tenants/acme.yaml";
const textOf = (file: string): string => readFileSync(join(ROOT, file), "utf8");
const NARROWER = textOf(ACME).replace("max_gpus: 4", "max_gpus: 2");
const BESIDE = ["--people", ACME.replace(".yaml", ".people.yaml")];
const ALWAYS = ["--since", "2026-01-01T00:00:00Z"];
const NDJSON = { "content-type": "application/x-ndjson; charset=utf-8" };

const linesOf = (records: Iterable<object>): string => [...records].map((one) => `${JSON.stringify(one)}\n`).join("");
const MANIFEST = `${JSON.stringify({ manifest: { until: "2026-12-01T00:00:00.000Z", count: 3 } })}\n`;

describe("policy replay", () => {
  test("an export is decided again offline: decisions, dollars, and how often whom it asks", async () => {
    const file = scratchFile("month.ndjson", linesOf(generatedAudit(3_000)) + MANIFEST);
    const candidate = scratchFile("candidate.yaml", NARROWER);
    const args = ["policy", "replay", "--policy", candidate, "--file", file, ...BESIDE, ...ALWAYS];
    const ran = await runCli(args);
    expect(ran).toMatchObject({ code: 0, stderr: "" });
    expect(ran.stdout).toMatch(/tier raised +\d+/);
    expect(ran.stdout).toMatch(/ran, and would wait for people +\d+\.\d\d/);
    expect(flat(ran.stdout)).toMatch(/People are asked \d+ times more: \d+ instead of \d+ times/);
    expect(ran.stdout).toMatch(/@alice +\d+ +\d+/);
    expect(ran.stdout).toMatch(/workloads\.submit +tier 2 → tier 3/);
    expect(widest(ran.stdout)).toBeLessThanOrEqual(80);
    const json = jsonOf(await runCli([...args, "--json"]));
    expect(json).toMatchObject({
      effects: { allowed: 0, denied: 0, "tier-lowered": 0 },
      dollars: { denied_micros: 0, unpriced_requests: 0 },
      changes: [{ action: "workloads.submit", was: "tier 2", would: "tier 3", effect: "tier-raised" }],
      records: { isWhole: true, unreadable: 0 },
    });
  });

  test("from the gate it streams answer after answer, and documents that are not named are those in force", async () => {
    const parts = [1, 2, 3].map((sequence) =>
      JSON.stringify(auditRecord({ sequence, facts: { gpus: 4, job_type: "elastic" } })),
    );
    const answers = [`${parts[0]}\n${parts[1]}\n{"next":{"after":"ledger:2"}}\n`, `${parts[2]}\n${MANIFEST}`];
    const documents = {
      policy: textOf(ACME),
      people: textOf("policies/tenants/acme.people.yaml"),
      catalogue: textOf("policies/catalogues/example.yaml"),
      prices: textOf("policies/prices/example.yaml"),
    };
    const gate = await startStubGate({
      "GET /_gate/v1/policy": { body: { version: 7, policy: documents.policy } },
      "GET /_gate/v1/policy/versions/7": { body: { version: 7, documents } },
      "GET /_gate/v1/audit/export/manifest": { body: { manifest: { until: "2026-12-01T00:00:00.000Z", count: 3 } } },
      "GET /_gate/v1/audit/export": () => ({ text: answers.shift() ?? "", headers: NDJSON }),
    });
    const folder = scratchFolder();
    writeFileSync(join(folder, "next.yaml"), NARROWER);
    const args = ["policy", "replay", "--policy", "next.yaml", ...ALWAYS, "--json"];
    const ran = await runCli(args, { env: gate.env, cwd: folder });
    expect(jsonOf(ran)).toMatchObject({
      judged: 3,
      effects: { "tier-raised": 3 },
      dollars: { needs_approval_micros: 60_000_000, needs_approval_usd: 60 },
      approver_load: {
        before: { asks: 0 },
        after: {
          asks: 3,
          people: [
            { handle: "@alice", asks: 3 },
            { handle: "@bob", asks: 3 },
          ],
        },
      },
    });
    expect(gate.received.map(({ target }) => target).at(-1)).toContain("after=ledger%3A2");
  });

  test("an export that breaks off is no replay; a file that is none is told", async () => {
    const record = `${JSON.stringify(auditRecord())}\n`;
    const gate = await startStubGate({
      "GET /_gate/v1/policy": { body: { version: 7 } },
      "GET /_gate/v1/policy/versions/7": {
        body: {
          version: 7,
          documents: {
            policy: textOf(ACME),
            people: textOf("policies/tenants/acme.people.yaml"),
            catalogue: textOf("policies/catalogues/example.yaml"),
            prices: null,
          },
        },
      },
      "GET /_gate/v1/audit/export/manifest": { body: { manifest: { until: "2026-12-01T00:00:00.000Z", count: 3 } } },
      "GET /_gate/v1/audit/export": { text: record, headers: NDJSON },
    });
    const broken = await runCli(["policy", "replay", "--policy", ACME, ...ALWAYS], { env: gate.env });
    expect(broken).toMatchObject({ code: 1, stdout: "" });
    expect(flat(broken.stderr)).toContain("The export broke off");
    const none = await runCli(["policy", "replay", "--policy", ACME, "--file", ACME]);
    expect(none.code).toBe(2);
    expect(none.stderr).toContain("is no export in ndjson");
  });
});

describe("policy divergence", () => {
  test("says by rule what those in shadow would have decided otherwise", async () => {
    const shadow = [{ rule: "blast_radius[0]", verdict: "not-allowed" }];
    const records = [auditRecord({ shadow }), auditRecord({ sequence: 2 })];
    const ran = await runCli([
      "policy",
      "divergence",
      "--file",
      scratchFile("a.ndjson", linesOf(records) + MANIFEST),
      ...ALWAYS,
    ]);
    expect(ran).toMatchObject({ code: 0, stderr: "" });
    expect(flat(ran.stdout)).toContain("blast_radius[0] not-allowed 1 workloads.submit 1");
    expect(ran.stdout).toContain("Rules in shadow would have decided 1 of 2 requests otherwise.");
  });
});
