import { Buffer } from "node:buffer";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { webhookSettings, webhookUrl } from "../../src/notify/channels.ts";
import { postWebhook, RETRY_AFTER_MAX_MS, WEBHOOK_DEADLINE_MS } from "../../src/notify/post-webhook.ts";

const NOW = Date.UTC(2026, 10, 20, 8, 0);
const SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const MESSAGE = { id: "apr_1/opened", url: new URL("https://hooks.example/in/T0KEN"), secret: SECRET, body: "{}" };

const fetched = vi.fn<(url: URL, init: RequestInit) => Promise<Response>>();

beforeEach(() => {
  fetched.mockReset().mockResolvedValue(new Response(null, { status: 204 }));
  vi.stubGlobal("fetch", fetched);
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

const headersSent = (): object => Object.fromEntries(new Headers(fetched.mock.calls[0]?.[1].headers));
const post = (changes: Partial<typeof MESSAGE> = {}, now = NOW) => postWebhook({ ...MESSAGE, ...changes }, now);

describe("a message to a webhook", () => {
  // The first is the specification's own; the second was made with Python's hmac and base64.
  it.each([
    {
      secret: SECRET,
      id: "msg_p5jXN8AQM9LWM0D4loKWxJek",
      at: 1_614_265_330_000,
      body: '{"test": 2432232314}',
      signature: "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    },
    {
      secret: `whsec_${Buffer.from(Array.from({ length: 64 }, (_, index) => index)).toString("base64")}`,
      id: "apr_1/executed/req_2/succeeded",
      at: 1_790_000_000_999,
      body: '{"name":"größer \u2028"}',
      signature: "v1,Z67YLSfuKuN5Ix00Mk7DsicrcWkvpqvNsPWMqUIp1Ts=",
    },
  ])("is signed as Standard Webhooks says: $signature", async ({ secret, id, at, body, signature }) => {
    await post({ secret, id, body }, at);
    expect(headersSent()).toEqual({
      "content-type": "application/json",
      "webhook-id": id,
      "webhook-timestamp": String(Math.floor(at / 1_000)),
      "webhook-signature": signature,
    });
    expect(fetched.mock.calls[0]?.[1].body).toBe(body);
  });

  it("is posted once, to the address it is for, and follows no redirect", async () => {
    await post();
    expect(fetched).toHaveBeenCalledTimes(1);
    expect(String(fetched.mock.calls[0]?.[0])).toBe("https://hooks.example/in/T0KEN");
    expect(fetched.mock.calls[0]?.[1]).toMatchObject({ method: "POST", redirect: "manual" });
  });

  it.each([
    [200, null, { kind: "done" }],
    [202, null, { kind: "done" }],
    [299, null, { kind: "done" }],
    [410, null, { kind: "failed" }],
    [302, null, { kind: "retry", afterMs: null }],
    [307, null, { kind: "retry", afterMs: null }],
    [400, null, { kind: "retry", afterMs: null }],
    [404, null, { kind: "retry", afterMs: null }],
    [500, null, { kind: "retry", afterMs: null }],
    [500, "30", { kind: "retry", afterMs: null }],
    [429, null, { kind: "retry", afterMs: null }],
    [429, "30", { kind: "retry", afterMs: 30_000 }],
    [503, "0", { kind: "retry", afterMs: 0 }],
    [503, "Fri, 20 Nov 2026 08:02:00 GMT", { kind: "retry", afterMs: 120_000 }],
    [503, "Fri, 20 Nov 2026 07:00:00 GMT", { kind: "retry", afterMs: 0 }],
    [503, "999999999", { kind: "retry", afterMs: RETRY_AFTER_MAX_MS }],
    [503, "soon", { kind: "retry", afterMs: null }],
  ])("that is answered %i (Retry-After %j) is %o", async (status, wait, delivery) => {
    const headers = wait === null ? {} : { "retry-after": wait };
    fetched.mockResolvedValue(new Response(null, { status, headers }));
    expect(await post()).toMatchObject(delivery);
  });

  it("is done with the answer's head: a body without end is thrown away", async () => {
    let thrownAway = false;
    const endless = new ReadableStream({
      pull: () => new Promise(() => undefined),
      cancel: () => void (thrownAway = true),
    });
    fetched.mockResolvedValue(new Response(endless));
    expect(await post()).toEqual({ kind: "done" });
    expect(thrownAway).toBe(true);
  });

  it("is given up for this time after ten seconds", async () => {
    vi.useFakeTimers();
    fetched.mockImplementation(
      (_, { signal }) =>
        new Promise((_resolve, reject) => signal?.addEventListener("abort", () => reject(new Error("aborted")))),
    );
    const delivery = post();
    await vi.advanceTimersByTimeAsync(WEBHOOK_DEADLINE_MS);
    expect(await delivery).toEqual({ kind: "retry", afterMs: null, reason: "no answer within 10 s" });
  });

  it("that meets no connection is tried again, and no reason holds the address or what the error says", async () => {
    fetched.mockRejectedValue(new TypeError(`connect ECONNREFUSED ${MESSAGE.url.href}`));
    expect(await post()).toEqual({ kind: "retry", afterMs: null, reason: "no answer" });
  });
});

const ofBytes = (count: number): string => `whsec_${Buffer.alloc(count, 7).toString("base64")}`;

describe("the settings of a webhook", () => {
  it.each([24, 25, 26, 27, 32, 60, 61, 62, 63, 64])("may have a secret of %i bytes, which signs", async (count) => {
    const settings = { url: "https://hooks.example/", secret: ofBytes(count) };
    expect(webhookSettings.safeParse(settings).success).toBe(true);
    expect(await post({ secret: settings.secret })).toEqual({ kind: "done" });
  });

  it.each([
    ofBytes(23),
    ofBytes(65),
    ofBytes(24).slice(0, -1),
    `${ofBytes(24)}A`,
    `${ofBytes(24)}=`,
    ofBytes(24).replace("whsec_", ""),
    `${ofBytes(24)}\n`,
  ])("may not have the secret %j", (secret) => {
    expect(webhookSettings.safeParse({ url: "https://hooks.example/", secret }).success).toBe(false);
  });

  const config = { webhookOrigins: ["https://hooks.example", "http://127.0.0.1:9"] };

  it.each(["https://hooks.example/a?b=c", "https://HOOKS.example:443/", "http://127.0.0.1:9/x"])(
    "may name %s where the deployment allows its origin",
    (url) => expect(webhookUrl(url, config).ok).toBe(true),
  );

  it.each([
    "http://hooks.example/",
    "https://hooks.example.evil.example/",
    "https://hooks.example:8443/",
    "https://hooks.example@evil.example/",
    "https://user:word@hooks.example/",
    "https://hooks.example/#x",
    "http://127.0.0.1:9999/",
    "http://localhost:9/",
    "no address",
  ])("may not name %s", (url) => expect(webhookUrl(url, config).ok).toBe(false));
});
