import { z } from "zod";
import { METHODS } from "../strict-request.ts";
import { jsonSchema } from "./expression-schema.ts";
import { momentSchema, statusSchema } from "./schema-words.ts";

/** A fact as a table states it. */
export const factSchema = z.union([z.number(), z.string(), z.boolean(), z.array(z.string())]);

/** A request as a table states it. */
export const requestSchema = z.strictObject({
  method: z.enum(METHODS),
  path: z.string(),
  query: z.record(z.string(), z.string()).optional(),
  headers: z.record(z.string(), z.string()).optional(),
  content_type: z.string().optional(),
  body: jsonSchema.optional(),
});

/** An upstream call, as far as a table states it. */
export const callSchema = z.strictObject({
  path: z.string().optional(),
  query: z.record(z.string(), z.string()).optional(),
  headers: z.record(z.string(), z.string()).optional(),
  body: jsonSchema.optional(),
});

const judged = z.strictObject({
  action: z.string(),
  tier: z.literal([0, 1, 2, 3, 4, 5]),
  facts: z.record(z.string(), factSchema).optional(),
  missing: z.array(z.string()).optional(),
  ceiling_usd: z.string().optional(),
  /** What the thing that is changed costs as it is. */
  current_usd: z.string().optional(),
  duration_minutes: z.number().optional(),
  /** The key that the catalogue derives, or `none`. */
  incident: z.string().optional(),
  /** The upstream call, and the same with the reference `ref` injected. Compared exactly where given. */
  call: callSchema.optional(),
  dispatch: callSchema.optional(),
  /** The read that tells what is affected, and what `answer` makes of it. */
  asks: callSchema.optional(),
  affected: z.array(z.string()).optional(),
  version: z.string().optional(),
  /** The read that tells whether what was made still runs, and what `status.answer` makes of it. */
  status: z
    .strictObject({
      path: z.string().optional(),
      verdict: z.enum(["running", "ended", "unknown"]).optional(),
      ran_seconds: z.union([z.number(), z.literal("none")]).optional(),
      actual_usd: z.string().optional(),
    })
    .optional(),
});

const refused = z.strictObject({
  refused: z.enum([
    "unknown-operation",
    "malformed-request",
    "unsupported-media-type",
    "unsized",
    "unpriced",
    // What the change would affect cannot be told from the answer.
    "unavailable",
  ]),
  reason: z.string().optional(),
});

const answerSchema = z.strictObject({ status: statusSchema.optional(), body: jsonSchema.optional() });

const caseSchema = z.strictObject({
  name: z.string().min(1),
  request: requestSchema,
  look_ups: z.record(z.string(), jsonSchema).optional(),
  /** What the control plane answers when it is asked what the change would affect. */
  answer: answerSchema.optional(),
  /** What it answers when it is asked later whether `resource`, made by this request, still runs. Its reference is `ref`. */
  status: z.strictObject({ resource: z.string(), answer: answerSchema }).optional(),
  expect: z.union([judged, refused]),
});

/** A table of real requests and near-misses that stands beside a catalogue. */
export const catalogueTestsSchema = z.strictObject({
  catalogue: z.string(),
  /** The moment whose prices the table was written for: it must not fail one day because prices have changed. */
  prices_at: momentSchema,
  tests: z.array(caseSchema).min(1),
});

export type TestCase = z.infer<typeof caseSchema>;
export type Judged = z.infer<typeof judged>;
