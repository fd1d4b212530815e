import { readFileSync } from "node:fs";
import { join } from "node:path";
import { randomSecret } from "../example/start/secrets-file.ts";
import { seedTenant } from "../example/start/seed.ts";
import type { TenantKeys } from "../example/start/seed.ts";
import { ROOT } from "../example/start/wrangler.ts";
import type { Stand } from "./stand.ts";

/** Limits that no measurement reaches: what is measured is the cost of checking them. */
const POLICY = `version: "1.0"
allowed_tools:
  tier_0: [workloads.list, workloads.get, gpus.status]
  tier_2:
    - workloads.submit: { max_gpus: 4, job_type: [elastic] }
  tier_3:
    - workloads.submit: { max_gpus: 64 }
budget: { daily_limit_usd: 999999999, monthly_limit_usd: 999999999 }
rate_limits: { tier_0: 1000000, tier_2: 1000000 }
approval:
  approvers: { tier_3: ["@alice"] }
`;

/** Makes the tenant that is measured, through the gate's own API. */
export const makeTenant = (stand: Stand, tenant: string): Promise<TenantKeys> =>
  seedTenant({
    gate: `http://127.0.0.1:${stand.gate.port}`,
    bootstrapSecret: stand.bootstrapSecret,
    tenant,
    documents: {
      policy: POLICY,
      people: read("policies/tenants/acme.people.yaml"),
      catalogue: read("policies/catalogues/example.yaml"),
      prices: read("policies/prices/example.yaml"),
    },
    upstreamCredential: { token: randomSecret() },
  });

const read = (path: string): string => readFileSync(join(ROOT, path), "utf8");
