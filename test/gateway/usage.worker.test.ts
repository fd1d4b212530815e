import { describe, expect, test } from "vitest";
import { list, member, verdict, type Answered } from "../support/answer.ts";
import { useBlackBox, type BlackBox, type Caller } from "../support/black-box.ts";
import { budgetOf, job, REASON, receiptFor, submit, SUBMIT } from "../support/requests.ts";

/** What things really cost, as billing says it; and outcomes that only people can know. */
const open = useBlackBox("usage");

const USAGE = "/_gate/v1/usage";
const HEADER = "request_id,actual_usd,ended_at,evidence";
const CSV = { "content-type": "text/csv" };
const CEILING = 10_000_000;

const requestOf = (answered: Answered): string => answered.headers.get("gate-request-id") ?? "";

/** The request id of a job of 10 USD that runs. */
async function running(box: BlackBox, name = "job-1"): Promise<string> {
  const submitted = await submit(await box.as("agent"), job({ name }));
  expect(verdict(submitted)).toBe("201");
  return requestOf(submitted);
}

const secondOf = (box: BlackBox): Promise<Caller> =>
  box.mint({ subject: "person:finance2", class: "person", owner: "person:finance2", roles: ["finance"] }, "finance");

/** As many reports, of requests that there are not. */
const lines = (count: number): object[] =>
  Array.from({ length: count }, (_, n) => ({
    request_id: `req_${n}`,
    actual_usd: 1,
    ended_at: null,
    evidence: `i${n}`,
  }));

describe("a usage report", () => {
  test("at the ceiling is booked at once; repeated, it is the same report", async () => {
    const box = await open();
    const [billing, id] = [await box.as("billing"), await running(box)];
    const report = { request_id: id, actual_usd: 10, ended_at: "2026-11-20T08:00:00Z", evidence: "invoice 7, line 1" };
    const booked = await billing.post(USAGE, [report]);
    expect([booked.status, booked.body]).toMatchObject([
      200,
      {
        results: [
          {
            request_id: id,
            evidence: report.evidence,
            state: "settled",
            held_micros: CEILING,
            settled_micros: CEILING,
          },
        ],
        counts: { settled: 1, waiting: 0, overrun: 0, duplicate: 0, rejected: 0 },
      },
    ]);
    expect(await budgetOf(box)).toMatchObject({ held: 0, settled: CEILING });
    expect((await billing.post(USAGE, { reports: [report] })).body).toMatchObject({ counts: { duplicate: 1 } });
    expect(await budgetOf(box)).toMatchObject({ held: 0, settled: CEILING });
  });

  test("below the ceiling waits for an end, or for a second person of finance; billing is not one", async () => {
    const box = await open();
    const [billing, finance, id] = [await box.as("billing"), await box.as("finance"), await running(box)];
    const report = { request_id: id, actual_usd: "0.300001", evidence: "meter 4" };
    expect((await billing.post(USAGE, [report])).body).toMatchObject({
      results: [{ state: "waiting", reason: expect.stringContaining("second person") }],
    });
    expect((await billing.post(USAGE, [report])).body).toMatchObject({ counts: { duplicate: 1 } });
    expect(await budgetOf(box)).toMatchObject({ held: CEILING, settled: 0 });
    // Whoever owns or issued billing's credential would confirm itself.
    expect((await finance.post(USAGE, [report])).body).toMatchObject({ counts: { duplicate: 1 } });
    expect((await (await secondOf(box)).post(USAGE, [report])).body).toMatchObject({
      results: [{ state: "settled", settled_usd: 0.300001, settled_micros: 300_001 }],
    });
    expect(await budgetOf(box)).toMatchObject({ held: 0, settled: 300_001 });
  });

  test("in CSV is the same as in JSON, line by line", async () => {
    const box = await open();
    const [billing, first, second] = [await box.as("billing"), await running(box, "a"), await running(box, "b")];
    const csv = `${HEADER}\r\n${first},10,2026-11-20T08:00:00Z,"invoice 7, line 1"\r\nreq_unknown,1,,x\r\n${second},10.000000,,i8\r\n`;
    const booked = await billing.send("POST", USAGE, csv, CSV);
    expect([booked.status, booked.body]).toMatchObject([
      200,
      {
        results: [{ state: "settled" }, { state: "rejected", held_usd: null }, { state: "settled" }],
        counts: { settled: 2, rejected: 1 },
      },
    ]);
    expect(
      (await billing.post(USAGE, [{ request_id: first, actual_usd: 10, evidence: "invoice 7, line 1" }])).body,
    ).toMatchObject({
      counts: { duplicate: 1 },
    });
  });

  test("a thousand lines are one batch, and one more is not", async () => {
    const box = await open();
    const billing = await box.as("billing");
    const booked = await billing.post(USAGE, lines(1_000));
    expect(booked.body).toMatchObject({ counts: { rejected: 1_000 } });
    expect(verdict(await billing.post(USAGE, lines(1_001)))).toBe("400 malformed-request");
    const csv = [HEADER, ...lines(1_001).map((_, n) => `req_${n},1,,i${n}`)].join("\n");
    const refused = await billing.send("POST", USAGE, csv, CSV);
    expect(refused.text).toContain("body line 1002: more than 1000 reports");
  });
});

test("a report that cannot be read refuses the whole batch, with its place, and nothing is booked", async () => {
  const box = await open();
  const [billing, id] = [await box.as("billing"), await running(box)];
  const good = { request_id: id, actual_usd: 10, evidence: "i1" };
  const cases: readonly (readonly [unknown, string])[] = [
    [[], "must have at least 1 items"],
    [{}, "body /reports: missing"],
    [{ reports: [good], more: 1 }, "body /more: unknown key"],
    [[good, { ...good, actual_usd: -1 }], "body /1/actual_usd: is an amount in USD"],
    [[good, { ...good, actual_usd: "10,5" }], "body /1/actual_usd: is an amount in USD"],
    [[good, { ...good, actual_usd: 0.1234567 }], "body /1/actual_usd: is an amount in USD"],
    [[good, { ...good, ended_at: "yesterday" }], "body /1/ended_at: is a time"],
    [[good, { ...good, evidence: "" }], "body /1/evidence"],
    [[good, { ...good, evidence: "a\u0007b" }], "body /1/evidence"],
    [[good, { request_id: id, actual_usd: 10 }], "body /1/evidence: missing"],
    [[good, { ...good, note: "x" }], "body /1/note: unknown key"],
    [{ reports: [good, { ...good, actual_usd: null }] }, "body /reports/1/actual_usd: is an amount in USD"],
    [[good, 7], "body /1: "],
    ['[{"request_id":"a","request_id":"b"}]', "repeated"],
    ["7", "expected an object or an array"],
  ];
  for (const [body, reason] of cases) {
    const refused = await billing.post(USAGE, body);
    expect([verdict(refused), refused.text]).toEqual(["400 malformed-request", expect.stringContaining(reason)]);
  }
  const files: readonly (readonly [string, string])[] = [
    ["", "empty although"],
    [`${HEADER}\n`, "must have at least 1 items"],
    [`${HEADER}\n${id},10,,i1\n${id},-1,,i2\n`, "body line 3, actual_usd: is an amount in USD"],
    [`${HEADER}\n${id},10,,i1\n${id},1e1,,i2\n`, "body line 3, actual_usd: is an amount in USD"],
    [`${HEADER}\n${id},10,,i1\n\n${id},,,i2\n`, "body line 4, actual_usd: is an amount in USD"],
    [`${HEADER}\n${id},10,20.11.2026,i1\n`, "body line 2, ended_at: is a time"],
    [`${HEADER}\n${id},10,,\n`, "body line 2, evidence"],
    [`${HEADER};x\n${id},10,,i1\n`, "body line 1: unknown column"],
    [`${HEADER}\n${id},10,i1\n`, "body line 2: 3 cells where the header has 4"],
  ];
  for (const [csv, reason] of files) {
    const refused = await billing.send("POST", USAGE, csv, CSV);
    expect([verdict(refused), refused.text]).toEqual(["400 malformed-request", expect.stringContaining(reason)]);
  }
  expect(verdict(await billing.send("POST", USAGE, "x", { "content-type": "text/plain" }))).toBe(
    "415 unsupported-media-type",
  );
  expect(await budgetOf(box)).toMatchObject({ held: CEILING, settled: 0 });
});

test("arrays and CSV are taken on this route alone", async () => {
  const box = await open();
  const finance = await box.as("finance");
  expect(verdict(await finance.put("/_gate/v1/budget", [{ daily_cap_usd: 1, reason: "x" }]))).toBe(
    "400 malformed-request",
  );
  expect(verdict(await finance.send("PUT", "/_gate/v1/budget", "a,b\n", CSV))).toBe("415 unsupported-media-type");
  const agent = await box.as("agent");
  expect(verdict(await agent.post(SUBMIT, [job()]))).toBe("400 malformed-request");
  expect(verdict(await agent.send("POST", SUBMIT, "a,b\n", CSV))).toBe("415 unsupported-media-type");
});

/** A submit whose outcome stays unknown for as long as the test runs. */
async function unknown(box: BlackBox): Promise<string> {
  const agent = await box.as("agent");
  const receipt = await receiptFor(agent, job());
  await box.upstream.inject([
    { method: "POST", path: SUBMIT, kind: "drop-after-execute" },
    { method: "GET", path: SUBMIT, times: 1_000, kind: "status:500" },
  ]);
  const answered = await agent.post(SUBMIT, job(), { ...REASON, "gate-plan": receipt });
  expect(verdict(answered)).toBe("504 outcome-unknown");
  const id = requestOf(answered);
  await expect
    .poll(async () => member(await agent.get(`/_gate/v1/operations/${id}`), "state"), { timeout: 20_000 })
    .toBe("unknown");
  return id;
}

describe("an outcome that look-ups cannot settle", () => {
  test("takes an operator and a person of finance who say the same", async () => {
    const box = await open();
    const [operator, finance] = [await box.as("operator"), await box.as("finance")];
    const id = await unknown(box);
    const path = `/_gate/v1/operations/${id}/resolve`;
    expect(list(await finance.get("/_gate/v1/budget/unresolved"), "records")).toMatchObject([{ id, state: "unknown" }]);
    const word = {
      outcome: "succeeded",
      actual_usd: "2.5",
      evidence: "the job is in the control plane's list, and ended",
    };
    const first = await operator.post(path, word);
    expect([first.status, first.body]).toEqual([200, { request_id: id, state: "pending", given: ["person:operator"] }]);
    expect((await operator.post(path, word)).body).toMatchObject({ state: "pending" });
    expect((await finance.post(path, { ...word, actual_usd: "2.6" })).body).toMatchObject({ state: "pending" });
    expect(await budgetOf(box)).toMatchObject({ held: CEILING });
    expect((await finance.post(path, word)).body).toMatchObject({ request_id: id, state: "resolved" });
    expect(await budgetOf(box)).toMatchObject({ held: 0, settled: 2_500_000 });
    expect(verdict(await finance.post(path, word))).toBe("409 already-decided");
  });

  test("is nobody else's, and two people of finance are not enough", async () => {
    const box = await open();
    const [finance, finance2] = [await box.as("finance"), await secondOf(box)];
    const id = await unknown(box);
    const path = `/_gate/v1/operations/${id}/resolve`;
    const word = { outcome: "failed", evidence: "nothing is there" };
    for (const name of ["agent", "alice", "security", "billing"] as const)
      expect(verdict(await (await box.as(name)).post(path, word)), name).toBe("403 out-of-scope");
    for (const one of [finance, finance2])
      expect((await one.post(path, word)).body).toMatchObject({ state: "pending" });
    expect(await budgetOf(box)).toMatchObject({ held: CEILING });
    expect((await (await box.as("operator")).post(path, word)).body).toMatchObject({ state: "resolved" });
    expect(await budgetOf(box)).toMatchObject({ held: 0, settled: 0 });
  });

  test("what is known is not resolved, and what there is not is not found", async () => {
    const box = await open();
    const [finance, id] = [await box.as("finance"), await running(box)];
    const word = { outcome: "failed", evidence: "I would rather not pay" };
    expect(verdict(await finance.post(`/_gate/v1/operations/${id}/resolve`, word))).toBe("409 already-decided");
    expect(verdict(await finance.post("/_gate/v1/operations/req_none/resolve", word))).toBe("404 not-found");
    const evidence = { outcome: "failed", evidence: " " };
    expect(verdict(await finance.post(`/_gate/v1/operations/${id}/resolve`, evidence))).toBe("400 malformed-request");
  });
});
