type Level = "info" | "warn" | "error";

/**
 * One JSON line for operators. Callers pass identifiers and causes only: never headers, bodies, credentials or free text
 * of a request (those live, redacted, in the audit record).
 */
export function log(
  level: Level,
  event: string,
  fields: Readonly<Record<string, string | number | boolean | null>>,
): void {
  console[level](JSON.stringify({ level, event, ...fields }));
}
