import { expect, test } from "vitest";
import { ANSWER } from "../../src/admin/openapi/openapi-answers.ts";
import { readConfig } from "../../src/config.ts";
import { forgetLateCopy, noteLateCopy } from "../../src/db/copy-rows.ts";
import type { Env } from "../../src/env.ts";
import { openIsolate } from "../support/isolates.ts";
import { testEnv } from "../support/test-env.ts";
import { faultyD1 } from "../audit/faulty-d1.ts";

const SINCE = Date.UTC(2026, 10, 21, 12);
const LEDGER = { tenant: "second-copy-state", log: "ledger" };
const REQUESTS = { tenant: "second-copy-state", log: "requests-3" };

/** What `GET /_gate/ready` says of a gate with these bindings. */
async function ready(bindings: Partial<Env>) {
  const answered = await openIsolate(bindings).entrance(new Request("https://gate.example/_gate/ready"));
  const body: unknown = await answered.json();
  return { status: answered.status, ...ANSWER.readiness.strict().parse(body) };
}

test("whoever asks whether the gate is ready hears whether the second copy is late, and nobody's name", async () => {
  const bucket = { AUDIT_BUCKET: testEnv.TEST_BUCKET };
  expect((await ready({})).second_copy).toEqual({ state: "off", logs: 0, records: 0, since: null });
  expect((await ready(bucket)).second_copy).toEqual({ state: "in-time", logs: 0, records: 0, since: null });
  await noteLateCopy(testEnv.DB, LEDGER, 2_000, SINCE);
  await noteLateCopy(testEnv.DB, REQUESTS, 10, SINCE + 60_000);
  await noteLateCopy(testEnv.DB, LEDGER, 5_000, SINCE + 120_000);
  const late = await ready(bucket);
  expect(late.second_copy).toEqual({ state: "late", logs: 2, records: 5_010, since: "2026-11-21T12:00:00.000Z" });
  expect([late.status, late.ready], "nothing waits for it").toEqual([200, true]);
  expect((await ready({})).second_copy.state).toBe("off");
  for (const log of [LEDGER, REQUESTS, LEDGER]) await forgetLateCopy(testEnv.DB, log);
  expect((await ready(bucket)).second_copy.state).toBe("in-time");
});

test("while D1 does not answer, it is unknown", async () => {
  const DB = faultyD1(testEnv.DB, { read: "refused" });
  const answered = await ready({ AUDIT_BUCKET: testEnv.TEST_BUCKET, DB });
  expect(answered).toMatchObject({
    status: 503,
    dependencies: { d1: "unavailable" },
    second_copy: { state: "unknown" },
  });
});

test("a variable in place of the bucket's binding is a mistake in the configuration, not a gate without a copy", () => {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what a deployment may do
  const mistaken = { ...testEnv, AUDIT_BUCKET: "portcullis-audit" } as unknown as Env;
  expect(readConfig(mistaken)).toEqual({ ok: false, error: ["AUDIT_BUCKET: must be the binding of an R2 bucket"] });
});
