import type { MoneyActor } from "./finance-port.ts";

/**
 * Who minted the credential that acts, as far as that keeps somebody from being its second person. A demonstration key stands in
 * for a person's own sign-in, which nobody mints: there it is nobody.
 */
export const minterOf = ({ class: actorClass, demo, issuer }: MoneyActor): string =>
  demo && actorClass === "person" ? "" : issuer;
