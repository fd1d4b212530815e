import { z } from "zod";

/** One value of a closed request body or query. Presence is required unless `optional`. Nothing is converted. */
export type ValueSchema =
  | (Common & {
      readonly type: "object";
      readonly keys: Readonly<Record<string, ValueSchema>>;
      readonly min_keys?: number | undefined;
      readonly at_most_one_of?: readonly string[] | undefined;
    })
  | (Common & {
      readonly type: "map";
      readonly key: TextRules;
      readonly value: ValueSchema;
      readonly max_entries: number;
    })
  | (Common & {
      readonly type: "list";
      readonly items: ValueSchema;
      readonly min_items?: number | undefined;
      readonly max_items: number;
    })
  | (Common & TextRules & { readonly type: "string" })
  | (Common & { readonly type: "integer"; readonly min: number; readonly max: number })
  | (Common & { readonly type: "number"; readonly min: number; readonly max: number })
  | (Common & { readonly type: "boolean"; readonly only?: boolean | undefined })
  | (Common & { readonly type: "either"; readonly of: readonly ValueSchema[] })
  /** A subtree that is passed on as it is, e.g. a pod template: no schema, but bounded and free of look-alike keys. */
  | (Common & {
      readonly type: "opaque";
      readonly max_members: number;
      readonly forbid?: readonly string[] | undefined;
    });

type Common = { readonly optional?: boolean | undefined };

/** Rules for text: exact words, a named grammar, or a pattern; always a maximum length in UTF-16 units. */
export type TextRules = {
  readonly one_of?: readonly string[] | undefined;
  readonly grammar?: string | undefined;
  readonly pattern?: string | undefined;
  readonly min_length?: number | undefined;
  readonly max_length?: number | undefined;
};

/** The strict reader stops at 1,000 members and 64 KiB; a schema cannot promise more. */
const MAX_MEMBERS = 1000;
const MAX_TEXT = 65_536;
const optional = z.boolean().optional();
const integer = z.int();
const key = z.string().min(1).max(128);

const textRules = {
  one_of: z.array(z.string().max(128)).min(1).max(128).optional(),
  grammar: z.string().max(32).optional(),
  pattern: z.string().max(200).optional(),
  min_length: z.int().min(0).max(MAX_TEXT).optional(),
  max_length: z.int().min(1).max(MAX_TEXT).optional(),
};

const value: z.ZodType<ValueSchema> = z.lazy(() => valueUnion).meta({ id: "Value" });

const object = z.strictObject({
  type: z.literal("object"),
  optional,
  keys: z.record(key, value),
  min_keys: z.int().min(1).optional(),
  at_most_one_of: z.array(key).min(2).optional(),
});

const valueUnion: z.ZodType<ValueSchema> = z.discriminatedUnion("type", [
  object,
  z.strictObject({
    type: z.literal("map"),
    optional,
    key: z.strictObject(textRules),
    value,
    max_entries: z.int().min(1).max(MAX_MEMBERS),
  }),
  z.strictObject({
    type: z.literal("list"),
    optional,
    items: value,
    min_items: z.int().min(0).optional(),
    max_items: z.int().min(1).max(MAX_MEMBERS),
  }),
  z.strictObject({ type: z.literal("string"), optional, ...textRules }),
  z.strictObject({ type: z.literal("integer"), optional, min: integer, max: integer }),
  z.strictObject({ type: z.literal("number"), optional, min: z.number(), max: z.number() }),
  z.strictObject({ type: z.literal("boolean"), optional, only: z.boolean().optional() }),
  z.strictObject({ type: z.literal("either"), optional, of: z.array(value).min(2).max(4) }),
  z.strictObject({
    type: z.literal("opaque"),
    optional,
    max_members: z.int().min(1).max(MAX_MEMBERS),
    forbid: z.array(key).max(64).optional(),
  }),
]);

/** Query values are text on the wire: only these types make sense there. */
const queryValue = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("string"), required: z.boolean().optional(), ...textRules }),
  z.strictObject({ type: z.literal("integer"), required: z.boolean().optional(), min: integer, max: integer }),
]);
export type QueryValueSchema = z.infer<typeof queryValue>;

/** A request body: always an object at its root. */
export type BodySchema = Extract<ValueSchema, { type: "object" }>;
export const bodySchema: z.ZodType<BodySchema> = object;
export { queryValue as queryValueSchema, textRules as textRuleShape };
