import { exports } from "cloudflare:workers";
import { createHmac } from "node:crypto";
import { beforeAll, describe, expect, test } from "vitest";
import { ACTION_IDS } from "../../src/slack/action-value.ts";
import { INTERACTION_MAX_BYTES } from "../../src/slack/form-payload.ts";
import { isJsonObject } from "../../src/platform/json.ts";
import { text, verdict } from "../support/answer.ts";
import { useBlackBox } from "../support/black-box.ts";
import { openIsolate } from "../support/isolates.ts";
import { INTERACTIONS, sendPrepared, useSlackBox, type Prepared } from "../support/slack-box.ts";
import { STANDIN_SIGNING_SECRET } from "../support/slack-names.ts";
import {
  bodyOf,
  FORM,
  nowS,
  propose,
  refusalRecordOf,
  signed,
  stateOf,
  withHeaders,
  type Proposed,
} from "../support/slack-proposed.ts";
import { signedForm } from "../support/slack-signing.ts";

/** What is no interaction of Slack's has no effect (security catalogue: SLK-01 to SLK-03, SLK-06, SLK-08). */
const open = useSlackBox("slack-reading", useBlackBox("slack-reading"));

/** The same payload whose user has two ids. */
const twice = (body: string): string => body.replace("%22user%22%3A%7B", "%22user%22%3A%7B%22id%22%3A%22U0X%22%2C");

let shared: Proposed;
beforeAll(async () => {
  shared = await propose(await open());
});
const approveClick = (): Promise<Prepared> => shared.slack.prepareClick("alice", ACTION_IDS.approve, shared.message);

describe("SLK-01, SLK-02 whose signature does not hold is nobody", () => {
  const TIMESTAMP = "x-slack-request-timestamp";
  const SIGNATURE = "x-slack-signature";
  /** Signed over the same text that the header has, so that only the time is wrong. */
  const at = (timestamp: string) => (prepared: Prepared) => {
    const base = `v0:${timestamp}:${bodyOf(prepared)}`;
    const mac = createHmac("sha256", STANDIN_SIGNING_SECRET).update(base).digest("hex");
    return withHeaders(prepared, { [TIMESTAMP]: timestamp, [SIGNATURE]: `v0=${mac}` });
  };
  const changed = (change: (signature: string) => string | null) => (prepared: Prepared) =>
    withHeaders(prepared, { [SIGNATURE]: change(prepared.headers[SIGNATURE] ?? "") });

  test.each<[string, (prepared: Prepared) => Prepared]>([
    ["no signature", changed(() => null)],
    ["the signature twice", changed((signature) => `${signature}, ${signature}`)],
    ["version 1", changed((signature) => signature.replace("v0=", "v1="))],
    ["a second part", changed((signature) => `${signature}=b`)],
    ["upper case", changed((signature) => signature.toUpperCase().replace("V0", "v0"))],
    ["cut", changed((signature) => signature.slice(0, -1))],
    ["another one", changed((signature) => signature.replaceAll(/[0-9a-f]/g, "0").replace("v=", "v0="))],
    ["no time", (prepared) => withHeaders(prepared, { [TIMESTAMP]: null })],
    ["301 seconds ago", (prepared) => at(String(nowS() - 301))(prepared)],
    ["301 seconds ahead", (prepared) => at(String(nowS() + 302))(prepared)],
    ["a fraction", (prepared) => at(`${nowS()}.5`)(prepared)],
    ["a negative time", (prepared) => at(`-${nowS()}`)(prepared)],
    ["1e9", at("1e9")],
    ["a huge time", at("99999999999999999999")],
    ["another secret", (prepared) => ({ ...signedForm(bodyOf(prepared), { secret: "other", timestampS: nowS() }) })],
    [
      "SLK-03 other bytes of the same payload",
      (prepared) => ({ ...prepared, body: bodyOf(prepared).replaceAll("%3A", ":") }),
    ],
    ["SLK-06 ssl_check without one", () => ({ headers: { "content-type": FORM }, body: "ssl_check=1&token=x" })],
  ])("%s", async (_, spoil) => {
    const answered = await sendPrepared(spoil(await approveClick()));
    expect(verdict(answered)).toBe("401 unauthenticated");
    const { request_id: _id, ...rest } = isJsonObject(answered.body) ? answered.body : {};
    expect(rest).toEqual({
      type: "/_gate/problems/unauthenticated",
      title: "The credential was not accepted",
      status: 401,
      detail: expect.any(String),
      instance: "/_gate/slack/interactions",
      slug: "unauthenticated",
    });
    expect(await stateOf(shared)).toBe("pending");
  });

  test("stand in the record of no tenant, with the cause", async () => {
    const answered = await sendPrepared(withHeaders(await approveClick(), { [SIGNATURE]: "v0=" }));
    expect(await refusalRecordOf(answered)).toMatchObject({
      tenant: "-",
      reason_code: "unauthenticated",
      detail: "slack: malformed-signature",
      credential_id: null,
    });
  });

  test("both secrets of a rotation count; a gate without one counts none", async () => {
    const click = await approveClick();
    const before = "0123456789abcdef0123456789abcdef";
    const rotated = openIsolate({ SLACK_SIGNING_SECRETS: `${before},${STANDIN_SIGNING_SECRET}` });
    const old = signedForm("ssl_check=1", { secret: before, timestampS: nowS() });
    for (const request of [old, signed("ssl_check=1")]) {
      expect(verdict(await sendPrepared(request, rotated.entrance))).toBe("400 malformed-request");
    }
    expect(verdict(await sendPrepared(old))).toBe("401 unauthenticated");
    const none = openIsolate({ SLACK_SIGNING_SECRETS: undefined });
    expect(verdict(await sendPrepared(click, none.entrance))).toBe("401 unauthenticated");
    await Promise.all([rotated.idle(), none.idle()]);
  });

  test("no other method is answered", async () => {
    for (const method of ["GET", "PUT", "DELETE"]) {
      expect((await exports.default.fetch(new Request(INTERACTIONS, { method }))).status).toBe(404);
    }
  });
});

describe("SLK-03, SLK-06, SLK-08 what is signed but no interaction is malformed, and has no effect", () => {
  const CONTENT_TYPE = "the content type is not";
  const ONE = "the form does not consist of one";
  test.each<[string, string, (body: string) => Prepared]>([
    ["SLK-03 as UTF-16", CONTENT_TYPE, (body) => signed(body, `${FORM}; charset=utf-16`)],
    ["SLK-03 as JSON", CONTENT_TYPE, (body) => signed(body, "application/json")],
    ["SLK-03 as multipart", CONTENT_TYPE, (body) => signed(body, "multipart/form-data; boundary=x")],
    ["SLK-06 ssl_check before a payload", ONE, (body) => signed(`ssl_check=1&${body}`)],
    ["SLK-06 ssl_check behind it", ONE, (body) => signed(`${body}&ssl_check=1`)],
    ["SLK-06 ssl_check alone", ONE, () => signed("ssl_check=1&token=x")],
    ["SLK-06 url_verification", CONTENT_TYPE, () => signed('{"type":"url_verification"}', "application/json")],
    ["SLK-08 the payload twice", ONE, (body) => signed(`${body}&${body}`)],
    ["SLK-08 a nested name twice", "not strict JSON", (body) => signed(twice(body))],
    ["SLK-08 a megabyte", "longer than", (body) => signed(`${body}${"x".repeat(1_048_576)}`)],
    ["SLK-08 one byte too long", "longer than", () => signed("x".repeat(INTERACTION_MAX_BYTES + 1))],
    ["nothing", ONE, () => signed("")],
  ])("%s", async (_, reason, make) => {
    const answered = await sendPrepared(make(bodyOf(await approveClick())));
    expect(verdict(answered)).toBe("400 malformed-request");
    expect(text(answered, "reason")).toContain(reason);
    expect(await stateOf(shared)).toBe("pending");
  });

  test("the same click, unspoilt, counts", async () => {
    const answered = await sendPrepared(await approveClick());
    expect([verdict(answered), answered.text]).toEqual(["200", ""]);
    expect(await stateOf(shared)).toBe("approved");
  });
});
