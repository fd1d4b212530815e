import { SUBJECT } from "../vocabulary.ts";
import type { PrincipalClass } from "./principal.ts";

/**
 * Which class a subject id belongs to. The class is readable from the id, so that no machine's subject can pass as an
 * approver's or an owner's: `agent:` and `service:` are reserved, and every other id is a person's.
 */
export function classOfSubject(subject: string): PrincipalClass {
  if (subject.startsWith("agent:")) return "agent";
  return subject.startsWith("service:") ? "service" : "person";
}

/** Whether the text is a subject id of this class. */
export const isSubjectOf = (principalClass: PrincipalClass, subject: string): boolean =>
  SUBJECT.test(subject) && classOfSubject(subject) === principalClass;
