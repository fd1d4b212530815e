import { appendEntry } from "../../audit/journal.ts";
import { blankEntry } from "../../audit/record.ts";
import { integerOrNull, textOf } from "../../platform/sql-row.ts";
import type { Refusal } from "../../refusal.ts";
import type { Micros } from "../../vocabulary.ts";
import type { AdmissionScope } from "../admission.ts";
import type { MoneyActor, Resolution, ResolutionOutcome } from "./finance-port.ts";
import { conclude, type Timings } from "../operations.ts";
import { actorOf } from "./settlement-record.ts";

type Word = {
  readonly subject: string;
  readonly roles: readonly string[];
  readonly outcome: Resolution["outcome"];
  readonly actualMicros: Micros | null;
};

/**
 * One person's word on an outcome that the gate could not see. Two distinct people, one as operator and one as finance, who say
 * the same end it: a failure gives the hold back, a success costs what they say, or is committed like one that was seen. A new
 * word of one person replaces the former. Journaled. Run inside `transactionSync`.
 */
export function resolveOperation(
  scope: Pick<AdmissionScope, "sql" | "place" | "now">,
  actor: MoneyActor,
  resolution: Resolution,
  timings: Timings,
): ResolutionOutcome {
  const { sql, place, now } = scope;
  // Nothing was bought: 0 and no amount at all are the same word.
  const actualMicros = resolution.outcome === "failed" ? null : resolution.actualMicros;
  const operation = sql.exec("SELECT state FROM operations WHERE request_id = ?", resolution.operation).toArray()[0];
  if (operation === undefined) return refused({ kind: "not-found" });
  const state = textOf(operation, "state");
  if (state !== "unknown") return refused({ kind: "already-decided", state, decided_by: [] });
  const fault = whyNot(actor, resolution);
  if (fault !== null) return refused({ kind: "not-eligible", reason: fault });
  sql.exec(
    "INSERT OR REPLACE INTO resolutions (request_id, subject, roles, outcome, actual_micros, evidence, at) VALUES (?, ?, ?, ?, ?, ?, ?)",
    resolution.operation,
    actor.subject,
    JSON.stringify(rolesOf(actor)),
    resolution.outcome,
    actualMicros,
    resolution.evidence,
    now,
  );
  appendEntry(
    sql,
    place,
    `${resolution.operation}/resolution/${resolution.requestId}`,
    {
      ...blankEntry("admin", resolution.requestId, now),
      ...actorOf(actor),
      decision: "allow",
      reason_code: "resolution",
      evidence: resolution.evidence,
      cost_micros: actualMicros,
      detail: `${resolution.operation}: ${resolution.outcome}`,
    },
    now,
  );
  const agreeing = wordsOn(sql, resolution.operation).filter(
    (word) => word.outcome === resolution.outcome && word.actualMicros === actualMicros,
  );
  const given = agreeing.map(({ subject }) => subject);
  if (!isOperatorAndFinance(agreeing)) return { kind: "recorded", state: "pending", given };
  const resolvedBy = `resolved by ${given.join(" and ")}`;
  conclude(
    sql,
    place,
    {
      requestId: resolution.operation,
      outcome: resolution.outcome,
      upstreamStatus: null,
      resource: null,
      actualMicros,
      response: null,
      detail: `${resolvedBy}: ${resolution.evidence}`,
      resolvedBy,
    },
    timings,
    now,
  );
  return { kind: "recorded", state: "resolved", given };
}

function whyNot(actor: MoneyActor, { outcome, actualMicros }: Resolution): string | null {
  if (actor.class !== "person") return "Only people resolve an outcome.";
  const roles = rolesOf(actor);
  if (roles.length === 0)
    return actor.roles.includes("finance") && actor.fault !== null
      ? actor.fault
      : "An operator and a person of finance resolve an outcome.";
  return outcome === "failed" && (actualMicros ?? 0) > 0
    ? "What failed cost nothing; what cost something succeeded."
    : null;
}

/** What somebody may speak as. An operator may act with a key of its own; who speaks for the money has signed in. */
const rolesOf = ({ roles, fault }: MoneyActor): readonly string[] =>
  roles.filter((role) => role === "operator" || (role === "finance" && fault === null));

function wordsOn(sql: SqlStorage, operation: string): readonly Word[] {
  return sql
    .exec(
      "SELECT subject, roles, outcome, actual_micros FROM resolutions WHERE request_id = ? ORDER BY at, subject",
      operation,
    )
    .toArray()
    .map((row) => ({
      subject: textOf(row, "subject"),
      // Serialised above.
      roles: JSON.parse(textOf(row, "roles")),
      outcome: row["outcome"] === "failed" ? "failed" : "succeeded",
      actualMicros: integerOrNull(row, "actual_micros"),
    }));
}

/** Two of them, one for each role; whoever holds both stands for one. */
const isOperatorAndFinance = (words: readonly Word[]): boolean =>
  words.some((one) =>
    words.some(
      (other) => one.subject !== other.subject && one.roles.includes("operator") && other.roles.includes("finance"),
    ),
  );

const refused = (refusal: Refusal): ResolutionOutcome => ({ kind: "refused", refusal });
