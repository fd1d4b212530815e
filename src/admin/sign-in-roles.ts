import type { Principal } from "../identity/principal.ts";
import type { CompiledPeople } from "../policy/people.ts";

/**
 * Roles of the gate's own API that the people document gives to a person's own sign-in. Finance alone: two people have to agree
 * about money, each with a credential that nobody else can mint, and who they are is a version of a document that finance
 * itself puts in force. Other roles come with API keys, which their holders hand out.
 */
const FROM_PEOPLE = "finance";

/** The principal with the roles that its tenant's people document gives to its own sign-in. API keys keep what they say. */
export function withSignInRoles(principal: Principal, people: CompiledPeople): Principal {
  if (principal.class !== "person" || !principal.credentialId.startsWith("jwt:")) return principal;
  const listed = people.bySubject(principal.subject)?.roles.includes(FROM_PEOPLE) === true;
  return listed ? { ...principal, roles: [FROM_PEOPLE] } : principal;
}
