/** Longest name that is compared: the table costs the product of both lengths. */
const MAX_COMPARED_LENGTH = 80;

/**
 * The candidate that `wanted` most likely meant: the smallest edit distance, at most a third of its length, ties by
 * order of the candidates. Null where nothing is near: a wild guess is worse than none.
 */
export function suggestName(wanted: string, candidates: Iterable<string>): string | null {
  if (wanted.length > MAX_COMPARED_LENGTH) return null;
  let best: string | null = null;
  let bestDistance = Math.floor(wanted.length / 3) + 1;
  for (const candidate of candidates) {
    if (candidate.length > MAX_COMPARED_LENGTH) continue;
    const distance = editDistance(wanted, candidate);
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** ` (did you mean "x"?)`, or nothing where no candidate is near. For the end of an error message. */
export function didYouMean(wanted: string, candidates: Iterable<string>): string {
  const near = suggestName(wanted, candidates);
  return near === null ? "" : ` (did you mean ${JSON.stringify(near)}?)`;
}

/** Levenshtein distance, one row of the table at a time. */
function editDistance(left: string, right: string): number {
  let previous = Array.from({ length: right.length + 1 }, (_, column) => column);
  for (let row = 1; row <= left.length; row += 1) {
    const current = [row];
    for (let column = 1; column <= right.length; column += 1) {
      const substitution = (previous[column - 1] ?? 0) + (left[row - 1] === right[column - 1] ? 0 : 1);
      current.push(Math.min((previous[column] ?? 0) + 1, (current[column - 1] ?? 0) + 1, substitution));
    }
    previous = current;
  }
  return previous[right.length] ?? 0;
}
