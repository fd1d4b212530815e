import { z } from "zod";
import { formatUsd } from "../../platform/money.ts";
import { changeSchema, changeTable } from "./budget-change.ts";
import { fields, table, text, verbatim, type Block, type Cell, type Column } from "../print.ts";
import { shortTime } from "../times.ts";

const capSchema = z.object({
  window: z.string(),
  cap_micros: z.int(),
  settled_micros: z.int(),
  held_micros: z.int(),
  remaining_micros: z.int(),
  resets_at: z.string(),
});
type Cap = z.infer<typeof capSchema>;
const scopeSchema = capSchema.extend({ scope: z.string() });
const tenantSchema = capSchema.extend({
  policy_cap_micros: z.int(),
  finance_cap_micros: z.int().nullable(),
  held_by_state: z.object({
    held_micros: z.int(),
    dispatching_micros: z.int(),
    committed_micros: z.int(),
    unknown_micros: z.int(),
  }),
});
type TenantCap = z.infer<typeof tenantSchema>;

/** What a person sees of the tenant's money (wire contract, section 10). */
export const budgetSchema = z.object({
  timezone: z.string(),
  daily: tenantSchema,
  monthly: tenantSchema,
  gross: capSchema,
  scopes: z.array(scopeSchema),
  pending: z.array(changeSchema),
  spending_frozen: z.object({ by: z.string(), reason: z.string(), since: z.string() }).nullable(),
});
export type Budget = z.infer<typeof budgetSchema>;

/** Below this share of the cap, what remains is shown as a warning. */
const LITTLE = 0.1;

const AMOUNTS: readonly Column[] = ["cap", "settled", "held", "remaining"].map((title) => ({ title, align: "right" }));

/** The tenant's two caps and which of policy and finance they come from. */
export const tenantBlocks = ({ daily, monthly, timezone }: Budget): readonly Block[] => [
  table(
    [{ title: "window" }, ...AMOUNTS, { title: "resets" }],
    [daily, monthly].map((cap): readonly Cell[] => [cap.window, ...amounts(cap), shortTime(cap.resets_at)]),
  ),
  text(`USD; days and months of ${timezone}. Held: proposals, running and unknown outcomes.`),
  fields([
    ["daily cap", sourceText(daily)],
    ["monthly cap", sourceText(monthly)],
  ]),
];

/** Everything that is known of the tenant's money. */
export function budgetBlocks(budget: Budget, now: number): readonly Block[] {
  const { daily, monthly, gross, scopes, pending } = budget;
  return [
    ...frozenBlocks(budget),
    ...tenantBlocks(budget),
    fields([
      ["held today", heldText(daily)],
      ["held this month", heldText(monthly)],
      [
        "submitted today",
        `${formatUsd(gross.held_micros)} of at most ${formatUsd(gross.cap_micros)}, cancelled or not; ${formatUsd(gross.remaining_micros)} left`,
      ],
    ]),
    ...(scopes.length === 0 ? [] : [text("Caps inside these:"), scopeTable(scopes)]),
    ...(pending.length === 0 ? [] : [text({ text: "Not in force yet:", style: "warn" }), changeTable(pending, now)]),
  ];
}

function frozenBlocks({ spending_frozen: frozen }: Budget): readonly Block[] {
  if (frozen === null) return [];
  const told = `Spending is frozen by ${frozen.by} since ${shortTime(frozen.since)}: ${frozen.reason}`;
  return [text({ text: told, style: "bad" }), verbatim(["portcullis budget unfreeze"])];
}

const amounts = (cap: Cap): readonly Cell[] => [
  formatUsd(cap.cap_micros),
  formatUsd(cap.settled_micros),
  formatUsd(cap.held_micros),
  {
    text: formatUsd(cap.remaining_micros),
    style: cap.remaining_micros <= 0 ? "bad" : cap.remaining_micros < cap.cap_micros * LITTLE ? "warn" : "good",
  },
];

const scopeTable = (scopes: Budget["scopes"]): Block =>
  table(
    [{ title: "of" }, { title: "window" }, ...AMOUNTS],
    scopes.map((cap) => [cap.scope, cap.window, ...amounts(cap)]),
  );

/** `policy 500.00, finance 300.00: finance's is in force`. */
function sourceText({ policy_cap_micros: policy, finance_cap_micros: finance }: TenantCap): string {
  if (finance === null) return `policy ${formatUsd(policy)}; finance has set none`;
  const binding =
    finance < policy ? "finance's is in force" : finance > policy ? "the policy's is in force" : "the same";
  return `policy ${formatUsd(policy)}, finance ${formatUsd(finance)}: ${binding}`;
}

const heldText = ({ held_by_state: by }: TenantCap): string =>
  [
    `proposals ${formatUsd(by.held_micros)}`,
    `being sent ${formatUsd(by.dispatching_micros)}`,
    `running ${formatUsd(by.committed_micros)}`,
    `unknown ${formatUsd(by.unknown_micros)}`,
  ].join(", ");
