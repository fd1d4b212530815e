import { sql } from "drizzle-orm";
import { openDatabase } from "../db/client.ts";
import type { Gate } from "../gateway/gate.ts";
import { describeError } from "../platform/describe-error.ts";
import { log } from "../platform/log.ts";
import { PROBLEMS } from "../problem.ts";

/** `GET /_gate/ready`: whether each dependency answers. Names only; causes go to the log. */
export async function readiness(gate: Gate): Promise<Response> {
  const dependencies = { configuration: "ok", d1: await probeD1(gate) };
  const ready = Object.values(dependencies).every((state) => state === "ok");
  const bootstrap =
    gate.config.bootstrapSecret === null ? "unset" : "set: remove BOOTSTRAP_SECRET once every tenant has its operator";
  return Response.json(
    { ready, dependencies, bootstrap_secret: bootstrap },
    { status: ready ? 200 : 503, headers: { "cache-control": "no-store" } },
  );
}

async function probeD1(gate: Gate): Promise<"ok" | "unavailable"> {
  try {
    await openDatabase(gate.env.DB).run(sql`SELECT 1 FROM documents LIMIT 1`);
    return "ok";
  } catch (error) {
    log("warn", "ready-d1", { cause: describeError(error) });
    return "unavailable";
  }
}

/** `GET /_gate/problems/{slug}`: what a refusal means and what to do about it. */
export function problemPage(slug: string): Response {
  const found = Object.entries(PROBLEMS).find(([known]) => known === slug);
  if (found === undefined) return Response.json({ known: Object.keys(PROBLEMS) }, { status: 404 });
  const { status, title, remedy } = found[1];
  return Response.json({ slug, status, title, what_to_do: remedy });
}
