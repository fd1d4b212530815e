import type { ActionSpec } from "../catalogue/types.ts";
import type { ParsedDocument } from "../platform/yaml-document.ts";
import type { Micros } from "../vocabulary.ts";
import { readUsd, type Report } from "./limits.ts";
import type { PolicyDocument } from "./policy-schema.ts";
import { noSuchAction } from "./rules.ts";
import { didYouMean } from "./suggest.ts";
import type { CompiledPolicy, ScopeCap } from "./types.ts";

/**
 * The key under `budget.per.principal` that stands for every principal without an entry of its own, each with this much for
 * itself. Nobody who spends is called like it: subjects of agents and services begin with `agent:` and `service:`.
 */
export const EACH = "each";

/** What a cap inside the tenant's can be of, in the order in which the caps of a request are named. */
const KINDS = ["principal", "team", "action"] as const;

/** One entry of `budget.per`: its caps, null where it states none for the period. `name` is a subject or `each`, a team, an action. */
export type WrittenCap = {
  readonly kind: (typeof KINDS)[number];
  readonly name: string;
  readonly dailyCapMicros: Micros | null;
  readonly monthlyCapMicros: Micros | null;
};

type Document = ParsedDocument<PolicyDocument>;

/** Member → team. A subject in two teams would have two caps to choose from, so that refuses the document. */
export function readTeams(document: Document, report: Report): ReadonlyMap<string, string> {
  const teams = new Map<string, string>();
  for (const [team, members] of Object.entries(document.value.teams ?? {})) {
    for (const [index, subject] of members.entries()) {
      const earlier = teams.get(subject);
      if (earlier === undefined) teams.set(subject, team);
      else
        report(
          document.problem(["teams", team, index], `${subject} is in team ${earlier} already: one subject, one team`),
        );
    }
  }
  return teams;
}

/** Every entry of `budget.per`, by kind and then as written. Reports teams and actions that do not exist, at their key. */
export function readScopeCaps(
  document: Document,
  text: string,
  actions: ReadonlyMap<string, ActionSpec>,
  report: Report,
): readonly WrittenCap[] {
  const teams = new Set(Object.keys(document.value.teams ?? {}));
  const mistakeIn: Readonly<Record<WrittenCap["kind"], (name: string) => string | null>> = {
    principal: () => null,
    team: (name) => (teams.has(name) ? null : `teams names no "${name}"${didYouMean(name, teams)}`),
    action: (name) => (actions.has(name) ? null : noSuchAction(name, actions)),
  };
  return KINDS.flatMap((kind) =>
    Object.entries(document.value.budget?.per?.[kind] ?? {}).map(([name, written]) => {
      const path = ["budget", "per", kind, name];
      const mistake = mistakeIn[kind](name);
      if (mistake !== null) report(document.problem(path, mistake, "key"));
      const amount = (key: keyof typeof written): Micros | null =>
        written[key] === undefined ? null : readUsd(document, text, [...path, key], report);
      return { kind, name, dailyCapMicros: amount("daily_limit_usd"), monthlyCapMicros: amount("monthly_limit_usd") };
    }),
  );
}

const scopeCapOf = (scope: string, { dailyCapMicros, monthlyCapMicros }: WrittenCap): ScopeCap => ({
  scope,
  dailyCapMicros,
  monthlyCapMicros,
});

/** Builds the look-up that every write makes: one map of caps and one of teams, made once. `scopeCaps` leaves out `each`, which names nobody. */
export function compileSpending(
  teams: ReadonlyMap<string, string>,
  caps: readonly WrittenCap[],
): Pick<CompiledPolicy, "spending" | "scopeCaps"> {
  const each = caps.find((cap) => cap.kind === "principal" && cap.name === EACH);
  const named = caps.filter((cap) => cap !== each);
  const scopeCaps = named.map((cap) => scopeCapOf(`${cap.kind}:${cap.name}`, cap));
  const byScope: ReadonlyMap<string, ScopeCap> = new Map(scopeCaps.map((cap) => [cap.scope, cap]));
  return {
    scopeCaps,
    spending: ({ subject, owner }, action) => {
      const team = teams.get(subject) ?? teams.get(owner) ?? null;
      // An entry of the principal's own replaces `each` whole: one place says what a named principal may spend.
      const principal =
        byScope.get(`principal:${subject}`) ??
        (each === undefined ? undefined : scopeCapOf(`principal:${subject}`, each));
      const ofTeam = team === null ? undefined : byScope.get(`team:${team}`);
      const per = [principal, ofTeam, byScope.get(`action:${action}`)].filter((cap) => cap !== undefined);
      return { team, per };
    },
  };
}
