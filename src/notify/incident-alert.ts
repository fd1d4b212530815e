import type { EpochMs } from "../vocabulary.ts";

/**
 * What became of a claim on an incident. `contended`: somebody else wanted to work on it, told once per claim. `released`: its
 * holder gave it up before anything was run. `expired`: nothing was heard of its holder for the policy's time.
 */
export type IncidentEvent = "claimed" | "contended" | "handed-over" | "resolved" | "released" | "expired";

/** A claim on an incident, as it stood when something happened to it. */
export type IncidentAlert = {
  readonly kind: "incident";
  readonly event: IncidentEvent;
  readonly key: string;
  /** Tells two claims on one key apart. */
  readonly claim: string;
  /** Whether the key is the catalogue's. */
  readonly isDerived: boolean;
  /** Who works on it; after a hand-over the new one. */
  readonly owner: string;
  readonly action: string | null;
  readonly requestId: string;
  readonly startedAt: EpochMs;
  /** Who met it, handed it over or ended it; null where nobody did. */
  readonly by: string | null;
  readonly outcome: string | null;
  readonly note: string | null;
  readonly at: EpochMs;
};

/** What somebody could not diagnose, before people: told when it is opened and when it is closed, and not in between. */
export type EscalationAlert = {
  readonly kind: "escalation";
  readonly event: "opened" | "closed";
  readonly id: string;
  readonly incident: string | null;
  /** Who opened or closed it. */
  readonly by: string;
  readonly hypothesis: string;
  readonly evidence: string;
  readonly tried: string;
  /** What closed it; null while it is open. */
  readonly note: string | null;
  readonly at: EpochMs;
};

/** Equal for equal events. */
export const incidentAlertId = ({ event, key, claim, at }: IncidentAlert): string =>
  // A claim may be handed over again, and is met by many: the rest of it happens once.
  `incident/${key}/${claim}/${event}${event === "handed-over" ? `/${at}` : ""}`;

export const escalationAlertId = ({ id, event }: EscalationAlert): string => `${id}/${event}`;
