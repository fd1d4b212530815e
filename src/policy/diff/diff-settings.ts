import { TIERS, type Tier } from "../../vocabulary.ts";
import { change, changed, type ChangeKind, type PolicyChange, type PolicyWorld } from "./diff-change.ts";
import type { CompiledPolicy } from "../types.ts";

const WRITE_TIERS = [2, 3, 4] as const satisfies readonly Tier[];
const MS_PER_MINUTE = 60_000;
const MS_PER_SECOND = 1_000;
const NAME_OF_NOTHING = "none";

type Policies = { readonly before: CompiledPolicy; readonly after: CompiledPolicy };

/** How a request is asked for and approved, how many may come, and who hears of what. */
export function settingChanges(before: PolicyWorld, after: PolicyWorld): readonly PolicyChange[] {
  const policies = { before: before.policy, after: after.policy };
  const actions = [before, after].flatMap(({ catalogue }) => [...catalogue.actions.values()]);
  return [
    ...changed("mode", "mode", after.policy.mode === "shadow", before.policy.mode, after.policy.mode),
    ...context(policies),
    ...protocol(policies),
    ...approval(policies),
    ...confirmation(
      policies,
      actions.flatMap(({ blastRadius }) => blastRadius ?? []),
    ),
    ...incidents(
      policies,
      actions.map(({ action }) => action),
    ),
    ...rates(policies),
    ...told(policies),
    ...signals(policies),
    ...retention(policies),
  ];
}

function context({ before, after }: Policies): readonly PolicyChange[] {
  return WRITE_TIERS.flatMap((tier) => {
    const [was, is] = [before.requires(tier), after.requires(tier)];
    return changed("context", `required at tier ${tier}`, lost(was, is), listText(was), listText(is));
  });
}

function protocol({ before, after }: Policies): readonly PolicyChange[] {
  return [
    ...changed("protocol", "dry run", after.dryRun === "inline", before.dryRun, after.dryRun),
    ...changed("protocol", "idempotency keys", after.idempotency !== "required", before.idempotency, after.idempotency),
    ...changed("approval", "who runs what is approved", after.execute === "stored", before.execute, after.execute),
  ];
}

/** A figure of both policies, as people read it. */
type Figure = readonly [kind: ChangeKind, subject: string, of: (policy: CompiledPolicy) => number, unit: string];

const changedFigures = (
  { before, after }: Policies,
  figures: readonly Figure[],
  upwards: boolean,
): readonly PolicyChange[] =>
  figures.flatMap(([kind, subject, of, unit]) => {
    const [was, is] = [of(before), of(after)];
    return changed(kind, subject, upwards ? is > was : is < was, `${was} ${unit}`, `${is} ${unit}`);
  });

const WIDER_WHEN_MORE: readonly Figure[] = [
  ["approval", "a proposal waits", ({ approvalTimeoutMs }) => approvalTimeoutMs / MS_PER_MINUTE, "min"],
  ["approval", "proposals of one principal hold", ({ proposalBounds }) => proposalBounds.principalPercent, "%"],
  ["approval", "all proposals hold", ({ proposalBounds }) => proposalBounds.tenantPercent, "%"],
];

const WIDER_WHEN_LESS: readonly Figure[] = [
  ["approval", "pause after a denial", ({ proposalBounds: { deniedCoolDownMs: ms } }) => ms / MS_PER_SECOND, "s"],
  [
    "approval",
    "pause after several taken back",
    ({ proposalBounds: { withdrawnCoolDownMs: ms } }) => ms / MS_PER_SECOND,
    "s",
  ],
  ["incidents", "a claim lasts", ({ incidents: { claimMs } }) => claimMs / MS_PER_MINUTE, "min"],
];

const RATES: readonly Figure[] = [
  ["rate-limit", "reads", ({ rateLimits }) => rateLimits.readsPerMinute, "per minute"],
  ["rate-limit", "writes", ({ rateLimits }) => rateLimits.writesPerMinute, "per minute"],
];

const rates = (policies: Policies): readonly PolicyChange[] => changedFigures(policies, RATES, true);

function approval(policies: Policies): readonly PolicyChange[] {
  const { before, after } = policies;
  const channels = [
    ["tier 3", before.channels.tier3, after.channels.tier3],
    ["tier 4", before.channels.tier4, after.channels.tier4],
    ["escalations", before.channels.escalation, after.channels.escalation],
  ] as const;
  return [
    ...changedFigures(policies, WIDER_WHEN_MORE, true),
    ...changedFigures(policies, WIDER_WHEN_LESS, false),
    // Other people read another channel.
    ...channels.flatMap(([name, was, is]) => changed("notify", `channel of ${name}`, was !== null, was, is)),
  ];
}

function confirmation({ before, after }: Policies, radii: readonly string[]): readonly PolicyChange[] {
  const typed = (policy: CompiledPolicy): readonly string[] =>
    ([3, 4] as const).flatMap((tier) =>
      [null, ...new Set(radii)]
        .filter((radius) => policy.confirms(tier, radius))
        .map((radius) => `tier ${tier} ${radius ?? NAME_OF_NOTHING}`),
    );
  const [was, is] = [typed(before), typed(after)];
  return changed("approval", "name to type, by tier and blast radius", lost(was, is), listText(was), listText(is));
}

function incidents({ before, after }: Policies, actions: readonly string[]): readonly PolicyChange[] {
  return [...new Set(actions)].flatMap((action) => {
    const [was, is] = [before.incidents.requires(action), after.incidents.requires(action)];
    if (was === is) return [];
    return [change("incidents", `incident for ${action}`, was, requiredText(was), requiredText(is), action)];
  });
}

function told({ before, after }: Policies): readonly PolicyChange[] {
  const [was, is] = [before.notify, after.notify];
  const [tiers, tiersThen] = [sortedTiers(was.tiers), sortedTiers(is.tiers)];
  const [named, namedThen] = [was.actions.toSorted(), is.actions.toSorted()];
  return [
    ...changed("notify", "channel of activity", was.channel !== null, was.channel, is.channel),
    ...changed("notify", "tiers that are told", lost(tiers, tiersThen), listText(tiers), listText(tiersThen)),
    ...changed("notify", "actions that are told", lost(named, namedThen), listText(named), listText(namedThen)),
    ...changed("notify", "told every", is.everyMs > was.everyMs, minutesText(was.everyMs), minutesText(is.everyMs)),
  ];
}

/** Bounds of signals; 0: never. */
function signals({ before, after }: Policies): readonly PolicyChange[] {
  const [was, is] = [new Map(Object.entries(before.signals)), new Map(Object.entries(after.signals))];
  return [...was].flatMap(([name, bound]) => {
    const then = is.get(name) ?? 0;
    return changed("signals", `signal ${name}`, reached(then) > reached(bound), boundText(bound), boundText(then));
  });
}

function retention({ before, after }: Policies): readonly PolicyChange[] {
  const [was, is] = [before.retention, after.retention];
  const [days, daysThen] = [was.retainDays ?? Infinity, is.retainDays ?? Infinity];
  const subject = "audit records keep their text";
  return [
    ...changed("retention", subject, daysThen < days, daysText(was.retainDays), daysText(is.retainDays)),
    ...changed("retention", "legal hold", was.legalHold, onOff(was.legalHold), onOff(is.legalHold)),
  ];
}

/** Whether something of the first list is not in the second. */
const lost = <T>(was: readonly T[], is: readonly T[]): boolean => was.some((one) => !is.includes(one));
const sortedTiers = (tiers: readonly Tier[]): readonly Tier[] => TIERS.filter((tier) => tiers.includes(tier));
/** A signal of 0 is never given. */
const reached = (bound: number): number => (bound === 0 ? Infinity : bound);

const listText = (all: readonly (string | number)[]): string | null => (all.length === 0 ? null : all.join(", "));
const requiredText = (isRequired: boolean): string => (isRequired ? "required" : "not required");
const minutesText = (ms: number): string => `${ms / MS_PER_MINUTE} min`;
const boundText = (bound: number): string => (bound === 0 ? "never" : String(bound));
const daysText = (days: number | null): string => (days === null ? "for ever" : `${days} days`);
const onOff = (isOn: boolean): string => (isOn ? "on" : "off");
