import { z } from "zod";
import { holdsSecret } from "../platform/secret-forms.ts";
import { err, ok, type Result } from "../platform/result.ts";
import { jsonPointer } from "../platform/json-pointer.ts";
import { placedIssues, reticentMessage } from "../platform/zod-problems.ts";
import type { Refusal } from "../refusal.ts";
import type { StrictRequest } from "../strict-request.ts";

/** The call's body in the form of `schema`; refuses with the pointer of the first mistake. An absent body counts as `{}`. */
export function readBody<T>(strict: StrictRequest, schema: z.ZodType<T>): Result<T, Refusal> {
  const parsed = schema.safeParse(strict.body ?? {}, { error: reticentMessage });
  if (parsed.success) return ok(parsed.data);
  const [issue] = placedIssues(parsed.error.issues);
  return err({
    kind: "malformed-request",
    reason: `body ${jsonPointer(issue?.path ?? [])}: ${issue?.message ?? "has another form"}`,
  });
}

/** A name of the caller's choosing that stands in records as it is, and so may be no secret. */
export const nameText = (max: number): z.ZodString =>
  z
    .string()
    .max(max)
    .refine((text) => !holdsSecret(text), "looks like a credential, and would stand in records");

/** One query value, null when absent; refuses nothing. */
export const queryValue = (strict: StrictRequest, name: string): string | null => strict.query.get(name) ?? null;

/** Refuses a query with keys that the call does not know: a misspelt filter must not silently widen an answer. */
export function unknownQuery(strict: StrictRequest, known: readonly string[]): Refusal | null {
  const unknown = [...strict.query.keys()].find((name) => !known.includes(name));
  return unknown === undefined
    ? null
    : { kind: "malformed-request", reason: `query: unknown key ${unknown}; known: ${known.join(", ")}` };
}

/** A whole number from the query within bounds; `fallback` when absent, null when it is no such number. */
export function queryInteger(strict: StrictRequest, name: string, fallback: number, max: number): number | null {
  const text = queryValue(strict, name);
  if (text === null) return fallback;
  const value = /^[0-9]{1,9}$/.test(text) ? Number(text) : Number.NaN;
  return value >= 0 && value <= max ? value : null;
}
