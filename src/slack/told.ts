/** What an alert says: a title, its lines, and what stands small below them. */
export type Told = { readonly title: string; readonly lines: readonly string[]; readonly notes: readonly string[] };

export const said = (title: string, lines: readonly string[], ...notes: readonly string[]): Told => ({
  title,
  lines,
  notes,
});
