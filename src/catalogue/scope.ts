import type { JsonValue } from "../platform/json.ts";
import type { Fact } from "../vocabulary.ts";
import type { LookedUp } from "./types.ts";

/** Everything an expression may read. */
export type Scope = {
  readonly params: ReadonlyMap<string, string>;
  readonly query: ReadonlyMap<string, string>;
  readonly header: (name: string) => string | null;
  readonly body: JsonValue | undefined;
  readonly lookedUp: LookedUp;
  readonly facts: Readonly<Record<string, Fact>>;
  readonly response: JsonValue | undefined;
  /** The member that `each` visits, or the document that `parse` read; undefined outside both. */
  readonly item: JsonValue | undefined;
};

/** A value, nothing there, or something there that cannot be understood. Only the first is ever used as a number. */
export type Evaluated =
  | { readonly kind: "value"; readonly value: JsonValue }
  | { readonly kind: "absent"; readonly reason: string }
  | { readonly kind: "unsized"; readonly reason: string };

export type NoValue = Exclude<Evaluated, { readonly kind: "value" }>;

export type Evaluate = (scope: Scope) => Evaluated;

export const valueOf = (value: JsonValue): Evaluated => ({ kind: "value", value });
export const absent = (reason: string): NoValue => ({ kind: "absent", reason });
export const unsized = (reason: string): NoValue => ({ kind: "unsized", reason });

export const EMPTY_SCOPE: Scope = {
  params: new Map(),
  query: new Map(),
  header: () => null,
  body: undefined,
  lookedUp: new Map(),
  facts: {},
  response: undefined,
  item: undefined,
};
