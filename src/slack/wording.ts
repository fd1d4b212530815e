import type { ProposalView } from "../approval/proposal-view.ts";
import { formatUsd } from "../platform/money.ts";
import type { EpochMs } from "../vocabulary.ts";
import { inertHandle, inertLine } from "./inert-text.ts";

/** What the message says besides the proposal. */
export type Occasion = {
  readonly now: EpochMs;
  /** Where people hear that nobody decided, as the policy writes it (`#ml-ops-escalation`); null where it names none. */
  readonly escalationChannel: string | null;
};

/** Names are ids of at most 128 characters; this many of them identify one on a screen. */
const NAME_MAX = 80;
const HANDLES_SHOWN = 8;
const HANDLE_MAX = 40;
/** "Expired, nobody decided in time: " and the headline fit into a header of 150. */
const HEADLINE_MAX = 110;

/** What people call the resources of a control plane, where the action's own word is not it. */
const NOUNS: ReadonlyMap<string, string> = new Map([["workloads", "job"]]);

/** `workloads.cancel` of `llama-finetune-v3` → `Cancel job llama-finetune-v3`. */
export function headline({ action, resource }: Pick<ProposalView, "action" | "resource">): string {
  const words = action.split(".").map((word) => word.replaceAll("_", " "));
  const verb = words.pop() ?? action;
  const things = words.pop() ?? "";
  const noun = NOUNS.get(things) ?? things.replace(/(?<![is])s$/, "");
  const sentence = [verb.slice(0, 1).toUpperCase() + verb.slice(1), noun, resource ?? ""];
  return inertLine(sentence.filter((part) => part !== "").join(" "), HEADLINE_MAX);
}

/** `needs 2 approvals, 1 given`. */
export const progress = ({ needed, given }: Pick<ProposalView, "needed" | "given">): string =>
  `needs ${needed} ${needed === 1 ? "approval" : "approvals"}, ${given} given`;

/** `@alice, @bob`, or that nobody may. */
export function handles(all: readonly string[]): string {
  if (all.length === 0) return "nobody";
  const shown = all.slice(0, HANDLES_SHOWN).map((handle) => inertHandle(handle, HANDLE_MAX));
  const more = all.length - shown.length;
  return more === 0 ? shown.join(", ") : `${shown.join(", ")} and ${more} more`;
}

/** `Expires in 30 minutes (at 14:32 UTC).` Relative times go stale in a message, so the time itself stands beside it. */
export function expiry(expiresAt: string, now: EpochMs): string {
  const minutes = Math.ceil((Date.parse(expiresAt) - now) / 60_000);
  if (!(minutes > 0)) return `Its time ended at ${timeOf(expiresAt)}.`;
  return `Expires in ${minutes} ${minutes === 1 ? "minute" : "minutes"} (at ${timeOf(expiresAt)}).`;
}

/** `14:32 UTC` of an ISO 8601 time in UTC. */
export function timeOf(iso: string): string {
  const match = /^\d{4}-\d{2}-\d{2}T(\d{2}:\d{2})/.exec(iso);
  return match?.[1] === undefined ? inertLine(iso, NAME_MAX) : `${match[1]} UTC`;
}

/** `2026-11-21 05:00 UTC` of a time that the gate made; what is none is shown inert. */
export function dateTimeOf(at: EpochMs | string): string {
  const iso = typeof at === "number" ? new Date(at).toISOString() : at;
  const match = /^(\d{4}-\d{2}-\d{2})T(\d{2}:\d{2})/.exec(iso);
  return match === null ? inertLine(iso, NAME_MAX) : `${match[1] ?? ""} ${match[2] ?? ""} UTC`;
}

/** `at most 12.50 USD`. */
export const cost = (micros: number): string => (micros === 0 ? "none" : `at most ${formatUsd(micros)} USD`);

/** One name or id. */
export const name = (text: string): string => inertLine(text, NAME_MAX);

/** An address as the gate makes it: origin and path, no user, query or fragment. */
const PAGE_URL = /^https?:\/\/[A-Za-z0-9.:[\]-]+\/[A-Za-z0-9._~/-]*$/;

/** Where a person sees the whole proposal, as a link of at most `max` characters; null where the address is none of the gate's. */
export const pageUrl = (url: string, max: number): string | null =>
  url.length <= max && PAGE_URL.test(url) && URL.canParse(url) ? url : null;
