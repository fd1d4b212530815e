/** One segment of a path, as strict readers take it: nothing encoded, and no full stop at its end. */
const SEGMENT = /^[A-Za-z0-9._-]*[A-Za-z0-9_-]$/;

/** What a query takes as it is; a key that was redacted has other characters. */
const ENCODED = /[^A-Za-z0-9._:/-]/g;

/** The address of an incident. A key that is no segment of a path goes into the query, and `~` stands in its place. */
export const incidentUrl = (key: string): string =>
  SEGMENT.test(key)
    ? `/_gate/v1/incidents/${key}`
    : `/_gate/v1/incidents/~?key=${key.replaceAll(ENCODED, encodeURIComponent)}`;
