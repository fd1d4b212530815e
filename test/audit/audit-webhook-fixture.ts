import { Webhook } from "standardwebhooks";
import { expect, vi } from "vitest";
import { z } from "zod";
import { auditCopyOf } from "../../src/audit/copy-port.ts";
import { readSecretKey, type SecretKey } from "../../src/identity/secret-key.ts";
import { saveChannel } from "../../src/notify/channels.ts";
import { testEnv } from "../support/test-env.ts";
import type { Log } from "./tree-fixture.ts";

const ORIGIN = testEnv.WEBHOOK_ORIGINS.split(",").at(-1) ?? "";
export const SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

const EVENT = z.looseObject({ id: z.string(), source: z.string(), sequence: z.string(), data: z.json() });
export type Message = {
  readonly id: string;
  readonly type: string;
  readonly body: string;
  readonly events: readonly z.infer<typeof EVENT>[];
};

/** What becomes of the next message. `answer-lost`: it came, and whoever sent it does not get to know. */
export type PostFault = number | "refused" | "answer-lost" | "hangs" | { readonly retryAfterS: number };

const keyOf = (name: string): SecretKey => {
  const read = readSecretKey(name, String(testEnv[name]));
  if (!read.ok) throw new Error(read.error);
  return read.value;
};

/** Stores the settings of the tenant's audit webhook, and says so to this log alone. */
export async function switchOn({ place }: Log, url = `${ORIGIN}/hook/audit`): Promise<void> {
  const store = { d1: testEnv.DB, pepper: keyOf("RECORD_PEPPER"), sealing: keyOf("SEALING_KEY") };
  await saveChannel(store, place.tenant, { name: "audit-webhook", settings: { url, secret: SECRET } }, Date.now());
  await auditCopyOf(testEnv, place.tenant, place.log).switchWebhookCopy(true);
}

export const switchOff = ({ place }: Log): Promise<void> =>
  auditCopyOf(testEnv, place.tenant, place.log).switchWebhookCopy(false);

/** Somebody's receiver, in place of `fetch`: what came, its signature checked, and what becomes of the next message. */
export function receiver(faultOf: () => PostFault = () => 204): { readonly messages: Message[] } {
  const messages: Message[] = [];
  vi.spyOn(globalThis, "fetch").mockImplementation(async (input, init) => {
    expect(String(input instanceof Request ? input.url : input)).toBe(`${ORIGIN}/hook/audit`);
    const fault = faultOf();
    if (fault === "refused") throw new TypeError("connection refused");
    const headers = Object.fromEntries(new Headers(init?.headers));
    const body = z.string().parse(init?.body);
    if (fault === "hangs")
      return new Promise((_, reject) => init?.signal?.addEventListener("abort", () => reject(new Error("aborted"))));
    const verified = new Webhook(SECRET).verify(body, headers);
    const events = z.array(EVENT).parse(verified);
    messages.push({ id: headers["webhook-id"] ?? "", type: headers["content-type"] ?? "", body, events });
    if (fault === "answer-lost") throw new TypeError("connection reset");
    if (typeof fault === "object")
      return new Response(null, { status: 503, headers: { "retry-after": String(fault.retryAfterS) } });
    return new Response(null, { status: fault });
  });
  return { messages };
}
