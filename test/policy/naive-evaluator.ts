import { parse } from "yaml";

type Facts = Readonly<Record<string, unknown>>;
type Limits = Readonly<Record<string, unknown>>;
type Shadow = { readonly rule: string; readonly verdict: string };

/** What the policy says: the kind of answer, the tier where it lets through, when that ends, when it begins, and what shadows say. */
export type Verdict = {
  readonly kind: string;
  readonly tier: number | null;
  readonly closesAt: number | null;
  readonly opensAt: string | null;
  readonly shadow: readonly Shadow[];
};

/** What the catalogue says of one action, as a reader of its document would note it down. */
export type Noted = {
  readonly facts: readonly string[];
  readonly blastRadius: string | null;
  readonly reversible: boolean | null;
};

export type Asked = { readonly action: string; readonly facts: Facts; readonly floor: number; readonly now: number };

/* oxlint-disable typescript/no-explicit-any -- the document is read as it is written, without a schema */

/**
 * A second reading of the policy language, deliberately simple and apart from `src/`, of which it imports nothing: it parses the
 * YAML for itself, walks all of it for every question, looks at the clock minute by minute, and knows nothing of catalogues but
 * what it is told. For comparison only.
 */
export function naivePolicy(
  text: string,
  actions: ReadonlyMap<string, Noted>,
  radii: readonly string[],
): (asked: Asked) => Verdict {
  const document = parse(text);
  return (asked) => {
    const verdict = judge(document, actions.get(asked.action), radii, asked);
    return document.mode === "shadow" ? unenforced(verdict, asked) : verdict;
  };
}

const plain = (kind: string, over: Partial<Verdict> & { rule?: string } = {}): Verdict & { rule?: string } => ({
  kind,
  tier: null,
  closesAt: null,
  opensAt: null,
  shadow: [],
  ...over,
});

type Said = Verdict & { readonly rule?: string };

function judge(document: any, noted: Noted | undefined, radii: readonly string[], asked: Asked): Said {
  const { action, floor } = asked;
  if ((document.allowed_tools.tier_5 ?? []).includes(action) || floor === 5) return plain("prohibited");
  const entry = byEntries(document.allowed_tools, asked);
  if (entry.kind !== "matched" || (entry.tier ?? 0) < 2 || noted === undefined) return entry;
  const shadow = [...entry.shadow];
  const denials: Said[] = [];
  const closed: Said[] = [];
  let closesAt: number | null = null;
  for (const { guard, label } of guardsOver(document, noted, radii)) {
    if (guard.environments !== undefined) {
      const possible = environmentsOf(document, noted, asked.facts);
      if (!guard.environments.some((name: string) => possible.includes(name))) continue;
    }
    const rule = guard.deny === undefined ? `${label}: people do this by hand` : `${label}: ${guard.deny}`;
    if (guard.inside === undefined) {
      if (guard.mode === "shadow") shadow.push({ rule: label, verdict: "not-allowed" });
      else denials.push(plain("not-allowed", { rule }));
      continue;
    }
    const windows = guard.inside.map((name: string) => document.maintenance_windows[name]);
    const closings = windows
      .map((window: any) => closingOf(window, asked.now))
      .filter((at: number | null) => at !== null);
    if (closings.length > 0) {
      const last = Math.max(...closings);
      if (guard.mode !== "shadow") closesAt = closesAt === null ? last : Math.min(closesAt, last);
    } else if (guard.mode === "shadow") shadow.push({ rule: label, verdict: "outside-window" });
    else {
      const openings = windows.map((window: any) => openingAfter(window, asked.now));
      closed.push(plain("outside-window", { rule: label, opensAt: new Date(Math.min(...openings)).toISOString() }));
    }
  }
  return denials[0] ?? closed[0] ?? { ...entry, closesAt, shadow };
}

/** Guards that speak of such an action: by its radius or a wider one, or because nothing undoes it; what is not said counts as worst. */
function guardsOver(document: any, noted: Noted, radii: readonly string[]): readonly { guard: any; label: string }[] {
  const reach = noted.blastRadius === null ? radii.length : radii.indexOf(noted.blastRadius);
  const wide = (document.blast_radius ?? []).map((guard: any, index: number) => ({
    guard,
    label: `blast_radius[${index}]`,
  }));
  const final = (document.reversible ?? []).map((guard: any, index: number) => ({
    guard,
    label: `reversible[${index}]`,
  }));
  return [
    ...wide.filter(({ guard }: any) => reach >= radii.indexOf(guard.at_least)),
    ...(noted.reversible === true ? [] : final),
  ];
}

/** Environments that the facts tell or do not exclude; all of them where they tell none. */
function environmentsOf(document: any, noted: Noted, facts: Facts): readonly string[] {
  const all = Object.keys(document.environments ?? {});
  const possible = all.filter((name) => {
    const written = document.environments[name];
    return (Array.isArray(written) ? written : [written]).some((limits: Limits) =>
      Object.entries(limits).every(([key, limit]) => {
        const fact = /^(?:max|min)_(.+)$/.exec(key)?.[1] ?? key;
        const actual = facts[fact];
        if (actual === undefined) return noted.facts.includes(fact);
        // Whatever is named is touched: one thing of the environment is enough, and nothing named may be anything.
        if (Array.isArray(actual) && Array.isArray(limit))
          return actual.length === 0 || limit.some((one) => actual.includes(one));
        return standingOf({ [key]: limit }, facts) === "holds";
      }),
    );
  });
  return possible.length === 0 ? all : possible;
}

function byEntries(tiers: any, { action, facts, floor }: Asked): Said {
  const standings: string[] = [];
  let first: Shadow | null = null;
  let isNamed = false;
  for (const tier of [0, 1, 2, 3, 4]) {
    for (const [index, entry] of (tiers[`tier_${tier}`] ?? []).entries()) {
      const limits = limitsOn(entry, action);
      if (limits === null) continue;
      const { mode, ...rest } = limits;
      const standing = standingOf(rest, facts);
      const holds = standing === "holds" && tier >= floor;
      if (mode === "shadow") {
        if (holds) first ??= { rule: `allowed_tools.tier_${tier}[${index}] ${action}`, verdict: `tier ${tier}` };
        continue;
      }
      isNamed = true;
      const rule = `allowed_tools.tier_${tier}[${index}] ${action}`;
      if (holds) return plain("matched", { tier, rule, shadow: first === null ? [] : [first] });
      standings.push(standing);
    }
  }
  const shadow = first === null ? [] : [first];
  if (isNamed && standings.includes("missing")) return plain("unsized", { shadow });
  return plain(standings.includes("broken") ? "constraint-exceeded" : "not-allowed", { shadow });
}

/** The constraints that an entry puts on `action`, null where it speaks of another one. */
function limitsOn(entry: unknown, action: string): Limits | null {
  if (typeof entry === "string") return entry === action ? {} : null;
  if (typeof entry !== "object" || entry === null) return null;
  return Object.entries(entry).find(([name]) => name === action)?.[1] ?? null;
}

function standingOf(limits: Limits, facts: Facts): "holds" | "missing" | "broken" {
  let missing = false;
  for (const [name, limit] of Object.entries(limits)) {
    const [, bound, bounded] = /^(max|min)_(.+)$/.exec(name) ?? [];
    const actual = facts[bounded ?? name];
    if (actual === undefined) missing = true;
    else if (bound === "max" && !(Number(actual) <= Number(limit))) return "broken";
    else if (bound === "min" && !(Number(actual) >= Number(limit))) return "broken";
    else if (bound === undefined && !within(actual, limit)) return "broken";
  }
  return missing ? "missing" : "holds";
}

function within(actual: unknown, limit: unknown): boolean {
  if (!Array.isArray(limit)) return actual === limit;
  return Array.isArray(actual)
    ? actual.length > 0 && actual.every((one) => limit.includes(one))
    : limit.includes(actual);
}

/** All of the policy in shadow: the floor lets through, bans stay, the rest is said beside it. (Unknown sizes stay as well; here none is.) */
function unenforced(said: Said, { floor }: Asked): Verdict {
  if (said.kind === "prohibited") return said;
  const raised = (said.tier ?? 0) > floor ? [{ rule: said.rule ?? "?", verdict: `tier ${said.tier}` }] : [];
  const refused =
    said.kind === "matched"
      ? raised
      : [{ rule: said.kind === "outside-window" ? (said.rule ?? "?") : "?", verdict: said.kind }];
  return { kind: "matched", tier: floor, closesAt: null, opensAt: null, shadow: [...said.shadow, ...refused] };
}

const MINUTE = 60_000;

/** When a window that began at most its length ago, and not after `now`, ends; minute by minute backwards. */
function closingOf(window: any, now: number): number | null {
  const minute = Math.floor(now / MINUTE) * MINUTE;
  for (let at = minute; at > now - window.minutes * MINUTE; at -= MINUTE) {
    if (begins(window, at)) return at + window.minutes * MINUTE;
  }
  return null;
}

function openingAfter(window: any, now: number): number {
  let at = (Math.floor(now / MINUTE) + 1) * MINUTE;
  while (!begins(window, at)) at += MINUTE;
  return at;
}

const clocks = new Map<string, Intl.DateTimeFormat>();
const times = new Map<string, boolean>();

/** Whether the clock on the wall shows the pattern's minute; only `minute hour * * weekdays` is understood. */
function begins({ cron, zone }: { cron: string; zone: string }, at: number): boolean {
  // Clocks differ by half hours from one another, so most minutes need no calendar.
  if ((at / MINUTE) % 30 !== Number.parseInt(cron, 10) % 30) return false;
  const key = `${cron} ${zone} ${at}`;
  const known = times.get(key);
  if (known !== undefined) return known;
  let clock = clocks.get(zone);
  if (clock === undefined) {
    clock = new Intl.DateTimeFormat("en-GB", { timeZone: zone, hour: "2-digit", minute: "2-digit", weekday: "short" });
    clocks.set(zone, clock);
  }
  const shown = Object.fromEntries(clock.formatToParts(at).map(({ type, value }) => [type, value]));
  const [minute, hour, , , weekdays] = cron.split(" ");
  const day = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"].indexOf(shown["weekday"] ?? "");
  const isDay = weekdays === "*" || (weekdays ?? "").split(",").includes(String(day));
  const isTime = Number(shown["minute"]) === Number(minute) && (hour === "*" || Number(shown["hour"]) === Number(hour));
  times.set(key, isDay && isTime);
  return isDay && isTime;
}
