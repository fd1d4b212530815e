import { z } from "zod";
import { isShownLine } from "../gateway/shown-text.ts";
import type { TenantContext } from "../gateway/tenant-context.ts";
import type { MoneyActor, ScopeCap, TenantTerms } from "../ledger/money/finance-port.ts";
import type { JsonObject } from "../platform/json.ts";
import { parseUsd, usd } from "../platform/money.ts";
import type { EpochMs, Micros } from "../vocabulary.ts";
import type { AdminCall } from "./call.ts";
import { ownSignInFault } from "./own-sign-in.ts";

const AMOUNT = "is an amount in USD: a number or decimal text, not negative, at most six decimals, below a billion";
const UNSHOWABLE = "text of one line that is not blank, without control characters or direction overrides";
const RFC_3339 = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,3})?(?:Z|[+-]\d{2}:\d{2})$/;

/** An amount in USD as people and billing systems write it; read with `microsOf`. */
export const usdAmount = z
  .union([z.number({ error: AMOUNT }), z.string({ error: AMOUNT })])
  .refine((value) => parseUsd(String(value)) !== null, AMOUNT);

/** An instant with its offset (RFC 3339), to the millisecond. */
export const instant = z.iso
  .datetime({ offset: true, error: "is a time with its offset (RFC 3339), such as 2026-11-20T08:00:00Z" })
  .regex(RFC_3339, "is a time with seconds and offset (RFC 3339), such as 2026-11-20T08:00:00Z");

/** Why, for finance to read. */
export const reasonText = lineOf(1_024);

/** One line of text that shows what it says. */
export function lineOf(max: number): z.ZodString {
  return z.string().min(1).max(max).refine(isShownLine, UNSHOWABLE);
}

/** Exact micro-USD of an amount that `usdAmount` has accepted. */
export function microsOf(amount: number | string): Micros {
  const micros = parseUsd(String(amount));
  if (micros === null) throw new Error("invariant: an accepted amount is one");
  return micros;
}

/** One amount in both forms, under `<name>_usd` and `<name>_micros`; null where there is none. */
export const money = (name: string, micros: Micros | null): JsonObject => ({
  [`${name}_usd`]: micros === null ? null : usd(micros),
  [`${name}_micros`]: micros,
});

/** An instant as answers show it: ISO 8601, UTC. */
export const timeText = (time: EpochMs): string => new Date(time).toISOString();

/** The policy's figures for the tenant as a whole. */
export const tenantTerms = ({ policy }: TenantContext): TenantTerms => ({
  timezone: policy.timezone,
  dailyCapMicros: policy.budget.dailyCapMicros,
  monthlyCapMicros: policy.budget.monthlyCapMicros,
  grossDailyCapMicros: policy.budget.grossDailyCapMicros,
  thresholdsPercent: [...policy.budget.thresholdsPercent],
});

/** Who acts on the tenant's money, as the ledger takes it. */
export const moneyActor = ({ principal }: AdminCall): MoneyActor => ({
  subject: principal.subject,
  class: principal.class,
  owner: principal.owner,
  issuer: principal.issuer,
  credentialId: principal.credentialId,
  demo: principal.demo,
  roles: [...principal.roles],
  fault: ownSignInFault(principal),
});

/** Whether the caller decides changes of caps. */
export const isFinance = ({ principal }: AdminCall): boolean =>
  principal.class === "person" && principal.roles.includes("finance");

/** Whether the caller sees everybody's caps and changes, and not only its own. */
export const seesAllMoney = ({ principal }: AdminCall): boolean =>
  principal.class === "person" &&
  principal.roles.some((role) => role === "finance" || role === "operator" || role === "security");

/** The caps inside the tenant's that the caller may see: all that the policy names, or those that bind the caller. */
export function visibleCaps(call: AdminCall): readonly ScopeCap[] {
  const { policy, catalogue } = call.context;
  if (seesAllMoney(call)) return policy.scopeCaps;
  const { subject, owner } = call.principal;
  const actions = [...catalogue.actions.keys()].filter((action) => policy.names(action));
  const binding = actions.flatMap((action) => policy.spending({ subject, owner }, action).per);
  return [...new Map(binding.map((cap) => [cap.scope, cap])).values()];
}
