import type { ObservedAnswer } from "../catalogue/types.ts";
import type { Observed } from "../ledger/contract.ts";
import type { JsonObject } from "../platform/json.ts";
import { canonicalJson } from "../platform/canonical-json.ts";
import { digestOf } from "../platform/digest.ts";
import { newId } from "../platform/ids.ts";
import { err, ok, type Result } from "../platform/result.ts";
import type { Refusal } from "../refusal.ts";
import { readAnswer } from "../upstream/read-answer.ts";
import { send } from "../upstream/send.ts";
import type { Judgement } from "./judge.ts";
import type { TenantContext } from "./tenant-context.ts";
import type { Write } from "./write.ts";

/** What the control plane said a change would do: as digests that bind the approval, and as people are shown it. */
export type Observation = {
  readonly observed: Observed;
  /** `count` is the whole; `items` are the first of them, redacted. Null where the catalogue declares no such read. */
  readonly affected: { readonly count: number; readonly items: readonly string[] } | null;
};

/** Nothing was asked: nothing is declared, or nobody has to approve. */
export const UNOBSERVED: Observation = { observed: { affected: null, version: null }, affected: null };

/** Items that approvers are shown; more than people read. The digest and the count are over all of them. */
const MAX_SHOWN_ITEMS = 50;
/** Longest shown item in UTF-16 units: 50 of them stay below 16 KiB of a proposal. */
const MAX_ITEM_CHARS = 256;

/**
 * Asks the control plane what the change would affect and which version it would change, where the decided tier needs
 * people to approve, or may be lifted to one that does. A question that gets no usable answer refuses the write: unknown is never "nothing affected".
 */
export async function observe(
  { gate, trail, operation }: Write,
  context: TenantContext,
  judgement: Judgement,
): Promise<Result<Observation, Refusal>> {
  const { observation } = operation;
  if (observation === null || (judgement.tier < 3 && judgement.missingIfLifted === null)) return ok(UNOBSERVED);
  const answer = observation.call === null ? ok(null) : await ask(context, observation.call, trail.requestId);
  const read = answer.ok ? observation.read(answer.value, judgement.lookedUp) : answer;
  if (!read.ok)
    return err({ kind: "unavailable", dependency: "upstream", cause: `what it affects is unknown: ${read.error}` });
  const { affected, version } = read.value;
  if (affected === null) return ok({ observed: { affected: null, version }, affected: null });
  return ok({
    observed: { affected: digestOf("portcullis/affected/v1", canonicalJson([...affected])), version },
    affected: {
      count: affected.length,
      // Redacted before it is cut: half a secret would no longer look like one.
      items: affected.slice(0, MAX_SHOWN_ITEMS).map((item) => cut(gate.redactor.longText(item))),
    },
  });
}

async function ask(
  { upstream }: TenantContext,
  call: Parameters<typeof send>[1],
  requestId: string,
): Promise<Result<ObservedAnswer, string>> {
  // A nonce of its own: a request that is judged again asks again, and upstream takes each nonce once.
  const sent = await send(upstream, call, {}, `${requestId}-${newId("affected")}`, Date.now());
  if (sent.kind !== "answered") return err(sent.cause);
  const read = await readAnswer(sent.response, upstream.deadlineMs);
  return read.kind === "complete" ? ok({ status: read.answer.status, body: read.answer.json }) : err(read.cause);
}

const cut = (item: string): string =>
  item.length <= MAX_ITEM_CHARS ? item : `${item.slice(0, MAX_ITEM_CHARS)}…`.toWellFormed();

/** What approvers, and plans, are told of the change's reach. Null: the catalogue does not say. */
export function shownReach(context: TenantContext, action: string, { affected }: Observation): JsonObject {
  const spec = context.catalogue.actions.get(action);
  return {
    affected: affected === null ? null : { count: affected.count, items: [...affected.items] },
    blast_radius: spec?.blastRadius ?? null,
    elevated: spec?.elevated ?? false,
    reversible: spec?.reversible ?? null,
  };
}
