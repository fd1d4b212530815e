import { isJsonObject } from "../platform/json.ts";
import type { JsonObject, JsonValue } from "../platform/json.ts";
import { jsonPointer } from "../platform/json-pointer.ts";
import type { JsonPath } from "../platform/json-pointer.ts";
import type { ValueSchema } from "./body-schema.ts";
import { compileText, REFUSED_NAMES } from "./text-rules.ts";
import type { Report, TextCheck } from "./text-rules.ts";

/** Null when the value is acceptable, otherwise what is wrong, with the JSON pointer of the place. */
export type ValueCheck = (value: JsonValue, at: JsonPath) => string | null;

type SchemaOf<T extends ValueSchema["type"]> = Extract<ValueSchema, { type: T }>;
type Context = { readonly grammars: ReadonlyMap<string, TextCheck>; readonly report: Report };

/** Compiles one value schema to a check. Nothing is converted: a value is exactly what the schema says, or refused. */
export function compileValue(schema: ValueSchema, path: JsonPath, context: Context): ValueCheck {
  switch (schema.type) {
    case "object":
      return objectCheck(schema, path, context);
    case "map":
      return mapCheck(schema, path, context);
    case "list":
      return listCheck(schema, path, context);
    case "string":
      return stringCheck(compileText(schema, path, context.grammars, context.report));
    case "integer":
    case "number":
      return numberCheck(schema, path, context);
    case "boolean":
      return (value, at) =>
        typeof value !== "boolean" || (schema.only !== undefined && value !== schema.only)
          ? wrong(at, schema.only === undefined ? "true or false" : String(schema.only), value)
          : null;
    case "either":
      return eitherCheck(schema, path, context);
    default:
      return opaqueCheck(schema);
  }
}

function objectCheck(schema: SchemaOf<"object">, path: JsonPath, context: Context): ValueCheck {
  const checks = new Map(
    Object.entries(schema.keys).map(([key, value]) => [key, compileValue(value, [...path, "keys", key], context)]),
  );
  const required = Object.entries(schema.keys).flatMap(([key, value]) => (value.optional === true ? [] : [key]));
  const exclusive = schema.at_most_one_of ?? [];
  for (const [index, key] of exclusive.entries()) {
    if (!checks.has(key)) context.report([...path, "at_most_one_of", index], `"${key}" is not a key of this object`);
  }
  return (value, at) => {
    if (!isJsonObject(value)) return wrong(at, "an object", value);
    for (const key of Object.keys(value)) {
      const check = checks.get(key);
      const member = value[key];
      if (check === undefined || member === undefined) return `${place([...at, key])}: unknown key`;
      const problem = check(member, [...at, key]);
      if (problem !== null) return problem;
    }
    const absent = required.find((key) => !Object.hasOwn(value, key));
    if (absent !== undefined) return `${place([...at, absent])}: required and missing`;
    if (Object.keys(value).length < (schema.min_keys ?? 0))
      return `${place(at)}: at least ${schema.min_keys} key is required`;
    const given = exclusive.filter((key) => Object.hasOwn(value, key));
    return given.length > 1 ? `${place(at)}: only one of ${given.join(", ")} may be given` : null;
  };
}

function mapCheck(schema: SchemaOf<"map">, path: JsonPath, context: Context): ValueCheck {
  const checkKey = compileText(schema.key, [...path, "key"], context.grammars, context.report);
  const check = compileValue(schema.value, [...path, "value"], context);
  return (value, at) => {
    if (!isJsonObject(value)) return wrong(at, "an object", value);
    const entries = Object.entries(value);
    if (entries.length > schema.max_entries) return `${place(at)}: more than ${schema.max_entries} entries`;
    for (const [key, member] of entries) {
      const demand = REFUSED_NAMES.has(key) ? "another name" : checkKey(key);
      if (demand !== null) return `${place([...at, key])}: the key must be ${demand}`;
      const problem = check(member, [...at, key]);
      if (problem !== null) return problem;
    }
    return null;
  };
}

function listCheck(schema: SchemaOf<"list">, path: JsonPath, context: Context): ValueCheck {
  const check = compileValue(schema.items, [...path, "items"], context);
  const least = schema.min_items ?? 0;
  return (value, at) => {
    if (!isList(value)) return wrong(at, "a list", value);
    if (value.length < least || value.length > schema.max_items)
      return `${place(at)}: ${least} to ${schema.max_items} items are required`;
    for (const [index, item] of value.entries()) {
      const problem = check(item, [...at, index]);
      if (problem !== null) return problem;
    }
    return null;
  };
}

const stringCheck =
  (check: TextCheck): ValueCheck =>
  (value, at) => {
    if (typeof value !== "string") return wrong(at, "text", value);
    const demand = check(value);
    return demand === null ? null : wrong(at, demand, value);
  };

function numberCheck(
  schema: SchemaOf<"integer"> | SchemaOf<"number">,
  path: JsonPath,
  { report }: Context,
): ValueCheck {
  if (schema.min > schema.max) report([...path, "min"], "min is greater than max");
  const demand = `${schema.type === "integer" ? "a whole number" : "a number"} from ${schema.min} to ${schema.max}`;
  return (value, at) => {
    const fits =
      typeof value === "number" &&
      value >= schema.min &&
      value <= schema.max &&
      // -0 passes `>= 0` but is another token on the wire.
      !Object.is(value, -0) &&
      (schema.type === "number" || Number.isSafeInteger(value));
    return fits ? null : wrong(at, demand, value);
  };
}

function eitherCheck(schema: SchemaOf<"either">, path: JsonPath, context: Context): ValueCheck {
  const alternatives = new Map<JsonType, ValueCheck>();
  for (const [index, alternative] of schema.of.entries()) {
    const type = jsonTypeOf(alternative);
    const here = [...path, "of", index];
    if (type === null || alternatives.has(type)) context.report(here, "alternatives must differ in their JSON type");
    else alternatives.set(type, compileValue(alternative, here, context));
  }
  const demand = [...alternatives.keys()].join(" or ");
  return (value, at) =>
    alternatives.get(typeOf(value))?.(value, at) ?? (alternatives.has(typeOf(value)) ? null : wrong(at, demand, value));
}

type JsonType = "object" | "list" | "string" | "number" | "boolean" | "null";

const typeOf = (value: JsonValue): JsonType => {
  if (value === null) return "null";
  if (isList(value)) return "list";
  const type = typeof value;
  return type === "string" || type === "number" || type === "boolean" ? type : "object";
};

/** The JSON type that selects an alternative; null for those that several types satisfy. */
const jsonTypeOf = (schema: ValueSchema): JsonType | null => {
  if (schema.type === "either" || schema.type === "opaque") return null;
  if (schema.type === "map") return "object";
  return schema.type === "integer" ? "number" : schema.type;
};

/** Checks an opaque subtree: bounded, no two keys of an object alike but for case, none of the forbidden names in any case. */
function opaqueCheck(schema: SchemaOf<"opaque">): ValueCheck {
  const forbidden = new Set((schema.forbid ?? []).map(foldCase));
  return (value, at) => {
    let members = 0;
    const visit = (node: JsonValue, here: JsonPath): string | null => {
      members += 1;
      if (members > schema.max_members) return `${place(at)}: more than ${schema.max_members} members`;
      if (isList(node))
        return firstProblem(
          node.map((item, index) => [item, [...here, index]]),
          visit,
        );
      if (!isJsonObject(node)) return null;
      const seen = new Set<string>();
      for (const key of Object.keys(node)) {
        const folded = foldCase(key);
        if (REFUSED_NAMES.has(key) || forbidden.has(folded)) return `${place([...here, key])}: this key is not allowed`;
        if (seen.has(folded)) return `${place([...here, key])}: two keys differ only in case`;
        seen.add(folded);
      }
      return firstProblem(membersOf(node, here), visit);
    };
    return visit(value, at);
  };
}

const membersOf = (node: JsonObject, here: JsonPath): readonly (readonly [JsonValue, JsonPath])[] =>
  Object.entries(node).map(([key, member]) => [member, [...here, key]]);

function firstProblem(
  members: readonly (readonly [JsonValue, JsonPath])[],
  visit: (node: JsonValue, here: JsonPath) => string | null,
): string | null {
  for (const [member, here] of members) {
    const problem = visit(member, here);
    if (problem !== null) return problem;
  }
  return null;
}

const foldCase = (key: string): string => key.normalize("NFKC").toLowerCase();
const isList = (value: JsonValue): value is readonly JsonValue[] => Array.isArray(value);

const place = (at: JsonPath): string => `body${jsonPointer(at)}`;

/** Says what was found without repeating text: a caller's words may be secrets and reasons are audited. */
function wrong(at: JsonPath, demand: string, value: JsonValue): string {
  return `${place(at)}: expected ${demand}, found ${found(value)}`;
}

function found(value: JsonValue): string {
  if (typeof value === "string") return value.length === 0 ? "empty text" : "other text";
  if (typeof value !== "object" || value === null) return String(value);
  return isList(value) ? "a list" : "an object";
}
