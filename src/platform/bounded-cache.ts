import { dropOldest } from "./drop-oldest.ts";

/** A map of at most `limit` entries; the oldest leaves first. For values that can always be loaded again. */
export type BoundedCache<T> = {
  readonly get: (key: string) => T | undefined;
  readonly set: (key: string, value: T) => void;
  readonly delete: (key: string) => void;
};

export function createBoundedCache<T>(limit: number): BoundedCache<T> {
  const entries = new Map<string, T>();
  return {
    get: (key) => entries.get(key),
    set: (key, value) => {
      entries.delete(key);
      entries.set(key, value);
      dropOldest(entries, limit);
    },
    delete: (key) => {
      entries.delete(key);
    },
  };
}
