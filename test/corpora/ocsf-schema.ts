import { existsSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { corpus, filesOf, textOfFile } from "./corpus.ts";

const ENUM = z.record(z.string(), z.object({ caption: z.string().optional() }));
const ATTRIBUTE = z.looseObject({
  requirement: z.string().optional(),
  type: z.string().optional(),
  enum: ENUM.optional(),
  sibling: z.string().optional(),
  is_array: z.boolean().optional(),
  "@deprecated": z.unknown().optional(),
});
type Attribute = z.infer<typeof ATTRIBUTE>;
const PART = z.looseObject({
  uid: z.int().optional(),
  caption: z.string().optional(),
  category: z.string().optional(),
  extends: z.string().optional(),
  attributes: z.record(z.string(), z.unknown()).default({}),
  constraints: z
    .object({ at_least_one: z.array(z.string()).optional(), just_one: z.array(z.string()).optional() })
    .optional(),
});
type Attributes = Readonly<Record<string, Attribute>>;
/** A class or object with everything that it inherits and includes. */
export type Shape = { readonly attributes: Attributes; readonly atLeastOne: readonly (readonly string[])[] };

const TYPE = z.object({
  type: z.string().optional(),
  regex: z.string().optional(),
  range: z.array(z.number()).optional(),
});
const read = (name: string): unknown => JSON.parse(textOfFile("ocsf", name));
const dictionary = z
  .object({ attributes: z.record(z.string(), ATTRIBUTE), types: z.object({ attributes: z.record(z.string(), TYPE) }) })
  .parse(read("dictionary.json"));

export const SCHEMA_VERSION = z.object({ version: z.string() }).parse(read("version.json")).version;

/** What a class or object, named by its file, consists of. The attributes of profiles come only with `profiles`. */
export function shapeOf(file: string, profiles: readonly string[]): Shape {
  const part = PART.parse(read(file));
  const inherited = part.extends === undefined ? null : shapeOf(fileOf(part.extends, file), profiles);
  const { $include: included, ...own } = part.attributes;
  const attributes: Record<string, Attribute> = { ...inherited?.attributes };
  for (const profile of z.array(z.string()).default([]).parse(included)) {
    const name = profile.replace("profiles/", "").replace(".json", "");
    if (profiles.includes(name)) merge(attributes, PART.parse(read(profile)).attributes);
  }
  merge(attributes, own);
  const atLeastOne = part.constraints?.at_least_one ?? null;
  // A constraint of its own stands in place of the inherited one.
  return { attributes, atLeastOne: atLeastOne === null ? (inherited?.atLeastOne ?? []) : [atLeastOne] };
}

const CATEGORIES = z
  .object({ attributes: z.record(z.string(), z.object({ uid: z.int(), caption: z.string() })) })
  .parse(read("categories.json")).attributes;

/**
 * The shape of a class in the category application. As OCSF's own compiler does, the numbers of class, category and type are put
 * in from where the source states them.
 */
export function classOf(name: string, profiles: readonly string[]): Shape {
  const file = `events/application/${name}.json`;
  const { uid = 0, caption = "" } = PART.parse(read(file));
  const category = CATEGORIES["application"] ?? { uid: 0, caption: "" };
  const classUid = category.uid * 1_000 + uid;
  const shape = shapeOf(file, profiles);
  const activities = Object.entries(shape.attributes["activity_id"]?.enum ?? {});
  const types = activities.map(([id, activity]) => [
    String(classUid * 100 + Number(id)),
    { caption: id === "99" ? undefined : `${caption}: ${activity.caption}` },
  ]);
  const numbers = {
    category_uid: { [category.uid]: { caption: category.caption } },
    class_uid: { [classUid]: { caption } },
    type_uid: Object.fromEntries(types),
  };
  const stated = Object.entries(numbers).map(([attribute, values]) => [
    attribute,
    { ...shape.attributes[attribute], enum: values },
  ]);
  return { ...shape, attributes: { ...shape.attributes, ...Object.fromEntries(stated) } };
}

function merge(into: Record<string, Attribute>, more: Readonly<Record<string, unknown>>): void {
  for (const [name, given] of Object.entries(more)) {
    const attribute = ATTRIBUTE.parse(given);
    const before = into[name] ?? dictionary.attributes[name];
    const values = { ...before?.enum, ...attribute.enum };
    const stated = Object.fromEntries(Object.entries(attribute).filter(([, value]) => value !== null));
    into[name] = { ...before, ...stated, ...(Object.keys(values).length === 0 ? {} : { enum: values }) };
  }
}

function fileOf(name: string, from: string): string {
  if (from.startsWith("objects/")) return `objects/${name}.json`;
  return (
    [`events/${name}.json`, `events/application/${name}.json`].find((file) => existsSync(join(corpus("ocsf"), file))) ??
    ""
  );
}

/** Profiles that the schema has. */
export const PROFILES: readonly string[] = filesOf("ocsf/profiles").map((name) => name.replace(".json", ""));

const OPEN = new Set(["object", "json_t"]);

/** Everything in which `value` is not what its shape says, one line each. */
export function violations(value: unknown, shape: Shape, profiles: readonly string[], at = ""): readonly string[] {
  const members = z.record(z.string(), z.unknown()).safeParse(value);
  if (!members.success) return [`${at}: is no object`];
  const given = members.data;
  const missing = Object.entries(shape.attributes)
    .filter(([name, { requirement }]) => requirement === "required" && given[name] === undefined)
    .map(([name]) => `${at}/${name}: is required`);
  const none = shape.atLeastOne
    .filter((names) => names.every((name) => given[name] === undefined))
    .map((names) => `${at}: needs one of ${names.join(", ")}`);
  const wrong = Object.entries(given).flatMap(([name, inner]) => {
    const attribute = shape.attributes[name];
    if (attribute === undefined) return [`${at}/${name}: is not in the schema`];
    return [
      ...attributeViolations(inner, attribute, profiles, `${at}/${name}`),
      ...siblingViolations(given, name, attribute, at),
    ];
  });
  return [...missing, ...none, ...wrong];
}

function attributeViolations(
  value: unknown,
  attribute: Attribute,
  profiles: readonly string[],
  at: string,
): readonly string[] {
  if (attribute["@deprecated"] !== undefined) return [`${at}: is deprecated`];
  if (attribute.is_array === true)
    return Array.isArray(value)
      ? value.flatMap((one: unknown, index) => scalarViolations(one, attribute, profiles, `${at}/${index}`))
      : [`${at}: is no array`];
  return scalarViolations(value, attribute, profiles, at);
}

function scalarViolations(
  value: unknown,
  attribute: Attribute,
  profiles: readonly string[],
  at: string,
): readonly string[] {
  const { type = "" } = attribute;
  if (attribute.enum !== undefined && attribute.enum[String(value)] === undefined)
    return [`${at}: ${JSON.stringify(value)} is not in its enumeration`];
  if (OPEN.has(type)) return [];
  const stated = dictionary.types.attributes[type];
  if (stated === undefined) return violations(value, shapeOf(`objects/${type}.json`, profiles), profiles, at);
  const base = baseOf(type);
  const isOf =
    base === "string_t"
      ? typeof value === "string" && new RegExp(stated.regex ?? "", "u").test(value)
      : base === "boolean_t"
        ? typeof value === "boolean"
        : typeof value === "number" && (base === "float_t" || Number.isSafeInteger(value));
  return isOf ? [] : [`${at}: ${JSON.stringify(value)} is no ${type}`];
}

function baseOf(type: string): string {
  const parent = dictionary.types.attributes[type]?.type;
  return parent === undefined ? type : baseOf(parent);
}

/** The text beside an enumerated number is that number's caption, but for 99, where the source says it in its own words. */
function siblingViolations(
  given: Readonly<Record<string, unknown>>,
  name: string,
  attribute: Attribute,
  at: string,
): readonly string[] {
  const { sibling } = attribute;
  const text = sibling === undefined ? undefined : given[sibling];
  if (sibling === undefined || attribute.enum === undefined) return [];
  if (given[name] === 99) return typeof text === "string" ? [] : [`${at}/${sibling}: is required beside 99`];
  const caption = attribute.enum[String(given[name])]?.caption;
  return text === undefined || caption === undefined || text === caption
    ? []
    : [`${at}/${sibling}: ${JSON.stringify(text)} is not ${caption}`];
}
