import { expect, vi } from "vitest";
import { isJsonObject, type JsonObject, type JsonValue } from "../../src/platform/json.ts";
import { text, type Answered } from "./answer.ts";
import { CONTEXT, job, proposalOf, SUBMIT } from "./requests.ts";
import { PATIENCE, type Prepared, type Shown, type SlackBox } from "./slack-box.ts";
import { STANDIN_SIGNING_SECRET } from "./slack-names.ts";
import { signedForm } from "./slack-signing.ts";
import type { Parameters } from "./slack-workspace.ts";
import { testEnv } from "./test-env.ts";

export const FORM = "application/x-www-form-urlencoded";

/** A tier-3 proposal, one click from approved, and its message. */
export type Proposed = SlackBox & { readonly approval: string; readonly message: Shown };

/** Opens a tenant with Slack and one such proposal. */
export async function propose(opened: SlackBox): Promise<Proposed> {
  const { box, slack } = opened;
  const before = (await slack.posted()).length;
  const approval = proposalOf(await (await box.as("agent")).post(SUBMIT, job({ gpus: 8 }), CONTEXT));
  return vi.waitFor(async () => {
    const message = (await slack.posted())[before];
    if (message === undefined) throw new Error("the proposal was not posted");
    return { ...opened, approval, message };
  }, PATIENCE);
}

/** `pending`, or what became of it. */
export async function stateOf({ box, approval }: Proposed): Promise<string> {
  return text(await (await box.as("agent")).get(`/_gate/v1/approvals/${approval}`), "state");
}

/** The record of a refused request, once D1 has it; its tenant is the one in whose log it stands. */
export async function refusalRecordOf(answered: Answered): Promise<JsonObject> {
  const id = answered.headers.get("gate-request-id") ?? "";
  const stored = async (): Promise<string | null> =>
    testEnv.DB.prepare('SELECT record FROM audit WHERE request_id = ? AND record LIKE \'%"kind":"request"%\'')
      .bind(id)
      .first("record");
  await expect.poll(stored, PATIENCE).not.toBeNull();
  const record: JsonValue = JSON.parse((await stored()) ?? "");
  if (!isJsonObject(record)) throw new Error("no record");
  return record;
}

/** The present second of the gate's clock. */
export const nowS = (): number => Math.floor(Date.now() / 1_000);

/** Any body, signed as Slack would. */
export function signed(body: string, contentType: string = FORM): Prepared {
  const { headers, body: bytes } = signedForm(body, { secret: STANDIN_SIGNING_SECRET, timestampS: nowS() });
  return { headers: { ...headers, "content-type": contentType }, body: bytes };
}

export const bodyOf = ({ body }: Prepared): string =>
  typeof body === "string" ? body : new TextDecoder().decode(body);

export const payloadOf = (prepared: Prepared): Parameters =>
  JSON.parse(new URLSearchParams(bodyOf(prepared)).get("payload") ?? "");

/** The same payload with one button's members changed. */
export function withButton(prepared: Prepared, over: (button: Parameters) => Parameters): Parameters {
  const { actions } = payloadOf(prepared);
  const [button] = Array.isArray(actions) ? actions : [];
  return { actions: [{ ...button, ...over(button) }] };
}

/** The same request with other headers; null leaves one out. */
export const withHeaders = (prepared: Prepared, over: Readonly<Record<string, string | null>>): Prepared => ({
  ...prepared,
  headers: Object.fromEntries(
    Object.entries({ ...prepared.headers, ...over }).flatMap(([name, value]) =>
      value === null ? [] : [[name, value]],
    ),
  ),
});
