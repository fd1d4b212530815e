import { unreachable } from "../platform/assert.ts";
import type { EpochMs } from "../vocabulary.ts";

/**
 * Something about the tenant's security that people should look at, told once per episode. `since`: when the episode began; it
 * tells two of them apart. Figures are those of the moment in which the bound of the policy was reached.
 *
 * `denials`: one principal was refused so often within `minutes`. `ineligible-approvals`: one person tried so often to decide what
 * their word does not count on. `audit-backlog`: so many records of one log wait for D1. `audit-halted`: a log takes no more, because
 * D1 holds something else than it. `audit-unsigned`: nothing more of a log is signed. `audit-copy-late`: none of the records that wait
 * for a further copy of a log was written to it for so long. `outcome-unknown`: nobody could find out for an hour what became of a dispatched request.
 * `policy-activated`: a version came in force. `policy-scheduled`: one will at its time. `policy-not-activated`: one did not, because
 * whoever scheduled it could not put it in force any more.
 */
export type Signal =
  | {
      readonly signal: "denials";
      readonly principal: string;
      readonly count: number;
      readonly minutes: number;
      readonly since: EpochMs;
    }
  | {
      readonly signal: "ineligible-approvals";
      readonly person: string;
      readonly count: number;
      readonly minutes: number;
      readonly since: EpochMs;
    }
  | {
      readonly signal: "frozen";
      readonly scope: string;
      readonly by: string;
      readonly reason: string;
      readonly since: EpochMs;
    }
  | { readonly signal: "unfrozen"; readonly scope: string; readonly by: string; readonly since: EpochMs }
  | {
      readonly signal: "policy-activated";
      readonly version: number;
      /** The version in force until then. */
      readonly previous: number;
      readonly author: string;
      readonly by: string;
      /** Why it was put in force; null where nobody said. */
      readonly reason: string | null;
      readonly scheduled: boolean;
      readonly since: EpochMs;
    }
  | {
      readonly signal: "policy-scheduled";
      readonly version: number;
      readonly by: string;
      readonly reason: string | null;
      readonly at: EpochMs;
      readonly since: EpochMs;
    }
  | {
      readonly signal: "policy-not-activated";
      readonly version: number;
      readonly by: string;
      readonly cause: string;
      readonly since: EpochMs;
    }
  | {
      readonly signal: "issuer-asked" | "issuer-confirmed" | "issuer-removed";
      /** Of access tokens, of signed decisions, or how people sign in. */
      readonly registration: "access" | "approval" | "sign-in";
      readonly id: string;
      readonly issuer: string;
      readonly by: string;
      readonly since: EpochMs;
    }
  | { readonly signal: "audit-backlog"; readonly log: string; readonly rows: number; readonly since: EpochMs }
  | { readonly signal: "audit-halted"; readonly log: string; readonly cause: string; readonly since: EpochMs }
  | { readonly signal: "audit-unsigned"; readonly log: string; readonly cause: string; readonly since: EpochMs }
  | {
      readonly signal: "audit-copy-late";
      readonly log: string;
      readonly copy: "r2" | "webhook";
      readonly rows: number;
      readonly minutes: number;
      readonly since: EpochMs;
    }
  | {
      readonly signal: "outcome-unknown";
      readonly requestId: string;
      readonly action: string | null;
      readonly principal: string;
      readonly since: EpochMs;
    };

/** A signal on its way through the alerts. */
export type SignalAlert = { readonly kind: "audit-signal" } & Signal;

/** What a signal is about, in one word: a principal, a scope, a log or a request. */
function aboutOf(signal: Signal): string {
  switch (signal.signal) {
    case "denials":
      return signal.principal;
    case "ineligible-approvals":
      return signal.person;
    case "frozen":
    case "unfrozen":
      return signal.scope;
    case "policy-activated":
    case "policy-scheduled":
    case "policy-not-activated":
      return String(signal.version);
    case "issuer-asked":
    case "issuer-confirmed":
    case "issuer-removed":
      return `${signal.registration}/${signal.id}`;
    case "audit-backlog":
    case "audit-halted":
    case "audit-unsigned":
      return signal.log;
    case "audit-copy-late":
      return `${signal.log}/${signal.copy}`;
    case "outcome-unknown":
      return signal.requestId;
    default:
      return unreachable(signal);
  }
}

/** Equal for equal episodes. */
export const signalId = (alert: SignalAlert): string =>
  `${alert.kind}/${alert.signal}/${aboutOf(alert)}/${alert.since}`;
