import { expect, test } from "vitest";
import { z } from "zod";
import { verifySlackRequest } from "../../src/slack/verify.ts";
import { textOfFile } from "./corpus.ts";

const vector = z
  .object({ signing_secret: z.string(), timestamp: z.string(), body: z.string(), signature: z.string() })
  .parse(JSON.parse(textOfFile("slack-signing", "vectors.json")));
const { timestamp, signature } = vector;
const rawBody = new TextEncoder().encode(vector.body);
const now = Number(timestamp) * 1_000;

test("Slack's published example verifies, and not for a changed body", () => {
  const verified = verifySlackRequest({ timestamp, signature, rawBody }, [vector.signing_secret], now);
  expect(verified).toEqual({ ok: true, value: undefined });
  const other = new TextEncoder().encode(`${vector.body}&text=x`);
  const refused = verifySlackRequest({ timestamp, signature, rawBody: other }, [vector.signing_secret], now);
  expect(refused).toEqual({ ok: false, error: "wrong-signature" });
});
