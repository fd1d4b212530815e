import { describe, expect, test } from "vitest";
import { OCSF_VERSION, ocsfEvent } from "../../src/audit/ocsf.ts";
import { everyKind } from "../audit/every-kind.ts";
import { classOf, PROFILES, SCHEMA_VERSION, violations } from "./ocsf-schema.ts";

const USED = ["security_control", "ai_operation"];
const shape = classOf("api_activity", USED);
const check = (event: object): readonly string[] => violations(event, shape, USED);

test("the events are made after this version of the schema, and with profiles that it has", () => {
  expect(OCSF_VERSION).toBe(SCHEMA_VERSION);
  expect(PROFILES).toEqual(expect.arrayContaining(USED));
});

describe("every event is valid after the public schema", () => {
  test.each(everyKind)("$kind, record $sequence", (record) => {
    expect(check(ocsfEvent(record))).toEqual([]);
  });
});

describe("the check finds what is wrong", () => {
  const [good = {}] = everyKind.map(ocsfEvent);
  test.each([
    ["a required attribute that is missing", { metadata: undefined }, "/metadata: is required"],
    ["an attribute that the schema does not have", { colour: "red" }, "/colour: is not in the schema"],
    ["another class", { class_uid: 6_002 }, "/class_uid: 6002 is not in its enumeration"],
    ["a number outside its enumeration", { severity_id: 42 }, "/severity_id: 42 is not in its enumeration"],
    ["a caption of another number", { severity: "Fatal" }, '/severity: "Fatal" is not Informational'],
    ["a text where a number belongs", { time: "2026" }, '/time: "2026" is no timestamp_t'],
    ["an object without what it needs", { actor: {} }, "/actor: needs one of"],
    ["a deprecated attribute", { actor: { invoked_by: "x" } }, "/actor/invoked_by: is deprecated"],
    ["an attribute of a profile that is not used", { attestation_list: [] }, "/attestation_list: is not in the schema"],
  ])("%s", (_, over, told) => {
    expect(check(JSON.parse(JSON.stringify({ ...good, ...over }))).join("\n")).toContain(told);
  });
});
