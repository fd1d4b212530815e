export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };

/** RFC 8785 text, written down from the RFC: members by UTF-16 code units, scalars as ECMAScript serialises them, no spaces. */
export function canonical(value: Json): string {
  if (value === null || typeof value !== "object") {
    if (typeof value === "number" && !Number.isFinite(value)) throw new Error("RFC 8785 has no such number");
    if (typeof value === "string" && !value.isWellFormed()) throw new Error("RFC 8785 has no half characters");
    return JSON.stringify(value);
  }
  if (isArray(value)) return `[${value.map(canonical).join(",")}]`;
  const names = Object.keys(value).toSorted((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  return `{${names.map((name) => `${canonical(name)}:${canonical(value[name] ?? null)}`).join(",")}}`;
}

const isArray = (value: Json): value is readonly Json[] => Array.isArray(value);
