import { createHmac } from "node:crypto";

/** A request to the interactions route as Slack sends it. */
export type SlackRequest = { readonly headers: Readonly<Record<string, string>>; readonly body: Uint8Array };

export type Signing = {
  readonly secret: string;
  /** Seconds since the epoch. */
  readonly timestampS: number;
};

/** A form body signed as Slack documents it (`v0:{timestamp}:{body}`). */
export function signedForm(body: string, { secret, timestampS }: Signing): SlackRequest {
  const bytes = new TextEncoder().encode(body);
  const mac = createHmac("sha256", secret).update(`v0:${timestampS}:`).update(bytes).digest("hex");
  return {
    headers: {
      "content-type": "application/x-www-form-urlencoded",
      "x-slack-request-timestamp": String(timestampS),
      "x-slack-signature": `v0=${mac}`,
    },
    body: bytes,
  };
}

/** Slack sends payloads as ASCII JSON in one form parameter. */
export const payloadForm = (payload: unknown): string =>
  new URLSearchParams({ payload: asciiJson(payload) }).toString();

/** What Slack adds when it sends something again that was not answered in three seconds. */
export const resent = (request: SlackRequest, attempt: 1 | 2 | 3): SlackRequest => ({
  ...request,
  headers: { ...request.headers, "x-slack-retry-num": String(attempt), "x-slack-retry-reason": "http_timeout" },
});

const asciiJson = (value: unknown): string =>
  JSON.stringify(value).replaceAll(/[^\0-\x7f]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
