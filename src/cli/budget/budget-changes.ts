import { Option } from "commander";
import { z } from "zod";
import { formatUsd } from "../../platform/money.ts";
import { err, ok } from "../../platform/result.ts";
import { budgetSchema, tenantBlocks } from "./budget-caps.ts";
import { changeOutcome, changeSchema, changeTable, changeTold, isChangeId, type Change } from "./budget-change.ts";
import { openClient, readAs } from "../client.ts";
import { usdAmount, wholeNumber, type CommandSpec, type Outcome } from "../command.ts";
import { EXIT, failureBlocks, usage, type Failure } from "../failure.ts";
import { text, type Block } from "../print.ts";
import { timeAfter } from "../times.ts";

const none = z.object({});
const reason = z.string().min(1).max(1_024);
const time = z.string().min(1).max(40).optional();

const reasonOption = (): Option =>
  new Option("--reason <text>", "why, for those who decide and for the record").makeOptionMandatory();
const untilOption = (): Option =>
  new Option("--until <time>", "for a time: then the cap before it holds again (like --at)");

const setOptions = z.object({
  daily: usdAmount.optional(),
  monthly: usdAmount.optional(),
  reason,
  at: time,
  until: time,
});
const setAnswer = z.object({
  daily: changeSchema.nullable(),
  monthly: changeSchema.nullable(),
  /** Where one of the two was refused after the other was done. */
  refused: z.object({ period: z.string(), problem: z.record(z.string(), z.json()) }).nullable(),
  budget: budgetSchema,
});

/** `budget set`: what is lower holds at once, what is higher waits for a second person of finance. */
export const set: CommandSpec<z.infer<typeof setOptions>> = {
  usage: "set",
  summary: "set finance's caps (role finance)",
  options: [
    new Option("--daily <usd>", "the cap of each day"),
    new Option("--monthly <usd>", "the cap of each month"),
    reasonOption(),
    new Option("--at <time>", "from this UTC time on (2026-12-01T00:00:00Z), or in 30m, 2h, 7d"),
    untilOption(),
  ],
  notes:
    "A lower cap is in force at once and touches nothing that runs. A higher one waits for a second person of finance. The lower of finance's cap and the policy's holds.",
  schema: setOptions,
  run: async (invocation) => {
    const { options, terminal } = invocation;
    const { daily, monthly, at, until } = options;
    if (daily === undefined && monthly === undefined)
      return err(usage("nothing to set", "Name --daily, --monthly or both."));
    const client = openClient(invocation);
    if (!client.ok) return client;
    const now = terminal.now();
    const body = {
      ...(daily === undefined ? {} : { daily_cap_usd: daily }),
      ...(monthly === undefined ? {} : { monthly_cap_usd: monthly }),
      reason: options.reason,
      ...(at === undefined ? {} : { effective_at: timeAfter(at, now) }),
      ...(until === undefined ? {} : { until: timeAfter(until, now) }),
    };
    const answer = await client.value.call({ method: "PUT", path: "/_gate/v1/budget", body });
    if (!answer.ok) return answer;
    const view = readAs(setAnswer, answer.value);
    if (!view.ok) return view;
    return ok({ json: answer.value, ...setTold(view.value, now) });
  },
};

function setTold(
  { daily, monthly, refused, budget }: z.infer<typeof setAnswer>,
  now: number,
): Pick<Outcome, "human" | "exitCode"> {
  const done = [
    ...setOneTold(daily, budget.daily.policy_cap_micros, now),
    ...setOneTold(monthly, budget.monthly.policy_cap_micros, now),
  ];
  if (refused === null) return { human: [...done, ...tenantBlocks(budget)] };
  const { status } = refused.problem;
  const failure: Failure = {
    kind: "refused",
    status: typeof status === "number" ? status : 0,
    problem: refused.problem,
  };
  const headline = text({ text: `The ${refused.period} cap was not changed:`, style: "bad" });
  return { human: [...done, headline, ...failureBlocks(failure), ...tenantBlocks(budget)], exitCode: EXIT.failed };
}

function setOneTold(change: Change | null, policyMicros: number, now: number): readonly Block[] {
  if (change === null) return [];
  const above = `It is above the policy's ${change.period} cap of ${formatUsd(policyMicros)} USD, which holds as long as the policy says so.`;
  return [
    ...changeTold(change, now),
    ...(change.cap_micros > policyMicros ? [text({ text: above, style: "warn" })] : []),
  ];
}

const requestOptions = z.object({
  window: z.enum(["daily", "monthly"]),
  cap: usdAmount,
  reason,
  incident: z.string().min(1).max(128).optional(),
  until: time,
});

/** `budget request`: anybody asks finance for a higher cap. */
export const request: CommandSpec<z.infer<typeof requestOptions>> = {
  usage: "request",
  summary: "ask finance for a higher cap; two people of finance decide",
  options: [
    new Option("--window <period>", "daily or monthly").makeOptionMandatory(),
    new Option("--cap <usd>", "the cap that is needed").makeOptionMandatory(),
    reasonOption(),
    new Option("--incident <key>", "the incident that this is needed for"),
    new Option("--until <time>", "for a time only: until this UTC time, or 30m, 2h, 7d from now"),
  ],
  schema: requestOptions,
  run: async (invocation) => {
    const { window, cap, incident, until, reason: why } = invocation.options;
    const client = openClient(invocation);
    if (!client.ok) return client;
    const now = invocation.terminal.now();
    const body = {
      window,
      cap_usd: cap,
      reason: why,
      ...(incident === undefined ? {} : { incident }),
      ...(until === undefined ? {} : { until: timeAfter(until, now) }),
    };
    return changeOutcome(await client.value.call({ method: "POST", path: "/_gate/v1/budget/requests", body }), now);
  },
};

const requestsOptions = z.object({ state: z.string().default("pending"), limit: wholeNumber(1, 200).optional() });
const changeList = z.object({ records: z.array(changeSchema) });

/** `budget requests`: raises and requests, those that wait for finance unless another state is asked for. */
export const requests: CommandSpec<z.infer<typeof requestsOptions>> = {
  usage: "requests",
  summary: "list raises and requests",
  options: [
    new Option("--state <state>", "pending, approved, denied, withdrawn, expired or all").default("pending"),
    new Option("--limit <n>", "at most so many, 1 to 200 (default: 50)"),
  ],
  schema: requestsOptions,
  run: async (invocation) => {
    const { state, limit } = invocation.options;
    const client = openClient(invocation);
    if (!client.ok) return client;
    const query = { state: state === "all" ? undefined : state, limit };
    const answer = await client.value.call({ method: "GET", path: "/_gate/v1/budget/requests", query });
    if (!answer.ok) return answer;
    const view = readAs(changeList, answer.value);
    if (!view.ok) return view;
    const { records } = view.value;
    const nothing = state === "all" ? "No changes." : `No ${state} changes (--state all shows every one).`;
    return ok({
      json: answer.value,
      human: [records.length === 0 ? text(nothing) : changeTable(records, invocation.terminal.now())],
    });
  },
};

/** `budget withdraw`: takes back what waits or is to come, or ends a raise that was made for a time. */
export const withdraw: CommandSpec<z.infer<typeof none>> = {
  usage: "withdraw <id>",
  summary: "take back what waits or is to come, or end a cap made for a time",
  schema: none,
  run: async (invocation) => {
    const [id = ""] = invocation.args;
    if (!isChangeId(id)) return err(usage("that is not a change's id", "portcullis budget requests shows the ids."));
    const client = openClient(invocation);
    if (!client.ok) return client;
    const path = `/_gate/v1/budget/requests/${id}`;
    return changeOutcome(await client.value.call({ method: "DELETE", path }), invocation.terminal.now());
  },
};
