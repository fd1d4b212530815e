import { z } from "zod";
import { SUBJECT } from "../vocabulary.ts";

/** Handles as policies write them. Lower case only, so that two handles never differ in case alone. */
export const HANDLE = /^@[a-z0-9][a-z0-9._-]{0,62}$/;

/** Slack workspace (`T…`, `E…` on Enterprise Grid) and member (`U…`, `W…`) ids. Names and e-mail addresses identify nobody. */
const SLACK_TEAM = /^[TE][A-Z0-9]{2,20}$/;
const SLACK_USER = /^[UW][A-Z0-9]{2,20}$/;

/** Names of approver roles. */
export const APPROVER_ROLE = /^[a-z][a-z0-9-]{0,62}$/;

/** Classes of principal that are not people: an approver must be a human being. */
const NOT_A_PERSON = /^(agent|service):/;

const slackIdentity = z.strictObject({
  team: z.string().regex(SLACK_TEAM, { error: "a Slack team id looks like T024BE7LD" }),
  user: z.string().regex(SLACK_USER, { error: "a Slack user id looks like U2147483697" }),
});

const person = z.strictObject({
  subject: z
    .string()
    .regex(SUBJECT, { error: "a subject is an immutable id such as person:alice or https://idp.example/|00u1" })
    .refine((subject) => !NOT_A_PERSON.test(subject), {
      error: "agents and services are not people and decide nothing",
    }),
  slack: slackIdentity.optional(),
  /**
   * What the person stands for when a policy asks for approvals by role, e.g. `ml-lead`. `finance` is also a role of the gate's own
   * API, for the person's own sign-in; the others are not.
   */
  roles: z.array(z.string().regex(APPROVER_ROLE, { error: "a role is lower-case letters, digits and -" })).optional(),
  /** For the reader of the document; the gate identifies nobody by it. */
  email: z.email().optional(),
});

/** A tenant's people document. Closed: an unknown key refuses the whole document. */
export const PEOPLE_DOCUMENT = z.strictObject({
  version: z.literal("1.0").optional(),
  people: z.record(
    z.string().regex(HANDLE, { error: 'a handle is "@" and lower-case letters, digits, ".", "_" or "-"' }),
    person,
  ),
});
