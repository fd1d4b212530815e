import { formatUsd } from "../../platform/money.ts";
import type { Micros } from "../../vocabulary.ts";
import { change, changed, type PolicyChange, type PolicyWorld } from "./diff-change.ts";
import { EACH } from "../scope-caps.ts";
import type { CompiledPolicy } from "../types.ts";

/** Submissions of a day may come to this many times the daily cap where the policy states no bound of its own. */
const GROSS_BY_DEFAULT = 2;
const MONEY_PERIODS = ["daily", "monthly"] as const;

type Policies = { readonly before: CompiledPolicy; readonly after: CompiledPolicy };

/** What may be spent, by whom together, at which prices, and who hears of it. */
export function moneyChanges(before: PolicyWorld, after: PolicyWorld): readonly PolicyChange[] {
  const policies = { before: before.policy, after: after.policy };
  return [
    ...tenantCaps(policies),
    ...scopeCaps(policies),
    ...teams(policies),
    ...thresholds(policies),
    ...prices(before, after),
  ];
}

const usdText = (micros: Micros | null): string | null => (micros === null ? null : `${formatUsd(micros)} USD`);

function tenantCaps({ before, after }: Policies): readonly PolicyChange[] {
  const [was, is] = [before.budget, after.budget];
  const caps = [
    ["daily cap", was.dailyCapMicros, is.dailyCapMicros],
    ["monthly cap", was.monthlyCapMicros, is.monthlyCapMicros],
  ] as const;
  // Where it follows the daily cap, it follows a raised one too.
  const grossWidens = grossOf(is) > grossOf(was) || is.grossDailyCapMicros === null;
  const [grossWas, grossIs] = [usdText(was.grossDailyCapMicros), usdText(is.grossDailyCapMicros)];
  return [
    ...caps.flatMap(([name, from, to]) => changed("budget", name, to > from, usdText(from), usdText(to))),
    ...changed("budget", "submissions per day", grossWidens, grossWas ?? FOLLOWS, grossIs ?? FOLLOWS),
    ...changed("budget", "zone of budget days and months", true, before.timezone, after.timezone),
  ];
}

const grossOf = ({ dailyCapMicros, grossDailyCapMicros }: CompiledPolicy["budget"]): Micros =>
  grossDailyCapMicros ?? GROSS_BY_DEFAULT * dailyCapMicros;

const FOLLOWS = "twice the daily cap";

/** Caps as they apply: a principal without an entry of its own has that of `each`. */
function scopeCaps({ before, after }: Policies): readonly PolicyChange[] {
  const names = new Map(
    [...before.parts.caps, ...after.parts.caps].map(({ kind, name }) => [`${kind} ${name}`, { kind, name }]),
  );
  return [...names].flatMap(([title, { kind, name }]) =>
    MONEY_PERIODS.flatMap((period) => {
      const [was, is] = [capOf(before, kind, name, period), capOf(after, kind, name, period)];
      const widens = is === null || (was !== null && is > was);
      const who = name === EACH ? "each other principal" : title;
      return changed("budget", `${period} cap of ${who}`, widens, usdText(was), usdText(is));
    }),
  );
}

function capOf(
  { parts }: CompiledPolicy,
  kind: "principal" | "team" | "action",
  name: string,
  period: (typeof MONEY_PERIODS)[number],
): Micros | null {
  const own = parts.caps.find((cap) => cap.kind === kind && cap.name === name);
  const cap = own ?? parts.caps.find((other) => kind === "principal" && other.kind === kind && other.name === EACH);
  if (cap === undefined) return null;
  return period === "daily" ? cap.dailyCapMicros : cap.monthlyCapMicros;
}

function teams({ before, after }: Policies): readonly PolicyChange[] {
  const [was, is] = [before.parts.teams, after.parts.teams];
  return [...new Set([...was.keys(), ...is.keys()])].flatMap((subject) =>
    // Whoever is in another team spends under another cap, and leaves room under the first.
    changed("teams", `team of ${subject}`, true, was.get(subject) ?? null, is.get(subject) ?? null),
  );
}

function thresholds({ before, after }: Policies): readonly PolicyChange[] {
  const [was, is] = [before.budget.thresholdsPercent, after.budget.thresholdsPercent];
  const widens = was.some((percent) => !is.includes(percent));
  return changed("notify", "told at percent of a cap", widens, was.join(", ") || null, is.join(", ") || null);
}

/** Unit prices at every date of either side. A lower price lets more through, and so does one where there was none. */
function prices(before: PolicyWorld, after: PolicyWorld): readonly PolicyChange[] {
  const [was, is] = [before.prices, after.prices];
  if (was === null && is === null) return [];
  if (was === null || is === null) return [change("prices", "prices", true, was?.digest ?? null, is?.digest ?? null)];
  if (was.digest === is.digest) return [];
  const found = new Map<string, PolicyChange>();
  const tables = [...was.tables, ...is.tables].toSorted((a, b) => a.effectiveFrom - b.effectiveFrom);
  const units = new Map(tables.flatMap(({ priced }) => priced.map((unit) => [unit.join(" "), unit])));
  for (const { effectiveFrom } of tables) {
    for (const [name, [rate, key]] of units) {
      const [from, to] = [was, is].map((all) => all.at(effectiveFrom)?.unitMicros(rate, key) ?? null);
      if (found.has(name) || from === to) continue;
      const widens = to !== null && to !== undefined && (from === null || from === undefined || to < from);
      const subject = `price of ${name} from ${new Date(effectiveFrom).toISOString()}`;
      found.set(name, change("prices", subject, widens, usdText(from ?? null), usdText(to ?? null)));
    }
  }
  return [...found.values()];
}
