import { describe, expect, test } from "vitest";
import { slackClient } from "../../src/slack/client.ts";
import { proposalMessage } from "../../src/slack/message.ts";
import { verifySlackRequest } from "../../src/slack/verify.ts";
import { signedForm } from "../support/slack-signing.ts";
import { blocksProblem } from "../support/slack-payload-rules.ts";
import { CANCEL, NOW, OCCASION } from "./proposals.ts";

describe("in the Workers runtime", () => {
  test("a signature verifies and a forged one does not", () => {
    const { headers, body: rawBody } = signedForm("payload=x", { secret: "one", timestampS: NOW / 1_000 });
    const signed = {
      timestamp: headers["x-slack-request-timestamp"] ?? null,
      signature: headers["x-slack-signature"] ?? null,
      rawBody,
    };
    expect(verifySlackRequest(signed, ["one"], NOW)).toEqual({ ok: true, value: undefined });
    expect(verifySlackRequest(signed, ["two"], NOW)).toEqual({ ok: false, error: "wrong-signature" });
  });

  test("a message renders", () => {
    expect(blocksProblem(proposalMessage(CANCEL, OCCASION).blocks)).toBeNull();
  });

  test("a call to nobody is an answerless call, not an exception", async () => {
    const client = slackClient({ token: "xoxb-secret", baseUrl: "http://127.0.0.1:9/api/" });
    expect(await client.postMessage("C0APPROVALS", proposalMessage(CANCEL, OCCASION))).toMatchObject({
      ok: false,
      error: { kind: "no-answer" },
    });
  });
});
