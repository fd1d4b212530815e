import type { Micros } from "../vocabulary.ts";
import type { CompiledPolicy } from "./types.ts";

/** One cap of the documents that a request has to fit. Finance may have lowered the tenant's two since. */
export type StaticCap = { readonly name: string; readonly capMicros: Micros };

/** Unless the policy says otherwise, twice the daily cap may be submitted in a day. */
const GROSS_PER_DAILY_CAP = 2;

/** Most that may be submitted in a day. */
export const grossCapOf = ({ grossDailyCapMicros, dailyCapMicros }: CompiledPolicy["budget"]): Micros =>
  grossDailyCapMicros ?? dailyCapMicros * GROSS_PER_DAILY_CAP;

/** Every cap that a requester's requests of an action have to fit: `daily`, `monthly`, `gross daily`, `daily of team:research`. */
export function staticCaps(
  { budget, spending }: Pick<CompiledPolicy, "budget" | "spending">,
  requester: Parameters<CompiledPolicy["spending"]>[0],
  action: string,
): readonly StaticCap[] {
  const inner = spending(requester, action).per.flatMap(({ scope, dailyCapMicros, monthlyCapMicros }) => [
    ...(dailyCapMicros === null ? [] : [{ name: `daily of ${scope}`, capMicros: dailyCapMicros }]),
    ...(monthlyCapMicros === null ? [] : [{ name: `monthly of ${scope}`, capMicros: monthlyCapMicros }]),
  ]);
  return [
    { name: "daily", capMicros: budget.dailyCapMicros },
    { name: "monthly", capMicros: budget.monthlyCapMicros },
    { name: "gross daily", capMicros: grossCapOf(budget) },
    ...inner,
  ];
}
