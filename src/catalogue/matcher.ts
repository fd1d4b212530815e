import type { Method } from "../strict-request.ts";
import { accepts } from "./path-template.ts";
import type { Segment } from "./path-template.ts";

/** What was picked at the end of one path template, and the values of its parameters. */
export type Hit<R> = { readonly picked: R; readonly params: ReadonlyMap<string, string> };

type Param = Extract<Segment, { kind: "param" }>;
type Node<T> = {
  readonly literals: Map<string, Node<T>>;
  readonly params: { segment: Param; key: string; node: Node<T> }[];
  leaf: T | null;
};

/**
 * Finds a route by method and path segments without looking at the other routes: a tree of literal and parameter
 * segments per method and length. Routes that one request could both match have been refused at compile time, so at
 * most one leaf is ever picked and the order of the walk decides nothing.
 */
export class PathMatcher<T> {
  readonly #roots = new Map<string, Node<T>>();

  /** The leaf of this method and template, created on first use. `keyOf` tells parameters with different checks apart. */
  add(method: Method, segments: readonly Segment[], keyOf: (name: string) => string, create: () => T): T {
    const rootKey = `${method} ${segments.length}`;
    let node = this.#roots.get(rootKey) ?? emptyNode<T>();
    this.#roots.set(rootKey, node);
    for (const segment of segments)
      node =
        segment.kind === "literal" ? literalChild(node, segment.text) : paramChild(node, segment, keyOf(segment.name));
    node.leaf ??= create();
    return node.leaf;
  }

  /** The first non-null `pick` among the leaves whose template matches. */
  find<R>(method: Method, segments: readonly string[], pick: (leaf: T) => R | null): Hit<R> | null {
    const root = this.#roots.get(`${method} ${segments.length}`);
    return root === undefined ? null : walk({ segments, pick }, root, 0, []);
  }
}

const emptyNode = <T>(): Node<T> => ({ literals: new Map(), params: [], leaf: null });

function literalChild<T>(node: Node<T>, text: string): Node<T> {
  const child = node.literals.get(text) ?? emptyNode<T>();
  node.literals.set(text, child);
  return child;
}

function paramChild<T>(node: Node<T>, segment: Param, key: string): Node<T> {
  const existing = node.params.find((param) => param.key === key);
  if (existing !== undefined) return existing.node;
  const child = emptyNode<T>();
  node.params.push({ segment, key, node: child });
  return child;
}

type Search<T, R> = { readonly segments: readonly string[]; readonly pick: (leaf: T) => R | null };

function walk<T, R>(
  search: Search<T, R>,
  node: Node<T>,
  index: number,
  found: readonly (readonly [string, string])[],
): Hit<R> | null {
  const text = search.segments[index];
  if (text === undefined) {
    const picked = node.leaf === null ? null : search.pick(node.leaf);
    return picked === null ? null : { picked, params: new Map(found) };
  }
  const literal = node.literals.get(text);
  const hit = literal === undefined ? null : walk(search, literal, index + 1, found);
  if (hit !== null) return hit;
  for (const { segment, node: child } of node.params) {
    if (!accepts(segment, text)) continue;
    const inner = walk(search, child, index + 1, [...found, [segment.name, text]]);
    if (inner !== null) return inner;
  }
  return null;
}
