import { z } from "zod";
import { isAnswer, refusal } from "./answer.ts";
import type { Answer } from "./answer.ts";
import { CAPACITY_GPUS, ENDED_STATES } from "./objects.ts";

/** One year: longer is a mistake, not a job. */
const MAX_HOURS = 8_760;
/** Above this a count is nonsense rather than merely larger than the cluster. */
const MAX_COUNT = 1_000_000;

const name = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/);
const resourceId = z.string().regex(/^[A-Za-z0-9._-]{1,128}$/);
const hours = z.number().positive().max(MAX_HOURS);
const count = z.int().min(1).max(MAX_COUNT);
const gpuType = z.enum(["H100", "A100", "L40S"]);

/** Request bodies, closed: an unknown key, a wrong type or a value out of range is refused and nothing is coerced. */
export const BODIES = {
  submit: z.strictObject({
    name,
    image: z.string().min(1).max(512),
    job_type: z.enum(["elastic", "reserved"]),
    gpus: count,
    gpu_type: gpuType,
    max_hours: hours,
    env: z.record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,127}$/), z.string().max(4_096)).optional(),
  }),
  scale: z
    .strictObject({ gpus: count.optional(), max_hours: hours.optional() })
    .refine((size) => Object.keys(size).length > 0, { error: "gpus or max_hours is required" }),
  /** For checks: a year's seconds are enough. */
  end: z.strictObject({
    state: z.enum(ENDED_STATES),
    ran_seconds: z
      .int()
      .min(0)
      .max(MAX_HOURS * 3_600),
  }),
  allocation: z.strictObject({ name, instances: count, instance_type: name, hours }),
  reservation: z.strictObject({ name, gpus: count, gpu_type: gpuType, hours }),
  transfer: z.strictObject({ to: z.string().regex(/^[A-Za-z0-9._:@-]{1,128}$/) }),
  plan: z.strictObject({ gpus: count, gpu_type: gpuType, hours }),
  insight: z.strictObject({
    question: z.string().min(1).max(4_096),
    workload_ids: z.array(resourceId).max(100).optional(),
  }),
  explain: z.strictObject({ question: z.string().min(1).max(4_096).optional() }),
  cancel: z.strictObject({ reason: z.string().max(4_096).optional() }),
} as const;

export type SubmitBody = z.infer<typeof BODIES.submit>;
export type AllocationBody = z.infer<typeof BODIES.allocation>;
export type ReservationBody = z.infer<typeof BODIES.reservation>;

/** Reads a JSON body against `schema`: 415 for another media type, 400 for bytes that are not JSON, 422 for its content. */
export function readBody<T extends object>(
  schema: z.ZodType<T>,
  contentType: string | undefined,
  body: Uint8Array,
): T | Answer {
  if (!/^application\/json(?:; ?charset=utf-8)?$/i.test(contentType ?? "")) {
    return refusal(415, "unsupported_media_type", "Content-Type must be application/json");
  }
  const parsed = parseJson(body);
  if (isAnswer(parsed)) return parsed;
  const checked = schema.safeParse(parsed.value);
  if (checked.success) return checked.data;
  const first = checked.error.issues[0];
  const place = first === undefined || first.path.length === 0 ? "body" : first.path.join(".");
  return refusal(422, "invalid_body", `${place}: ${first?.message ?? "invalid"}`);
}

/** As `readBody`, but no body at all counts as `{}`. */
export const readOptionalBody = <T extends object>(
  schema: z.ZodType<T>,
  contentType: string | undefined,
  body: Uint8Array,
): T | Answer =>
  body.length === 0
    ? readBody(schema, "application/json", new TextEncoder().encode("{}"))
    : readBody(schema, contentType, body);

function parseJson(body: Uint8Array): { readonly value: unknown } | Answer {
  try {
    return { value: JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(body)) };
  } catch {
    return refusal(400, "invalid_json", "the body is not JSON");
  }
}

/** The refusal of a job that no amount of waiting would let run, null where it could fit an empty cluster. */
export const exceedsCluster = (gpus: number): Answer | null =>
  gpus > CAPACITY_GPUS
    ? refusal(422, "exceeds_cluster", `${gpus} GPUs asked for, the cluster has ${CAPACITY_GPUS}`)
    : null;
