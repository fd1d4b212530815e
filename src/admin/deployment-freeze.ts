import { z } from "zod";
import { orderFreeze, orderLift, readDeploymentFreeze, tenantsAfter } from "../db/deployment-freeze.ts";
import type { Gate } from "../gateway/gate.ts";
import type { DeploymentFreeze } from "../ledger/contract.ts";
import { ledgerOf } from "../ledger/ledger-port.ts";
import { describeError } from "../platform/describe-error.ts";
import type { JsonObject } from "../platform/json.ts";
import { log } from "../platform/log.ts";
import { err, ok, type Result } from "../platform/result.ts";
import { withDeadline } from "../quota/with-deadline.ts";
import type { Refusal } from "../refusal.ts";
import type { StrictRequest } from "../strict-request.ts";
import { TENANT_ID } from "../vocabulary.ts";
import { queryValue, readBody, unknownQuery } from "./body.ts";
import { answerDeployment, DEPLOYMENT } from "./deployment-call.ts";

/** Ledgers asked in one call: far below the 1,000 that a Worker may ask, and a few seconds even when many are cold. */
const TENANTS_PER_CALL = 100;
/** Ledgers asked at the same time. */
const AT_ONCE = 20;
/** How long one ledger has; with all of them hanging a call takes 25 s. */
const LEDGER_WAIT_MS = 5_000;

/** Body of the call that freezes all tenants. */
export const deploymentFreezeBody = z.strictObject({ reason: z.string().min(1).max(1_024) });

type WaitUntil = (work: Promise<unknown>) => void;

/** What the deployment's owner says about all tenants now. */
export async function showDeploymentFreeze(request: Request, gate: Gate, waitUntil: WaitUntil): Promise<Response> {
  return answerDeployment(request, gate, waitUntil, () => fromD1(async () => ok(stateOf(await read(gate)))), 200);
}

/**
 * Freezes writes of every tenant of the deployment, those that are made from now on included. In each ledger it holds from the next
 * admission on. One call reaches `TENANTS_PER_CALL` tenants and says where to go on; the same call again is harmless, and reaches
 * those that could not be reached.
 */
export async function freezeDeployment(request: Request, gate: Gate, waitUntil: WaitUntil): Promise<Response> {
  const act = (strict: StrictRequest, requestId: string, now: number): Promise<Result<JsonObject, Refusal>> => {
    const body = readBody(strict, deploymentFreezeBody);
    if (!body.ok) return Promise.resolve(body);
    const reason = gate.redactor.text(body.value.reason) ?? "";
    return walk(gate, strict, requestId, true, () => orderFreeze(gate.env.DB, reason, now));
  };
  return answerDeployment(request, gate, waitUntil, act, 200);
}

/** Lifts that freeze, in the same way. Freezes that tenants have set themselves stay. */
export async function unfreezeDeployment(request: Request, gate: Gate, waitUntil: WaitUntil): Promise<Response> {
  const act = (strict: StrictRequest, requestId: string, now: number): Promise<Result<JsonObject, Refusal>> =>
    walk(gate, strict, requestId, false, () => orderLift(gate.env.DB, now));
  return answerDeployment(request, gate, waitUntil, act, 200);
}

/** What a deployment in which nothing was ever said is like. */
const NOTHING_SAID: DeploymentFreeze = { generation: 0, frozen: false, reason: "", since: 0 };

const read = async (gate: Gate): Promise<DeploymentFreeze> => (await readDeploymentFreeze(gate.env.DB)) ?? NOTHING_SAID;

const stateOf = ({ frozen, reason, since, generation }: DeploymentFreeze): JsonObject => ({
  frozen,
  ...(frozen ? { reason } : {}),
  ...(generation === 0 ? {} : { since: new Date(since).toISOString() }),
});

/**
 * Tells one page of tenants what is said. The first call says it; those with a cursor go on with what was said then, and are refused
 * once somebody has said something else.
 */
async function walk(
  gate: Gate,
  strict: StrictRequest,
  requestId: string,
  frozen: boolean,
  say: () => Promise<void>,
): Promise<Result<JsonObject, Refusal>> {
  const unknown = unknownQuery(strict, ["cursor"]);
  if (unknown !== null) return err(unknown);
  const text = queryValue(strict, "cursor");
  const cursor = text === null ? null : readCursor(text);
  if (text !== null && cursor === null)
    return err({ kind: "malformed-request", reason: "query: cursor is none of this call's" });
  return fromD1(async () => {
    if (cursor === null) await say();
    const order = await read(gate);
    if (order.frozen !== frozen || (cursor !== null && cursor.generation !== order.generation))
      return err({
        kind: "already-decided",
        state: order.frozen ? "frozen" : "lifted",
        decided_by: [DEPLOYMENT.subject],
      });
    const found = await tenantsAfter(gate.env.DB, cursor?.after ?? "", TENANTS_PER_CALL + 1);
    const page = found.slice(0, TENANTS_PER_CALL);
    const told = await tellAll(gate, page, requestId, order);
    return ok({
      ...stateOf(order),
      ...told,
      next_cursor: found.length > page.length ? `${order.generation}/${page.at(-1) ?? ""}` : null,
    });
  });
}

type Cursor = { readonly generation: number; readonly after: string };

const CURSOR = /^([0-9]{1,15})\/(.{1,256})$/s;

function readCursor(text: string): Cursor | null {
  const [, generation, after] = CURSOR.exec(text) ?? [];
  return generation === undefined || after === undefined ? null : { generation: Number(generation), after };
}

/** What became of each tenant: how many follow now, how many did so already, and which could not be reached or follow a newer word. */
async function tellAll(
  gate: Gate,
  page: readonly string[],
  requestId: string,
  order: DeploymentFreeze,
): Promise<{ readonly changed: number; readonly unchanged: number; readonly failed: readonly string[] }> {
  const counts = { changed: 0, unchanged: 0 };
  const failed: string[] = [];
  // A row that is none of the gate's leads to no ledger, and must not stand in the way of the others.
  const ids = page.filter((id) => TENANT_ID.test(id));
  for (let from = 0; from < ids.length; from += AT_ONCE) {
    await Promise.all(
      ids.slice(from, from + AT_ONCE).map(async (tenant) => {
        try {
          const told = ledgerOf(gate.env.LEDGER, tenant).followDeployment(DEPLOYMENT, requestId, order);
          const followed = await withDeadline(told, LEDGER_WAIT_MS);
          gate.tenants.forget(tenant);
          // Something else was said meanwhile, and that holds there: whoever calls must not take this for done.
          if (followed === "overtaken") failed.push(tenant);
          else counts[followed] += 1;
        } catch (error) {
          log("error", "deployment-freeze", { tenant, cause: describeError(error) });
          failed.push(tenant);
        }
      }),
    );
  }
  return { ...counts, failed: failed.toSorted() };
}

/** Nothing is known without D1: the caller hears so, and repeats the call. */
async function fromD1(work: () => Promise<Result<JsonObject, Refusal>>): Promise<Result<JsonObject, Refusal>> {
  try {
    return await work();
  } catch (error) {
    return err({ kind: "unavailable", dependency: "d1", cause: describeError(error) });
  }
}
