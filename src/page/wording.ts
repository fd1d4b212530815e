import type { ProposalView } from "../approval/proposal-view.ts";
import { formatUsd } from "../platform/money.ts";
import { PROBLEMS } from "../problem.ts";
import type { Refusal } from "../refusal.ts";
import type { EpochMs } from "../vocabulary.ts";
import { shown } from "./text.ts";

/** What people call the resources of a control plane, where the action's own word is not it. */
const NOUNS: ReadonlyMap<string, string> = new Map([["workloads", "job"]]);

/** `workloads.cancel` of `llama-finetune-v3` → `Cancel job llama-finetune-v3`. */
export function headline({ action, resource }: Pick<ProposalView, "action" | "resource">): string {
  const words = action.split(".").map((word) => word.replaceAll("_", " "));
  const verb = words.pop() ?? action;
  const things = words.pop() ?? "";
  const noun = NOUNS.get(things) ?? things.replace(/(?<![is])s$/, "");
  const sentence = [verb.slice(0, 1).toUpperCase() + verb.slice(1), noun, resource ?? ""];
  return shown(sentence.filter((part) => part !== "").join(" "));
}

/** A proposal in a few words. One for a standing approval says so first: what is decided there is more than one request. */
export const titleOf = (view: Pick<ProposalView, "action" | "resource">, lasting: unknown): string =>
  lasting === null ? headline(view) : `Standing approval: ${headline(view)}`;

export const STATES: Readonly<Record<ProposalView["state"], string>> = {
  draft: "Draft",
  pending: "Waiting",
  approved: "Approved",
  denied: "Denied",
  expired: "Expired",
  withdrawn: "Withdrawn",
  invalidated: "No longer valid",
  consumed: "Approved and used",
};

/** What a state means for whoever reads the page. */
export const STATE_MEANS: Readonly<Record<ProposalView["state"], string>> = {
  draft: "It waits for its requester to say why. Nobody can decide it yet, and it holds no money.",
  pending: "If nobody decides in time, nothing runs.",
  approved: "Exactly this request may now run, once.",
  denied: "It will not run. Its money is no longer held.",
  expired: "Nobody decided in time. Nothing ran, and its money is no longer held.",
  withdrawn: "Its requester took it back. Nothing ran, and its money is no longer held.",
  invalidated: "The rule, the price or the resource changed since. Nothing ran, and its money is no longer held.",
  consumed: "The approval was used and cannot be used again.",
};

/** The same for a standing approval, where it is another thing. */
export const LASTING_STATE_MEANS: Readonly<Record<ProposalView["state"], string>> = {
  ...STATE_MEANS,
  approved: "Requests within its limits run without being asked about again.",
  consumed: "It was used up.",
};

/** What each tier means (wire contract, words). */
export const TIER_MEANS: Readonly<Record<number, string>> = { 2: "low write", 3: "high write", 4: "destructive" };

export const DECIDED = { approve: "Approved", deny: "Denied", "break-glass": "Broke the glass" } as const;

/** `at most 12.50 USD`. */
export const cost = (micros: number): string => (micros === 0 ? "none" : `at most ${formatUsd(micros)} USD`);

/** `1 of 2 approvals`. */
export const counted = ({ given, needed }: Pick<ProposalView, "given" | "needed">): string =>
  `${given} of ${needed} ${needed === 1 ? "approval" : "approvals"}`;

/** `gpus 16, gpu_type H100`: what tells one request from another in a list. */
export const factsLine = ({ facts }: Pick<ProposalView, "facts">): string =>
  Object.entries(facts)
    .map(([name, value]) => shown(`${name} ${typeof value === "object" ? value.join(", ") : String(value)}`))
    .join(", ");

/** `2026-11-20 14:32 UTC` of an ISO 8601 time in UTC. */
export const timeOf = (iso: string): string => `${iso.slice(0, 10)} ${iso.slice(11, 16)} UTC`;

/** `in 30 minutes`, or that it is over. */
export function fromNow(iso: string, now: EpochMs): string {
  const minutes = Math.ceil((Date.parse(iso) - now) / 60_000);
  if (!(minutes > 0)) return "its time is over";
  if (minutes >= 120) return `in ${Math.floor(minutes / 60)} hours`;
  return `in ${minutes} ${minutes === 1 ? "minute" : "minutes"}`;
}

export type RefusalWording = { readonly title: string; readonly detail: string; readonly remedy: string };

const NOTHING = "Nothing was decided.";

/** A refusal for people at a page; `PROBLEMS` words the same for clients of the API. */
export function refusalWording(refusal: Refusal): RefusalWording {
  switch (refusal.kind) {
    case "unauthenticated":
      return { title: "Sign in first", detail: NOTHING, remedy: "Sign in as yourself; you are brought back here." };
    case "not-found":
      return {
        title: "Nothing here",
        detail: "There is no such proposal, or it is not yours to see.",
        remedy:
          "Check the address. A proposal is shown to its approvers, to its requester's owner, and to nobody else.",
      };
    case "not-eligible":
      return { title: "Not accepted", detail: refusal.reason, remedy: `${NOTHING} The attempt was recorded.` };
    case "already-decided":
      return {
        title: "Already decided",
        detail: `The proposal is ${refusal.state}.`,
        remedy: "Its state is final. Nothing changed now.",
      };
    case "approval-expired":
      return { title: "Too late", detail: refusal.reason, remedy: "Nothing runs. The requester may ask again." };
    case "malformed-request":
      return {
        title: "That cannot be used",
        detail: refusal.reason,
        remedy: `${NOTHING} Correct it and send it again.`,
      };
    case "resource-changed":
      return {
        title: "The proposal changed since you read it",
        detail: "What you pressed the button for is not what stands here now.",
        remedy: `${NOTHING} Read it again and decide then.`,
      };
    case "unavailable":
      return {
        title: "The gate cannot answer right now",
        detail: `Unavailable: ${refusal.dependency}.`,
        remedy: "Nothing more was done. Load the page again in a moment to see how things stand.",
      };
    default: {
      const { title, remedy } = PROBLEMS[refusal.kind];
      return { title, detail: NOTHING, remedy };
    }
  }
}
