import type { EpochMs } from "../vocabulary.ts";
import type { Activation } from "./activations.ts";
import type { VersionTerms } from "./authority.ts";
import type { Actor, Refused } from "./ledger-port.ts";
import type { Schedule } from "./schedules.ts";
import type { ActivationTerms, PolicyVersion } from "./versions.ts";

/** What can be asked of a tenant's ledger about its policy versions. */
export interface LifecyclePort {
  addVersion(
    actor: Actor,
    requestId: string,
    terms: VersionTerms,
    reason: string,
    gitCommit: string | null,
  ): Promise<number>;
  versions(): Promise<readonly PolicyVersion[]>;
  version(version: number): Promise<PolicyVersion | null>;
  activate(
    actor: Actor,
    requestId: string,
    version: number,
    terms?: ActivationTerms,
  ): Promise<{ kind: "done" } | Refused>;
  /** Activations, newest first, at most `limit`. */
  activations(limit: number): Promise<readonly Activation[]>;
  scheduleActivation(
    actor: Actor,
    requestId: string,
    ask: { version: number; at: EpochMs; reason: string | null },
  ): Promise<{ kind: "done" } | Refused>;
  schedules(): Promise<readonly Schedule[]>;
  cancelSchedule(actor: Actor, requestId: string, version: number): Promise<{ kind: "done" } | Refused>;
}
