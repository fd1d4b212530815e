import { formatUsd } from "../../platform/money.ts";
import { change, changed, type PolicyChange, type PolicyWorld } from "./diff-change.ts";
import type { Person } from "../people.ts";
import type { ApproverRule } from "../types.ts";

/** Who is who, and who decides. Whatever changes there widens: another person is another judgement. */
export function peopleChanges(before: PolicyWorld, after: PolicyWorld): readonly PolicyChange[] {
  return [...identities(before, after), ...approvers(before, after), ...breakGlass(before, after)];
}

function identities(before: PolicyWorld, after: PolicyWorld): readonly PolicyChange[] {
  const handles = new Set([before, after].flatMap(({ people }) => people.everybody.map(({ handle }) => handle)));
  return [...handles].toSorted().flatMap((handle) => {
    const texts = [before, after].map(({ people }) => personText(people.byHandle(handle)));
    return changed("people", handle, true, texts[0] ?? null, texts[1] ?? null);
  });
}

const personText = (person: Person | null): string | null =>
  person === null
    ? null
    : [
        person.subject,
        ...(person.roles.length === 0 ? [] : [`roles ${person.roles.toSorted().join(", ")}`]),
        ...(person.slack === null ? [] : [`Slack ${person.slack.team}/${person.slack.user}`]),
      ].join("; ");

function approvers(before: PolicyWorld, after: PolicyWorld): readonly PolicyChange[] {
  return ([3, 4] as const).flatMap((tier) => {
    const [was, is] = [before.policy.approvers(tier), after.policy.approvers(tier)];
    return decidingPeople(was) === decidingPeople(is)
      ? []
      : [change("approvers", `approvers of tier ${tier}`, true, approversText(was), approversText(is))];
  });
}

/** What an approver rule means: names of groups, handles and the order of writing say nothing. */
const decidingPeople = ({ needed, groups }: ApproverRule): string =>
  JSON.stringify([needed, groups.map((group) => JSON.stringify([group.needed, group.subjects.toSorted()])).toSorted()]);

function approversText({ needed, groups, people }: ApproverRule): string {
  const handles = new Map(people.map(({ subject, handle }) => [subject, handle]));
  const named = groups.map((group) => {
    const who = group.subjects.map((subject) => handles.get(subject) ?? subject).toSorted();
    return `${group.needed} of ${who.length === 0 ? "nobody" : who.join(", ")}`;
  });
  return groups.length === 1 ? (named[0] ?? "nobody") : `${needed}: ${named.join(" and ")}`;
}

function breakGlass(before: PolicyWorld, after: PolicyWorld): readonly PolicyChange[] {
  return changed("break-glass", "break glass", true, breakGlassText(before), breakGlassText(after));
}

const breakGlassText = ({ policy: { breakGlass: who, breakGlassMaxMicros } }: PolicyWorld): string | null =>
  who.length === 0 ? null : `${who.toSorted().join(", ")} up to ${formatUsd(breakGlassMaxMicros)} USD`;
