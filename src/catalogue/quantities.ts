/**
 * The ways in which control planes spell amounts inside strings. Each reads exactly one spelling: what it does not
 * recognise is null and ends as "cannot size", never as zero or as a guess.
 */
export const QUANTITY_GRAMMARS = [
  "integer",
  "kubernetes",
  "typed_count",
  "typed_count_type",
  "range_max",
  "slurm_minutes",
  "slurm_tres_gpus",
  "slurm_tres_gpu_type",
] as const;
export type QuantityGrammar = (typeof QUANTITY_GRAMMARS)[number];

/** Amounts in strings are at most this long; longer ones are not amounts. */
const MAX_QUANTITY_CHARS = 256;
/** Seven digits: no cluster has ten million of anything, and every product of two stays exact. */
const COUNT = "(0|[1-9][0-9]{0,6})";

/** Whether the grammar yields text (a GPU type) and not a number. */
export const yieldsText = (grammar: QuantityGrammar): boolean =>
  grammar === "typed_count_type" || grammar === "slurm_tres_gpu_type";

/** Reads `value` as one amount or type; null where it is not exactly that. Integers pass where a count is expected. */
export function readQuantity(grammar: QuantityGrammar, value: string | number): number | string | null {
  if (typeof value === "number") return yieldsText(grammar) || !Number.isSafeInteger(value) || value < 0 ? null : value;
  if (value.length > MAX_QUANTITY_CHARS) return null;
  return READERS[grammar](value);
}

const READERS: Readonly<Record<QuantityGrammar, (text: string) => number | string | null>> = {
  /** `8` */
  integer: (text) => countOf(new RegExp(`^${COUNT}$`).exec(text)?.[1]),
  kubernetes,
  /** `h100:8` or `8` → 8 */
  typed_count: (text) => countOf(TYPED_COUNT.exec(text)?.[2]),
  /** `h100:8` → `h100`; a bare `8` names no type */
  typed_count_type: (text) => TYPED_COUNT.exec(text)?.[1] ?? null,
  range_max: rangeMax,
  slurm_minutes: slurmMinutes,
  slurm_tres_gpus: (text) => tresGpus(text)?.count ?? null,
  slurm_tres_gpu_type: (text) => tresGpus(text)?.type ?? null,
};

const TYPED_COUNT = new RegExp(`^(?:([A-Za-z][A-Za-z0-9_.-]{0,31}):)?${COUNT}$`);
const KUBERNETES = /^(0|[1-9][0-9]{0,12})(m|k|M)?$/;
const RANGE = new RegExp(`^${COUNT}(?:(?:-|\\.\\.)${COUNT})?$`);

const countOf = (digits: string | undefined): number | null => (digits === undefined ? null : Number(digits));

/** Kubernetes resource quantities of whole devices: `8`, `8000m` → 8, `1k` → 1000; `0.5` and `500m` are null. */
function kubernetes(text: string): number | null {
  const match = KUBERNETES.exec(text);
  if (match === null) return null;
  const amount = Number(match[1]);
  const scaled =
    match[2] === "m" ? amount / 1000 : amount * (match[2] === "k" ? 1000 : match[2] === "M" ? 1_000_000 : 1);
  return Number.isSafeInteger(scaled) ? scaled : null;
}

/** `2-4` or `2..4` → 4, `3` → 3; null where the bounds are the wrong way round. */
function rangeMax(text: string): number | null {
  const match = RANGE.exec(text);
  if (match === null) return null;
  const low = Number(match[1]);
  const high = match[2] === undefined ? low : Number(match[2]);
  return high >= low ? high : null;
}

/** sbatch(1) --time: `M`, `M:S`, `H:M:S`, `D-H`, `D-H:M`, `D-H:M:S` → minutes, rounded up; `UNLIMITED` is null. */
function slurmMinutes(text: string): number | null {
  const match = /^(?:([0-9]{1,4})-)?([0-9]{1,6})(?::([0-9]{1,2}))?(?::([0-9]{1,2}))?$/.exec(text);
  if (match === null) return null;
  const [days, a, b, c] = [match[1], match[2], match[3], match[4]].map((part) =>
    part === undefined ? null : Number(part),
  );
  const first = a ?? 0;
  if (days !== null && days !== undefined)
    return days * 1440 + first * 60 + (b ?? 0) + (c !== null && c !== undefined && c > 0 ? 1 : 0);
  if (c !== null && c !== undefined) return first * 60 + (b ?? 0) + (c > 0 ? 1 : 0);
  return first + (b !== null && b !== undefined && b > 0 ? 1 : 0);
}

const TRES_PART = new RegExp(`^(?:gres[:/])?gpu(?::([A-Za-z][A-Za-z0-9_.-]{0,31}))?[:=]${COUNT}$`);

/** GPUs in a Slurm TRES string (`gres:gpu:h100:2`, `gres/gpu=8`), summed; null where any part is something else. */
function tresGpus(text: string): { readonly count: number; readonly type: string | null } | null {
  let count = 0;
  const types = new Set<string | null>();
  for (const part of text.split(/[,;]/)) {
    const match = TRES_PART.exec(part);
    if (match === null) return null;
    count += Number(match[2]);
    types.add(match[1] ?? null);
  }
  const [type] = types;
  return { count, type: types.size === 1 ? (type ?? null) : null };
}
