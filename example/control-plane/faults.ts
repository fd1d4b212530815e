import { z } from "zod";
import { matchTemplate } from "./routes.ts";

/** Longest injected delay, in milliseconds: beyond any time limit that a caller would set. */
const MAX_DELAY_MS = 600_000;
const MAX_FAULTS = 100;

const fault = z.strictObject({
  method: z.string().regex(/^(?:[A-Z]{1,16}|\*)$/),
  /** Exact path (with its query to mean that query only), a template with `{id}`, or `*`. */
  path: z.string().min(1).max(1_024),
  times: z.int().min(1).max(1_000_000).default(1),
  kind: z.string().transform((text, context) => {
    const kind = parseKind(text);
    if (kind !== null) return kind;
    context.addIssue({ code: "custom", message: `unknown fault kind "${text}"` });
    return z.NEVER;
  }),
});

/** The document of `PUT /_example/faults`. */
export const FAULTS = z.array(fault).max(MAX_FAULTS);

/**
 * What goes wrong. `status`, `redirect` and `reset` happen instead of the call. `delay` happens before it, and the call
 * is executed even if the caller has gone by then. `drop-after-execute` and `garbage` happen after it.
 */
export type FaultKind =
  | { readonly kind: "status"; readonly status: number }
  | { readonly kind: "delay"; readonly delayMs: number }
  | { readonly kind: "redirect"; readonly location: string }
  | { readonly kind: "drop-after-execute" }
  | { readonly kind: "reset" }
  | { readonly kind: "garbage" };

type Fault = { readonly method: string; readonly path: string; readonly kind: FaultKind; left: number };

/** The faults that are still to happen, in the order in which they were given. */
export class FaultPlan {
  #faults: Fault[] = [];

  /** Replaces the plan. */
  set(faults: z.infer<typeof FAULTS>): void {
    this.#faults = faults.map(({ method, path, times, kind }) => ({ method, path, kind, left: times }));
  }

  /** Whether anything is still to happen. */
  get pending(): number {
    return this.#faults.reduce((total, { left }) => total + left, 0);
  }

  /** The fault that this call meets, counted down; null for none. */
  take(method: string, target: string, isDryRun: boolean): FaultKind | null {
    const met = this.#faults.find(
      (one) => one.left > 0 && (one.method === "*" || one.method === method) && meets(one.path, target, isDryRun),
    );
    if (met === undefined) return null;
    met.left -= 1;
    return met.kind;
  }
}

/**
 * A path without a query meets every query except a dry run's: a plan that precedes the call must not use up the fault
 * meant for the call itself. `*` and a path that states `?dry_run=true` meet dry runs too.
 */
function meets(pattern: string, target: string, isDryRun: boolean): boolean {
  if (pattern === "*") return true;
  if (pattern.includes("?")) return pattern === target;
  const [path = ""] = target.split("?", 1);
  return !isDryRun && (pattern === path || matchTemplate(pattern, path) !== null);
}

function parseKind(text: string): FaultKind | null {
  if (text === "drop-after-execute" || text === "reset" || text === "garbage") return { kind: text };
  const [, name, argument = ""] = /^(status|delay|redirect):(.+)$/.exec(text) ?? [];
  if (name === "status" && /^[2-5][0-9]{2}$/.test(argument)) return { kind: "status", status: Number(argument) };
  if (name === "delay" && /^[0-9]{1,6}$/.test(argument) && Number(argument) <= MAX_DELAY_MS) {
    return { kind: "delay", delayMs: Number(argument) };
  }
  return name === "redirect" && /^[\x21-\x7e]+$/.test(argument) ? { kind: "redirect", location: argument } : null;
}
