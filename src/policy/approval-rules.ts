import type { DocumentProblem } from "../platform/document.ts";
import type { JsonPath } from "../platform/json-pointer.ts";
import type { ParsedDocument } from "../platform/yaml-document.ts";
import type { Tier } from "../vocabulary.ts";
import { readUsd, type Report } from "./limits.ts";
import type { CompiledPeople } from "./people.ts";
import type { PolicyDocument } from "./policy-schema.ts";
import type { ApproverGroup, ApproverRule, CompiledPolicy, ContextField } from "./types.ts";

/** Minutes that a proposal stays open where the policy does not say (wire contract, section 9). */
const DEFAULT_TIMEOUT_MINUTES = 30;
const MS_PER_MINUTE = 60_000;

/** Distinct people who must decide. Not for a policy to lower: two for what destroys, one for other high-risk writes. */
const NEEDED_AT_TIER_3 = 1;
const NEEDED_AT_TIER_4 = 2;

/** Context that is always required; `require` in a policy only adds. */
const ALWAYS_REQUIRED: Readonly<Record<"tier_2" | "tier_3" | "tier_4", readonly ContextField[]>> = {
  tier_2: ["reason"],
  tier_3: ["reason", "evidence", "back_out"],
  tier_4: ["reason", "evidence", "back_out"],
};
/** The order in which context is named, whatever the order in the document. */
const CONTEXT_FIELDS: readonly ContextField[] = ["reason", "evidence", "back_out", "incident"];

type Document = ParsedDocument<PolicyDocument>;

/** Who decides, and where each list stands (null where none is written). Warnings name handles that nobody stands behind. */
export type ReadApprovers = {
  readonly approvers: (tier: Tier) => ApproverRule;
  readonly places: { readonly tier_3: JsonPath | null; readonly tier_4: JsonPath | null };
  readonly warnings: readonly DocumentProblem[];
};

/** Resolves both approver lists. Without one for tier 3, the tier-4 approvers decide tier 3, one of them. */
export function readApprovers(document: Document, people: CompiledPeople, report: Report): ReadApprovers {
  const approval = document.value.approval;
  const warnings: DocumentProblem[] = [];
  const warn = (problem: DocumentProblem): void => void warnings.push({ ...problem, severity: "warning" });
  if (approval?.tier_4_approvers !== undefined && approval.approvers?.tier_4 !== undefined) {
    const message = "approval.tier_4_approvers lists them already: keep one of the two";
    report(document.problem(["approval", "approvers", "tier_4"], message, "key"));
  }
  const longForm = approval?.approvers?.tier_4 !== undefined;
  const place4 = longForm ? ["approval", "approvers", "tier_4"] : ["approval", "tier_4_approvers"];
  const list4 = approval?.approvers?.tier_4 ?? approval?.tier_4_approvers;
  const list3 = approval?.approvers?.tier_3;
  const place3 = ["approval", "approvers", "tier_3"];
  const resolving = { document, people, report, warn };
  const tier4 = resolve(resolving, list4 ?? [], place4, NEEDED_AT_TIER_4);
  const own3 = list3 === undefined ? null : resolve(resolving, list3, place3, NEEDED_AT_TIER_3);
  const tier3 = own3 ?? anyOf(tier4.people, NEEDED_AT_TIER_3, tier4.unresolved);
  const nobodyNeeded = anyOf([], 0, []);
  // Tier 5 has no approvers and yet needs some: whoever asks by mistake finds nobody who could say yes.
  const neverEnough = anyOf([], NEEDED_AT_TIER_4, []);
  const byTier = [nobodyNeeded, nobodyNeeded, nobodyNeeded, tier3, tier4] as const;
  const tier4Place = list4 === undefined ? null : place4;
  return {
    approvers: (tier) => (tier === 5 ? neverEnough : byTier[tier]),
    places: { tier_3: list3 === undefined ? tier4Place : place3, tier_4: tier4Place },
    warnings,
  };
}

type Approver = ApproverRule["people"][number];
type Resolving = {
  readonly document: Document;
  readonly people: CompiledPeople;
  readonly report: Report;
  readonly warn: Report;
};
type Written = readonly string[] | { readonly required: readonly WrittenGroup[] };
type WrittenGroup =
  | { readonly role: string; readonly n: number }
  | { readonly people: readonly string[]; readonly n: number };

/** Any `needed` of these people: one group. */
const anyOf = (people: readonly Approver[], needed: number, unresolved: readonly string[]): ApproverRule => ({
  needed,
  groups: [{ name: "approvers", needed, subjects: people.map((person) => person.subject) }],
  people,
  unresolved,
});

function resolve(resolving: Resolving, written: Written, path: JsonPath, least: number): ApproverRule {
  if (!("required" in written)) {
    const { known, unresolved } = resolveHandles(resolving, written, path);
    return anyOf(known, least, unresolved);
  }
  const groups = written.required.map((group, index) => resolveGroup(resolving, group, [...path, "required", index]));
  const needed = groups.reduce((sum, { group }) => sum + group.needed, 0);
  if (needed < least) {
    const message = `this tier needs at least ${least} distinct people, the groups ask for ${needed}`;
    resolving.report(resolving.document.problem([...path, "required"], message, "key"));
  }
  return {
    needed,
    groups: groups.map(({ group }) => group),
    people: [...new Map(groups.flatMap(({ known }) => known).map((person) => [person.subject, person])).values()],
    unresolved: groups.flatMap(({ unresolved }) => unresolved),
  };
}

type ResolvedHandles = { readonly known: readonly Approver[]; readonly unresolved: readonly string[] };

function resolveGroup(
  resolving: Resolving,
  written: WrittenGroup,
  path: JsonPath,
): ResolvedHandles & { readonly group: ApproverGroup } {
  if ("people" in written) {
    const resolved = resolveHandles(resolving, written.people, [...path, "people"]);
    const subjects = resolved.known.map((person) => person.subject);
    return { ...resolved, group: { name: written.people.join(", "), needed: written.n, subjects } };
  }
  const known = resolving.people.byRole(written.role).map(({ handle, subject }) => ({ handle, subject }));
  const { role, n: needed } = written;
  if (known.length < needed) {
    const message = `${known.length} people hold the role ${role} and ${needed} are needed: nothing at this tier can be approved`;
    resolving.warn(resolving.document.problem([...path, "role"], message));
  }
  const group = { name: role, needed, subjects: known.map((person) => person.subject) };
  return { known, unresolved: known.length === 0 ? [`role ${role}`] : [], group };
}

function resolveHandles(resolving: Resolving, handles: readonly string[], path: JsonPath): ResolvedHandles {
  const { document, people, report, warn } = resolving;
  const known: Approver[] = [];
  const unresolved: string[] = [];
  for (const [index, handle] of handles.entries()) {
    if (handles.indexOf(handle) !== index) {
      report(document.problem([...path, index], `${handle} stands in this list twice, and is one person`));
      continue;
    }
    const person = people.byHandle(handle);
    if (person !== null) {
      known.push({ handle, subject: person.subject });
      continue;
    }
    unresolved.push(handle);
    warn(
      document.problem([...path, index], `the people document has no ${handle}: nobody can decide under this handle`),
    );
  }
  return { known, unresolved };
}

/** Context per tier: what is always required, and what the policy adds; in `mode: shadow` that is recorded and not required. */
export function readRequires(document: Document): Pick<CompiledPolicy, "requires" | "requiresInShadow"> {
  const isShadow = document.value.mode === "shadow";
  const perTier = (asks: (always: boolean, added: boolean) => boolean) => {
    const of = (tier: "tier_2" | "tier_3" | "tier_4"): readonly ContextField[] => {
      const added = document.value.require?.[tier] ?? [];
      return CONTEXT_FIELDS.filter((field) => asks(ALWAYS_REQUIRED[tier].includes(field), added.includes(field)));
    };
    const byTier = [[], [], of("tier_2"), of("tier_3"), of("tier_4"), of("tier_4")] as const;
    return (tier: Tier): readonly ContextField[] => byTier[tier];
  };
  return {
    requires: perTier((always, added) => always || (added && !isShadow)),
    requiresInShadow: perTier((always, added) => !always && added && isShadow),
  };
}

/** Where proposals are announced. Stating one channel in both spellings is an error, even with the same name. */
export function readChannels(document: Document, report: Report): CompiledPolicy["channels"] {
  const approval = document.value.approval;
  for (const tier of ["tier_3", "tier_4"] as const) {
    if (approval?.channels?.[tier] === undefined || approval[`${tier}_channel`] === undefined) continue;
    const message = `approval.${tier}_channel names it already: keep one of the two`;
    report(document.problem(["approval", "channels", tier], message, "key"));
  }
  return {
    tier3: approval?.channels?.tier_3 ?? approval?.tier_3_channel ?? null,
    tier4: approval?.channels?.tier_4 ?? approval?.tier_4_channel ?? null,
    escalation: approval?.escalation_channel ?? null,
  };
}

/** How long a proposal stays open. */
export const readApprovalTimeoutMs = (document: Document): number =>
  (document.value.approval?.timeout_minutes ?? DEFAULT_TIMEOUT_MINUTES) * MS_PER_MINUTE;

/** Defaults of architecture.md: a quarter of each window for one principal, half for all together. */
const PRINCIPAL_PERCENT = 25;
const TENANT_PERCENT = 50;

/** A minute after a no, and no more than three proposals taken back within ten. The very request that was denied waits longer. */
const DENIED_COOL_DOWN_S = 60;
const WITHDRAWN_COOL_DOWN_S = 600;

/** How much of the tenant's money and attention open proposals may take. */
export function readProposalBounds(document: Document): CompiledPolicy["proposalBounds"] {
  const { pending_share_percent: share, cool_down_seconds: coolDown } = document.value.approval ?? {};
  return {
    principalPercent: share?.principal ?? PRINCIPAL_PERCENT,
    tenantPercent: share?.tenant ?? TENANT_PERCENT,
    deniedCoolDownMs: (coolDown?.denied ?? DENIED_COOL_DOWN_S) * 1_000,
    withdrawnCoolDownMs: (coolDown?.withdrawn ?? WITHDRAWN_COOL_DOWN_S) * 1_000,
  };
}

/** Which approvals ask to type the name of what will change. */
export function readConfirms(document: Document): CompiledPolicy["confirms"] {
  const confirm = document.value.approval?.confirm;
  const tiers: ReadonlySet<number> = new Set(confirm?.tiers);
  const radii: ReadonlySet<string> = new Set(confirm?.blast_radius);
  return (tier, blastRadius) => tiers.has(tier) || (blastRadius !== null && radii.has(blastRadius));
}

/** Who may break the glass, and for how much: nobody unless the policy names a role and a cap. */
export function readBreakGlass(
  document: Document,
  text: string,
  people: CompiledPeople,
  report: Report,
): Pick<CompiledPolicy, "breakGlass" | "breakGlassMaxMicros"> {
  const glass = document.value.approval?.break_glass;
  if (glass === undefined) return { breakGlass: [], breakGlassMaxMicros: 0 };
  return {
    breakGlass: people.byRole(glass.role).map((person) => person.subject),
    breakGlassMaxMicros: readUsd(document, text, ["approval", "break_glass", "max_usd"], report),
  };
}
