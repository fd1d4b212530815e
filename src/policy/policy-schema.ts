import { z } from "zod";
import type { DocumentProblem } from "../platform/document.ts";
import { SUBJECT } from "../vocabulary.ts";
import { AGGREGATES } from "./aggregate-schema.ts";
import { APPROVER_ROLE, HANDLE } from "./people-schema.ts";

/** Longest timeout of a proposal, one day: a decision about yesterday's cluster is not a decision about today's. */
const MAX_TIMEOUT_MINUTES = 24 * 60;
/** Highest rate limit, 1,000,000 per minute: well above what one tenant's object can admit; catches a slipped digit. */
const MAX_REQUESTS_PER_MINUTE = 1_000_000;
/** Longest claim of an incident without activity, one day: whoever is silent for longer is not at it any more. */
const MAX_CLAIM_MINUTES = 24 * 60;
const MAX_TEXT = 200;
/** Names of teams: part of a cap's scope (`team:research`), as books and answers show it. */
const TEAM = /^[a-z][a-z0-9-]{0,62}$/;
/** Most thresholds of a window: more notices than this about one day are noise. */
const MAX_THRESHOLDS = 8;
/** Longest maintenance window, one week: what is always open is no window. */
const MAX_WINDOW_MINUTES = 7 * 24 * 60;
/** Most maintenance windows of a policy; finding the next opening of each takes milliseconds. */
const MAX_WINDOWS = 32;
/** Names of environments and maintenance windows. */
const LABEL = /^[a-z][a-z0-9-]{0,62}$/;
/** Highest bound of a signal, 1,000,000: nothing reaches it; catches a slipped digit. */
const MAX_SIGNAL = 1_000_000;
/** Most records of a log that may wait before anybody hears of it: half of where writes stop. */
const MAX_BACKLOG_TOLD = 25_000;
/** Longest time that a copy may be late before anybody hears of it: a week. */
const MAX_COPY_LATE_MINUTES = 7 * 24 * 60;
/** Most actions that are told by name; whoever wants more names their tier. */
const MAX_TOLD_ACTIONS = 100;
/** Longest time between two messages about activity, one day: what is told later than that informs nobody. */
const MAX_ACTIVITY_MINUTES = 24 * 60;
/** Shortest retention of audit records: a month. What has to be looked into is seldom noticed on the day. */
const MIN_RETAIN_DAYS = 30;
/** Longest, a hundred years; catches a slipped digit. Whoever wants longer states none. */
const MAX_RETAIN_DAYS = 36_500;

const text = z.string().min(1).max(MAX_TEXT);
const limit = z.union([z.number(), z.boolean(), text, z.array(text).min(1)]);

const MISINDENTED =
  "the constraints of an action stand indented below its name; an action without any is written alone";
const constraints = z
  .record(z.string(), limit, { error: MISINDENTED })
  .refine((map) => Object.keys(map).length > 0, { error: MISINDENTED })
  .meta({ minProperties: 1, description: "max_X and min_X bound the fact X; a list: one of; a scalar: equal." });

/** `name`, or `name` with its constraints below it. */
const entry = z.union([
  text,
  z
    .record(z.string(), constraints)
    .refine((map) => Object.keys(map).length === 1, {
      error: "one entry names one action: begin the next one with its own dash",
    })
    .meta({ minProperties: 1, maxProperties: 1 }),
]);
const entries = z.array(entry).optional();

const usd = z.number().optional();
const perMinute = z.int().min(1).max(MAX_REQUESTS_PER_MINUTE).optional();
const handles = z.array(z.string().regex(HANDLE, { error: "an approver is a handle such as @alice" })).optional();
/** `required`: so many people from each group, all of them distinct (AND across groups). */
const group = z.union([
  z.strictObject({ role: z.string().regex(APPROVER_ROLE), n: z.int().min(1).max(9) }),
  z.strictObject({ people: z.array(z.string().regex(HANDLE)).min(1), n: z.int().min(1).max(9) }),
]);
const approverList = z.union([handles.unwrap(), z.strictObject({ required: z.array(group).min(1).max(9) })]).optional();
const subject = z.string().regex(SUBJECT, { error: "a subject is an immutable id such as agent:NAME or person:NAME" });
const team = z.string().regex(TEAM, { error: "a team is lower-case letters, digits and -" });
const cap = z
  .strictObject({ daily_limit_usd: usd, monthly_limit_usd: usd })
  .refine((limits) => Object.keys(limits).length > 0, {
    error: "states no cap: daily_limit_usd, monthly_limit_usd or both stand indented below the name",
  })
  .meta({ minProperties: 1 });
const label = z.string().regex(LABEL, { error: "a name here is lower-case letters, digits and -" });
const mode = z.enum(["enforce", "shadow"]).optional();
/** What a guard does to the requests that it covers: exactly one of three. */
const guardEffect = {
  /** In these environments only; a request of which that is not known is in all of them. */
  environments: z.array(label).min(1).optional(),
  /** Why it is denied. */
  deny: text.optional(),
  /** Names of maintenance windows outside of which it is denied. */
  inside: z.array(label).min(1).optional(),
  /** Denied here; people do it by this runbook (an address or a name). */
  runbook: text.optional(),
  mode,
};
const ONE_EFFECT = { error: "a guard says exactly one of deny, inside and runbook" };
const hasOneEffect = (guard: { deny?: unknown; inside?: unknown; runbook?: unknown }): boolean =>
  [guard.deny, guard.inside, guard.runbook].filter((effect) => effect !== undefined).length === 1;
const percent = z.int().min(1).max(100).optional();
const signal = (most: number) => z.int().min(0).max(most).optional();
/** At most a day, as for proposals. */
const coolDown = z
  .int()
  .min(0)
  .max(24 * 3_600)
  .optional();
const context = z.array(z.enum(["reason", "evidence", "back_out", "incident"])).optional();

/**
 * A tenant's policy document, as far as this version enforces it. Closed and without coercion: what it does not know
 * refuses the whole document, because a rule that is read past is worse than one that is missing.
 */
export const POLICY_DOCUMENT = z.strictObject({
  version: z.literal("1.0"),
  allowed_tools: z.strictObject({
    tier_0: entries,
    tier_1: entries,
    tier_2: entries,
    tier_3: entries,
    tier_4: entries,
    /** What this tenant prohibits, by name, whatever the facts. */
    tier_5: z.array(text).optional(),
  }),
  /** Who spends together: subjects of credentials, or of the people who own them. */
  teams: z.record(team, z.array(subject).min(1)).optional(),
  budget: z
    .strictObject({
      daily_limit_usd: usd,
      monthly_limit_usd: usd,
      /** Most that may be submitted in a day, whatever ended early; twice the daily cap in force where it is not stated. */
      gross_daily_limit_usd: usd,
      /** Shares of a window's cap at which people are told, once per window. */
      notify_at_percent: z.array(percent.unwrap()).max(MAX_THRESHOLDS).optional(),
      /** Caps inside the tenant's; a request has to fit all that apply. */
      per: z
        .strictObject({
          /** By subject; `each` is for every principal that is not named, for itself. */
          principal: z.record(subject, cap).optional(),
          team: z.record(team, cap).optional(),
          action: z.record(text, cap).optional(),
        })
        .optional(),
    })
    .optional(),
  /** How much many requests may add up to: in an hour, in a day, or of what runs. */
  aggregates: AGGREGATES.optional(),
  timezone: text.optional(),
  /** At which figures people are told of what the audit logs show; 0: never. */
  signals: z
    .strictObject({
      /** Refusals of one principal. */
      denials_per_10_minutes: signal(MAX_SIGNAL),
      /** Tries of one person to decide what their word does not count on. */
      ineligible_approvals_per_hour: signal(MAX_SIGNAL),
      /** Records of one log that wait for D1. */
      audit_backlog_rows: signal(MAX_BACKLOG_TOLD),
      /** Minutes that a further copy of a log is behind. */
      audit_copy_late_minutes: signal(MAX_COPY_LATE_MINUTES),
    })
    .optional(),
  /** Requests that people are told of after they were let through, in one message per period. */
  notify: z
    .strictObject({
      /** Slack channel; the webhook hears of them without one. */
      channel: text.optional(),
      /** Tiers whose requests are told; [1] where it is not stated, [] for none. */
      tiers: z.array(z.literal([0, 1, 2, 3, 4])).optional(),
      /** Actions whose requests are told besides, whatever their tier. */
      actions: z.array(text).max(MAX_TOLD_ACTIONS).optional(),
      every_minutes: z.int().min(1).max(MAX_ACTIVITY_MINUTES).optional(),
    })
    .optional(),
  /** How long audit records keep their text; for ever where it is not stated. */
  audit: z
    .strictObject({
      retain_days: z.int().min(MIN_RETAIN_DAYS).max(MAX_RETAIN_DAYS).optional(),
      /** While true nothing is deleted. */
      legal_hold: z.boolean().optional(),
    })
    .optional(),
  rate_limits: z
    .strictObject({ tier_0: perMinute, tier_1: perMinute, tier_2: perMinute, tier_3: perMinute, tier_4: perMinute })
    .optional(),
  /** `shadow`: what the entries and guards say is judged and recorded, and the catalogue's floors alone decide. */
  mode,
  /** Which requests are in which environment, by their facts. What is in none may be in any. */
  environments: z.record(label, z.union([constraints, z.array(constraints).min(1)])).optional(),
  /** When changes are made: a cron pattern of five parts, in the policy's zone or its own. */
  maintenance_windows: z
    .record(
      label,
      z.strictObject({ cron: text, zone: text.optional(), minutes: z.int().min(1).max(MAX_WINDOW_MINUTES) }),
    )
    .refine((windows) => Object.keys(windows).length <= MAX_WINDOWS, {
      error: `at most ${MAX_WINDOWS} maintenance windows`,
    })
    .meta({ maxProperties: MAX_WINDOWS })
    .optional(),
  /** Guards over writes whose mistakes reach as far as this radius of the catalogue's, or further. */
  blast_radius: z.array(z.strictObject({ at_least: text, ...guardEffect }).refine(hasOneEffect, ONE_EFFECT)).optional(),
  /** Guards over writes that no other action undoes. */
  reversible: z
    .array(z.strictObject({ is: z.literal(false), ...guardEffect }).refine(hasOneEffect, ONE_EFFECT))
    .optional(),
  require: z.strictObject({ tier_2: context, tier_3: context, tier_4: context }).optional(),
  /** One remediation per incident: which writes have to name theirs, and how long a claim lasts without activity. */
  incidents: z
    .strictObject({
      required_for: z.array(text).min(1).optional(),
      claim_minutes: z.int().min(1).max(MAX_CLAIM_MINUTES).optional(),
    })
    .optional(),
  dry_run: z.enum(["receipt", "inline"]).optional(),
  idempotency: z.enum(["optional", "required", "derived"]).optional(),
  approval: z
    .strictObject({
      channels: z.strictObject({ tier_3: text.optional(), tier_4: text.optional() }).optional(),
      tier_3_channel: text.optional(),
      tier_4_channel: text.optional(),
      approvers: z.strictObject({ tier_3: approverList, tier_4: approverList }).optional(),
      tier_4_approvers: handles,
      timeout_minutes: z.int().min(1).max(MAX_TIMEOUT_MINUTES).optional(),
      escalation_channel: text.optional(),
      /** `stored`: the gate runs the approved request itself; `resend` (default): the requester sends it again. */
      execute: z.enum(["resend", "stored"]).optional(),
      /** Tiers and blast radii whose approval asks to type the name of what will change, on every channel. */
      confirm: z
        .strictObject({ tiers: z.array(z.literal([3, 4])).optional(), blast_radius: z.array(text).optional() })
        .optional(),
      /** Who may stand in for approvers who cannot be reached: holders of this role, up to this much at stake. */
      break_glass: z.strictObject({ role: z.string().regex(APPROVER_ROLE), max_usd: z.number().min(0) }).optional(),
      /** Share of each window that waiting proposals may hold: of one principal, and of all together. */
      pending_share_percent: z.strictObject({ principal: percent, tenant: percent }).optional(),
      /** How long a principal cannot propose the same action after a denial, and after taking several back. */
      cool_down_seconds: z.strictObject({ denied: coolDown, withdrawn: coolDown }).optional(),
    })
    .optional(),
});

export type PolicyDocument = z.infer<typeof POLICY_DOCUMENT>;

/** Tells an author who wrote a key of another document where it stands. */
export const explainUnknownKey = (problem: DocumentProblem): DocumentProblem =>
  problem.path === "/people"
    ? { ...problem, message: `${problem.message}: people stand in a document of their own` }
    : problem;
