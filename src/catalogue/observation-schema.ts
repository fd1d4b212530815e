import { z } from "zod";
import { conditionSchema, expressionSchema, pointerSchema } from "./expression-schema.ts";
import { pathSchema, statusSchema } from "./schema-words.ts";

/** What a write declares about what it affects: one GET, and how its answer names the members that count. */
export const affectedSchema = z
  .strictObject({
    method: z.literal("GET"),
    path: pathSchema,
    query: z
      .record(
        z.string().min(1).max(64),
        z
          .string()
          .max(128)
          .regex(/^([^{}]|\{[a-z][a-z0-9_]*\})*$/, { error: "braces can only hold a path parameter: {name}" }),
      )
      .optional()
      .describe("Values may hold the route's path parameters: {id}."),
    list: pointerSchema.optional().describe("Where the answer has its list; without it the answer is the one member."),
    where: conditionSchema.optional().describe("Which members count; all without it. One that cannot be told refuses."),
    item: expressionSchema.describe("Name or id of a member: text or a whole number."),
    complete_when: conditionSchema.optional().describe("What proves that the answer is no mere page of the list."),
    nothing_when: z
      .array(z.strictObject({ status: statusSchema, when: conditionSchema.optional() }))
      .max(8)
      .optional()
      .describe("Answers that prove that there is no such resource, so nothing is affected."),
  })
  .describe("The read that tells what the change would affect. Made where people have to approve.");

export type AffectedDocument = z.infer<typeof affectedSchema>;
