import { z } from "zod";

/** How the next POST to a webhook is answered. `hang`: not before it is released. */
export const ANSWERS = z.array(
  z.object({
    status: z.int().optional(),
    headers: z.record(z.string(), z.string()).optional(),
    hang: z.boolean().optional(),
  }),
);
export type WebhookAnswer = z.infer<typeof ANSWERS>[number];

const RECEIVED = z.array(z.object({ headers: z.record(z.string(), z.string()), body: z.string() }));
export type WebhookReceived = z.infer<typeof RECEIVED>[number];

/** One webhook of `webhook-standin.ts`. */
export type WebhookPlace = {
  readonly url: string;
  /** What came, in order, but for checkpoints of audit logs. */
  readonly received: () => Promise<readonly WebhookReceived[]>;
  /** How it answers from now on; 204 when these are used up. */
  readonly answer: (answers: readonly WebhookAnswer[]) => Promise<void>;
  /** Answers what hangs. */
  readonly release: () => Promise<void>;
};

/** What the webhook of this name gets of checkpoints: received and answered apart from the rest. */
export const checkpointsAt = (origin: string, name: string): Omit<WebhookPlace, "url"> =>
  webhookAt(origin, `${name}/checkpoints`);

/** The webhook of this name at the stand-in, as tests see it. */
export function webhookAt(origin: string, name: string): WebhookPlace {
  const exchange = async (method: string, body: string | null = null): Promise<readonly WebhookReceived[]> => {
    const answered = await fetch(`${origin}/_standin/${name}`, { method, ...(body === null ? {} : { body }) });
    return RECEIVED.parse(await answered.json());
  };
  return {
    url: `${origin}/hook/${name}`,
    received: () => exchange("GET"),
    answer: async (answers: readonly WebhookAnswer[]) => void (await exchange("PUT", JSON.stringify(answers))),
    release: async () => void (await exchange("DELETE")),
  };
}
