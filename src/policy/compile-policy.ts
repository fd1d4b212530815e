import type { CompiledCatalogue } from "../catalogue/types.ts";
import { digestOf } from "../platform/digest.ts";
import type { DocumentProblem } from "../platform/document.ts";
import { err, ok } from "../platform/result.ts";
import type { Result } from "../platform/result.ts";
import { parseYamlDocument } from "../platform/yaml-document.ts";
import { compileAggregates, readAggregates } from "./aggregates.ts";
import {
  readApprovalTimeoutMs,
  readApprovers,
  readBreakGlass,
  readChannels,
  readConfirms,
  readProposalBounds,
  readRequires,
} from "./approval-rules.ts";
import { readAuditRetention } from "./audit-retention.ts";
import { readEnvironments } from "./environments.ts";
import { compileEvaluator } from "./evaluate.ts";
import { readGuards } from "./guards.ts";
import { readIncidents } from "./incidents.ts";
import { readBudget, readRateLimits, readTimezone } from "./limits.ts";
import { lintAggregates } from "./lint/lint-aggregates.ts";
import { lintBounds, type Advice } from "./lint/lint-bounds.ts";
import { lintBudget } from "./lint/lint-budget.ts";
import { lintGuards } from "./lint/lint-guards.ts";
import { lintShadowed } from "./lint/lint-shadowed.ts";
import { lintWindows } from "./lint/lint-windows.ts";
import { lintPolicy } from "./lint/lint.ts";
import { readMaintenanceWindows } from "./maintenance-windows.ts";
import { moneyDigest } from "./money-digest.ts";
import { readNotify } from "./notify.ts";
import type { CompiledPeople } from "./people.ts";
import { explainUnknownKey, POLICY_DOCUMENT } from "./policy-schema.ts";
import { compileRuleDigest } from "./rule-digest.ts";
import { readRules } from "./rules.ts";
import { compileSpending, readScopeCaps, readTeams } from "./scope-caps.ts";
import { readSignals } from "./signals.ts";
import type { CompiledPolicy } from "./types.ts";

/** A policy that may be activated, with what its author should still look at. */
export type PolicyCompilation = { readonly policy: CompiledPolicy; readonly warnings: readonly DocumentProblem[] };

/** More mistakes than this help nobody. */
const MAX_PROBLEMS = 50;

/**
 * Checks a policy document against a tenant's people and one catalogue and compiles it (wire contract, section 5). All
 * or nothing: one mistake refuses the whole document, with the line, column and JSON pointer of each. `advice`: an author who can
 * wait is warned of more. Never throws.
 */
export function compilePolicy(
  text: string,
  people: CompiledPeople,
  catalogue: Pick<CompiledCatalogue, "actions" | "blastRadii" | "digest">,
  advice: Advice | null = null,
): Result<PolicyCompilation, readonly DocumentProblem[]> {
  const parsed = parseYamlDocument(text, POLICY_DOCUMENT);
  if (!parsed.ok) return err(parsed.error.map(explainUnknownKey));
  const document = parsed.value;
  const problems: DocumentProblem[] = [];
  const report = (problem: DocumentProblem): void => void problems.push(problem);

  const { rules, prohibited, problems: ruleProblems } = readRules(document, catalogue.actions);
  for (const problem of ruleProblems) report(problem);
  const budget = readBudget(document, text, report);
  const teams = readTeams(document, report);
  const caps = readScopeCaps(document, text, catalogue.actions, report);
  const aggregates = readAggregates(document, catalogue.actions, report);
  const timezone = readTimezone(document, report);
  const environments = readEnvironments(document, catalogue.actions, report);
  const windows = readMaintenanceWindows(document, timezone, report);
  const guards = readGuards(document, catalogue.blastRadii, { environments, windows }, report);
  const rateLimits = readRateLimits(document, report);
  const channels = readChannels(document, report);
  const incidents = readIncidents(document, catalogue.actions, report);
  const notify = readNotify(document, catalogue.actions, report);
  const reading = readApprovers(document, people, report);
  const glass = readBreakGlass(document, text, people, report);
  if (problems.length > 0) return err(inOrder(problems).slice(0, MAX_PROBLEMS));

  const { approvers } = reading;
  const mode = document.value.mode ?? "enforce";
  const { requires, requiresInShadow } = readRequires(document);
  const enforced = rules.filter(({ isShadow }) => !isShadow);
  const approvalTimeoutMs = readApprovalTimeoutMs(document);
  const named: ReadonlySet<string> = new Set([...rules.map((rule) => rule.action), ...prohibited.keys()]);
  // Rules come in order of tier: the highest is kept.
  const approvalTiers = new Map(enforced.filter(({ tier }) => tier >= 3).map(({ action, tier }) => [action, tier]));
  const dryRun = document.value.dry_run ?? "receipt";
  const policy: CompiledPolicy = {
    digest: digestOf("portcullis/policy/v1", text),
    peopleDigest: people.digest,
    catalogueDigest: catalogue.digest,
    version: document.value.version,
    mode,
    timezone,
    budget,
    ...compileSpending(teams, caps),
    ...compileAggregates(aggregates, catalogue.actions),
    moneyDigest: moneyDigest(
      budget,
      caps,
      teams,
      people.byRole("finance").map(({ subject }) => subject),
    ),
    signals: readSignals(document.value),
    retention: readAuditRetention(document.value),
    notify,
    rateLimits,
    incidents,
    dryRun,
    // Inline dry runs leave no receipt to spend, so the request itself has to be what a repeat is known by.
    idempotency: document.value.idempotency ?? (dryRun === "inline" ? "derived" : "optional"),
    approvalTimeoutMs,
    execute: document.value.approval?.execute ?? "resend",
    proposalBounds: readProposalBounds(document),
    confirms: readConfirms(document),
    ...glass,
    channels,
    names: (action) => mode === "shadow" || named.has(action),
    prohibits: (action) => prohibited.get(action) ?? null,
    ...compileEvaluator({ rules, prohibited, guards, environments, actions: catalogue.actions, mode }),
    requires,
    requiresInShadow,
    approvalTier: (action) => approvalTiers.get(action) ?? null,
    approvers,
    parts: { rules, prohibited, guards, environments, windows, teams, caps },
    ruleDigest: compileRuleDigest({
      rules: enforced,
      actions: catalogue.actions,
      prohibited,
      approvers,
      requires,
      incidents,
      approvalTimeoutMs,
    }),
  };
  const warnings = [
    ...lintPolicy(document, enforced, reading),
    ...lintShadowed(document, enforced, guards),
    ...lintGuards(document, guards, catalogue.actions, { environments, rules: enforced }),
    ...lintAggregates(document, aggregates, { rules: enforced, actions: catalogue.actions, approvers: reading }),
    ...lintBudget(document, rules, catalogue.actions, budget, caps),
    ...(advice === null ? [] : lintBounds(document, enforced, { budget, caps }, advice)),
    ...(advice === null ? [] : lintWindows(document, enforced, guards, windows, advice.now)),
  ];
  return ok({ policy, warnings: inOrder(warnings) });
}

const inOrder = (problems: readonly DocumentProblem[]): readonly DocumentProblem[] =>
  problems.toSorted((a, b) => (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0));
