import { createHash } from "node:crypto";
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT, filesOf, logTail, spawnWrangler } from "./wrangler.ts";

/**
 * Applies the D1 migrations to the local database, unless exactly these were applied before (asking wrangler costs 3 s).
 * Answers whether it did. Throws with the log's tail when one fails.
 */
export async function applyMigrations(stateDir: string): Promise<boolean> {
  const { state } = filesOf(stateDir);
  const applied = join(state, "migrations-applied");
  const digest = digestOfMigrations();
  if (existsSync(applied) && readFileSync(applied, "utf8") === digest) return false;
  const args = ["d1", "migrations", "apply", "portcullis", "--local", "--persist-to", state];
  const child = spawnWrangler(stateDir, args);
  const [code] = await once(child, "exit");
  if (code !== 0) throw new Error(`the D1 migrations failed:\n${logTail(stateDir)}`);
  mkdirSync(state, { recursive: true });
  writeFileSync(applied, digest);
  return true;
}

function digestOfMigrations(): string {
  const folder = join(ROOT, "migrations");
  const hash = createHash("sha256");
  const names = readdirSync(folder).filter((name) => name.endsWith(".sql"));
  for (const name of names.toSorted()) hash.update(`${name}\n`).update(readFileSync(join(folder, name)));
  return hash.digest("hex");
}
