/** One mistake in a YAML or JSON document, with the exact place. Lines and columns count from 1; null when the whole document is meant. */
export type DocumentProblem = {
  readonly line: number | null;
  readonly column: number | null;
  /** JSON pointer of the offending node. */
  readonly path: string;
  readonly message: string;
  readonly severity: "error" | "warning";
};
