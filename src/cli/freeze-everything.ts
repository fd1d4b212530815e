import { z } from "zod";
import { ok, type Result } from "../platform/result.ts";
import { clientWith, readAs, type GateClient } from "./client.ts";
import type { Invocation, Outcome } from "./command.ts";
import { EXIT, usage, type Failure } from "./failure.ts";
import { fields, text, verbatim, type Block } from "./print.ts";

const PATH = "/_gate/v1/deployment/freeze";
const SECRET_VARIABLE = "PORTCULLIS_BOOTSTRAP_SECRET";

/** Shown under `--everything`. */
export const EVERYTHING_NOTES = `--everything is all tenants of the deployment: it needs the deployment's BOOTSTRAP_SECRET, read from ${SECRET_VARIABLE}, and no role of a tenant lifts it.`;

const stepSchema = z.object({
  changed: z.int(),
  unchanged: z.int(),
  failed: z.array(z.string()),
  next_cursor: z.string().nullable(),
});

/**
 * Freezes all tenants (`reason`), or lifts that freeze (null), page by page. Tenants that could not be reached are named, and the exit
 * code says that the command has to be repeated.
 */
export async function freezeEverything(
  invocation: Invocation<unknown>,
  reason: string | null,
): Promise<Result<Outcome, Failure>> {
  const client = openDeployment(invocation);
  if (!client.ok) return client;
  const sum = { changed: 0, unchanged: 0, failed: [] as string[] };
  let cursor: string | undefined;
  do {
    const answer = await client.value.call({
      method: reason === null ? "DELETE" : "POST",
      path: PATH,
      query: { cursor },
      ...(reason === null ? {} : { body: { reason } }),
    });
    if (!answer.ok) return answer;
    const step = readAs(stepSchema, answer.value);
    if (!step.ok) return step;
    sum.changed += step.value.changed;
    sum.unchanged += step.value.unchanged;
    sum.failed.push(...step.value.failed);
    cursor = step.value.next_cursor ?? undefined;
    if (cursor !== undefined) invocation.note(`${sum.changed + sum.unchanged} tenants so far …`);
  } while (cursor !== undefined);
  const frozen = reason !== null;
  return ok({
    json: { frozen, ...sum },
    human: said(frozen, sum),
    ...(sum.failed.length === 0 ? {} : { exitCode: EXIT.failed }),
  });
}

function said(
  frozen: boolean,
  {
    changed,
    unchanged,
    failed,
  }: { readonly changed: number; readonly unchanged: number; readonly failed: readonly string[] },
): readonly Block[] {
  const tenants = changed + unchanged;
  const what = frozen ? "Frozen: everything" : "Lifted: everything";
  const counts = fields([
    ["tenants", String(tenants)],
    ["now", String(changed)],
    ["already", String(unchanged)],
    ...(failed.length === 0 ? [] : [["not reached", failed.join(", ")] as const]),
  ]);
  if (failed.length > 0)
    return [text({ text: `${what}, but for ${failed.length} tenants. Repeat the command:`, style: "bad" }), counts];
  if (!frozen) return [text({ text: `${what}. Freezes of the tenants' own stay.`, style: "good" }), counts];
  return [
    text({ text: `${what}, tenants made from now on included. To lift it:`, style: "warn" }),
    verbatim(["portcullis freeze lift --everything"]),
    counts,
  ];
}

const stateSchema = z.object({ frozen: z.boolean(), reason: z.string().optional(), since: z.string().optional() });

/** Whether all tenants are frozen, and why. */
export async function showEverything(invocation: Invocation<unknown>): Promise<Result<Outcome, Failure>> {
  const client = openDeployment(invocation);
  if (!client.ok) return client;
  const answer = await client.value.call({ method: "GET", path: PATH });
  if (!answer.ok) return answer;
  const state = readAs(stateSchema, answer.value);
  if (!state.ok) return state;
  const { frozen, reason, since } = state.value;
  const human = frozen
    ? [
        text({ text: "Everything is frozen.", style: "warn" }),
        fields([
          ["since", since ?? "–"],
          ["reason", reason ?? "–"],
        ]),
      ]
    : [text("Not everything is frozen; tenants may have freezes of their own.")];
  return ok({ json: answer.value, human });
}

/** The gate as the owner of the deployment sees it. */
function openDeployment(invocation: Invocation<unknown>): Result<GateClient, Failure> {
  const secret = (invocation.terminal.env[SECRET_VARIABLE] ?? "").trim();
  if (secret === "")
    return { ok: false, error: usage(`${SECRET_VARIABLE} is not set`, "Set it to the deployment's BOOTSTRAP_SECRET.") };
  return clientWith(invocation, secret);
}
