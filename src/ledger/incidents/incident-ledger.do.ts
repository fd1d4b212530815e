import { closeEscalation, escalate, findEscalation, listEscalations } from "./escalations.ts";
import { handOverIncident, resolveIncident } from "./incident-acts.ts";
import type {
  Escalation,
  EscalationAsk,
  EscalationResult,
  Incident,
  IncidentPort,
  IncidentResult,
} from "./incident-port.ts";
import { findIncident, listIncidents } from "./incident-rows.ts";
import type { Actor } from "../ledger-port.ts";
import { LifecycleLedger } from "../lifecycle/lifecycle-ledger.do.ts";

/** Who works on what, and what nobody could diagnose: a thin RPC surface, each method one synchronous transaction. */
export abstract class IncidentLedger extends LifecycleLedger implements IncidentPort {
  async incidents(state: string | null, limit: number): Promise<readonly Incident[]> {
    return listIncidents(this.ctx.storage.sql, state, limit);
  }

  async incident(key: string): Promise<Incident | null> {
    return findIncident(this.ctx.storage.sql, key);
  }

  async resolveIncident(actor: Actor, act: Parameters<IncidentPort["resolveIncident"]>[1]): Promise<IncidentResult> {
    return this.transact((scope) => resolveIncident(scope, actor, act));
  }

  async handOverIncident(actor: Actor, act: Parameters<IncidentPort["handOverIncident"]>[1]): Promise<IncidentResult> {
    return this.transact((scope) => handOverIncident(scope, actor, act));
  }

  async escalate(actor: Actor, ask: EscalationAsk): Promise<EscalationResult> {
    return this.transact((scope) => escalate(scope, actor, ask));
  }

  async escalations(state: string | null, limit: number, of: string | null): Promise<readonly Escalation[]> {
    return listEscalations(this.ctx.storage.sql, state, limit, of);
  }

  async escalation(id: string, of: string | null): Promise<Escalation | null> {
    return findEscalation(this.ctx.storage.sql, id, of);
  }

  async closeEscalation(actor: Actor, act: Parameters<IncidentPort["closeEscalation"]>[1]): Promise<EscalationResult> {
    return this.transact((scope) => closeEscalation(scope, actor, act));
  }
}
