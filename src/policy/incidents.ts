import type { ActionSpec } from "../catalogue/types.ts";
import type { ParsedDocument } from "../platform/yaml-document.ts";
import { isWrite, type Tier } from "../vocabulary.ts";
import type { Report } from "./limits.ts";
import type { PolicyDocument } from "./policy-schema.ts";
import { noSuchAction } from "./rules.ts";
import type { CompiledPolicy, ContextField } from "./types.ts";

/** Minutes without activity after which a claim ends: longer than a proposal waits, shorter than people take to notice. */
const DEFAULT_CLAIM_MINUTES = 60;
const MS_PER_MINUTE = 60_000;

/** What the policy says of incidents. Reports actions that the catalogue does not have, at their place. */
export function readIncidents(
  document: ParsedDocument<PolicyDocument>,
  actions: ReadonlyMap<string, ActionSpec>,
  report: Report,
): CompiledPolicy["incidents"] {
  const { required_for: names = [], claim_minutes: minutes = DEFAULT_CLAIM_MINUTES } = document.value.incidents ?? {};
  for (const [index, name] of names.entries()) {
    const place = ["incidents", "required_for", index];
    if (!actions.has(name)) report(document.problem(place, noSuchAction(name, actions)));
    else if (names.indexOf(name) < index) report(document.problem(place, `${name} stands in this list twice`));
  }
  const required: ReadonlySet<string> = new Set(names);
  const isShadow = document.value.mode === "shadow";
  return {
    requires: (action) => !isShadow && required.has(action),
    requiresInShadow: (action) => isShadow && required.has(action),
    claimMs: minutes * MS_PER_MINUTE,
  };
}

/** Which context a request of this action and tier has to bring. */
export const requiredContext = (
  { requires, incidents }: Pick<CompiledPolicy, "requires" | "incidents">,
  tier: Tier,
  action: string,
): readonly ContextField[] => withIncident(requires(tier), tier, incidents.requires(action));

/** Which it would have to bring if the policy were enforced. */
export const shadowContext = (
  { requiresInShadow, incidents }: Pick<CompiledPolicy, "requiresInShadow" | "incidents">,
  tier: Tier,
  action: string,
): readonly ContextField[] => withIncident(requiresInShadow(tier), tier, incidents.requiresInShadow(action));

const withIncident = (fields: readonly ContextField[], tier: Tier, isRequired: boolean): readonly ContextField[] =>
  isRequired && isWrite(tier) && !fields.includes("incident") ? [...fields, "incident"] : fields;
