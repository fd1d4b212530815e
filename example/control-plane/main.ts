import { z } from "zod";
import { startControlPlane } from "./server.ts";

/**
 * `node example/control-plane/main.ts` with `UPSTREAM_PORT`, `EXAMPLE_TENANTS` (JSON: credential → tenant) and
 * `EXAMPLE_SIGNING_KEY` (base64url). Runs until SIGTERM or SIGINT.
 */
const ENVIRONMENT = z.object({
  UPSTREAM_PORT: z
    .string()
    .regex(/^[0-9]{1,5}$/)
    .default("8788"),
  EXAMPLE_TENANTS: z.string(),
  EXAMPLE_SIGNING_KEY: z.string(),
});
const TENANTS = z.record(z.string().min(1), z.string().min(1));

try {
  const environment = ENVIRONMENT.parse(process.env);
  const controlPlane = await startControlPlane({
    port: Number(environment.UPSTREAM_PORT),
    credentials: TENANTS.parse(JSON.parse(environment.EXAMPLE_TENANTS)),
    signingKey: environment.EXAMPLE_SIGNING_KEY,
  });
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => void controlPlane.close());
  process.stdout.write(`example control plane on ${controlPlane.url}\n`);
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
