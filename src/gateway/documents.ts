import { eq } from "drizzle-orm";
import { compileCatalogue } from "../catalogue/compile.ts";
import { compilePrices, type CompiledPrices } from "../catalogue/prices.ts";
import type { CompiledCatalogue } from "../catalogue/types.ts";
import { openDatabase } from "../db/client.ts";
import { documents } from "../db/schema.ts";
import { describeError } from "../platform/describe-error.ts";
import type { DocumentProblem } from "../platform/document.ts";
import { err, ok, type Result } from "../platform/result.ts";
import { compilePeople, type CompiledPeople } from "../policy/people.ts";
import { compilePolicy } from "../policy/compile-policy.ts";
import type { CompiledPolicy } from "../policy/types.ts";
import type { Digest } from "../vocabulary.ts";
import { createBoundedCache } from "../platform/bounded-cache.ts";

/** Compiled documents kept per isolate: tenants share catalogues and prices, so this is ≈ 250 tenants' worth. */
const CACHE_ENTRIES = 512;

export type DocumentSet = {
  readonly policy: Digest;
  readonly people: Digest;
  readonly catalogue: Digest;
  readonly prices: Digest;
};

/** The compiled documents of one policy version. */
export type Rulebook = {
  readonly policy: CompiledPolicy;
  readonly people: CompiledPeople;
  readonly catalogue: CompiledCatalogue;
  readonly prices: CompiledPrices;
};

/** Loads documents by digest and keeps them compiled. The error says why, for logs; the caller fails closed. */
export type DocumentSource = {
  readonly rulebook: (set: DocumentSet) => Promise<Result<Rulebook, string>>;
  readonly catalogue: (digest: Digest) => Promise<Result<CompiledCatalogue, string>>;
};

/**
 * Reads documents from D1 by digest. What compiles must have exactly the digest that was asked for, so an edited row is no
 * document; a document that no longer compiles under this build denies.
 */
export function createDocumentSource(d1: D1Database): DocumentSource {
  const catalogues = createBoundedCache<CompiledCatalogue>(CACHE_ENTRIES);
  const prices = createBoundedCache<CompiledPrices>(CACHE_ENTRIES);
  const people = createBoundedCache<CompiledPeople>(CACHE_ENTRIES);
  const policies = createBoundedCache<CompiledPolicy>(CACHE_ENTRIES);

  const load = async <T extends { readonly digest: Digest }>(
    cache: ReturnType<typeof createBoundedCache<T>>,
    digest: Digest,
    key: string,
    compile: (text: string) => Result<T, readonly DocumentProblem[]>,
  ): Promise<Result<T, string>> => {
    const cached = cache.get(key);
    if (cached !== undefined) return ok(cached);
    const text = await readBody(d1, digest);
    if (!text.ok) return text;
    // A neighbour may have compiled it meanwhile: a cold burst reads often but compiles once.
    const compiledMeanwhile = cache.get(key);
    if (compiledMeanwhile !== undefined) return ok(compiledMeanwhile);
    const compiled = compile(text.value);
    if (!compiled.ok) return err(`${digest}: ${compiled.error[0]?.message ?? "does not compile"}`);
    if (compiled.value.digest !== digest) return err(`${digest}: the stored text has another digest`);
    cache.set(key, compiled.value);
    return compiled;
  };

  const catalogue = (digest: Digest): Promise<Result<CompiledCatalogue, string>> =>
    load(catalogues, digest, digest, compileCatalogue);

  return {
    catalogue,
    rulebook: async (set) => {
      const [foundCatalogue, foundPrices, foundPeople] = await Promise.all([
        catalogue(set.catalogue),
        load(prices, set.prices, set.prices, compilePrices),
        load(people, set.people, set.people, compilePeople),
      ]);
      if (!foundCatalogue.ok) return foundCatalogue;
      if (!foundPrices.ok) return foundPrices;
      if (!foundPeople.ok) return foundPeople;
      const policy = await load(policies, set.policy, `${set.policy} ${set.people} ${set.catalogue}`, (text) => {
        const compiled = compilePolicy(text, foundPeople.value, foundCatalogue.value);
        return compiled.ok ? ok(compiled.value.policy) : compiled;
      });
      if (!policy.ok) return policy;
      return ok({
        policy: policy.value,
        people: foundPeople.value,
        catalogue: foundCatalogue.value,
        prices: foundPrices.value,
      });
    },
  };
}

async function readBody(d1: D1Database, digest: Digest): Promise<Result<string, string>> {
  try {
    const rows = await openDatabase(d1)
      .select({ body: documents.body })
      .from(documents)
      .where(eq(documents.digest, digest))
      .limit(1);
    return rows[0] === undefined ? err(`${digest}: not stored`) : ok(rows[0].body);
  } catch (error) {
    return err(describeError(error));
  }
}
