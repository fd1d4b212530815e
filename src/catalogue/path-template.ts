import { assert } from "../platform/assert.ts";
import { isPathId } from "./text-rules.ts";
import type { TextCheck } from "./text-rules.ts";

/** One segment of a path template: fixed text, or a named parameter with its check. */
export type Segment =
  | { readonly kind: "literal"; readonly text: string }
  | { readonly kind: "param"; readonly name: string; readonly check: TextCheck };

/** Names of the parameters of a template, in order. */
export const parameterNames = (template: string): readonly string[] =>
  [...template.matchAll(/\{([a-z][a-z0-9_]*)\}/g)].map((match) => match[1] ?? "");

/** Segments of a template, with the check of each parameter. */
export function segmentsOf(template: string, checkOf: (name: string) => TextCheck): readonly Segment[] {
  if (template === "/") return [];
  return template
    .slice(1)
    .split("/")
    .map((text) => {
      const [name] = parameterNames(text);
      return name === undefined ? { kind: "literal", text } : { kind: "param", name, check: checkOf(name) };
    });
}

/** Whether `text` may stand for the parameter. The id grammar holds whatever else the route says. */
export const accepts = (segment: Extract<Segment, { kind: "param" }>, text: string): boolean =>
  isPathId(text) && segment.check(text) === null;

/** Whether some path could match both templates. Two parameters are taken to overlap. */
export function overlap(left: readonly Segment[], right: readonly Segment[]): boolean {
  return (
    left.length === right.length &&
    left.every((segment, index) => {
      const other = right[index];
      if (other === undefined) return false;
      if (segment.kind === "param") return other.kind === "param" || accepts(segment, other.text);
      return other.kind === "param" ? accepts(other, segment.text) : segment.text === other.text;
    })
  );
}

/** The path with the parameters' validated values. Never built from received path text. */
export function expandPath(template: string, params: ReadonlyMap<string, string>): string {
  return template.replace(/\{([a-z][a-z0-9_]*)\}/g, (_all, name: string) => {
    const value = params.get(name);
    assert(value !== undefined && isPathId(value), `path parameter ${name} was validated`);
    return value;
  });
}
