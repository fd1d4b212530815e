import { z } from "zod";
import { ACTION } from "../vocabulary.ts";
import { bodySchema, queryValueSchema, textRuleShape } from "./body-schema.ts";
import { conditionSchema, expressionSchema, jsonSchema, nameSchema, pointerSchema } from "./expression-schema.ts";
import { affectedSchema } from "./observation-schema.ts";
import { pathSchema as path, referenceTemplateSchema as textTemplate, statusSchema as status } from "./schema-words.ts";
import { statusReadSchema } from "./status-schema.ts";

/** Types a fact may have; a `?` says that a request may leave it out without becoming unsized. */
export const FACT_TYPES = [
  "number",
  "string",
  "boolean",
  "strings",
  "number?",
  "string?",
  "boolean?",
  "strings?",
] as const;

const tier = z.literal([0, 1, 2, 3, 4, 5]);
const statuses = z.array(status).min(1).max(32);
const header = z
  .string()
  .max(64)
  .regex(/^[a-z][a-z0-9-]*$/, { error: "a lower-case header name is required" });
const headers = z.array(header).max(64);
const action = z.string().max(64).regex(ACTION, { error: "an action name such as workloads.submit is required" });
const limit = z.union([z.number(), z.string().max(128), z.boolean(), z.array(z.string().max(128)).min(1).max(64)]);

/** A word for how far a mistake reaches: `workload`, `cluster`. */
const radius = z
  .string()
  .max(32)
  .regex(/^[a-z]+([_-][a-z]+)*$/, { error: "a lower-case word is required" });

const floorRow = z.strictObject({ tier, when: z.record(nameSchema, limit).optional() });

const actionSchema = z.strictObject({
  title: z.string().min(1).max(120),
  floor: z.union([tier, z.array(floorRow).min(1).max(8)]),
  facts: z.record(nameSchema, z.enum(FACT_TYPES)).optional(),
  blast_radius: radius.optional().describe("How far a mistake reaches: one of `blast_radii`. Shown to approvers."),
  reversible: z
    .boolean()
    .optional()
    .describe("Whether another action of this control plane undoes it. Shown to approvers."),
});

const call = z.strictObject({
  method: z.enum(["GET", "POST"]),
  path,
  query: z.record(z.string().min(1).max(64), z.string().max(128)).optional(),
});

const lookUp = z.strictObject({ ...call.shape, max_age_s: z.int().min(0).max(3600).optional() });

const charge = z.union([
  z.strictObject({
    rate: nameSchema,
    key: expressionSchema,
    quantity: expressionSchema,
    per: z.int().min(1).max(1_000_000).optional(),
  }),
  z.strictObject({
    unit_price: expressionSchema,
    unit: z.enum(["usd", "cents", "micros"]),
    quantity: expressionSchema,
    per: z.int().min(1).max(1_000_000).optional(),
  }),
]);

const charges = z.array(charge).min(1).max(8);

const duration = z.union([
  z.strictObject({ hours: expressionSchema }),
  z.strictObject({ minutes: expressionSchema }),
  z.strictObject({ seconds: expressionSchema }),
]);

const cost = z.union([
  z.literal("none"),
  z.strictObject({
    charges,
    duration: duration.optional(),
    current: z
      .strictObject({ charges })
      .optional()
      .describe("Of a change: what the thing costs as it is now, from look-ups alone. The hold is for the difference."),
  }),
]);

const dryRun = z.union([
  z.literal("none"),
  z.strictObject({
    kind: z.literal("query"),
    name: z.string().min(1).max(64),
    value: z.string().max(64),
    success: statuses,
  }),
  z.strictObject({ kind: z.literal("body"), set: z.record(pointerSchema, jsonSchema), success: statuses }),
  z.strictObject({
    kind: z.literal("plan"),
    method: z.enum(["GET", "POST", "PUT"]),
    path,
    body: z.enum(["same", "none"]),
    success: statuses,
  }),
]);

const reference = z.union([
  z.literal("none"),
  z.strictObject({ header, template: textTemplate.optional() }),
  z.strictObject({ body: pointerSchema, template: textTemplate.optional() }),
]);

const outcomeLookUp = z.strictObject({
  ...call.shape,
  found: z
    .strictObject({
      list: pointerSchema,
      where: pointerSchema,
      equals: textTemplate,
      // A member with all of these values is the record of a refusal, not of what was asked.
      unless: z.record(pointerSchema, z.union([z.string().max(128), z.number(), z.boolean()])).optional(),
      resource: pointerSchema.optional().describe("Where the found member has the id of the resource."),
    })
    .optional(),
  happened_when: conditionSchema.optional(),
  absent_when: conditionSchema.optional(),
});

const outcome = z.strictObject({
  success: statuses,
  success_when: conditionSchema.optional(),
  success_body: z.enum(["json", "any"]).optional(),
  definite_failures: z.array(status).max(32),
  definite_failure_when: z
    .array(z.strictObject({ status, when: conditionSchema }))
    .max(8)
    .optional(),
  resource: expressionSchema.optional(),
  version: expressionSchema.optional(),
  actual_usd: expressionSchema.optional(),
  look_up: z.union([z.literal("none"), outcomeLookUp]),
  status: z
    .union([z.literal("none"), statusReadSchema])
    .optional()
    .describe("`none`: its whole price is owed whatever becomes of it."),
});

const route = z.strictObject({
  id: z
    .string()
    .max(64)
    .regex(/^[a-z][a-z0-9._-]*$/, { error: "a lower-case route id is required" }),
  action,
  method: z.enum(["GET", "POST", "PUT", "PATCH", "DELETE"]),
  path,
  twins: z.array(path).max(8).optional(),
  head: z.boolean().optional(),
  params: z.record(nameSchema, z.strictObject(textRuleShape)).optional(),
  query: z.record(z.string().min(1).max(64), queryValueSchema).optional(),
  when: z
    .strictObject({
      header: z.record(header, z.array(z.string().min(1).max(128)).min(1)).optional(),
      body: z.record(pointerSchema, z.array(z.union([z.string().max(128), z.number(), z.boolean()])).min(1)).optional(),
    })
    .optional(),
  content_types: z
    .array(
      z
        .string()
        .max(64)
        .regex(/^[a-z]+\/[a-z0-9.+-]+$/),
    )
    .min(1)
    .max(4)
    .optional(),
  body: bodySchema.optional(),
  look_ups: z.record(nameSchema, lookUp).optional(),
  affected: affectedSchema.optional(),
  version: expressionSchema
    .optional()
    .describe(
      "Version of the resource, from the answer of `affected` ({response}) or from a look-up. Binds approvals.",
    ),
  facts: z.record(nameSchema, expressionSchema).optional(),
  incident: expressionSchema
    .optional()
    .describe(
      "What a write works on, such as workload:wl-1: the key of the incident that it claims. One claim at a time.",
    ),
  cost: cost.optional(),
  dry_run: dryRun.optional(),
  reference: reference.optional(),
  outcome: z.union([z.string().max(64), outcome]).optional(),
  streaming: z.enum(["none", "sse", "json_lines", "text", "watch"]).optional(),
});

/** A catalogue's id is its file name without `.yaml`. */
export const catalogueId = z
  .string()
  .max(64)
  .regex(/^[a-z][a-z0-9]*([._-][a-z0-9]+)*$/, { error: "a lower-case catalogue id such as slurm-v0.0.38 is required" });

const upstreamAuth = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("bearer") }),
  z.strictObject({ kind: z.literal("basic") }),
  z.strictObject({ kind: z.literal("headers"), headers: z.record(header, nameSchema) }),
]);

/** The whole catalogue document. Strict everywhere: an unknown key refuses the document. */
export const catalogueSchema = z.strictObject({
  catalogue: catalogueId,
  version: z.string().min(1).max(32),
  title: z.string().min(1).max(200),
  control_plane: nameSchema,
  error_dialect: z.enum(["problem", "slurm", "kubernetes", "error-object"]),
  credential_carriers: z
    .array(z.strictObject({ header, prefix: z.string().max(16) }))
    .min(1)
    .max(4),
  upstream_auth: upstreamAuth,
  headers: z.strictObject({ pass: headers, return: headers, refuse: headers }),
  grammars: z.record(nameSchema, z.strictObject(textRuleShape)).optional(),
  tables: z.record(nameSchema, z.record(z.string().max(128), z.union([z.number(), z.string().max(128)]))).optional(),
  dry_run: dryRun.optional(),
  reference: reference.optional(),
  outcomes: z.record(nameSchema, outcome).optional(),
  blast_radii: z.array(radius).min(1).max(16).optional().describe("How far mistakes can reach, smallest first."),
  actions: z.record(action, actionSchema),
  routes: z.array(route).min(1).max(500),
});

export type CatalogueDocument = z.infer<typeof catalogueSchema>;
export type RouteDocument = z.infer<typeof route>;
export type ActionDocument = z.infer<typeof actionSchema>;
export type OutcomeDocument = z.infer<typeof outcome>;
export type CostDocument = z.infer<typeof cost>;
export type DryRunDocument = z.infer<typeof dryRun>;
export type ReferenceDocument = z.infer<typeof reference>;
