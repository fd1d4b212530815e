import type { Answer } from "./answer.ts";
import { refusal } from "./answer.ts";
import type { Cluster } from "./cluster.ts";

/** One authenticated call, as the handlers see it. */
export type Call = {
  readonly cluster: Cluster;
  /** The `{id}` of the path, empty where the route has none. */
  readonly id: string;
  readonly query: ReadonlyMap<string, string>;
  readonly contentType: string | undefined;
  readonly body: Uint8Array;
  /** Raw `Idempotency-Key`, null where absent. Kept with what the call makes, never used to suppress a second one. */
  readonly reference: string | null;
  /** `?dry_run=true`: validate, store nothing. */
  readonly dryRun: boolean;
  /** Raw `If-Match`, null where absent. */
  readonly ifMatch: string | null;
};

export type Handler = (call: Call) => Answer;

/** Reads the query strictly: unknown, repeated or empty-named keys are refused. */
export function readQuery(
  text: string,
  allowed: readonly string[],
): { readonly query: ReadonlyMap<string, string> } | Answer {
  const query = new Map<string, string>();
  for (const [key, value] of new URLSearchParams(text)) {
    if (!allowed.includes(key)) return refusal(400, "unknown_query", `query key "${key}" is not known here`);
    if (query.has(key)) return refusal(400, "repeated_query", `query key "${key}" is repeated`);
    query.set(key, value);
  }
  return { query };
}

/** Refuses with 412 when the caller saw another version of the resource than the present one. */
export const staleVersion = (call: Call, version: number): Answer | null =>
  call.ifMatch === null || call.ifMatch === `"${version}"`
    ? null
    : refusal(412, "version_mismatch", `the resource is at version ${version}`);

/** Whether an object's stored reference is the asked one; surrounding quotes (a structured-field string) do not matter. */
export const hasReference = (stored: string | null, asked: string): boolean =>
  stored !== null && unquoted(stored) === unquoted(asked);

const unquoted = (text: string): string => /^"(.*)"$/.exec(text)?.[1] ?? text;
