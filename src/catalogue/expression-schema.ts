import { z } from "zod";
import type { JsonValue } from "../platform/json.ts";
import { QUANTITY_GRAMMARS } from "./quantities.ts";
import type { QuantityGrammar } from "./quantities.ts";

/** A fact, a price key or a created id as an expression over the request, look-ups and the response. */
export type Expression =
  | number
  | string
  | boolean
  | { readonly literal: readonly string[] }
  | { readonly body: string }
  | { readonly path: string }
  | { readonly query: string }
  | { readonly header: string }
  | { readonly look_up: string; readonly at: string }
  | { readonly response: string }
  | { readonly item: string }
  | { readonly fact: string }
  | { readonly first: readonly Expression[] }
  | { readonly sum: readonly Expression[] }
  | { readonly product: readonly Expression[] }
  | { readonly max: readonly Expression[] }
  | { readonly min: readonly Expression[] }
  | { readonly largest_present: readonly Expression[] }
  | { readonly divide_up: readonly [Expression, Expression] }
  | { readonly difference: readonly [Expression, Expression] }
  | { readonly count: Expression }
  | { readonly each: Expression; readonly combine: Combine; readonly value: Expression }
  | { readonly table: string; readonly key: Expression }
  | { readonly quantity: QuantityGrammar; readonly of: Expression }
  | { readonly parse: "json" | "yaml"; readonly of: Expression; readonly value: Expression }
  | { readonly concat: readonly Expression[] }
  | { readonly text: Expression }
  | { readonly upper: Expression }
  | { readonly lower: Expression }
  | { readonly if: Condition; readonly use: Expression; readonly else: Expression }
  | { readonly unsized: string };

/** How the values of a list's members become one: a number, or for `list` the texts themselves. */
export const COMBINES = ["sum", "product", "max", "min", "list"] as const;
export type Combine = (typeof COMBINES)[number];

/** A test over expressions. An operand that cannot be evaluated makes the test unsized, never true. */
export type Condition =
  | { readonly equal: readonly [Expression, Expression] }
  | { readonly at_most: readonly [Expression, Expression] }
  | { readonly at_least: readonly [Expression, Expression] }
  | { readonly one_of: readonly (string | number)[]; readonly of: Expression }
  | { readonly present: Expression }
  | { readonly empty: Expression }
  | { readonly not: Condition }
  | { readonly all: readonly Condition[] }
  | { readonly any: readonly Condition[] };

/** More operands than a reviewer can follow. */
const MAX_OPERANDS = 16;
const pointer = z
  .string()
  .max(256)
  .regex(/^(\/([^~/]|~[01])*)*$/, { error: "a JSON pointer is required: empty, or /key/key" });
const named = z
  .string()
  .max(64)
  .regex(/^[a-z][a-z0-9_-]*$/, { error: "a lower-case name is required" });
const text = z.string().max(256);

/** Any JSON value, as the document reader yields it. */
export const jsonSchema = z.custom<JsonValue>((value) => value !== undefined, { error: "a JSON value is required" });

const expression: z.ZodType<Expression> = z.lazy(() => expressionUnion).meta({ id: "Expression" });
const condition: z.ZodType<Condition> = z.lazy(() => conditionUnion).meta({ id: "Condition" });
const operands = z.array(expression).min(1).max(MAX_OPERANDS);
const pair = z.tuple([expression, expression]);

const expressionUnion: z.ZodType<Expression> = z.union([
  z.number(),
  text,
  z.boolean(),
  z.strictObject({ literal: z.array(text).max(64) }),
  z.strictObject({ body: pointer }),
  z.strictObject({ path: named }),
  z.strictObject({ query: z.string().max(64) }),
  z.strictObject({ header: named }),
  z.strictObject({ look_up: named, at: pointer }),
  z.strictObject({ response: pointer }),
  z.strictObject({ item: pointer }),
  z.strictObject({ fact: named }),
  z.strictObject({ first: operands }),
  z.strictObject({ sum: operands }),
  z.strictObject({ product: operands }),
  z.strictObject({ max: operands }),
  z.strictObject({ min: operands }),
  z.strictObject({ largest_present: operands }),
  z.strictObject({ divide_up: pair }),
  z.strictObject({ difference: pair }),
  z.strictObject({ count: expression }),
  z.strictObject({ each: expression, combine: z.enum(COMBINES), value: expression }),
  z.strictObject({ table: named, key: expression }),
  z.strictObject({ quantity: z.enum(QUANTITY_GRAMMARS), of: expression }),
  z.strictObject({ parse: z.enum(["json", "yaml"]), of: expression, value: expression }),
  z.strictObject({ concat: operands }),
  z.strictObject({ text: expression }),
  z.strictObject({ upper: expression }),
  z.strictObject({ lower: expression }),
  z.strictObject({ if: condition, use: expression, else: expression }),
  z.strictObject({ unsized: z.string().min(1).max(256) }),
]);

const conditionUnion: z.ZodType<Condition> = z.union([
  z.strictObject({ equal: pair }),
  z.strictObject({ at_most: pair }),
  z.strictObject({ at_least: pair }),
  z.strictObject({
    one_of: z
      .array(z.union([text, z.number()]))
      .min(1)
      .max(64),
    of: expression,
  }),
  z.strictObject({ present: expression }),
  z.strictObject({ empty: expression }),
  z.strictObject({ not: condition }),
  z.strictObject({ all: z.array(condition).min(1).max(MAX_OPERANDS) }),
  z.strictObject({ any: z.array(condition).min(1).max(MAX_OPERANDS) }),
]);

export { condition as conditionSchema, expression as expressionSchema, named as nameSchema, pointer as pointerSchema };
