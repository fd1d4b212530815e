import { Option } from "commander";
import { z } from "zod";
import type { JsonValue } from "../../platform/json.ts";
import { isJsonObject } from "../../platform/json.ts";
import { formatUsd } from "../../platform/money.ts";
import { plainJson } from "../../platform/plain-json.ts";
import { err, ok, type Result } from "../../platform/result.ts";
import { readPlainYaml } from "../../platform/yaml-document.ts";
import { SUBJECT } from "../../vocabulary.ts";
import { momentSchema } from "../../catalogue/schema-words.ts";
import type { CommandSpec, Invocation, Outcome } from "../command.ts";
import { decideOffline, type Asking, type Documents, type OfflineDecision } from "./decide-offline.ts";
import { viewOf, type DecisionView } from "../decision-view.ts";
import { factText, stepRow } from "./explained-steps.ts";
import { usage, type Failure } from "../failure.ts";
import { readText } from "../files.ts";
import { DOCUMENT_OPTIONS, documentsOf, loadPolicy, policyFiles } from "./policy-files.ts";
import { broken } from "./policy-test.ts";
import { fields, table, text, type Block, type Cell } from "../print.ts";

const subject = z.string().regex(SUBJECT, { error: "a subject such as agent:NAME is required" });
const schema = z.object({
  as: subject,
  owner: subject.optional(),
  request: z.string().regex(/^[A-Z]+ \/\S*$/, { error: 'a method and a path are required, e.g. "POST /v1/workloads"' }),
  body: z.string().optional(),
  at: momentSchema.optional(),
  lookedUp: z.string().optional(),
  people: z.string().optional(),
  catalogue: z.string().optional(),
  prices: z.string().optional(),
});
type Options = z.infer<typeof schema>;

/** `policy explain`: why a request would be decided as it is, every rule in order, without a gate. */
export const explainPolicy: CommandSpec<Options> = {
  usage: "explain <file>",
  summary: "tell why a request is decided as it is, every rule in order, offline",
  options: [
    new Option("--as <subject>", "who asks: agent:NAME or service:NAME").makeOptionMandatory(),
    new Option("--owner <subject>", "who is accountable for the credential: counts for teams, approves nothing of it"),
    new Option("--request <request>", 'method and path, e.g. "POST /v1/workloads"').makeOptionMandatory(),
    new Option("--body <json>", "the body: JSON, or a file that holds it"),
    new Option("--at <time>", "when, e.g. 2026-11-20T02:30:00Z (default: now)"),
    new Option("--looked-up <file>", "what the control plane answers to the catalogue's look-ups: name to answer"),
    ...DOCUMENT_OPTIONS,
  ],
  notes:
    "Context (reason, evidence, back-out) counts as given. What a ledger knows has no part: money spent, counts, freezes, incidents.",
  schema,
  run: async (invocation) => {
    const asking = askingOf(invocation);
    if (!asking.ok) return asking;
    const files = policyFiles(invocation.terminal, invocation.args[0] ?? "", invocation.options);
    if (!files.ok) return files;
    const loaded = loadPolicy(invocation.terminal, files.value, invocation.terminal.now());
    if (!loaded.ok) return loaded;
    if (!loaded.value.ok) return ok(broken(loaded.value.error));
    const documents = documentsOf(files.value, loaded.value.value);
    if (!documents.ok) return documents;
    return ok(told(documents.value, asking.value, await decideOffline(documents.value, asking.value)));
  },
};

function askingOf({ options, terminal }: Invocation<Options>): Result<Asking, Failure> {
  const [method = "", target = ""] = options.request.split(" ");
  const body = options.body === undefined ? ok(undefined) : bodyOf(terminal, options.body);
  if (!body.ok) return body;
  const lookedUp = options.lookedUp === undefined ? ok({}) : mapIn(terminal, options.lookedUp);
  if (!lookedUp.ok) return lookedUp;
  return ok({
    as: { subject: options.as, ...(options.owner === undefined ? {} : { owner: options.owner }) },
    at: options.at === undefined ? terminal.now() : Date.parse(options.at),
    request: { method, path: target, body: body.value },
    lookedUp: new Map(Object.entries(lookedUp.value)),
  });
}

/** JSON as it stands, or the text of a file. */
const bodyOf = (terminal: Invocation<Options>["terminal"], given: string): Result<string, Failure> =>
  given.trimStart().startsWith("{") ? ok(given) : readText(terminal, given);

function mapIn(
  terminal: Invocation<Options>["terminal"],
  file: string,
): Result<Readonly<Record<string, JsonValue>>, Failure> {
  const read = readText(terminal, file);
  if (!read.ok) return read;
  const document = readPlainYaml(read.value);
  return document.ok && isJsonObject(document.value)
    ? ok(document.value)
    : err(usage(`${file} is no map from the name of a look-up to its answer`));
}

function told(documents: Documents, asking: Asking, decided: OfflineDecision): Outcome {
  const view = viewOf(decided, documents.policy);
  const steps = decided.explained?.steps ?? [];
  return {
    json: plainJson({ ...view, route: decided.operation?.routeId ?? null, steps, money: moneyJson(decided) }),
    human: [
      requestBlock(documents, asking, decided),
      ...(steps.length === 0
        ? []
        : [table([{ title: "rule" }, { title: "verdict" }, { title: "why" }], steps.map(stepRow))]),
      ...askedBlocks(documents, decided, view),
      text(conclusion(view)),
    ],
  };
}

function requestBlock({ catalogue }: Documents, { as, at, request }: Asking, decided: OfflineDecision): Block {
  const { operation, trail } = decided;
  const spec = operation === null ? undefined : catalogue.actions.get(operation.action);
  const facts = Object.entries(trail.facts ?? {}).map(([name, fact]) => `${name} ${factText(fact)}`);
  const missing = decided.judgement?.facts.missing.map(({ fact, reason }) => `${fact}: ${reason}`) ?? [];
  return fields([
    ["asked", `${request.method} ${request.path}`],
    ["by", as.owner === undefined ? as.subject : `${as.subject}, for ${as.owner}`],
    ["at", new Date(at).toISOString()],
    ["route", operation === null ? null : `${operation.routeId} of catalogue ${catalogue.id}`],
    ["action", operation?.action ?? null],
    ["facts", facts.length === 0 ? null : facts.join(", ")],
    ["not known", missing.length === 0 ? null : missing.join("; ")],
    ["floor", operation === null ? null : `tier ${operation.floor(trail.facts ?? {})}`],
    ["reaches", spec?.blastRadius ?? null],
    [
      "undone",
      spec === undefined || spec.reversible === null ? null : spec.reversible ? "by another action" : "by nothing",
    ],
  ]);
}

/** What the decided tier asks for, what it costs, and what it counts in. */
function askedBlocks({ policy }: Documents, decided: OfflineDecision, view: DecisionView): readonly Block[] {
  const { judgement, requirement, money, aggregates, tier } = decided;
  if (judgement === null || tier === null) return [];
  const groups = requirement?.kind === "approval" ? requirement.groups : [];
  return [
    fields([
      ["tier", String(tier)],
      ["context", view.context === null || view.context.length === 0 ? null : view.context.join(", ")],
      ["dry run", requirement?.kind === "receipt" ? "its receipt has to be shown" : null],
      [
        "people",
        requirement?.kind === "approval" ? `${requirement.needed} of ${view.approvers?.join(", ") ?? ""}` : null,
      ],
      ["groups", groups.length < 2 ? null : groups.map(({ name, needed }) => `${needed} of ${name}`).join(" and ")],
      ["incident", view.incident === "none" ? null : view.incident],
      ["costs", view.cost_usd === "none" ? "nothing" : `${view.cost_usd} USD`],
      ["price", judgement.cost.kind === "priced" ? judgement.cost.priceVersion : null],
      ["team", view.team === "none" ? null : view.team],
      ["told", view.told === true ? `within ${policy.notify.everyMs / 60_000} minutes` : null],
      ["shadow", view.shadow === null || view.shadow.length === 0 ? null : view.shadow.map(shadowText).join("; ")],
    ]),
    ...(money.askedMicros === 0 ? [] : [capTable(decided)]),
    ...(aggregates.length === 0 ? [] : [aggregateTable(decided)]),
  ];
}

const shadowText = ({ rule, verdict }: { rule: string; verdict: string }): string => `${rule}: ${verdict}`;

const fits = (isShort: boolean): Cell =>
  isShort ? { text: "never", style: "bad" } : { text: "it may", style: "good" };

const capTable = ({ money: { askedMicros, caps, short } }: OfflineDecision): Block =>
  table(
    [{ title: "cap" }, { title: "USD", align: "right" }, { title: "asked for", align: "right" }, { title: "fits" }],
    caps.map((cap) => [cap.name, formatUsd(cap.capMicros), formatUsd(askedMicros), fits(short.includes(cap))]),
  );

const aggregateTable = ({ aggregates }: OfflineDecision): Block =>
  table(
    [
      { title: "aggregate" },
      { title: "counts" },
      { title: "limit", align: "right" },
      { title: "adds", align: "right" },
      { title: "beyond it" },
    ],
    aggregates.map(({ name, measure: { of, within }, max, amount, over, isShadow }) => [
      name,
      `${of}, ${within}`,
      String(max),
      String(amount),
      isShadow ? `${over}, in shadow` : over,
    ]),
  );

const moneyJson = ({ money: { askedMicros, caps, short } }: OfflineDecision) => ({
  asked_micros: askedMicros,
  caps: caps.map((cap) => ({ name: cap.name, cap_micros: cap.capMicros, never_fits: short.includes(cap) })),
});

function conclusion(view: DecisionView): Cell {
  const { decision, tier, rule } = view;
  if (decision === "refuse") return { text: refusedText(view), style: "bad" };
  const how = {
    allow: "It runs at once",
    "dry-run": "It runs after a dry run",
    approval: "It runs once people approve",
  };
  return {
    text: `${how[decision ?? "allow"]}: tier ${tier} by ${rule}.`,
    style: decision === "allow" ? "good" : "warn",
  };
}

function refusedText(view: DecisionView): string {
  const by = view.rule === null ? "" : ` by ${view.rule}`;
  const detail = view.detail === view.rule || view.detail === view.reason_code ? "" : `: ${view.detail}`;
  const opens = view.opens_at === null ? "" : `; opens ${view.opens_at}`;
  return `Refused: ${view.reason_code}${by}${detail}${opens}${nearestText(view)}.`;
}

function nearestText({ nearest }: DecisionView): string {
  if (nearest === null) return "";
  const changes = Object.entries(nearest.facts).map(([fact, value]) => `${fact} = ${factText(value)}`);
  return `; ${changes.join(", ")} would pass at tier ${nearest.tier}`;
}
