import { hideSecrets } from "./secret-forms.ts";

type Level = "info" | "warn" | "error";

/**
 * One JSON line for operators. Callers pass identifiers and causes only: never headers, bodies, credentials or free text
 * of a request (those live, redacted, in the audit record). What looks like a secret all the same is left out.
 */
export function log(
  level: Level,
  event: string,
  fields: Readonly<Record<string, string | number | boolean | null>>,
): void {
  const shown = Object.entries(fields).map(([name, value]) => [
    name,
    typeof value === "string" ? hideSecrets(value, () => "[redacted]") : value,
  ]);
  console[level](JSON.stringify({ level, event, ...Object.fromEntries(shown) }));
}
