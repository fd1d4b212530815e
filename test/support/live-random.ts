/** Numbers in [0, 1) from a 32-bit seed (mulberry32): a failed run is repeated with the seed that it printed. */
export type Random = () => number;

export function randomFrom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** One of `choices`, which must not be empty. */
export function oneOf<T>(random: Random, choices: readonly [T, ...T[]]): T {
  return choices[Math.floor(random() * choices.length)] ?? choices[0];
}

/** The seed of this run: `SEED` of the environment, else one from the clock. */
export function seedOfRun(): number {
  const given = process.env["SEED"];
  return given === undefined || given === "" ? Date.now() % 2 ** 32 : Number(given);
}
