import { runInDurableObject } from "cloudflare:test";
import type { Place } from "../../src/audit/journal.ts";
import type { Env } from "../../src/env.ts";
import { testEnv } from "../support/test-env.ts";

/** Gives a log's object other bindings, until it is evicted. */
export const rebind = (stub: DurableObjectStub, bindings: Partial<Env>): Promise<void> =>
  runInDurableObject(stub, (instance) => void Object.assign(instance, { env: { ...testEnv, ...bindings } }));

/** The objects of one log's second copy in the order of their names: each with its text. */
export async function copyOf({
  tenant,
  log,
}: Place): Promise<readonly { readonly key: string; readonly text: string }[]> {
  const { objects } = await testEnv.TEST_BUCKET.list({ prefix: `${tenant}/${log}/` });
  return Promise.all(
    objects.map(async ({ key }) => {
      const found = await testEnv.TEST_BUCKET.get(key);
      return { key, text: found === null ? "gone" : new TextDecoder().decode(await found.arrayBuffer()) };
    }),
  );
}

/** All records of the second copy, one after the other as a reader gets them. */
export async function copiedRecords(place: Place): Promise<readonly string[]> {
  return (await copyOf(place)).flatMap(({ text }) => text.split("\n").slice(0, -1));
}

/** How far the copy is by the log's own word. */
export const copiedUpTo = (stub: DurableObjectStub): Promise<number> =>
  runInDurableObject(stub, (_, { storage }) => {
    const [row] = storage.sql.exec("SELECT confirmed FROM sinks").toArray();
    return Number(row?.["confirmed"] ?? 0);
  });
