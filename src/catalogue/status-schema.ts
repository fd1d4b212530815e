import { z } from "zod";
import { conditionSchema, expressionSchema, pointerSchema } from "./expression-schema.ts";
import { referenceTemplateSchema, resourcePathSchema } from "./schema-words.ts";

/** How to find out whether what a write made still runs: one GET, and what its answer says. */
export const statusReadSchema = z
  .strictObject({
    method: z.literal("GET"),
    path: resourcePathSchema.describe("{resource} is the id that the success response (or the look-up) named."),
    query: z.record(z.string().min(1).max(64), z.string().max(128)).optional(),
    made_by: z
      .strictObject({ at: pointerSchema, equals: referenceTemplateSchema })
      .optional()
      .describe("Where the answer has the gate's reference. Another one is another thing's: ids may begin anew."),
    ended_when: conditionSchema.describe("What proves that it has ended for good. Absence proves nothing."),
    running_when: conditionSchema.optional().describe("What proves that it has not. What is neither is unknown."),
    ran_seconds: expressionSchema.optional().describe("For how long it ran, in whole seconds, once it has ended."),
    actual_usd: expressionSchema.optional().describe("What it cost, once it has ended."),
  })
  .describe("The read that tells whether the resource still runs. Polled while its hold is committed.");

export type StatusDocument = z.infer<typeof statusReadSchema>;
