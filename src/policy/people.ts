import { digestOf } from "../platform/digest.ts";
import type { DocumentProblem } from "../platform/document.ts";
import type { JsonPath } from "../platform/json-pointer.ts";
import { err, ok } from "../platform/result.ts";
import type { Result } from "../platform/result.ts";
import { parseYamlDocument } from "../platform/yaml-document.ts";
import { PEOPLE_DOCUMENT } from "./people-schema.ts";

/** A tenant's people, compiled: handle → immutable identity. Separate from the policy so that either can change alone. */
export type CompiledPeople = {
  readonly digest: `sha256:${string}`;
  /** Everybody, in the document's order. */
  readonly everybody: readonly Person[];
  /** The person behind a handle such as `@alice`, null where the document names none. */
  readonly byHandle: (handle: string) => Person | null;
  /** Everybody who holds this approver role, in the document's order. */
  readonly byRole: (role: string) => readonly Person[];
  /** The person with this subject, null where unknown. */
  readonly bySubject: (subject: string) => Person | null;
  /** The person with this Slack identity: workspace and member id, nothing that can be edited. Null where unknown. */
  readonly bySlack: (team: string, user: string) => Person | null;
};

export type Person = {
  readonly handle: string;
  readonly subject: string;
  readonly roles: readonly string[];
  readonly slack: { readonly team: string; readonly user: string } | null;
};

/**
 * Reads a people document. Guarantees that no two handles share a subject or a Slack identity, so two approvers on a
 * list are two people. Any mistake refuses the whole document and names its line and column.
 */
export function compilePeople(text: string): Result<CompiledPeople, readonly DocumentProblem[]> {
  const parsed = parseYamlDocument(text, PEOPLE_DOCUMENT);
  if (!parsed.ok) return parsed;
  const byHandle = new Map<string, Person>();
  const bySubject = new Map<string, Person>();
  const bySlack = new Map<string, Person>();
  const owners = new Map<string, string>();
  const problems: DocumentProblem[] = [];
  const claim = (identity: string, handle: string, path: JsonPath): void => {
    const owner = owners.get(identity);
    if (owner === undefined) owners.set(identity, handle);
    else problems.push(parsed.value.problem(path, `${owner} has this identity already: one person, one handle`));
  };
  for (const [handle, { subject, slack, roles }] of Object.entries(parsed.value.value.people)) {
    const person: Person = { handle, subject, roles: roles ?? [], slack: slack ?? null };
    // Folded: were an issuer to spell one account in two cases, that person could otherwise decide twice.
    claim(`subject ${subject.toLowerCase()}`, handle, ["people", handle, "subject"]);
    if (slack !== undefined) claim(`slack ${slack.team} ${slack.user}`, handle, ["people", handle, "slack"]);
    byHandle.set(handle, person);
    bySubject.set(subject, person);
    if (slack !== undefined) bySlack.set(`${slack.team} ${slack.user}`, person);
  }
  if (problems.length > 0) return err(problems);
  return ok({
    digest: digestOf("portcullis/people/v1", text),
    everybody: [...byHandle.values()],
    byHandle: (handle) => byHandle.get(handle) ?? null,
    byRole: (role) => [...byHandle.values()].filter((person) => person.roles.includes(role)),
    bySubject: (subject) => bySubject.get(subject) ?? null,
    bySlack: (team, user) => bySlack.get(`${team} ${user}`) ?? null,
  });
}
