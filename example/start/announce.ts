import { DEMO_TENANTS } from "./demo-file.ts";
import type { Demo } from "./demo-file.ts";
import { CREDENTIAL_NAMES } from "./seed.ts";
import type { Upstream } from "./settings.ts";

/** What the start prints when all is up: credentials, then lines to copy. The line `ready …` comes after it, last. */
export function announcement(demo: Demo, upstream: Upstream): string {
  const width = Math.max(...CREDENTIAL_NAMES.map((name) => name.length));
  const lines = [`gate      ${demo.gate}`, `upstream  ${demo.upstream}`];
  for (const tenant of DEMO_TENANTS) {
    lines.push("", `${tenant}:`);
    for (const name of CREDENTIAL_NAMES) lines.push(`  ${name.padEnd(width)}  ${demo.tenants[tenant][name]}`);
  }
  return [...lines, "", ...examples(demo, upstream), ""].join("\n");
}

function examples({ gate, tenants }: Demo, upstream: Upstream): readonly string[] {
  const asAgent = `-H 'Authorization: Bearer ${tenants.acme.agent}'`;
  const whoami = ["# who am I", `curl -i ${gate}/_gate/v1/whoami ${asAgent}`];
  if (upstream.kind === "external" && upstream.catalogue !== "example") return whoami;
  const job = { name: "big", image: "repo/train:1", job_type: "elastic", gpus: 128, gpu_type: "H100", max_hours: 1 };
  return [
    "# allowed",
    `curl -i ${gate}/v1/workloads ${asAgent}`,
    "# refused: 128 GPUs",
    `curl -i ${gate}/v1/workloads ${asAgent} -H 'Content-Type: application/json' -d '${JSON.stringify(job)}'`,
  ];
}
