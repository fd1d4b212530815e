import { describe, expect, it } from "vitest";
import { compileCatalogue } from "../../src/catalogue/compile.ts";
import { smallCatalogue, submitWith } from "./small-catalogue.ts";
import { shippedText, valueOf } from "./shipped.ts";

const problemsOf = (text: string): readonly string[] => {
  const compiled = compileCatalogue(text);
  return compiled.ok ? [] : compiled.error.map(({ path, message }) => `${path} ${message}`);
};
const write = (lines: string): string =>
  `    body: { type: object, keys: { gpus: { type: integer, min: 1, max: 8 } } }\n${lines}`;
const OUTCOME = "    outcome: { success: [200], definite_failures: [400], look_up: none }";
const FACTS = "    facts: { gpus: { body: /gpus } }";
const route = (text: string): string =>
  smallCatalogue({ routes: `  - { id: extra, action: jobs.list, method: GET, ${text} }` });

describe("a catalogue that says something wrong is not published", () => {
  it("accepts the smallest complete one", () => {
    expect(problemsOf(smallCatalogue())).toEqual([]);
  });

  it.each([
    ["an unknown key", route("path: /x, cost_: none"), '/routes/2/cost_ unknown key "cost_"'],
    [
      "an unknown operation",
      smallCatalogue({ submit: submitWith("{ divide: [1, 2] }") }),
      "/routes/1/facts/gpus/divide",
    ],
    [
      "an undeclared action",
      smallCatalogue({ routes: "  - { id: extra, action: jobs.purge, method: GET, path: /x }" }),
      '/routes/2/action the catalogue declares no action "jobs.purge"',
    ],
    [
      "an action that no route has",
      smallCatalogue({ actions: "  jobs.purge: { title: Purge, floor: 5 }" }),
      "/actions/jobs.purge no route has this action",
    ],
    [
      "an action without a floor",
      smallCatalogue({ actions: "  jobs.purge: { title: Purge }" }),
      "/actions/jobs.purge/floor missing",
    ],
    [
      "a floor that falls",
      smallCatalogue({
        actions:
          "  jobs.purge: { title: P, facts: { n: number }, floor: [{ tier: 3, when: { max_n: 1 } }, { tier: 2 }] }",
      }),
      "/actions/jobs.purge/floor/1/tier floor rows must rise in tier",
    ],
    [
      "a floor without a last row",
      smallCatalogue({
        actions: "  jobs.purge: { title: P, facts: { n: number }, floor: [{ tier: 3, when: { max_n: 1 } }] }",
      }),
      "/actions/jobs.purge/floor/0/when the last floor row must have no condition",
    ],
    [
      "a floor over an undeclared fact",
      smallCatalogue({ actions: "  jobs.purge: { title: P, floor: [{ tier: 3, when: { max_n: 1 } }, { tier: 4 }] }" }),
      '/actions/jobs.purge/floor/0/when/max_n the action declares no fact "n"',
    ],
    [
      "a numeric floor over text",
      smallCatalogue({
        actions:
          "  jobs.purge: { title: P, facts: { n: string }, floor: [{ tier: 3, when: { max_n: 1 } }, { tier: 4 }] }",
      }),
      "max_n needs a number and a fact of type number",
    ],
    [
      "a fact named like a constraint",
      smallCatalogue({ actions: "  jobs.purge: { title: P, facts: { max_n: number }, floor: 3 }" }),
      "/actions/jobs.purge/facts/max_n a fact's name cannot begin with",
    ],
    [
      "a fact that the route leaves out",
      smallCatalogue({ submit: write(`    cost: none\n${OUTCOME}`) }),
      '/routes/1/id the route does not say the fact "gpus"',
    ],
    [
      "a fact that nobody declared",
      smallCatalogue({ submit: write(`    facts: { gpus: { body: /gpus }, hours: 1 }\n    cost: none\n${OUTCOME}`) }),
      '/routes/1/facts/hours action jobs.submit does not declare a fact "hours"',
    ],
    [
      "a fact of another type",
      smallCatalogue({ submit: submitWith("four") }),
      "/routes/1/facts/gpus the fact is declared as number, this is string",
    ],
    [
      "a pointer that the body cannot have",
      smallCatalogue({ submit: submitWith("{ body: /gpu }") }),
      "/routes/1/facts/gpus/body the body schema has nothing at /gpu",
    ],
    [
      "a pointer without a body",
      smallCatalogue({ submit: `${FACTS}\n    cost: none\n${OUTCOME}` }),
      "/routes/1/facts/gpus/body this route declares no body",
    ],
    [
      "an undefined fact",
      smallCatalogue({ submit: submitWith("{ fact: hours }") }),
      '/routes/1/facts/gpus/fact no fact "hours" is defined before this place',
    ],
    [
      "an undefined table",
      smallCatalogue({ submit: submitWith("{ table: prices, key: big }") }),
      '/routes/1/facts/gpus/table the catalogue has no table "prices"',
    ],
    [
      "an undefined look-up",
      smallCatalogue({ submit: submitWith("{ look_up: job, at: /n }") }),
      '/routes/1/facts/gpus/look_up the route has no look-up "job"',
    ],
    [
      "an undefined parameter",
      smallCatalogue({ submit: submitWith("{ quantity: integer, of: { path: id } }") }),
      '/routes/1/facts/gpus/of/path the route has no path parameter "id"',
    ],
    [
      "a credential as a fact",
      smallCatalogue({ submit: submitWith("{ quantity: integer, of: { header: authorization } }") }),
      '"authorization" is neither passed on nor matched',
    ],
    [
      "a response before there is one",
      smallCatalogue({ submit: submitWith("{ response: /n }") }),
      "/routes/1/facts/gpus there is no response here",
    ],
    [
      "an item outside a list",
      smallCatalogue({ submit: submitWith("{ item: /n }") }),
      "/routes/1/facts/gpus `item` exists only inside",
    ],
    [
      "an unpriced write",
      smallCatalogue({ submit: write(`${FACTS}\n${OUTCOME}`) }),
      "/routes/1/id route submit is a write: state its cost, or `cost: none`",
    ],
    [
      "a write without an outcome",
      smallCatalogue({ submit: write(`${FACTS}\n    cost: none`) }),
      "/routes/1/id route submit is a write: state its outcome",
    ],
    [
      "an outcome that nobody defined",
      smallCatalogue({ submit: write(`${FACTS}\n    cost: none\n    outcome: other`) }),
      '/routes/1/outcome the catalogue has no outcome "other"',
    ],
    [
      "a definite failure that proves nothing",
      smallCatalogue({
        submit: write(
          `${FACTS}\n    cost: none\n    outcome: { success: [200], definite_failures: [400, 503], look_up: none }`,
        ),
      }),
      "/routes/1/outcome/definite_failures/1 only a 4xx status",
    ],
    [
      "a look-up that proves nothing",
      smallCatalogue({
        submit: write(
          `${FACTS}\n    cost: none\n    outcome: { success: [200], definite_failures: [400], look_up: { method: GET, path: /jobs } }`,
        ),
      }),
      "/routes/1/outcome/look_up a look-up needs",
    ],
    [
      "a look-up by a reference that is not injected",
      smallCatalogue({
        submit: write(
          `${FACTS}\n    cost: none\n    outcome: { success: [200], definite_failures: [400], look_up: { method: GET, path: /jobs, found: { list: "", where: /ref, equals: "{reference}" } } }`,
        ),
      }),
      "/routes/1/outcome the outcome is looked up by a reference",
    ],
    [
      "a reference that the caller may set too",
      smallCatalogue({ submit: write(`${FACTS}\n    cost: none\n    reference: { body: /gpus }\n${OUTCOME}`) }),
      "/routes/1/reference/body the caller may set this key too",
    ],
    [
      "a dry run that the caller may ask for too",
      smallCatalogue({
        submit: write(
          `    query: { dry: { type: string, one_of: ["1"] } }\n${FACTS}\n    cost: none\n    dry_run: { kind: query, name: dry, value: "1", success: [200] }\n${OUTCOME}`,
        ),
      }),
      "/routes/1/dry_run/name the caller may set this query key too",
    ],
    [
      "a streamed write",
      smallCatalogue({ submit: write(`${FACTS}\n    cost: none\n    streaming: sse\n${OUTCOME}`) }),
      "/routes/1/streaming a write cannot be streamed",
    ],
    ["the same route twice", route("path: /jobs"), '/routes/2/path a request could be this route or route "list"'],
    [
      "a parameter that takes a literal's place",
      smallCatalogue({
        routes:
          '  - { id: a, action: jobs.list, method: GET, path: "/x/{id}" }\n  - { id: b, action: jobs.list, method: GET, path: /x/all }',
      }),
      '/routes/3/path a request could be this route or route "a"',
    ],
    [
      "crossed templates",
      smallCatalogue({
        routes:
          '  - { id: a, action: jobs.list, method: GET, path: "/x/{id}/all" }\n  - { id: b, action: jobs.list, method: GET, path: "/x/all/{id}" }',
      }),
      "/routes/3/path a request could be this route",
    ],
    [
      "two routes with one id",
      route("path: /x").replace("id: extra", "id: list"),
      '/routes/2/id another route has the id "list"',
    ],
    ["a parameter named twice", route('path: "/x/{id}/{id}"'), "/routes/2/path a path parameter is named twice"],
    [
      "a rule for a parameter that the path lacks",
      route("path: /x, params: { id: { grammar: digits } }"),
      '/routes/2/params/id the path has no parameter "id"',
    ],
    [
      "a twin with other parameters",
      route('path: "/x/{id}", twins: ["/y/{name}"]'),
      "/routes/2/twins/0 a twin path must have the same parameters",
    ],
    ["a path of the gate's own", route("path: /_gate/x"), "/routes/2/path /_gate/ is the gate's own"],
    ["a trailing slash", route("path: /x/"), "/routes/2/path a canonical path template is required"],
    ["percent-encoding", route('path: "/x%2fy"'), "/routes/2/path a canonical path template is required"],
    ["a dot segment", route("path: /x/../y"), "/routes/2/path a path cannot have dot segments"],
    [
      "HEAD on a write",
      smallCatalogue({ submit: write(`    head: true\n${FACTS}\n    cost: none\n${OUTCOME}`) }),
      "/routes/1/head only a GET route can answer HEAD",
    ],
    [
      "an unsafe pattern",
      route('path: /x, query: { q: { type: string, pattern: "(a+)+" } }'),
      "/routes/2/query/q/pattern not a safe pattern",
    ],
    ["unlimited text", route("path: /x, query: { q: { type: string } }"), "/routes/2/query/q text needs"],
    [
      "an unknown grammar",
      route("path: /x, query: { q: { type: string, grammar: ids } }"),
      '/routes/2/query/q/grammar unknown grammar "ids"',
    ],
    [
      "alternatives of one type",
      smallCatalogue({
        submit: submitWith(
          "1",
          "{ x: { type: either, of: [{ type: integer, min: 1, max: 2 }, { type: number, min: 1, max: 2 }] } }",
        ),
      }),
      "/routes/1/body/keys/x/of/1 alternatives must differ",
    ],
    [
      "a built-in grammar replaced",
      smallCatalogue({ top: 'grammars: { id: { pattern: ".*" } }' }),
      '/grammars/id "id" is a built-in grammar',
    ],
    [
      "a credential passed on",
      smallCatalogue().replace("pass: [accept]", "pass: [accept, authorization]"),
      '/headers/pass/1 "authorization" is never copied',
    ],
    [
      "a cookie returned",
      smallCatalogue().replace("return: [content-type]", "return: [set-cookie]"),
      '/headers/return/0 "set-cookie" is never copied',
    ],
    ["a refused carrier", smallCatalogue().replace("refuse: []", "refuse: [authorization]"), "/headers/refuse/0"],
    [
      "a discriminator outside the body",
      route("path: /x, when: { body: { /action: [stop] } }"),
      "/routes/2/when/body/~1action this route declares no body",
    ],
  ])("refuses %s", (_name, text, expected) => {
    expect(problemsOf(text).join("\n")).toContain(expected);
  });

  it("names the line and column of a mistake in a shipped document", () => {
    const text = shippedText("catalogues/example.yaml").replace(
      "gpus: { body: /gpus }\n      gpu_type",
      "gpus: { body: /gpu }\n      gpu_type",
    );
    const line = text.split("\n").findIndex((content) => content.includes("gpus: { body: /gpu }")) + 1;
    expect(compileCatalogue(text)).toEqual({
      ok: false,
      error: [
        {
          line,
          column: 21,
          path: expect.stringMatching(/^\/routes\/\d+\/facts\/gpus\/body$/),
          message: "the body schema has nothing at /gpu",
          severity: "error",
        },
      ],
    });
  });
});

const digestsOf = (text: string): ReadonlyMap<string, string> =>
  new Map([...valueOf(compileCatalogue(text)).actions].map(([name, { digest }]) => [name, digest]));

describe("digests tell what changed", () => {
  it("changes an action's digest with its own routes and floors, and leaves the other actions' alone", () => {
    const before = digestsOf(smallCatalogue());
    const after = digestsOf(smallCatalogue().replace("max: 64", "max: 32"));
    expect(after.get("jobs.submit")).not.toBe(before.get("jobs.submit"));
    expect(after.get("jobs.list")).toBe(before.get("jobs.list"));
    const floor = digestsOf(smallCatalogue().replace("max_gpus: 4", "max_gpus: 2"));
    expect(floor.get("jobs.submit")).not.toBe(before.get("jobs.submit"));
  });

  it("changes every action's digest with what they share", () => {
    const before = digestsOf(smallCatalogue());
    const after = digestsOf(smallCatalogue().replace("big: 8", "big: 16"));
    expect([...after.values()].filter((digest) => [...before.values()].includes(digest))).toEqual([]);
  });

  it("covers the whole text in the catalogue's digest", () => {
    const digests = [smallCatalogue(), `${smallCatalogue()}# comment\n`].map(
      (text) => valueOf(compileCatalogue(text)).digest,
    );
    expect(new Set(digests).size).toBe(2);
  });
});
