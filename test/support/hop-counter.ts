import { vi } from "vitest";
import type { Env } from "../../src/env.ts";
import { testEnv } from "./test-env.ts";

/** Something that left the isolate: a Durable Object call (`LEDGER.admit`), a D1 query, a fetch. In order of what happened. */
export type HopEvent = { readonly at: "begun" | "ended"; readonly hop: string };

export type HopCounter = {
  readonly bindings: Partial<Env>;
  readonly events: readonly HopEvent[];
  readonly reset: () => void;
  /** What this hop has to wait for before it can end; `null` for nothing. For calls that must be off the path. */
  readonly hold: (hop: string, until: Promise<unknown> | null) => void;
};

const OBJECTS = ["LEDGER", "REQUEST_LOG", "QUOTA", "OUTBOX"] as const;

/** Bindings that behave like the real ones and note every use. Fetches are noted too, until `vi.restoreAllMocks`. */
export function countHops(): HopCounter {
  const events: HopEvent[] = [];
  const held = new Map<string, Promise<unknown>>();
  const note = async <T>(hop: string, call: () => Promise<T>): Promise<T> => {
    events.push({ at: "begun", hop });
    await held.get(hop);
    try {
      return await call();
    } finally {
      events.push({ at: "ended", hop });
    }
  };
  const original = globalThis.fetch;
  vi.spyOn(globalThis, "fetch").mockImplementation((...given) => note("upstream", () => original(...given)));
  const bindings: Record<string, unknown> = { DB: countedDatabase(testEnv.DB, note) };
  for (const name of OBJECTS) bindings[name] = countedNamespace(name, testEnv[name], note);
  return {
    bindings,
    events,
    reset: () => void events.splice(0),
    hold: (hop, until) => void (until === null ? held.delete(hop) : held.set(hop, until)),
  };
}

type Note = <T>(hop: string, call: () => Promise<T>) => Promise<T>;

function countedNamespace(name: string, namespace: DurableObjectNamespace, note: Note): object {
  return {
    getByName: (id: string) => {
      const stub = namespace.getByName(id);
      return new Proxy(stub, {
        get: (_, method) => {
          const member: unknown = Reflect.get(stub, method);
          if (typeof method !== "string" || typeof member !== "function") return member;
          return (...given: unknown[]) => note(`${name}.${method}`, async () => Reflect.apply(member, stub, given));
        },
      });
    },
  };
}

function countedDatabase(database: D1Database, note: Note): object {
  const counted = (statement: object): object =>
    new Proxy(statement, {
      get: (_, method) => {
        const member: unknown = Reflect.get(statement, method);
        if (typeof method !== "string" || typeof member !== "function") return member;
        if (method === "bind") return (...given: unknown[]) => counted(Reflect.apply(member, statement, given));
        return (...given: unknown[]) => note("D1", async () => Reflect.apply(member, statement, given));
      },
    });
  return { prepare: (query: string) => counted(database.prepare(query)) };
}
