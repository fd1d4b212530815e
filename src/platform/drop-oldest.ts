/** Removes entries in insertion order until at most `keep` are left: what bounds every per-tenant memory of an isolate. */
export function dropOldest(map: Map<string, unknown>, keep: number): void {
  for (const oldest of map.keys()) {
    if (map.size <= keep) return;
    map.delete(oldest);
  }
}
