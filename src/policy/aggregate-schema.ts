import { z } from "zod";

/** Names of aggregates, as refusals and records have them. */
const NAME = /^[a-z][a-z0-9-]{0,62}$/;
/** Names of facts, of which `submissions` and `resources` are none: those words count requests and what they change. */
const FACT = /^[a-z][a-z0-9_]{0,62}$/;
/** Most aggregates of a policy: each that applies is read and written in every admission. */
const MAX_AGGREGATES = 20;
/** Highest limit, 1,000,000,000: no cluster has more of anything; catches a slipped digit. */
export const MAX_AGGREGATE = 1_000_000_000;

const fact = z.string().regex(FACT, { error: "a fact is lower-case letters, digits and _" });

/** `aggregates`: how much many requests may add up to. */
export const AGGREGATES = z
  .array(
    z.strictObject({
      name: z.string().regex(NAME, { error: "a name here is lower-case letters, digits and -" }),
      /** A numeric fact; `submissions`: each admission counts 1; `resources`: how many different ones were changed or made. */
      of: fact,
      /** Whose requests count together. `fact`: those with the same value of a text fact; those without it are one, too. */
      per: z.union([z.enum(["tenant", "principal"]), z.strictObject({ fact })]),
      /** `hour`, `day`: what the last 60 minutes (24 hours) began; `running`: what has not ended. */
      within: z.enum(["hour", "day", "running"]),
      /** Which actions count; every write that has the fact where it is not stated. */
      actions: z.array(z.string().min(1)).min(1).optional(),
      max: z.int().min(0).max(MAX_AGGREGATE),
      /** What happens to a request beyond it; `approve`: people decide, as at tier 3. */
      over: z.enum(["refuse", "approve"]).optional(),
      mode: z.enum(["enforce", "shadow"]).optional(),
    }),
  )
  .max(MAX_AGGREGATES);

/** One of them, as written. */
export type WrittenAggregate = z.infer<typeof AGGREGATES>[number];
