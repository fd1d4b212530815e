import { z } from "zod";
import { WAYS_IN_FORCE } from "../../ledger/lifecycle/activations.ts";
import {
  count,
  digests,
  listOf,
  micros,
  named,
  text,
  textOrNull,
  time,
  timeOrNull,
  usd,
  warnings,
} from "./openapi-answers.ts";
import type { RouteDescription } from "./openapi-routes.ts";
import { CHANGE_KINDS } from "../../policy/diff/diff-change.ts";
import { CHANGES_MAX } from "../policy-changes.ts";
import { ACTIVATION_LIST_MAX } from "../policy-versions.ts";

const version = z.object({
  version: count,
  digests,
  author: text,
  reason: text,
  git_commit: textOrNull,
  created_at: time,
  activated_by: textOrNull.meta({ description: "Who put it in force the last time." }),
  activated_at: timeOrNull,
});

const cap = z.object({ before_usd: usd, before_micros: micros, after_usd: usd, after_micros: micros });
const changes = z
  .object({
    against: count.meta({ description: "The version that it is compared with." }),
    documents: z.array(z.enum(["policy", "people", "catalogue", "prices"])).meta({
      description: "Documents whose text is another one.",
    }),
    caps: z.object({ daily: cap, monthly: cap }),
    activated_by: z.array(z.enum(["security", "finance"])).meta({ description: "Any of these roles suffices." }),
    never_by: text.meta({ description: "Its author, whatever their roles." }),
    meaning: z
      .object({
        widens: z.boolean().meta({ description: "Whether more is allowed, or other people decide, or it may be so." }),
        changes: z
          .array(z.object({ kind: z.enum(CHANGE_KINDS), widens: z.boolean(), action: textOrNull, text }))
          .max(CHANGES_MAX),
        more: count.meta({ description: "Changes beyond those listed." }),
      })
      .nullable()
      .meta({ description: "What changes in meaning, what widens first; null where documents cannot be had." }),
  })
  .meta({ description: "What putting it in force changes, and who may." });

const schedule = z.object({ version: count, at: time, by: text, reason: textOrNull, made_at: time });
const activation = z.object({
  version: count,
  previous: count.nullable().meta({ description: "The version in force until then; null for a tenant's first." }),
  by: text,
  at: time,
  how: z.enum(WAYS_IN_FORCE),
  reason: textOrNull,
});

/** Descriptions of the routes about policy versions, by `METHOD path`. */
export const POLICY_ROUTES: Readonly<Record<string, RouteDescription>> = {
  "GET /_gate/v1/policy": {
    operationId: "getPolicy",
    summary: "The policy in force",
    answer: named("Policy", z.object({ version: count, policy: textOrNull, digests })),
  },
  "GET /_gate/v1/policy/versions": {
    operationId: "listPolicyVersions",
    summary: "Versions of policy, people, catalogue and prices, newest first",
    answer: listOf("PolicyVersions", version),
  },
  "GET /_gate/v1/policy/versions/:version": {
    operationId: "getPolicyVersion",
    summary: "One version, with the texts of its documents",
    answer: named(
      "PolicyVersion",
      version.extend({
        documents: z.object({ policy: textOrNull, people: textOrNull, catalogue: textOrNull, prices: textOrNull }),
      }),
    ),
    refusals: ["not-found"],
  },
  "GET /_gate/v1/policy/versions/:version/diff": {
    operationId: "diffPolicyVersion",
    summary: "What a version changes against another one, and who may put it in force",
    answer: named("PolicyVersionDiff", z.object({ version: count, changes })),
    query: { against: z.int().min(1).meta({ description: "Number of the other version. Absent: the one in force." }) },
    refusals: ["not-found"],
  },
  "POST /_gate/v1/policy/versions": {
    operationId: "addPolicyVersion",
    summary: "Checks and stores a version; a document that is not sent stays as it is in force",
    answer: named("PolicyVersionCreated", z.object({ version: count, warnings, changes: changes.nullable() })),
    status: 201,
    refusals: ["policy-invalid"],
  },
  "POST /_gate/v1/policy/activate": {
    operationId: "activatePolicyVersion",
    summary:
      "Puts a version in force, now or at a time, a new one or one that was before: never its author; finance where it raises a cap or changes prices, teams or other terms of the budget",
    answer: named(
      "PolicyVersionActivated",
      z.object({ version: count, active: z.boolean(), at: timeOrNull, changes: changes.nullable() }),
    ),
    also: 202,
    refusals: ["not-found", "not-eligible", "already-decided"],
  },
  "GET /_gate/v1/policy/activations": {
    operationId: "listPolicyActivations",
    summary: "Which version came in force when and by whom, newest first",
    answer: listOf("PolicyActivations", activation),
    query: { limit: z.int().min(0).max(ACTIVATION_LIST_MAX) },
  },
  "GET /_gate/v1/policy/schedules": {
    operationId: "listPolicySchedules",
    summary: "Versions that come in force by themselves, soonest first",
    answer: listOf("PolicySchedules", schedule),
  },
  "DELETE /_gate/v1/policy/schedules/:version": {
    operationId: "cancelPolicySchedule",
    summary: "Takes the schedule of a version back",
    answer: named("PolicyScheduleCancelled", z.object({ version: count, cancelled: z.literal(true) })),
    refusals: ["not-found"],
  },
};
