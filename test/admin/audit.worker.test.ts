import { describe, expect, test } from "vitest";
import type { AuditRecord } from "../../src/audit/record.ts";
import { isJsonObject, type JsonValue } from "../../src/platform/json.ts";
import { auditLog, RECORDS_START } from "../audit/records.ts";
import { everyKind } from "../audit/every-kind.ts";
import { list, member, text, verdict, type Answered } from "../support/answer.ts";
import { useBlackBox, type BlackBox, type Caller } from "../support/black-box.ts";
import { storeRecords, STORED_LOG } from "../support/stored-records.ts";
import { testEnv } from "../support/test-env.ts";

/** Who finds which records (security catalogue: AUD-01, AUD-07, AUD-09). */
const open = useBlackBox("audit-list");

const AUDIT = "/_gate/v1/audit";
const UNTIL = new Date(RECORDS_START + 3_600_000).toISOString();

const query = (over: Readonly<Record<string, string>>): string =>
  Object.entries({ until: UNTIL, limit: "500", ...over })
    .map(([name, value]) => `${name}=${encodeURIComponent(value)}`)
    .join("&");

const isStored = (record: JsonValue): boolean => isJsonObject(record) && record["log"] === STORED_LOG;
/** Sequences of what was stored by a test, in the order of the answer. */
const sequences = (answered: Answered): readonly JsonValue[] =>
  list(answered, "records")
    .filter(isStored)
    .map((record) => (isJsonObject(record) ? (record["sequence"] ?? null) : null));

type Stored = { readonly box: BlackBox; readonly security: Caller; readonly records: readonly AuditRecord[] };

/** A tenant with these records in a log of their own. */
async function stored(entries: readonly Partial<AuditRecord>[]): Promise<Stored> {
  const box = await open();
  const records = auditLog(entries, STORED_LOG, box.tenant);
  await storeRecords(records);
  return { box, security: await box.as("security"), records };
}

const find = async ({ security }: Stored, over: Readonly<Record<string, string>>): Promise<readonly JsonValue[]> => {
  const answered = await security.get(`${AUDIT}?${query(over)}`);
  expect(verdict(answered), answered.text).toBe("200");
  return sequences(answered);
};

const newestFirst = (records: readonly AuditRecord[]): readonly number[] =>
  records.map(({ sequence }) => sequence).toReversed();

describe("each filter answers exactly the records that it names", () => {
  const FILTERS: readonly (readonly [name: string, value: string, (record: AuditRecord) => boolean])[] = [
    ["kind", "break-glass", ({ kind }) => kind === "break-glass"],
    ["kind", "request", ({ kind }) => kind === "request"],
    ["decision", "refuse", ({ decision }) => decision === "refuse"],
    ["reason_code", "not-eligible", ({ reason_code: code }) => code === "not-eligible"],
    ["outcome", "failed", ({ outcome }) => outcome === "failed"],
    ["principal", "person:alice", ({ principal }) => principal === "person:alice"],
    ["owner", "person:dana", ({ owner }) => owner === "person:dana"],
    ["credential_id", "key_1", ({ credential_id: id }) => id === "key_1"],
    ["action", "workloads.submit", ({ action }) => action === "workloads.submit"],
    ["approval_id", "apr_1", ({ approval_id: id }) => id === "apr_1"],
    ["approver", "person:alice", ({ approvers }) => approvers.includes("person:alice")],
    ["incident", "INC-1", ({ incident }) => incident === "INC-1"],
    ["request_id", `req_${"7".padStart(26, "0")}`, ({ sequence }) => sequence === 7],
    ["tier", "4", ({ tier }) => tier === 4],
    ["since", new Date(RECORDS_START + 30_000).toISOString(), ({ sequence }) => sequence >= 30],
    ["until", new Date(RECORDS_START + 30_000).toISOString(), ({ sequence }) => sequence < 30],
  ];

  test("one by one, newest first, and all of them together", async () => {
    const all = await stored(everyKind);
    for (const [name, value, passes] of FILTERS) {
      const expected = newestFirst(all.records.filter(passes));
      expect(expected.length, `${name} is tested on something`).toBeGreaterThan(0);
      expect(expected.length, `${name} leaves something out`).toBeLessThan(all.records.length);
      expect(await find(all, { [name]: value }), `${name}=${value}`).toEqual(expected);
    }
    const [last] = all.records.filter(({ approval_id: id }) => id === "apr_1").toReversed();
    const together = { approval_id: "apr_1", approver: "person:alice", kind: last?.kind ?? "", owner: "person:dana" };
    expect(await find(all, together)).toEqual([last?.sequence]);
  });

  test("a mistake in a filter is refused, and no empty answer", async () => {
    const security = await (await open()).as("security");
    const mistakes = ["kind=rumour", "decision=maybe", "tier=6", "kind=", "credential=key_1", "limit=0", "limit=501"];
    for (const mistake of mistakes)
      expect(verdict(await security.get(`${AUDIT}?${mistake}`)), mistake).toBe("400 malformed-request");
  });
});

const daysBefore = (days: number): string => new Date(Date.parse(UNTIL) - days * 86_400_000).toISOString();

describe("free text is found literally, in reason, evidence and detail", () => {
  const LONG = `${"a long explanation, ".repeat(8)}and its end`;
  const TEXTS: readonly Partial<AuditRecord>[] = [
    { reason: "Nightly Retraining" },
    { reason: null, evidence: "loss is 100%_of it" },
    { reason: null, detail: 'said "no\\way"' },
    { reason: "line one\nline two\ttab" },
    { reason: "größer als é" },
    { reason: LONG },
    { reason: `${LONG.slice(0, 120)} another end` },
    { reason: null, path: "/v1/nightly" },
    { reason: "x'; DROP TABLE audit; --" },
  ];
  const since = new Date(RECORDS_START).toISOString();

  test("whatever it is made of", async () => {
    const all = await stored(TEXTS);
    const cases: readonly (readonly [string, readonly number[]])[] = [
      ["nightly", [1]],
      ["NIGHTLY RE", [1]],
      ["100%_OF", [2]],
      ["0%o", []],
      ["1__%", []],
      ['"NO\\w', [3]],
      ["no\\\\way", []],
      ["größer", [5]],
      ["GRÖSSER", []],
      ["ALS é", [5]],
      ["ALS É", []],
      [LONG, [6]],
      [LONG.slice(0, 120), [7, 6]],
      ["its END", [6]],
      ["'; drop table", [9]],
      ["workloads.submit", []],
    ];
    for (const [q, expected] of cases) expect(await find(all, { q, since }), q).toEqual(expected);
  });

  test("a search that would read without bound is refused: without since, beyond 31 days, of one character", async () => {
    const all = await stored(TEXTS);
    expect(await find(all, { q: "nightly", since: daysBefore(31) })).toEqual([1]);
    const unbounded: readonly Readonly<Record<string, string>>[] = [
      { q: "nightly" },
      { q: "nightly", since: new Date(Date.parse(daysBefore(31)) - 1).toISOString() },
      { q: "x", since },
      { q: "x".repeat(201), since },
    ];
    for (const over of unbounded)
      expect(verdict(await all.security.get(`${AUDIT}?${query(over)}`)), JSON.stringify(over)).toBe(
        "400 malformed-request",
      );
  });
});

describe("a cursor", () => {
  test("goes through every record once, whatever the page", async () => {
    // Four records per millisecond: places are told apart by log and sequence as well.
    const entries = everyKind.map((record, index) => ({
      ...record,
      time: new Date(RECORDS_START + Math.floor(index / 4)).toISOString(),
    }));
    const all = await stored(entries);
    const since = new Date(RECORDS_START).toISOString();
    const seen: JsonValue[] = [];
    let cursor: Readonly<Record<string, string>> = {};
    for (let pages = 0; pages < 100; pages += 1) {
      const answered = await all.security.get(`${AUDIT}?${query({ since, limit: "7", ...cursor })}`);
      seen.push(...sequences(answered));
      const next = member(answered, "next_cursor");
      if (typeof next !== "string") break;
      cursor = { cursor: next };
    }
    expect(seen).toEqual(newestFirst(all.records));
  });

  test("that anybody has changed, or of another tenant, is refused", async () => {
    const [mine, theirs] = [await stored(everyKind), await stored(everyKind)];
    const first = await mine.security.get(`${AUDIT}?limit=1`);
    const cursor = text(first, "next_cursor");
    const ask = async (by: Caller, written: string): Promise<string> =>
      verdict(await by.get(`${AUDIT}?cursor=${encodeURIComponent(written)}`));
    expect(await ask(mine.security, cursor)).toBe("200");
    expect(await ask(theirs.security, cursor)).toBe("400 malformed-request");
    const [body = "", mac = ""] = cursor.split(".");
    const forged = btoa(JSON.stringify(["2027-01-01T00:00:00.000Z", "ledger", 1])).replaceAll("=", "");
    const changed = [
      ...[0, 5, body.length - 1].map(
        (at) => `${body.slice(0, at)}${body[at] === "A" ? "B" : "A"}${body.slice(at + 1)}.${mac}`,
      ),
      ...[0, 10].map((at) => `${body}.${mac.slice(0, at)}${mac[at] === "A" ? "B" : "A"}${mac.slice(at + 1)}`),
      `${forged}.${mac}`,
      `${body}.`,
      body,
      `${body}.${mac.slice(0, -2)}`,
      `${cursor}.${mac}`,
      `${cursor}=`,
      "",
      ".",
      "null",
    ];
    for (const one of changed) expect(await ask(mine.security, one), one).toBe("400 malformed-request");
  });
});

describe("a filter is a value, never SQL", () => {
  const INJECTIONS = [
    "' OR '1'='1",
    "x' UNION SELECT record, time, log, sequence FROM audit --",
    "'; DELETE FROM audit; --",
    '") OR 1=1 --',
    "?1",
    "%",
    "_____",
    "*",
  ];
  const NAMES = ["action", "reason_code", "outcome", "principal", "owner", "credential_id", "approval_id", "incident"];

  test("in every filter and in the free text: nothing is found, and nothing is gone", async () => {
    const [mine, theirs] = [await stored(everyKind), await stored(everyKind)];
    const since = new Date(RECORDS_START).toISOString();
    const before = await testEnv.DB.prepare("SELECT count(*) AS n FROM audit WHERE log = ?").bind(STORED_LOG).first();
    for (const value of INJECTIONS) {
      for (const name of [...NAMES, "approver", "request_id"]) {
        const answered = await mine.security.get(`${AUDIT}?${query({ [name]: value })}`);
        expect([verdict(answered), list(answered, "records")], `${name}=${value}`).toEqual(["200", []]);
      }
      const searched = await mine.security.get(`${AUDIT}?${query({ q: `${value}xyz`, since })}`);
      expect(list(searched, "records"), value).toEqual([]);
    }
    const after = await testEnv.DB.prepare("SELECT count(*) AS n FROM audit WHERE log = ?").bind(STORED_LOG).first();
    expect(after).toEqual(before);
    expect(await find(theirs, { since })).toEqual(newestFirst(theirs.records));
  });

  test("the tenant is the credential's: no filter reaches another's records", async () => {
    const [mine, theirs] = [await stored(everyKind), await stored(everyKind)];
    const since = new Date(RECORDS_START).toISOString();
    const answered = await mine.security.get(`${AUDIT}?${query({ since })}`);
    expect(list(answered, "records").map((record) => isJsonObject(record) && record["tenant"])).not.toContain(
      theirs.box.tenant,
    );
    expect(verdict(await mine.security.get(`${AUDIT}?tenant=${theirs.box.tenant}`))).toBe("400 malformed-request");
  });
});
