import { describe, expect, test } from "vitest";
import { z } from "zod";
import { readGateHeaders } from "../../src/gateway/gate-headers.ts";
import { textOfFile } from "./corpus.ts";

const FOLDER = "structured-field-tests";
const PRINTABLE_ASCII = /^[\x20-\x7e]*$/;

const vectors = z.array(
  z.object({
    name: z.string(),
    raw: z.array(z.string()),
    header_type: z.string(),
    expected: z.unknown().optional(),
    must_fail: z.boolean().default(false),
  }),
);

const itemsIn = (file: string) =>
  vectors.parse(JSON.parse(textOfFile(FOLDER, file))).filter((vector) => vector.header_type === "item");

/** Several field lines arrive joined; the runtime strips the white space around a value. */
const received = (raw: readonly string[]): string => raw.join(", ").replaceAll(/^[ \t]+|[ \t]+$/g, "");

/** Outside printable ASCII `readHeaders` has refused the value before it gets here. */
function read(name: string, value: string) {
  if (!PRINTABLE_ASCII.test(value)) return "refused";
  const result = readGateHeaders(new Map([[name, value]]));
  return result.ok ? result.value : "refused";
}

describe("Idempotency-Key agrees with the vectors for strings", () => {
  test.each(["string.json", "string-generated.json"].flatMap(itemsIn))("$name", ({ raw, expected, must_fail }) => {
    const [key] = z.tuple([z.unknown(), z.unknown()]).catch([null, null]).parse(expected);
    const usable = !must_fail && typeof key === "string" && key.length >= 1 && key.length <= 255;
    const outcome = read("idempotency-key", received(raw));
    expect(outcome === "refused" ? null : outcome.idempotencyKey).toBe(usable ? key : null);
  });
});

describe("Gate-Dry-Run agrees with the vectors for booleans", () => {
  test.each(itemsIn("boolean.json"))("$name", ({ raw, expected, must_fail }) => {
    const [dryRun] = z.tuple([z.unknown(), z.unknown()]).catch([null, null]).parse(expected);
    const outcome = read("gate-dry-run", received(raw));
    expect(outcome === "refused" ? null : outcome.dryRun).toBe(must_fail ? null : dryRun);
  });
});

describe("items of other types are neither a key nor a dry run", () => {
  const others = ["number.json", "token.json", "binary.json", "date.json", "display-string.json"].flatMap(itemsIn);
  test.each(others)("$name", ({ raw }) => {
    expect(read("idempotency-key", received(raw))).toBe("refused");
    expect(read("gate-dry-run", received(raw))).toBe("refused");
  });
});
