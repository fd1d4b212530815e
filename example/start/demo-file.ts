import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { writePrivate } from "./secrets-file.ts";

const key = z.string().min(1);
const tenant = z.strictObject({
  agent: key,
  agent2: key,
  alice: key,
  bob: key,
  carol: key,
  finance: key,
  finance2: key,
  security: key,
  operator: key,
});
const DEMO = z.strictObject({
  gate: z.url(),
  upstream: z.url(),
  tenants: z.strictObject({ acme: tenant, globex: tenant }),
});

/** `demo.json`: where everything is and the credentials of the two demo tenants. */
export type Demo = z.infer<typeof DEMO>;

export const DEMO_TENANTS = ["acme", "globex"] as const;
export type DemoTenant = (typeof DEMO_TENANTS)[number];

const fileOf = (stateDir: string): string => join(stateDir, "demo.json");

/** The demo of an earlier run, null when none was completed here. Throws when the file is damaged. */
export function readDemo(stateDir: string): Demo | null {
  const file = fileOf(stateDir);
  if (!existsSync(file)) return null;
  const parsed = DEMO.safeParse(JSON.parse(readFileSync(file, "utf8")));
  if (parsed.success) return parsed.data;
  throw new Error(`${file} is damaged: begin again with FRESH=1`);
}

/** Writes `demo.json`, readable by its owner only. */
export const writeDemo = (stateDir: string, demo: Demo): void =>
  writePrivate(fileOf(stateDir), `${JSON.stringify(demo, null, 2)}\n`);
