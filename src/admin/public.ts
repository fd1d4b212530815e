import { sql } from "drizzle-orm";
import { auditBucket } from "../audit/r2-copy.ts";
import { openDatabase } from "../db/client.ts";
import { readLateCopies } from "../db/copy-rows.ts";
import type { Gate } from "../gateway/gate.ts";
import { describeError } from "../platform/describe-error.ts";
import { log } from "../platform/log.ts";
import { PROBLEMS } from "../problem.ts";

/**
 * `GET /_gate/ready`: whether each dependency answers, and how far the second copy of the audit logs is behind, which keeps nothing
 * from being ready. Names and sums only; causes go to the log.
 */
export async function readiness(gate: Gate): Promise<Response> {
  const dependencies = { configuration: "ok", d1: await probeD1(gate) };
  const ready = Object.values(dependencies).every((state) => state === "ok");
  const bootstrap =
    gate.config.bootstrapSecret === null ? "unset" : "set: remove BOOTSTRAP_SECRET once every tenant has its operator";
  return Response.json(
    { ready, dependencies, bootstrap_secret: bootstrap, second_copy: await secondCopy(gate) },
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

/** `off`: the deployment has no second copy. `unknown`: D1, where logs leave word of it, does not answer. */
type SecondCopyView = {
  readonly state: "off" | "in-time" | "late" | "unknown";
  readonly logs: number;
  readonly records: number;
  readonly since: string | null;
};

async function secondCopy(gate: Gate): Promise<SecondCopyView> {
  const none = { logs: 0, records: 0, since: null };
  if (auditBucket(gate.env) === null) return { state: "off", ...none };
  try {
    const { since, ...late } = await readLateCopies(gate.env.DB);
    return since === null
      ? { state: "in-time", ...none }
      : { state: "late", ...late, since: new Date(since).toISOString() };
  } catch (error) {
    log("warn", "ready-second-copy", { cause: describeError(error) });
    return { state: "unknown", ...none };
  }
}

/** `GET /_gate/problems/{slug}`: what a refusal means and what to do about it. */
export function problemPage(slug: string): Response {
  const found = Object.entries(PROBLEMS).find(([known]) => known === slug);
  if (found === undefined) return Response.json({ known: Object.keys(PROBLEMS) }, { status: 404 });
  const { status, title, remedy } = found[1];
  return Response.json({ slug, status, title, what_to_do: remedy });
}
