import { describe, expect, it } from "vitest";
import { z } from "zod";
import { MAX_DOCUMENT_CHARS, parseYamlDocument } from "../../src/platform/yaml-document.ts";

const limits = z.record(z.string(), z.union([z.number(), z.string(), z.array(z.string())]));
const schema = z.strictObject({
  version: z.string(),
  gpus: z.int().min(1).max(64).optional(),
  tools: z.array(z.union([z.string(), z.record(z.string(), limits)])).optional(),
  mode: z.enum(["enforce", "shadow"]).optional(),
  nested: z.unknown().optional(),
});

const problemsOf = (text: string): readonly string[] => {
  const parsed = parseYamlDocument(text, schema);
  return parsed.ok ? [] : parsed.error.map((p) => `${p.line}:${p.column} ${p.path} ${p.message}`);
};

describe("a reviewed document is read as a reader sees it", () => {
  it("yields the value and remembers where everything stands", () => {
    const parsed = parseYamlDocument('version: "1.0"\ntools:\n  - a.b\n  - c.d:\n      max_gpus: 4\n', schema);
    if (!parsed.ok) throw new Error(JSON.stringify(parsed.error));
    expect(parsed.value.value.tools).toEqual(["a.b", { "c.d": { max_gpus: 4 } }]);
    expect(parsed.value.locate(["tools", 0])).toEqual({ line: 3, column: 5 });
    expect(parsed.value.locate(["tools", 1, "c.d", "max_gpus"])).toEqual({ line: 5, column: 17 });
    expect(parsed.value.locateKey(["tools", 1, "c.d", "max_gpus"])).toEqual({ line: 5, column: 7 });
    expect(parsed.value.locate(["tools", 7, "nowhere"])).toEqual({ line: 3, column: 3 });
    expect(parsed.value.problem(["tools", 1, "c.d"], "unknown action", "key")).toEqual({
      line: 4,
      column: 5,
      path: "/tools/1/c.d",
      message: "unknown action",
      severity: "error",
    });
  });

  it.each([
    ["unknown key", 'version: "1"\nmaximum: 4\n', '2:1 /maximum unknown key "maximum"'],
    ["duplicate key", 'version: "1"\ngpus: 4\ngpus: 8\n', "3:1  this key is written twice in the same map"],
    [
      "nested duplicate key",
      'version: "1"\nnested:\n  a: 1\n  a: 2\n',
      "4:3  this key is written twice in the same map",
    ],
    ["missing key", "gpus: 4\n", "1:1 /version missing: text is required here"],
    ["text for a number", 'version: "1"\ngpus: "4"\n', '2:7 /gpus expected a number, found "4"'],
    ["number for text", "version: 1.0\n", "1:10 /version expected text, found 1"],
    ["fraction", 'version: "1"\ngpus: 4.5\n', "2:7 /gpus expected a whole number, found 4.5"],
    ["too large", 'version: "1"\ngpus: 65\n', "2:7 /gpus must be at most 64"],
    ["wrong word", 'version: "1"\nmode: off\n', '2:7 /mode expected one of "enforce", "shadow", found "off"'],
    [
      "mistake inside a union",
      'version: "1"\ntools:\n  - a.b:\n      max_gpus: true\n',
      "4:17 /tools/0/a.b/max_gpus expected a number, found true; or expected text, found true; or expected a list, found true",
    ],
    ["anchor", 'version: &v "1"\n', "1:13 /version anchors are not allowed"],
    ["alias", 'version: &v "1"\nnested: *v\n', "2:9 /nested aliases are not allowed: write the value out"],
    ["anchored key", '&k version: "1"\n', "1:4 /version anchors are not allowed"],
    ["merge key", 'version: "1"\nnested:\n  <<: {a: 1}\n', '3:3 /nested/<< the key "<<" is not allowed'],
    [
      "prototype key",
      'version: "1"\nnested: {__proto__: 1}\n',
      '2:10 /nested/__proto__ the key "__proto__" is not allowed',
    ],
    ["tag", "version: !!str 1\n", "1:16 /version tags are not allowed"],
    ["unknown tag", "version: !secret 1\n", "1:10  tags are not allowed"],
    ["second document", 'version: "1"\n---\nversion: "2"\n', "2:1  a second document (---) is not allowed"],
    ["directive", '%YAML 1.1\n---\nversion: "1"\n', "1:1  %YAML and %TAG directives are not allowed"],
    ["number as key", 'version: "1"\nnested: {1: a}\n', "2:10 /nested keys must be text: put this one in quotes"],
    [
      "octal-looking",
      'version: "1"\ngpus: 010\n',
      '2:7 /gpus "010" is not a plain decimal number: write it out, or quote it as text',
    ],
    [
      "hexadecimal",
      'version: "1"\ngpus: 0x10\n',
      '2:7 /gpus "0x10" is not a plain decimal number: write it out, or quote it as text',
    ],
    [
      "exponent",
      'version: "1"\ngpus: 1e1\n',
      '2:7 /gpus "1e1" is not a plain decimal number: write it out, or quote it as text',
    ],
    [
      "not a number",
      'version: "1"\ngpus: .nan\n',
      '2:7 /gpus ".nan" is not a plain decimal number: write it out, or quote it as text',
    ],
    ["inexact integer", 'version: "1"\ngpus: 9007199254740993\n', "2:7 /gpus the number is too large to be exact"],
    ["empty document", "", "1:1  expected a map, found nothing (null)"],
    ["tab indentation", 'version: "1"\nnested:\n\ta: 1\n', "3:1  tabs cannot indent YAML: use spaces"],
  ])("refuses with the exact place: %s", (_name, text, expected) => {
    expect(problemsOf(text)).toContain(expected);
  });

  it("refuses a document that is too long, and one that is nested too deeply, without failing itself", () => {
    expect(problemsOf(`version: "${"x".repeat(MAX_DOCUMENT_CHARS)}"`)).toHaveLength(1);
    expect(problemsOf(`version: "1"\nnested: ${"[".repeat(40)}${"]".repeat(40)}\n`).join()).toContain(
      "nested deeper than 32",
    );
    expect(problemsOf(`version: "1"\nnested: ${"[".repeat(100_000)}${"]".repeat(100_000)}\n`)).not.toEqual([]);
    expect(problemsOf('version: "\ud800"')).toEqual(["null:null  the document is not well-formed Unicode"]);
  });

  it("keeps yes, no, on, off and dates as the text they are in YAML 1.2", () => {
    const parsed = parseYamlDocument('version: "1"\nnested: [yes, no, on, off, 2026-11-20]\n', schema);
    expect(parsed.ok && parsed.value.value.nested).toEqual(["yes", "no", "on", "off", "2026-11-20"]);
  });
});
