import { describe, expect, it } from "vitest";
import { runCatalogueTests } from "../../src/catalogue/catalogue-tests.ts";
import { exampleCatalogue, shippedText, slurmCatalogue, valueOf } from "./shipped.ts";

const SHIPPED = [
  ["example", "example"],
  ["slurm-v0.0.38", "slurm-lab"],
] as const;

describe.each(SHIPPED)("the table beside catalogue %s", (catalogue, prices) => {
  const report = valueOf(
    runCatalogueTests(
      shippedText(`catalogues/${catalogue}.yaml`),
      shippedText(`prices/${prices}.yaml`),
      shippedText(`catalogues/${catalogue}.tests.yaml`),
    ),
  );
  it.each(report.cases.map((one) => [one.name, one] as const))("%s", (_name, one) => {
    expect(one.differences).toEqual([]);
  });

  it("judges at least one request of every action", () => {
    const text = shippedText(`catalogues/${catalogue}.tests.yaml`);
    const actions = [...(catalogue === "example" ? exampleCatalogue() : slurmCatalogue()).actions.keys()];
    const untested = actions.filter(
      (action) => !text.includes(`action: ${action},`) && !text.includes(`action: ${action}\n`),
    );
    expect(untested).toEqual([]);
  });
});

const run = (expectation: string): readonly string[] => {
  const tests = `catalogue: example
prices_at: "2026-11-21T00:00:00Z"
tests:
  - name: one
    request: { method: POST, path: /v1/reservations, body: { name: r, gpus: 2, gpu_type: H100, hours: 2 } }
    expect: ${expectation}
`;
  const report = valueOf(
    runCatalogueTests(shippedText("catalogues/example.yaml"), shippedText("prices/example.yaml"), tests),
  );
  return report.cases.flatMap(({ differences }) => differences);
};

describe("a table that is wrong is reported", () => {
  it.each([
    ["{ action: reservations.create, tier: 3, facts: { gpus: 2 }, ceiling_usd: '10.00' }", []],
    ["{ action: workloads.submit, tier: 3 }", ['action: expected "workloads.submit", got "reservations.create"']],
    ["{ action: reservations.create, tier: 2 }", ["tier: expected 2, got 3"]],
    ["{ action: reservations.create, tier: 3, facts: { gpus: 3 } }", ["facts.gpus: expected 3, got 2"]],
    ["{ action: reservations.create, tier: 3, facts: { nodes: 3 } }", ["facts.nodes: expected 3, got nothing"]],
    ["{ action: reservations.create, tier: 3, ceiling_usd: '9.99' }", ['ceiling_usd: expected "9.99", got "10.00"']],
    ["{ action: reservations.create, tier: 3, affected: [] }", ["affected: expected [], got nothing"]],
    ["{ refused: unknown-operation }", ["expected refused unknown-operation, got reservations.create at tier 3"]],
  ])("%s", (expectation, differences) => {
    expect(run(expectation)).toEqual(differences);
  });

  it("refuses the table of another catalogue, at its line", () => {
    const result = runCatalogueTests(
      shippedText("catalogues/example.yaml"),
      shippedText("prices/example.yaml"),
      shippedText("catalogues/slurm-v0.0.38.tests.yaml"),
    );
    expect(result).toMatchObject({ ok: false, error: [{ line: 2, path: "/catalogue" }] });
  });
});
