import { z } from "zod";
import { factSchema, requestSchema } from "../catalogue/catalogue-tests-schema.ts";
import { jsonSchema } from "../catalogue/expression-schema.ts";
import { momentSchema } from "../catalogue/schema-words.ts";
import { SUBJECT } from "../vocabulary.ts";

/** Most cases of one table: all of them run in seconds. */
const MAX_CASES = 1_000;

/** What becomes of a request, in the words of tables, as far as documents decide it. */
export const DECISIONS = ["allow", "dry-run", "approval", "refuse"] as const;

const tier = z.literal([0, 1, 2, 3, 4, 5]);
const subject = z.string().regex(SUBJECT, { error: "a subject is an immutable id such as agent:NAME or person:NAME" });
const texts = z.array(z.string());

/** Whose request it is. */
const asker = z.strictObject({
  subject,
  owner: subject
    .optional()
    .describe("Who is accountable for the credential: counts for teams, and approves nothing of it."),
  scopes: z
    .strictObject({ actions: z.array(z.string().min(1)).min(1).optional(), max_tier: tier.optional() })
    .optional()
    .describe("What its credential may ask for; everything where it is not stated."),
});

const verdict = z.strictObject({ rule: z.string(), verdict: z.string() });

/** What is stated is compared, and nothing else. */
const expectation = z.strictObject({
  decision: z
    .enum(DECISIONS)
    .describe(
      "allow: runs at once; dry-run: with a receipt of a dry run; approval: once people approve; refuse: never so.",
    ),
  reason_code: z.string().optional().describe("Of a refusal: the problem's slug."),
  detail: z.string().optional().describe("Part of what the refusal says."),
  action: z.string().optional(),
  tier: tier.optional(),
  floor: tier.optional().describe("The catalogue's lowest tier for this request."),
  rule: z.string().optional().describe("Part of the rule's name: `tier_2[0]`, `blast_radius[1]`."),
  facts: z.record(z.string(), factSchema).optional(),
  context: texts.optional().describe("All that the tier asks for: reason, evidence, back_out, incident."),
  incident: z.string().optional().describe("The key that the catalogue derives, or `none`."),
  needed: z.int().min(0).optional().describe("How many people have to approve."),
  approvers: texts.optional().describe("Handles of all who may, without the owner."),
  cost_usd: z.string().optional().describe('What is held, e.g. "20.00"; `none` where it costs nothing.'),
  team: z.string().optional().describe("The team that it spends for, or `none`."),
  caps: texts.optional().describe("Names of all caps that it has to fit: `daily`, `monthly of team:research`."),
  too_dear_for: texts.optional().describe("Names of the caps that it does not fit although nothing was spent yet."),
  aggregates: z.record(z.string(), z.number()).optional().describe("What it adds to these aggregates."),
  violations: z
    .record(z.string(), z.strictObject({ limit: factSchema, actual: z.union([factSchema, z.null()]) }))
    .optional()
    .describe("Of `constraint-exceeded`: all constraints that it breaks."),
  nearest: z
    .strictObject({ tier, facts: z.record(z.string(), factSchema) })
    .optional()
    .describe("The closest request that would pass."),
  missing: texts.optional().describe("Facts that are not known."),
  environments: texts.optional().describe("All environments that it may be in."),
  window: z.string().optional().describe("The maintenance window that lets it through."),
  closes_at: momentSchema.optional(),
  opens_at: momentSchema.optional().describe("Of `outside-window`: when the next one opens."),
  runbook: z.string().optional(),
  shadow: z.array(verdict).optional().describe("What rules in shadow would have decided; [] for none."),
  told: z.boolean().optional().describe("Whether people hear of it by `notify`."),
});

const testCase = z.strictObject({
  name: z.string().min(1),
  as: asker.optional(),
  at: momentSchema.optional().describe("When it is asked: windows open and close, prices change."),
  request: requestSchema,
  looked_up: z
    .record(z.string(), jsonSchema)
    .optional()
    .describe("What the control plane answers to the catalogue's look-ups, by their names."),
  expect: expectation,
});

/** Cases that stand beside a policy: a request and what becomes of it. */
export const POLICY_TESTS = z.strictObject({
  catalogue: z.string().describe("Id of the catalogue; its file is ../catalogues/<id>.yaml."),
  at: momentSchema.describe("When it is asked, where a case does not say."),
  as: asker.describe("Who asks, where a case does not say."),
  tests: z.array(testCase).min(1).max(MAX_CASES),
});

export type PolicyTests = z.infer<typeof POLICY_TESTS>;
export type PolicyTestCase = z.infer<typeof testCase>;
export type Asker = z.infer<typeof asker>;
export type Expectation = z.infer<typeof expectation>;
