import { createHmac } from "node:crypto";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { SIGNATURE_WINDOW_S, verifySlackRequest } from "../../src/slack/verify.ts";
import { signedForm } from "../support/slack-signing.ts";

/** The worked example of https://docs.slack.dev/authentication/verifying-requests-from-slack. */
const EXAMPLE = {
  secret: "8f742231b10e8888abcd99yyyzzz85a5",
  timestampS: 1_531_420_618,
  body: "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c",
  signature: "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
};
const SECRET = EXAMPLE.secret;
const NOW_S = EXAMPLE.timestampS;
const NOW = NOW_S * 1_000;
const BYTES = new TextEncoder().encode(EXAMPLE.body);
const GENUINE = { timestamp: String(NOW_S), signature: EXAMPLE.signature, rawBody: BYTES };
const VERIFIED = { ok: true, value: undefined };
const refused = (error: string) => ({ ok: false, error });

const sign = (body: Uint8Array, timestamp: string, secret = SECRET, version = "v0"): string =>
  `v0=${createHmac("sha256", secret).update(`${version}:${timestamp}:`).update(body).digest("hex")}`;

describe("Slack's own signature", () => {
  test("the published example verifies", () => {
    expect(verifySlackRequest(GENUINE, [SECRET], NOW)).toEqual(VERIFIED);
  });

  test.each([
    ["first", [SECRET, "other"]],
    ["second", ["other", SECRET]],
  ])("verifies while secrets are being rotated and its own is listed %s", (_, secrets) => {
    expect(verifySlackRequest(GENUINE, secrets, NOW)).toEqual(VERIFIED);
  });

  test("no secret verifies nothing, an empty one is a bug", () => {
    expect(verifySlackRequest(GENUINE, [], NOW)).toEqual(refused("wrong-signature"));
    expect(() => verifySlackRequest(GENUINE, [""], NOW)).toThrow("none empty");
    expect(() => verifySlackRequest(GENUINE, ["a", "b", "c"], NOW)).toThrow("at most two");
  });
});

const HEX = EXAMPLE.signature.slice(3);
describe("SLK-01 signatures of any other form", () => {
  test.each([
    ["missing", null, "no-signature"],
    ["empty", "", "malformed-signature"],
    ["of another version", `v1=${HEX}`, "malformed-signature"],
    ["with a third part", `v0=${HEX}=${HEX}`, "malformed-signature"],
    ["with a part before", `v0=a=${HEX}`, "malformed-signature"],
    ["in upper case", `v0=${HEX.toUpperCase()}`, "malformed-signature"],
    ["with an upper-case version", `V0=${HEX}`, "malformed-signature"],
    ["truncated", `v0=${HEX.slice(0, -1)}`, "malformed-signature"],
    ["truncated to nothing", "v0=", "malformed-signature"],
    ["one digit longer", `v0=${HEX}0`, "malformed-signature"],
    ["followed by a line feed", `v0=${HEX}\n`, "malformed-signature"],
    ["between spaces", ` v0=${HEX} `, "malformed-signature"],
    ["not hexadecimal", `v0=${"g".repeat(64)}`, "malformed-signature"],
    ["sent twice", `v0=${HEX}, v0=${HEX}`, "malformed-signature"],
    ["of another secret", sign(BYTES, String(NOW_S), "other"), "wrong-signature"],
    ["over another version", sign(BYTES, String(NOW_S), SECRET, "v1"), "wrong-signature"],
    ["over another time", sign(BYTES, String(NOW_S + 1)), "wrong-signature"],
  ])("%s: refused", (_, signature, cause) => {
    expect(verifySlackRequest({ ...GENUINE, signature }, [SECRET], NOW)).toEqual(refused(cause));
  });
});

describe("SLK-02 timestamps", () => {
  test.each([
    ["missing", null, "no-timestamp"],
    ["empty", "", "malformed-timestamp"],
    ["with a fraction", `${NOW_S}.0`, "malformed-timestamp"],
    ["negative", `-${NOW_S}`, "malformed-timestamp"],
    ["signed", `+${NOW_S}`, "malformed-timestamp"],
    ["in exponent form", "1e9", "malformed-timestamp"],
    ["in milliseconds", `${NOW_S}000`, "malformed-timestamp"],
    ["huge", "9".repeat(400), "malformed-timestamp"],
    ["hexadecimal", "0x5b478a4a", "malformed-timestamp"],
    ["in other digits", "١٥٣١٤٢٠٦١٨", "malformed-timestamp"],
    ["followed by a line feed", `${NOW_S}\n`, "malformed-timestamp"],
    ["sent twice", `${NOW_S}, ${NOW_S}`, "malformed-timestamp"],
    ["far in the past", "0000000000", "too-old"],
    ["far in the future", "9999999999", "from-the-future"],
  ])("%s: refused although the signature is over it", (_, timestamp, cause) => {
    const signature = sign(BYTES, timestamp ?? "");
    expect(verifySlackRequest({ timestamp, signature, rawBody: BYTES }, [SECRET], NOW)).toEqual(refused(cause));
  });

  test.each([
    [-SIGNATURE_WINDOW_S - 1, refused("too-old")],
    [-SIGNATURE_WINDOW_S, VERIFIED],
    [SIGNATURE_WINDOW_S, VERIFIED],
    [SIGNATURE_WINDOW_S + 1, refused("from-the-future")],
  ])("%i seconds from now", (offset, expected) => {
    const timestamp = String(NOW_S + offset);
    const signature = sign(BYTES, timestamp);
    expect(verifySlackRequest({ timestamp, signature, rawBody: BYTES }, [SECRET], NOW)).toEqual(expected);
  });
});

describe("SLK-03 the signature is over bytes", () => {
  test.each([
    ["an escape in another case", EXAMPLE.body.replace("%2F", "%2f")],
    ["a decoded escape", EXAMPLE.body.replace("%2F", "/")],
    ["parameters in another order", EXAMPLE.body.split("&").toReversed().join("&")],
    ["a byte order mark", `\ufeff${EXAMPLE.body}`],
    ["a line feed at the end", `${EXAMPLE.body}\n`],
    ["nothing", ""],
  ])("%s: refused", (_, body) => {
    const rawBody = new TextEncoder().encode(body);
    expect(verifySlackRequest({ ...GENUINE, rawBody }, [SECRET], NOW)).toEqual(refused("wrong-signature"));
  });

  test("bytes that are not UTF-8 are signed as they are, not as a decoder would repair them", () => {
    const rawBody = Uint8Array.of(0x70, 0xff, 0xc0, 0xaf);
    const repaired = new TextEncoder().encode(new TextDecoder().decode(rawBody));
    const signature = sign(rawBody, String(NOW_S));
    expect(verifySlackRequest({ ...GENUINE, signature, rawBody }, [SECRET], NOW)).toEqual(VERIFIED);
    expect(verifySlackRequest({ ...GENUINE, signature, rawBody: repaired }, [SECRET], NOW)).toEqual(
      refused("wrong-signature"),
    );
  });

  test("changing any one bit of the body or the signature refuses", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 200 }), fc.nat(), fc.nat({ max: 7 }), (body, place, bit) => {
        const signature = sign(body, String(NOW_S));
        const request = { timestamp: String(NOW_S), signature, rawBody: body };
        expect(verifySlackRequest(request, [SECRET], NOW)).toEqual(VERIFIED);
        const changed = body.map((byte, index) => (index === place % body.length ? byte ^ (1 << bit) : byte));
        expect(verifySlackRequest({ ...request, rawBody: changed }, [SECRET], NOW)).toEqual(refused("wrong-signature"));
        const digit = 3 + (place % 64);
        const other = (Number.parseInt(signature.charAt(digit), 16) ^ (1 << (bit % 4))).toString(16);
        const forged = signature.slice(0, digit) + other + signature.slice(digit + 1);
        expect(verifySlackRequest({ ...request, signature: forged }, [SECRET], NOW)).toEqual(
          refused("wrong-signature"),
        );
      }),
    );
  });
});

test("SLK-06 ssl_check=1 does not make an unsigned request pass", () => {
  const { headers, body } = signedForm("ssl_check=1&token=x", { secret: "not ours", timestampS: NOW_S });
  const signature = headers["x-slack-signature"] ?? null;
  const request = { timestamp: String(NOW_S), rawBody: body };
  expect(verifySlackRequest({ ...request, signature }, [SECRET], NOW)).toEqual(refused("wrong-signature"));
  expect(verifySlackRequest({ ...request, signature: null }, [SECRET], NOW)).toEqual(refused("no-signature"));
});
