import { describe, expect, it } from "vitest";
import { compilePeople } from "../../src/policy/people.ts";
import { ACME_PEOPLE, peopleOf, tenantFile } from "./compiling.ts";

const people = (...text: readonly string[]): string => ["people:", ...text.map((line) => `  ${line}`), ""].join("\n");

describe("a people document", () => {
  it("finds a person by handle and by subject, and nobody else", () => {
    const alice = {
      handle: "@alice",
      subject: "person:alice",
      roles: [],
      slack: { team: "T0ACME001", user: "U0ACMEALICE" },
    };
    expect(ACME_PEOPLE.byHandle("@alice")).toEqual(alice);
    expect(ACME_PEOPLE.bySubject("person:alice")).toEqual(alice);
    for (const stranger of ["@mallory", "alice", "@Alice", "@alice ", "", "toString", "__proto__"]) {
      expect(ACME_PEOPLE.byHandle(stranger)).toBeNull();
      expect(ACME_PEOPLE.bySubject(stranger)).toBeNull();
    }
  });

  it("gives every tenant its own subjects", () => {
    const tenants = ["acme", "globex", "slurm-lab"].map((tenant) => peopleOf(tenantFile(`${tenant}.people.yaml`)));
    const handles = ["@alice", "@bob", "@carol", "@dana", "@finance", "@finance2", "@security", "@operator"];
    const subjects = tenants.flatMap((tenant) => handles.map((handle) => tenant.byHandle(handle)?.subject));
    expect(subjects).not.toContain(undefined);
    expect(new Set(subjects).size).toBe(tenants.length * handles.length);
  });

  it("may be empty: then nobody decides", () => {
    expect(peopleOf("people: {}\n").byHandle("@alice")).toBeNull();
  });

  it("keeps its digest with its text", () => {
    const text = people('"@a": { subject: person:a }');
    expect(peopleOf(text).digest).toBe(peopleOf(text).digest);
    expect(peopleOf(text).digest).not.toBe(peopleOf(`${text}# note\n`).digest);
  });

  it.each<[string, string, [number, number, string], RegExp]>([
    ["no people", "{}\n", [1, 1, "/people"], /missing/],
    ["unknown version", 'version: "3"\npeople: {}\n', [1, 10, "/version"], /expected "1\.0"/],
    ["unknown key", people('"@a": { subject: person:a, name: Ann }'), [2, 30, "/people/@a/name"], /unknown key "name"/],
    ["no subject", people('"@a": {}'), [2, 9, "/people/@a/subject"], /missing/],
    ["handle without @", people("a: { subject: person:a }"), [2, 3, "/people/a"], /a handle is "@"/],
    ["handle in upper case", people('"@Ann": { subject: person:a }'), [2, 3, "/people/@Ann"], /lower-case/],
    ["handle twice", people('"@a": { subject: person:a }', '"@a": { subject: person:b }'), [3, 3, ""], /written twice/],
    ["subject with a space", people('"@a": { subject: "person: a" }'), [2, 20, "/people/@a/subject"], /immutable id/],
    ["an agent", people('"@a": { subject: agent:trainer }'), [2, 20, "/people/@a/subject"], /not people/],
    ["a service", people('"@a": { subject: service:ci }'), [2, 20, "/people/@a/subject"], /not people/],
    [
      "one subject, two handles",
      people('"@a": { subject: person:a }', '"@b": { subject: person:a }'),
      [3, 20, "/people/@b/subject"],
      /@a has this identity already/,
    ],
    [
      "one subject in two cases",
      people('"@a": { subject: person:a }', '"@b": { subject: person:A }'),
      [3, 20, "/people/@b/subject"],
      /@a has this identity already/,
    ],
    [
      "one Slack user, two handles",
      people(
        '"@a": { subject: person:a, slack: { team: T0001, user: U0001 } }',
        '"@b": { subject: person:b, slack: { team: T0001, user: U0001 } }',
      ),
      [3, 37, "/people/@b/slack"],
      /@a has this identity already/,
    ],
    [
      "Slack display name",
      people('"@a": { subject: person:a, slack: { team: T0001, user: ann } }'),
      [2, 58, "/people/@a/slack/user"],
      /Slack user id/,
    ],
    [
      "Slack user alone",
      people('"@a": { subject: person:a, slack: { user: U0001 } }'),
      [2, 37, "/people/@a/slack/team"],
      /missing/,
    ],
    ["no e-mail address", people('"@a": { subject: person:a, email: ann }'), [2, 37, "/people/@a/email"], /email/],
  ])("with %s is refused whole, at its place", (_title, text, [line, column, path], message) => {
    const compiled = compilePeople(text);
    expect(compiled).toEqual({
      ok: false,
      error: [{ line, column, path, message: expect.stringMatching(message), severity: "error" }],
    });
  });

  it("allows one Slack user id in two workspaces: ids are unique within one only", () => {
    const text = people(
      '"@a": { subject: person:a, slack: { team: T0001, user: U0001 } }',
      '"@b": { subject: person:b, slack: { team: T0002, user: U0001 } }',
    );
    expect(peopleOf(text).byHandle("@b")?.slack).toEqual({ team: "T0002", user: "U0001" });
  });
});
