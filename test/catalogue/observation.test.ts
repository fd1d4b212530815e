import { describe, expect, it } from "vitest";
import { compileCatalogue } from "../../src/catalogue/compile.ts";
import type { Observation, ObservationRules } from "../../src/catalogue/types.ts";
import type { JsonValue } from "../../src/platform/json.ts";
import type { Result } from "../../src/platform/result.ts";
import { exampleCatalogue, matched, slurmCatalogue, valueOf } from "./shipped.ts";
import { smallCatalogue } from "./small-catalogue.ts";

/** A catalogue whose write `DELETE /pools/{id}` declares `lines` besides what a write must say. */
const releasing = (lines: string, action = "{ title: Release, floor: 4 }", top = ""): string =>
  smallCatalogue({
    top,
    actions: `  pools.release: ${action}`,
    routes: `  - id: release
    action: pools.release
    method: DELETE
    path: /pools/{id}
    query: { force: { type: string, one_of: [yes] } }
    cost: none
    outcome: { success: [200], definite_failures: [400], look_up: none }
${lines}`,
  });

const affected = (members: string): string => `    affected: { method: GET, path: "/pools/{id}", ${members} }`;
const NAMED = "list: /jobs, item: { item: /name }";

function rulesOf(lines: string): ObservationRules {
  const catalogue = valueOf(compileCatalogue(releasing(lines)));
  const { observation } = matched(catalogue, "DELETE", "/pools/p-7", { query: { force: "yes" } });
  if (observation === null) throw new Error("nothing is declared");
  return observation;
}

const read = (lines: string, body: JsonValue | undefined, status = 200): Result<Observation, string> =>
  rulesOf(lines).read({ status, body }, new Map());

const problemsOf = (text: string): readonly string[] => {
  const compiled = compileCatalogue(text);
  return compiled.ok
    ? []
    : compiled.error.map(({ line, column, path, message }) => {
        expect([typeof line, typeof column], `${path} ${message}`).toEqual(["number", "number"]);
        return `${path} ${message}`;
      });
};

describe("the question is made of validated values only", () => {
  it("fills path and query with the route's own parameters", () => {
    const { call } = rulesOf(
      '    affected: { method: GET, path: "/v2/{id}/jobs", query: { pool: "{id}", state: running, a: "x-{id}" }, item: { item: /name } }',
    );
    expect(call).toEqual({
      method: "GET",
      path: "/v2/p-7/jobs",
      query: [
        ["a", "x-p-7"],
        ["pool", "p-7"],
        ["state", "running"],
      ],
      headers: {},
      contentType: null,
      body: null,
    });
  });

  it("asks nothing where nothing is declared, nor where the version comes from a sizing look-up", () => {
    expect(matched(exampleCatalogue(), "POST", "/v1/reservations", { body: RESERVATION }).observation).toBeNull();
    const update = matched(slurmCatalogue(), "POST", "/slurm/v0.0.38/job/17", { body: { time_limit: 60 } });
    expect(update.observation?.call).toBeNull();
    const job = new Map([["job", { jobs: [{ submit_time: 1_795_274_171 }] }]]);
    expect(update.observation?.read(null, job)).toEqual({
      ok: true,
      value: { affected: null, version: "1795274171" },
    });
    expect(update.observation?.read(null, new Map())).toEqual({
      ok: false,
      error: "no version: look-up job has no answer",
    });
  });
});

const RESERVATION = { name: "r", gpus: 16, gpu_type: "H100", hours: 24 };

describe("what is affected is told whole or not at all", () => {
  const inPool = affected(`list: /jobs, where: { equal: [{ item: /pool }, { path: id }] }, item: { item: /name }`);
  const whole = affected(`${NAMED}, complete_when: { empty: { response: /next } }`);
  it.each<[string, string, JsonValue | undefined, readonly string[] | string]>([
    [
      "names in one order, whatever order upstream has",
      affected(NAMED),
      { jobs: [{ name: "b" }, { name: "a" }] },
      ["a", "b"],
    ],
    ["two members of one name are two", affected(NAMED), { jobs: [{ name: "a" }, { name: "a" }] }, ["a", "a"]],
    ["an empty list is nothing affected", affected(NAMED), { jobs: [] }, []],
    ["whole numbers are names", affected("list: /jobs, item: { item: /id }"), { jobs: [{ id: 17 }] }, ["17"]],
    ["the answer itself, without a list", affected("item: { item: /name }"), { name: "a" }, ["a"]],
    ["a list at the root", affected('list: "", item: { item: "" }'), ["b", "a"], ["a", "b"]],
    [
      "only members that count",
      inPool,
      {
        jobs: [
          { name: "a", pool: "p-7" },
          { name: "b", pool: "p-70" },
        ],
      },
      ["a"],
    ],
    ["a list that is complete", whole, { jobs: [{ name: "a" }], next: null }, ["a"]],
    ["the first page of more", whole, { jobs: [{ name: "a" }], next: "2" }, "not known to be complete"],
    ["no list", affected(NAMED), {}, 'no list at "/jobs"'],
    ["an object in the list's place", affected(NAMED), { jobs: { a: { name: "a" } } }, 'no list at "/jobs"'],
    ["no JSON", affected(NAMED), undefined, "not JSON"],
    ["no JSON where no list is declared", affected("item: a"), undefined, "not JSON"],
    ["a member that cannot be told", inPool, { jobs: [{ name: "a" }] }, "item/pool is absent"],
    ["a member whose pool is null", inPool, { jobs: [{ name: "a", pool: null }] }, "item/pool is absent"],
    ["a member without a name", affected(NAMED), { jobs: [{ name: "a" }, {}] }, "has no name: item/name is absent"],
    ["a member with an empty name", affected(NAMED), { jobs: [{ name: "" }] }, "neither text nor a whole number"],
    ["a name that is no text", affected(NAMED), { jobs: [{ name: ["a"] }] }, "neither text nor a whole number"],
    ["a fraction as a name", affected(NAMED), { jobs: [{ name: 1.5 }] }, "neither text nor a whole number"],
    ["half a character", affected(NAMED), { jobs: [{ name: "\ud83d" }] }, "neither text nor a whole number"],
  ])("%s", (_name, lines, body, expected) => {
    const found = read(lines, body);
    if (typeof expected === "string")
      expect(found).toMatchObject({ ok: false, error: expect.stringContaining(expected) });
    else expect(found).toEqual({ ok: true, value: { affected: expected, version: null } });
  });

  it.each([201, 204, 206, 301, 404, 500])("an answer of status %i is no list, whatever it says", (status) => {
    expect(read(affected(NAMED), { jobs: [] }, status)).toEqual({
      ok: false,
      error: `answered with status ${status}`,
    });
  });

  it("fails where the question was not asked", () => {
    expect(rulesOf(affected(NAMED)).read(null, new Map())).toMatchObject({ ok: false });
  });
});

describe("there is no such resource only where the catalogue calls the answer a proof", () => {
  const lines = `${affected(`${NAMED}, nothing_when: [{ status: 404 }, { status: 500, when: { equal: [{ response: /code }, 2017] } }]`)}
    version: { response: /version }`;
  it.each<[string, number, JsonValue | undefined, boolean]>([
    ["the listed status", 404, undefined, true],
    ["a status with its condition", 500, { code: 2017 }, true],
    ["a status without its condition", 500, { code: 5005 }, false],
    ["a status whose condition cannot be told", 500, {}, false],
    ["another status", 410, { code: 2017 }, false],
  ])("%s", (_name, status, body, proven) => {
    const found = read(lines, body, status);
    if (proven) expect(found).toEqual({ ok: true, value: { affected: [], version: null } });
    else expect(found.ok).toBe(false);
  });
});

describe("a declared version is there, or the change is refused", () => {
  const lines = `${affected(NAMED)}\n    version: { response: /version }`;
  it.each<[JsonValue | undefined, string | null]>([
    [7, "7"],
    ['W/"7"', 'W/"7"'],
    [undefined, null],
    [null, null],
    ["", null],
    [1.5, null],
    [{ n: 1 }, null],
    ["x".repeat(257), null],
    ["\ud83d", null],
  ])("%j", (version, expected) => {
    const found = read(lines, { jobs: [], ...(version === undefined ? {} : { version }) });
    if (expected === null) expect(found).toMatchObject({ ok: false, error: expect.stringContaining("no version") });
    else expect(found).toEqual({ ok: true, value: { affected: [], version: expected } });
  });
});

describe("`text` lets numbers stand beside text", () => {
  it.each<[JsonValue, string | null]>([
    [4, "4 GPUs"],
    ["4", "4 GPUs"],
    [0, "0 GPUs"],
    [4.5, null],
    [true, null],
    [[4], null],
  ])("%j", (gpus, expected) => {
    const found = read(affected('item: { concat: [{ text: { item: /gpus } }, " GPUs"] }'), { gpus });
    expect(found.ok ? found.value.affected : null).toEqual(expected === null ? null : [expected]);
  });
});

describe("what is declared wrongly is reported at its place", () => {
  const radii = "blast_radii: [pool, cluster]";
  it.each([
    [
      "an unknown parameter in the path",
      releasing('    affected: { method: GET, path: "/pools/{pool}", item: a }'),
      '/routes/2/affected/path the route\'s path has no parameter "pool"',
    ],
    [
      "an unknown parameter in the query",
      releasing(affected('query: { pool: "{pool}" }, item: a')),
      '/routes/2/affected/query/pool the route\'s path has no parameter "pool"',
    ],
    [
      "a brace that names nothing",
      releasing(affected('query: { pool: "{Pool}" }, item: a')),
      "/routes/2/affected/query/pool braces can only hold a path parameter",
    ],
    [
      "another method than GET",
      releasing('    affected: { method: POST, path: "/pools/{id}", item: a }'),
      "/routes/2/affected/method",
    ],
    ["a list that is no pointer", releasing(affected("list: jobs, item: a")), "/routes/2/affected/list a JSON pointer"],
    ["no item", releasing(affected("list: /jobs")), "/routes/2/affected/item missing"],
    ["an item that is never text", releasing(affected("item: true")), "/routes/2/affected/item text or a whole number"],
    [
      "an item that reads a body that the route does not have",
      releasing(affected("item: { body: /name }")),
      "/routes/2/affected/item/body this route declares no body",
    ],
    ["an unknown key", releasing(affected("item: a, paged: true")), '/routes/2/affected/paged unknown key "paged"'],
    [
      "a member outside its list",
      releasing(affected("item: a, complete_when: { empty: { item: /next } }")),
      "/routes/2/affected/complete_when/empty `item` exists only inside",
    ],
    [
      "a status that proves nothing by itself",
      releasing(affected("item: a, nothing_when: [{ status: 404 }, { status: 500 }]")),
      "/routes/2/affected/nothing_when/1/status only a 4xx status",
    ],
    [
      "a version from an answer that nobody asked for",
      releasing("    version: { response: /version }"),
      "/routes/2/version there is no response here",
    ],
    [
      "a version from an undeclared look-up",
      releasing("    version: { look_up: pool, at: /version }"),
      '/routes/2/version/look_up the route has no look-up "pool"',
    ],
    [
      "a version that is no pointer",
      releasing(`${affected(NAMED)}\n    version: { response: version }`),
      "/routes/2/version",
    ],
    [
      "a read that affects something",
      releasing(affected("item: a"), "{ title: Release, floor: 0 }"),
      "/routes/2/affected route release is a read: it affects nothing",
    ],
    [
      "a radius that the catalogue does not list",
      releasing("", "{ title: Release, floor: 4, blast_radius: galaxy }", radii),
      '/actions/pools.release/blast_radius the catalogue\'s blast_radii do not list "galaxy"',
    ],
    [
      "a radius without a list of them",
      releasing("", "{ title: Release, floor: 4, blast_radius: pool }"),
      "/actions/pools.release/blast_radius the catalogue's blast_radii do not list",
    ],
    [
      "a radius listed twice",
      releasing("", "{ title: Release, floor: 4 }", "blast_radii: [pool, cluster, pool]"),
      '/blast_radii/2 "pool" is listed twice',
    ],
    [
      "a radius in capitals",
      releasing("", "{ title: Release, floor: 4 }", "blast_radii: [Pool]"),
      "/blast_radii/0 a lower-case word",
    ],
    [
      "a reversible that is no boolean",
      releasing("", "{ title: Release, floor: 4, reversible: maybe }"),
      "/actions/pools.release/reversible",
    ],
  ])("%s", (_name, text, expected) => {
    expect(problemsOf(text).join("\n")).toContain(expected);
  });

  it("and what is declared rightly is not", () => {
    expect(problemsOf(releasing(affected(NAMED), "{ title: R, floor: 4, blast_radius: pool }", radii))).toEqual([]);
  });
});

const specOf = (action: string) =>
  valueOf(compileCatalogue(releasing(affected(NAMED), action, "blast_radii: [pool, cluster]"))).actions.get(
    "pools.release",
  );

describe("the reach of an action is part of what is approved", () => {
  it("is told beside the action, null where the catalogue does not say", () => {
    expect(specOf("{ title: R, floor: 4, blast_radius: cluster, reversible: false }")).toMatchObject({
      blastRadius: "cluster",
      reversible: false,
    });
    expect(specOf("{ title: R, floor: 4 }")).toMatchObject({ blastRadius: null, reversible: null });
  });

  it("changes the action's digest, as does what it affects", () => {
    const digests = [
      "{ title: R, floor: 4 }",
      "{ title: R, floor: 4, blast_radius: pool }",
      "{ title: R, floor: 4, reversible: false }",
    ].map((action) => specOf(action)?.digest);
    const other = valueOf(
      compileCatalogue(
        releasing(
          affected("list: /all, item: { item: /name }"),
          "{ title: R, floor: 4 }",
          "blast_radii: [pool, cluster]",
        ),
      ),
    );
    expect(new Set([...digests, other.actions.get("pools.release")?.digest]).size).toBe(4);
  });

  it("is said by every write of the shipped catalogues", () => {
    for (const catalogue of [exampleCatalogue(), slurmCatalogue()]) {
      for (const spec of catalogue.actions.values())
        expect([spec.action, spec.blastRadius === null], spec.action).toEqual([spec.action, spec.minimumTier < 2]);
    }
  });
});
