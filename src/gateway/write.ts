import type { MatchedOperation } from "../catalogue/types.ts";
import type { Principal } from "../identity/principal.ts";
import type { Digest } from "../vocabulary.ts";
import type { Gate } from "./gate.ts";
import type { Trail } from "./trail.ts";

/** One request that is governed, with everything its steps need. */
export type Write = {
  readonly gate: Gate;
  readonly trail: Trail;
  readonly principal: Principal;
  readonly operation: MatchedOperation;
  readonly digest: Digest;
  readonly passed: Readonly<Record<string, string>>;
  readonly waitUntil: (work: Promise<unknown>) => void;
};
