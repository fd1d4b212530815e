import { afterEach, expect, test, vi } from "vitest";
import { text, verdict } from "../support/answer.ts";
import type { Caller, RequestHeaders } from "../support/black-box.ts";
import { UNMISTAKABLE } from "../support/canaries.ts";
import { canaryBoxes } from "../support/canary-watch.ts";
import { CONTEXT, job, proposalOf, REASON, receiptFor, SUBMIT } from "../support/requests.ts";
import { runAlarms } from "../support/slack-box.ts";

/**
 * Secrets of every known form, put into everything that a client may send to the data plane, are nowhere afterwards: no row of any
 * store, no line of the Worker's log, no answer to anybody else, no message, no export (security catalogue: AUD-03).
 */
const watched = canaryBoxes("canaries");

// Some hundred requests each.
vi.setConfig({ testTimeout: 240_000 });
afterEach(() => void vi.restoreAllMocks());

const GATE_HEADERS = [
  "gate-plan",
  "gate-approval",
  "gate-dry-run",
  "gate-evidence-ref",
  "gate-incident",
  "gate-max-cost",
  "gate-max-hours",
  "gate-reason",
  "gate-evidence",
  "gate-back-out",
  "idempotency-key",
];
const ONE_LINE = /^[\x20-\x7e]*$/;
const ID = /^[A-Za-z0-9._-]{1,128}$/;
const written = encodeURIComponent;

test("in headers", async () => {
  const { as, canaries, echoed, leaks } = await watched();
  const agent = await as("agent");
  const get = (headers: RequestHeaders) => agent.send("GET", SUBMIT, undefined, headers);
  for (const scheme of ["", "Bearer ", "Basic ", "Token ", `Bearer ${agent.key} `])
    for (const secret of canaries.texts("a credential", 400)) await get({ authorization: scheme + secret });
  for (const { text: secret } of canaries.of("a credential", /^[\w.-]+$/))
    await get({ authorization: `Bearer ${secret}` });
  const open = [
    "cookie",
    "user-agent",
    "referer",
    "x-api-key",
    "x-forwarded-for",
    "accept",
    "accept-language",
    "traceparent",
  ];
  for (const header of open)
    for (const secret of canaries.texts(`the header ${header}`, 800)) await get({ [header]: secret });
  for (const header of [...GATE_HEADERS, "gate-nonsense", "content-type", "expect", "connection", "dpop"])
    for (const secret of canaries.texts(`the header ${header}`, 400))
      for (const value of [secret, written(secret)]) await agent.post(SUBMIT, job(), { ...REASON, [header]: value });
  // What fits goes further than the reader.
  for (const [header, fits] of [
    ["gate-plan", /^[\w-]{16,128}$/],
    ["gate-approval", /^eyJ/],
    ["gate-incident", /^[\w./:-]+$/],
    ["idempotency-key", ONE_LINE],
  ] as const)
    for (const { text: secret } of canaries.of(`a fitting ${header}`, fits))
      await agent.post(SUBMIT, job(), { ...REASON, [header]: header === "idempotency-key" ? `"${secret}"` : secret });
  for (const { text: secret } of canaries.of("a header's name", /^[\w-]+$/)) await get({ [`gate-${secret}`]: "x" });
  for (const { text: secret } of canaries.of("the key of an execution", ONE_LINE)) {
    const plan = { ...REASON, "gate-plan": await receiptFor(agent, job()) };
    expect(verdict(await agent.post(SUBMIT, job(), { ...plan, "idempotency-key": `"${secret}"` }))).toBe("201");
  }
  expect(await leaks()).toEqual([]);
  // An unknown `Gate-…` is named: to nobody but who sent it.
  expect([...echoed()].toSorted()).toEqual(["a header's name"]);
});

test("in paths and queries", async () => {
  const { as, canaries, echoed, leaks } = await watched();
  const [agent, security] = [await as("agent"), await as("security")];
  for (const { text: secret } of canaries.of("a path")) {
    await agent.get(`/v1/workloads/${written(secret)}`);
    // Where a record's path is cut.
    await agent.get(`/v1/${"a/".repeat(245)}${written(secret)}`);
  }
  const long = canaries.texts("a path that is too long", 4_000).map(written).join("/");
  await agent.get(`/v1/${"a".repeat(120)}/${"b/".repeat(4_100)}${long}`);
  for (const { text: secret } of canaries
    .of("the name of a resource", UNMISTAKABLE)
    .filter((one) => ID.test(one.text))) {
    await agent.get(`/v1/workloads/${secret}/logs`);
    await agent.post(`/v1/workloads/${secret}/cancel`, {}, CONTEXT);
    await agent.delete(`/v1/allocations/${secret}`, CONTEXT);
    await agent.post("/v1/allocations/alloc-1/transfer", { to: secret }, CONTEXT);
  }
  for (const { text: secret } of canaries.of("a path of the gate's own", ID)) {
    for (const path of [secret, `v1/approvals/${secret}`, `v1/operations/${secret}`]) await agent.get(`/_gate/${path}`);
    for (const path of ["credentials", "channels"]) await security.delete(`/_gate/v1/${path}/${secret}`);
  }
  for (const { text: secret } of canaries.of("a query")) {
    for (const name of ["cursor", "password"]) await agent.get(`${SUBMIT}?${name}=${written(secret)}`);
    await agent.get(`${SUBMIT}?${written(secret)}=1`);
    if (/^[^\s#&]+$/.test(secret)) await agent.get(`${SUBMIT}?a=1&${secret}=1&b=${secret}#${secret}`);
  }
  for (const { text: secret } of canaries.of("a filter"))
    for (const name of ["principal", "cursor", "unknown"])
      await security.get(`/_gate/v1/audit?${name}=${written(secret)}`);
  expect(await leaks()).toEqual([]);
  // `instance`, and the name of a parameter that is unknown or repeated: to nobody but who sent them.
  expect([...echoed()].toSorted()).toEqual([
    "a filter",
    "a path",
    "a path of the gate's own",
    "a query",
    "the name of a resource",
  ]);
});

/** The two steps of tier 2. */
const run = async (agent: Caller, body: object) =>
  agent.post(SUBMIT, body, { ...REASON, "gate-plan": await receiptFor(agent, body) });

test("in bodies", async () => {
  const { as, canaries, echoed, leaks, box, entrance } = await watched();
  const [agent, alice] = [await as("agent"), await as("alice")];
  const submit = (over: object) => agent.post(SUBMIT, job({ gpus: 8, gpu_type: "L40S", ...over }), CONTEXT);
  const names = canaries.of("a variable's name", /^[A-Za-z_]\w*$/).map(({ text: secret }) => [secret, "x"] as const);
  const values = canaries.of("a variable").map(({ text: secret }, index) => [`V${index}`, secret] as const);
  const env = Object.fromEntries([...names, ...values]);
  // Asked for, approved, kept and run by the gate; and run at once.
  const asked = proposalOf(await submit({ env }));
  expect(verdict(await alice.post(`/_gate/v1/approvals/${asked}/decisions`, { decision: "approve" }))).toBe("200");
  await expect
    .poll(async () => {
      await runAlarms(box);
      return text(await agent.get(`/_gate/v1/approvals/${asked}`), "state");
    })
    .toBe("consumed");
  expect(verdict(await run(agent, job({ env })))).toBe("201");
  for (const { text: secret } of canaries.of("a name", /^[a-z0-9][a-z0-9._-]{0,61}[a-z0-9]$/))
    await submit({ name: secret });
  for (const { text: secret } of canaries.of("an image", /^[a-z0-9._/:@-]+$/))
    await submit({ image: `registry.example/${secret}:1` });
  for (const { text: secret } of canaries.of("a refused body")) {
    for (const over of [{ job_type: secret }, { [secret]: 1 }, { env: { [secret]: "a\u0001b" } }]) await submit(over);
    for (const broken of [`{"name": "${secret}"`, `{"${secret}": `, secret, `{"${secret}":1,"${secret}":1}`])
      await agent.post(SUBMIT, broken, CONTEXT);
  }
  await agent.post(SUBMIT, { a: canaries.texts("a large body", 4_000), b: "x".repeat(70_000) }, CONTEXT);
  for (const secret of canaries.texts("broken UTF-8", 4_000)) {
    const body = new Uint8Array([...new TextEncoder().encode(`{"name": "${secret}`), 0xff, 0xfe]);
    const headers = { ...CONTEXT, authorization: `Bearer ${agent.key}`, "content-type": "application/json" };
    const sent = await entrance(new Request(`https://gate.example${SUBMIT}`, { method: "POST", headers, body }));
    expect(sent.status).toBe(400);
  }
  for (const secret of canaries.texts("a question", 2_000)) await agent.post("/v1/insights", { question: secret });
  // The example control plane answers with the names of variables, and an answer is kept for its sender as it came.
  const kept = /^.* in a variable's name: TenantLedger [\w-]+ operations\.response$/;
  expect((await leaks()).filter((leak) => !kept.test(leak))).toEqual([]);
  // What the control plane answers, and pointers to what is wrong: to nobody but who sent it.
  expect([...echoed()].toSorted()).toEqual(["a question", "a refused body", "a variable's name"]);
});
