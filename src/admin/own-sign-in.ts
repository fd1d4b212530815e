import type { Principal } from "../identity/principal.ts";

/**
 * Why a credential does not speak for the person it names, null where it does. An operator mints API keys; a key it minted
 * must never speak for the person named in it. Demonstration keys, which a live deployment neither mints nor accepts, stand
 * in for people's own sign-in locally and are flagged in the record.
 */
export const ownSignInFault = ({ credentialId, demo }: Pick<Principal, "credentialId" | "demo">): string | null =>
  credentialId.startsWith("jwt:") || demo
    ? null
    : "An API key does not speak for a person: decide with your own sign-in.";
