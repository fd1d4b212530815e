import type { EpochMs } from "../../vocabulary.ts";
import type { Activation } from "./activations.ts";
import type { VersionTerms } from "../authority.ts";
import type { Actor, Refused } from "../ledger-port.ts";
import type { RegistrationAsk, RegistrationKind, RegistrationRef, WaitingRegistration } from "./registrations.ts";
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
  /** Has a registration of an issuer wait for a second person. */
  askRegistration(actor: Actor, requestId: string, ask: RegistrationAsk): Promise<void>;
  /** A second person's word on it. What comes back is to be stored. */
  confirmRegistration(
    actor: Actor,
    requestId: string,
    ref: RegistrationRef,
  ): Promise<{ readonly kind: "confirmed"; readonly text: string } | Refused>;
  /** Ends one from the next admission on. `issuer`: as it is stored, null where it is not. False where there is none. */
  removeRegistration(
    actor: Actor,
    requestId: string,
    ref: { kind: RegistrationKind; id: string; issuer: string | null },
  ): Promise<boolean>;
  waitingRegistrations(kind: RegistrationKind): Promise<readonly WaitingRegistration[]>;
}
