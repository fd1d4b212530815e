import type { Refusal } from "../../refusal.ts";
import { listActivations, type Activation } from "./activations.ts";
import { activeVersion, type VersionTerms } from "../authority.ts";
import { FinanceLedger } from "../money/finance-ledger.do.ts";
import type { Actor, Refused } from "../ledger-port.ts";
import type { LifecyclePort } from "./lifecycle-port.ts";
import {
  askRegistration,
  confirmRegistration,
  removeRegistration,
  waitingRegistrations,
  type RegistrationAsk,
  type RegistrationKind,
  type RegistrationRef,
  type WaitingRegistration,
} from "./registrations.ts";
import { cancelSchedule, listSchedules, scheduleActivation, type Schedule } from "./schedules.ts";
import {
  activateVersion,
  addVersion,
  findVersion,
  listVersions,
  type ActivationTerms,
  type PolicyVersion,
} from "./versions.ts";

/** The ledger's part about policy versions: written by one person, put in force by another, now or at a time. */
export abstract class LifecycleLedger extends FinanceLedger implements LifecyclePort {
  async addVersion(
    actor: Actor,
    requestId: string,
    terms: VersionTerms,
    reason: string,
    gitCommit: string | null,
  ): Promise<number> {
    return this.administer(
      actor,
      requestId,
      "policy-version-created",
      `policy ${terms.policy}: ${reason}`,
      ({ sql, now }) => addVersion(sql, terms, { author: actor.subject, reason, gitCommit }, now),
    );
  }

  async versions(): Promise<readonly PolicyVersion[]> {
    return listVersions(this.ctx.storage.sql);
  }

  async version(version: number): Promise<PolicyVersion | null> {
    return findVersion(this.ctx.storage.sql, version);
  }

  async activate(
    actor: Actor,
    requestId: string,
    version: number,
    terms: ActivationTerms = { reason: null, replaces: null },
  ): Promise<{ kind: "done" } | Refused> {
    const after = activeVersion(this.ctx.storage.sql)?.version ?? 0;
    const detail = `version ${version} after ${after}${because(terms.reason)}`;
    return this.administer(actor, requestId, "policy-activation", detail, ({ sql, now }) =>
      outcomeOf(activateVersion(sql, version, actor, now, terms)),
    );
  }

  async activations(limit: number): Promise<readonly Activation[]> {
    return listActivations(this.ctx.storage.sql, limit);
  }

  async scheduleActivation(
    actor: Actor,
    requestId: string,
    ask: Parameters<LifecyclePort["scheduleActivation"]>[2],
  ): Promise<{ kind: "done" } | Refused> {
    const when = new Date(ask.at).toISOString();
    const detail = `version ${ask.version} at ${when}${because(ask.reason)}`;
    return this.administer(actor, requestId, "policy-schedule", detail, (scope) =>
      outcomeOf(scheduleActivation(scope, actor, requestId, ask)),
    );
  }

  async schedules(): Promise<readonly Schedule[]> {
    return listSchedules(this.ctx.storage.sql);
  }

  async cancelSchedule(actor: Actor, requestId: string, version: number): Promise<{ kind: "done" } | Refused> {
    return this.administer(actor, requestId, "policy-schedule-cancelled", `version ${version}`, ({ sql }) =>
      outcomeOf(cancelSchedule(sql, version)),
    );
  }

  async askRegistration(actor: Actor, requestId: string, ask: RegistrationAsk): Promise<void> {
    const detail = `${ask.id}: ${ask.issuer}, ${ask.digest}`;
    this.administer(actor, requestId, `${CODE[ask.kind]}-asked`, detail, ({ sql, now }) =>
      askRegistration(sql, ask, actor.subject, now),
    );
  }

  async confirmRegistration(
    actor: Actor,
    requestId: string,
    ref: RegistrationRef,
  ): ReturnType<LifecyclePort["confirmRegistration"]> {
    return this.administer(
      actor,
      requestId,
      `${CODE[ref.kind]}-registered`,
      `${ref.id}: ${ref.digest}`,
      ({ sql, now }) => confirmRegistration(sql, ref, actor.subject, now),
    );
  }

  async removeRegistration(
    actor: Actor,
    requestId: string,
    ref: Parameters<LifecyclePort["removeRegistration"]>[2],
  ): Promise<boolean> {
    return this.administer(actor, requestId, `${CODE[ref.kind]}-removed`, ref.id, ({ sql, now }) =>
      removeRegistration(sql, ref, actor.subject, now),
    );
  }

  async waitingRegistrations(kind: RegistrationKind): Promise<readonly WaitingRegistration[]> {
    return waitingRegistrations(this.ctx.storage.sql, kind, Date.now());
  }
}

/** What the audit log calls them. */
const CODE = { access: "issuer", approval: "approval-issuer", "sign-in": "sign-in" } as const;

const outcomeOf = (refusal: Refusal | null): { kind: "done" } | Refused =>
  refusal === null ? { kind: "done" } : { kind: "refused", refusal };

/** What an audit record says after the facts: the person's own words. */
const because = (reason: string | null): string => (reason === null ? "" : `: ${reason}`);
