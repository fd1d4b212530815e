import { NO_TENANT } from "../audit/recorder.ts";
import type { Gate } from "../gateway/gate.ts";
import { problemResponse } from "../gateway/respond.ts";
import { openTrail, refusalEntry, type Trail } from "../gateway/trail.ts";
import { createBoundedCache } from "../platform/bounded-cache.ts";
import type { Refusal } from "../refusal.ts";
import { dedupeKey, type SlackInteraction } from "./interaction.ts";
import { judgeClick, slackCredential, type JudgedClick } from "./judge-click.ts";
import { refusalNotice } from "./notices.ts";
import { receiveInteraction } from "./receive.ts";

type WaitUntil = (work: Promise<unknown>) => void;

/**
 * Slack gives up after three seconds and tells the person that it failed. What takes longer than this, from when the request
 * arrived, is acknowledged and goes on; whoever clicked then hears of a refusal by a message of their own.
 */
const ACKNOWLEDGE_WITHIN_MS = 2_000;

/** Clicks whose person has been told why they did not count; a re-sent one of this isolate is not told again. */
const told = createBoundedCache<true>(1_000);

/**
 * `POST /_gate/slack/interactions`: a person's click or submission in Slack, signed by Slack. The tenant is the one that posted
 * the message. A click that counts is 200 without a body. One that does not is answered as every refusal is and recorded, and
 * its person is told, by a message that only they see or in the modal itself. The message's own update comes from the outbox.
 */
export async function answerInteraction(request: Request, gate: Gate, waitUntil: WaitUntil): Promise<Response> {
  const trail = openTrail(request, Date.now());
  const received = await receiveInteraction(request, gate.config.slackSigningSecrets, trail.receivedAt);
  if (!received.ok) {
    const { refusal, cause } = received.error;
    record(gate, trail, refusal, { cause, by: null, click: null }, waitUntil);
    return problemResponse(trail, refusal, "problem", Date.now());
  }
  const click = received.value;
  const { requestId, receivedAt: now } = trail;
  const judging = judgeClick({ gate, interaction: click, requestId, now, waitUntil }).then((by) => {
    if (by.ending.kind === "refused")
      record(gate, trail, by.ending.refusal, { cause: by.ending.cause, by, click }, waitUntil);
    return by;
  });
  // Slack hangs up when it has waited long enough; what it asked for is done all the same.
  waitUntil(judging);
  const judged = await inTime(judging, receivedWithin(trail));
  if (judged === "late") {
    waitUntil(judging.then((late) => tell(click, late)));
    return acknowledged();
  }
  const { ending } = judged;
  if (ending.kind === "done") return acknowledged();
  if (ending.modal !== null) return Response.json(ending.modal, { headers: NO_STORE });
  waitUntil(tell(click, judged));
  return problemResponse(trail, ending.refusal, "problem", Date.now());
}

const NO_STORE = { "cache-control": "no-store" };
const acknowledged = (): Response => new Response(null, { status: 200, headers: NO_STORE });

const receivedWithin = ({ receivedAt }: Trail): number => Math.max(0, receivedAt + ACKNOWLEDGE_WITHIN_MS - Date.now());

async function inTime<T>(work: Promise<T>, waitMs: number): Promise<T | "late"> {
  const late = Promise.withResolvers<"late">();
  const timer = setTimeout(() => late.resolve("late"), waitMs);
  try {
    return await Promise.race([work, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** Tells whoever clicked why it did not count. A message that does not get through is lost: the click did not count either way. */
async function tell(click: SlackInteraction, { slack, ending }: JudgedClick): Promise<void> {
  const key = dedupeKey(click);
  if (slack === null || ending.kind === "done" || told.get(key) === true) return;
  told.set(key, true);
  await slack.postEphemeral({ channelId: click.channelId }, click.userId, refusalNotice(ending.refusal));
}

/** One record per refusal, in the log of the tenant where it is known. Counted decisions are the ledger's to record. */
function record(
  gate: Gate,
  trail: Trail,
  refusal: Refusal,
  { cause, by, click }: { cause: string | null; by: JudgedClick | null; click: SlackInteraction | null },
  waitUntil: WaitUntil,
): void {
  const entry = refusalEntry(trail, gate.redactor, refusal, Date.now());
  const subject = by?.subject ?? null;
  const recorded = {
    ...entry,
    detail: gate.redactor.text(cause) ?? entry.detail,
    principal: subject,
    principal_class: subject === null ? null : "person",
    credential_id: click === null ? null : slackCredential(click.teamId, click.userId),
    approval_id: click?.approvalId ?? null,
  };
  gate.recorder.refusal(by?.tenant ?? NO_TENANT, `${trail.requestId}/request`, recorded, waitUntil);
}
