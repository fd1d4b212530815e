import * as fc from "fast-check";
import { parseList, serializeItem, Token } from "structured-headers";
import { describe, expect, test } from "vitest";
import { isGateHeader, NO_GATE_HEADERS, readGateHeaders } from "../../src/gateway/gate-headers.ts";

const read = (name: string, value: string) => readGateHeaders(new Map([[name, value]]));
const jws = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJwOjEifQ.c2lnbmF0dXJl-_";

describe("reads each header of the wire contract", () => {
  test.each([
    ["gate-dry-run", "?1", { dryRun: true }],
    ["gate-dry-run", "?0", { dryRun: false }],
    ["gate-plan", "A1b2C3d4-_A1b2C3", { plan: "A1b2C3d4-_A1b2C3" }],
    ["gate-approval", jws, { approvals: [jws] }],
    ["gate-approval", `${jws}, "${jws}" ,${jws}`, { approvals: [jws, jws, jws] }],
    ["gate-reason", "loss is rising, restart from step 900", { reason: "loss is rising, restart from step 900" }],
    ["gate-reason", "caf%C3%A9%20100%25 + 1", { reason: "café 100% + 1" }],
    ["gate-reason", "%20 %E2%80%83padded ", { reason: "padded" }],
    ["gate-reason", "a".repeat(1_024), { reason: "a".repeat(1_024) }],
    ["gate-reason", "%C3%A9".repeat(512), { reason: "é".repeat(512) }],
    ["gate-evidence", "step 1%0A%09loss 2.5%0A", { evidence: "step 1\n\tloss 2.5" }],
    ["gate-evidence", "a".repeat(8_192), { evidence: "a".repeat(8_192) }],
    ["gate-back-out", "1. cancel%0A2. restore", { backOut: "1. cancel\n2. restore" }],
    ["gate-evidence-ref", `sha256:${"0af9".repeat(16)}`, { evidenceRef: `sha256:${"0af9".repeat(16)}` }],
    ["gate-incident", "PD:INC-42/a", { incident: "PD:INC-42/a" }],
    ["gate-max-cost", "12.50", { maxCostMicros: 12_500_000 }],
    ["gate-max-cost", "0", { maxCostMicros: 0 }],
    ["gate-max-cost", "0.000001", { maxCostMicros: 1 }],
    ["gate-max-hours", "4", { maxRunMs: 14_400_000 }],
    ["gate-max-hours", "0.001", { maxRunMs: 3_600 }],
    ["gate-max-hours", "999999.999", { maxRunMs: 3_599_999_996_400 }],
    [
      "idempotency-key",
      '"8e03978e-40d5-43dd-bc93-6894a57f9324"',
      { idempotencyKey: "8e03978e-40d5-43dd-bc93-6894a57f9324" },
    ],
    ["idempotency-key", '"a, b \\"c\\" \\\\"', { idempotencyKey: 'a, b "c" \\' }],
    ["idempotency-key", `"${"k".repeat(255)}"`, { idempotencyKey: "k".repeat(255) }],
  ])("%s: %.60s", (name, value, expected) => {
    expect(read(name, value)).toEqual({ ok: true, value: { ...NO_GATE_HEADERS, ...expected } });
  });

  test("several headers together; none is no header at all", () => {
    const raw = new Map([
      ["gate-dry-run", "?1"],
      ["gate-incident", "i1"],
    ]);
    expect(readGateHeaders(raw)).toEqual({ ok: true, value: { ...NO_GATE_HEADERS, dryRun: true, incident: "i1" } });
    expect(readGateHeaders(new Map())).toEqual({ ok: true, value: NO_GATE_HEADERS });
  });
});

describe("refuses what it does not know or cannot read, naming the header and what was expected", () => {
  test.each([
    ["a boolean in words", "gate-dry-run", "true", "Gate-Dry-Run: expected the structured-field boolean ?1 or ?0"],
    ["an integer", "gate-dry-run", "1", "Gate-Dry-Run"],
    ["nothing", "gate-dry-run", "", "Gate-Dry-Run"],
    ["a parameter that might be meant", "gate-dry-run", "?0;plan", "Gate-Dry-Run"],
    ["HDR-04 repeated, contradicting itself", "gate-dry-run", "?1, ?0", "Gate-Dry-Run"],
    ["HDR-04 a misspelt dry run never executes", "gate-dryrun", "?1", "gate-dryrun: not a request header of the gate"],
    ["HDR-03 a header of the response", "gate-tier", "0", "gate-tier"],
    ["a short receipt", "gate-plan", "A1b2C3d4-_A1b2C", "Gate-Plan: expected a receipt"],
    ["a long receipt", "gate-plan", "A".repeat(129), "Gate-Plan"],
    ["HDR-04 two receipts", "gate-plan", `${"A".repeat(16)}, ${"B".repeat(16)}`, "Gate-Plan"],
    ["no token", "gate-approval", "", "Gate-Approval: expected a list of 1 to 4 approval tokens"],
    ["more tokens than people decide", "gate-approval", Array(5).fill(jws).join(","), "Gate-Approval"],
    ["ten thousand empty members", "gate-approval", ",".repeat(10_000), "Gate-Approval"],
    ["a trailing comma", "gate-approval", `${jws},`, "Gate-Approval"],
    ["a parameter on a token", "gate-approval", `${jws};a=1`, "Gate-Approval"],
    ["an inner list", "gate-approval", `(${jws})`, "Gate-Approval"],
    ["a token of two parts", "gate-approval", "eyJh.eyJh", "Gate-Approval"],
    ["an encrypted token of five parts", "gate-approval", "eyJh.a.b.c.d", "Gate-Approval"],
    ["a padded token", "gate-approval", `${jws}==`, "Gate-Approval"],
    ["an unsigned token", "gate-approval", "eyJh.eyJh.", "Gate-Approval"],
    ["two tokens without a comma", "gate-approval", `${jws} ${jws}`, "Gate-Approval"],
    ["a blank reason", "gate-reason", "%20%0A%E2%80%83", "Gate-Reason: expected text that is not blank"],
    ["an empty reason", "gate-reason", "", "Gate-Reason"],
    ["a reason of two lines", "gate-reason", "ok%0AApproved by: alice", "Gate-Reason"],
    ["a reason with a line separator", "gate-reason", "ok%E2%80%A8x", "Gate-Reason"],
    ["a literal percent sign", "gate-reason", "100% sure", "Gate-Reason"],
    ["half an escape", "gate-reason", "a%4", "Gate-Reason"],
    ["overlong UTF-8", "gate-reason", "%C0%AF", "Gate-Reason"],
    ["an encoded surrogate", "gate-reason", "%ED%A0%80", "Gate-Reason"],
    ["an encoded NUL", "gate-evidence", "a%00b", "Gate-Evidence"],
    ["a terminal escape sequence", "gate-evidence", "%1B[2J", "Gate-Evidence"],
    ["a C1 control character", "gate-evidence", "%C2%9B2J", "Gate-Evidence"],
    ["an encoded carriage return", "gate-back-out", "a%0D%0Ab", "Gate-Back-Out"],
    ["text turned around", "gate-back-out", "delete %E2%80%AEpmet", "Gate-Back-Out"],
    ["a long reason", "gate-reason", "a".repeat(1_025), "Gate-Reason"],
    ["a reason that is long once decoded", "gate-reason", "%C3%A9".repeat(513), "Gate-Reason"],
    ["long evidence", "gate-evidence", "a".repeat(8_193), "Gate-Evidence"],
    ["a long back-out", "gate-back-out", "a".repeat(2_049), "Gate-Back-Out"],
    ["an upper-case digest", "gate-evidence-ref", `sha256:${"A".repeat(64)}`, "Gate-Evidence-Ref: expected sha256:"],
    ["another digest", "gate-evidence-ref", `sha512:${"a".repeat(64)}`, "Gate-Evidence-Ref"],
    [
      "HDR-04 two references",
      "gate-evidence-ref",
      `sha256:${"a".repeat(64)}, sha256:${"b".repeat(64)}`,
      "Gate-Evidence-Ref",
    ],
    ["an incident with a space", "gate-incident", "INC 42", "Gate-Incident: expected 1 to 128 characters"],
    ["an incident path", "gate-incident", "../x", "Gate-Incident"],
    ["a long incident", "gate-incident", "i".repeat(129), "Gate-Incident"],
    ["HDR-04 two incidents", "gate-incident", "a, b", "Gate-Incident"],
    ["a cost with a unit", "gate-max-cost", "12.50 USD", "Gate-Max-Cost: expected US dollars as a plain decimal"],
    ["a cost of seven decimals", "gate-max-cost", "0.0000001", "Gate-Max-Cost"],
    ["a negative cost", "gate-max-cost", "-1", "Gate-Max-Cost"],
    ["a cost with an exponent", "gate-max-cost", "1e3", "Gate-Max-Cost"],
    ["HDR-04 two costs", "gate-max-cost", "1, 1000", "Gate-Max-Cost"],
    ["no hours", "gate-max-hours", "0", "Gate-Max-Hours: expected hours above zero"],
    ["no hours, in decimals", "gate-max-hours", "0.000", "Gate-Max-Hours"],
    ["hours of four decimals", "gate-max-hours", "0.0001", "Gate-Max-Hours"],
    ["hours with a leading zero", "gate-max-hours", "04", "Gate-Max-Hours"],
    ["hours without end", "gate-max-hours", "Infinity", "Gate-Max-Hours"],
    ["HDR-04 two run times", "gate-max-hours", "4, 40", "Gate-Max-Hours"],
    [
      "IDM-04 a key without quotes",
      "idempotency-key",
      "k1",
      "Idempotency-Key: expected a quoted structured-field string",
    ],
    ["IDM-04 an empty key", "idempotency-key", '""', "Idempotency-Key"],
    ["IDM-04 a long key", "idempotency-key", `"${"k".repeat(256)}"`, "Idempotency-Key"],
    ["IDM-04 two keys", "idempotency-key", '"k1", "k2"', "Idempotency-Key"],
    ["IDM-04 a key without an end", "idempotency-key", '"k1', "Idempotency-Key"],
    ["IDM-04 a key with a parameter", "idempotency-key", '"k1";a=1', "Idempotency-Key"],
    ["IDM-04 a key that ends in a backslash", "idempotency-key", '"k1\\', "Idempotency-Key"],
    ["IDM-04 a binary key", "idempotency-key", ":azE=:", "Idempotency-Key"],
  ])("%s", (_, name, value, reason) => {
    expect(read(name, value)).toEqual({
      ok: false,
      error: { kind: "malformed-request", reason: expect.stringContaining(reason) },
    });
  });

  test("a long misspelt name is repeated only in part", () => {
    const result = read(`gate-${"x".repeat(10_000)}`, "1");
    expect(result.ok ? "" : JSON.stringify(result.error).length).toBeLessThan(400);
  });
});

test("everything that looks like one of the gate's headers is taken for one", () => {
  expect(["gate-plan", "gate-", "gate-x", "idempotency-key"].every(isGateHeader)).toBe(true);
  expect(["gate", "x-gate-tenant", "idempotency-key-2", "authorization"].some(isGateHeader)).toBe(false);
});

test("Gate-Approval agrees with an RFC 9651 parser on every list that it accepts", () => {
  const part = fc.stringMatching(/^[A-Za-z0-9_-]{1,6}$/);
  const token = fc.tuple(part, part, part).map((parts) => parts.join("."));
  const member = fc.oneof(
    token,
    token.map((each) => `"${each}"`),
    fc.constantFrom("", "?1", "a.b", '"a', "a.b.c;d", "1.2.3"),
  );
  const list = fc.tuple(fc.array(member, { maxLength: 5 }), fc.constantFrom(",", ", ", " , ", " "));
  fc.assert(
    fc.property(list, ([members, separator]) => {
      const value = members.join(separator);
      const result = read("gate-approval", value);
      if (result.ok)
        expect(parseList(value).map(([item]) => (item instanceof Token ? item.toString() : item))).toEqual(
          result.value.approvals,
        );
    }),
    { numRuns: 2_000 },
  );
});

test("any key that the RFC 9651 library writes is read back", () => {
  const key = fc.stringMatching(/^[\x20-\x7e]{1,255}$/);
  fc.assert(
    fc.property(key, (each) => {
      expect(read("idempotency-key", serializeItem(each))).toMatchObject({ ok: true, value: { idempotencyKey: each } });
    }),
  );
  expect(read("idempotency-key", serializeItem(new Token("k1"))).ok).toBe(false);
});

test("any text that a client encodes is read back, trimmed", () => {
  const text = fc.string({ unit: "grapheme", maxLength: 100 }).filter((each) => each.trim() !== "");
  fc.assert(
    fc.property(text, (each) => {
      expect(read("gate-reason", encodeURIComponent(each))).toMatchObject({ ok: true, value: { reason: each.trim() } });
    }),
  );
});
