import { expect, test } from "vitest";
import { MONEY_ANSWER } from "../../src/admin/openapi/openapi-money-answers.ts";
import { runPiped } from "./fake-terminal.ts";
import { jsonOf, widest } from "./run-cli.ts";
import { startStubGate } from "./stub-gate.ts";

const measured = { of: "gpus", per: "tenant", within: "hour", actions: null, over: "refuse", mode: "enforce" };
const ANSWER = {
  aggregates: [
    { ...measured, name: "gpus-per-hour", max: 64, scopes: [{ scope: "tenant", current: 64, left: 0 }] },
    {
      ...measured,
      name: "own",
      per: "principal",
      within: "running",
      max: 9,
      over: "approve",
      mode: "shadow",
      scopes: [],
    },
  ],
};

test("the sample is the gate's", () => {
  expect(MONEY_ANSWER.aggregates.safeParse(ANSWER).error?.issues).toBeUndefined();
});

test("each limit stands in a row with what is used, within 80 columns; machines get the gate's answer", async () => {
  const gate = await startStubGate({ "GET /_gate/v1/aggregates": { body: ANSWER } });
  const people = await runPiped(["aggregates"], { env: gate.env });
  expect(people).toMatchObject({ code: 0, stderr: "" });
  expect(people.stdout).toMatch(/gpus-per-hour +gpus +hour +tenant +64 +64 +refuse/);
  expect(people.stdout).toMatch(/own +gpus +running +nobody +0 +9 +approve, in shadow/);
  expect(widest(people.stdout)).toBeLessThanOrEqual(80);
  expect(jsonOf(await runPiped(["aggregates", "--json"], { env: gate.env }))).toEqual(ANSWER);
});

test("a policy without any says so", async () => {
  const gate = await startStubGate({ "GET /_gate/v1/aggregates": { body: { aggregates: [] } } });
  const people = await runPiped(["aggregates"], { env: gate.env });
  expect(people.stdout).toContain("The policy limits no sums of requests.");
});
