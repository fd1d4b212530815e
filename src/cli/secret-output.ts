import { describeError } from "../platform/describe-error.ts";
import type { JsonObject } from "../platform/json.ts";
import { err, ok, type Result } from "../platform/result.ts";
import type { Invocation, Outcome } from "./command.ts";
import { failed, usage, type Failure } from "./failure.ts";
import { createPrivate, type PrivateFile } from "./files.ts";
import { fields, text, verbatim, type Block } from "./print.ts";

/** Where secrets that are shown once will go: settled before they are made, so that none is made that nobody gets. */
export type SecretPlace =
  | { readonly kind: "files"; readonly files: readonly PrivateFile[] }
  | { readonly kind: "screen" };

/** One key or other secret that was just made, and how it is called: `Key of agent:sweep`. */
export type MadeKey = { readonly holder: string; readonly called: string; readonly key: string };

/**
 * `keys`: as many and in the same order as the files asked for. `answer`: with every key; `withoutKeys`: without. `ifLost`: what
 * to do when a file does not take its key.
 */
export type Made = {
  readonly keys: readonly MadeKey[];
  readonly ifLost: string;
  readonly answer: JsonObject;
  readonly withoutKeys: JsonObject;
  readonly human: readonly Block[];
};

/** These new files, one per key; or, for null, stdout where that is a person's terminal or `--json` says that a program reads it. */
export function openSecretPlace(
  { globals, terminal }: Pick<Invocation<unknown>, "globals" | "terminal">,
  names: readonly string[] | null,
): Result<SecretPlace, Failure> {
  if (names === null) {
    // Output that goes nobody knows where (a CI log) is no place for a key that cannot be shown again.
    return globals.json || terminal.outIsTty
      ? ok({ kind: "screen" })
      : err(usage("a secret is shown once and stdout is not a terminal", "Give --out (mode 0600), or --json."));
  }
  const files: PrivateFile[] = [];
  for (const name of names) {
    const file = createPrivate(terminal, name);
    if (!file.ok) return abandoned({ kind: "files", files }, file.error);
    files.push(file.value);
  }
  return ok({ kind: "files", files });
}

/** The failure that left nothing to hand over; the place is given up. */
export function abandoned(place: SecretPlace, failure: Failure): Result<never, Failure> {
  if (place.kind === "files") for (const file of place.files) file.discard();
  return err(failure);
}

/** Hands the keys over, once. */
export function deliver(
  place: SecretPlace,
  { keys, ifLost, answer, withoutKeys, human }: Made,
): Result<Outcome, Failure> {
  if (place.kind === "screen") {
    const shown = keys.flatMap(({ called, key }) => [text(`${called}:`), verbatim([key])]);
    return ok({ json: answer, human: [...human, ...shown, text("This is the only time that this is shown.")] });
  }
  const lost = keys.flatMap((made, index) => written(made, place.files[index]) ?? []);
  if (lost.length > 0) {
    return err(failed("A secret could not be written", lost.join("; "), `What is lost is lost: ${ifLost}`));
  }
  const files = place.files.map(({ name }) => name);
  const rows = keys.map(({ holder }, index) => [holder, files[index] ?? ""] as const);
  return ok({
    json: { ...withoutKeys, key_files: files },
    human: [...human, fields(rows), text("Only you can read what is written there, and it is not shown again.")],
  });
}

/** Writes one key; why it could not, null when it is there. */
function written({ key }: MadeKey, file: PrivateFile | undefined): string | null {
  if (file === undefined) return "there is no file for it";
  try {
    file.write(`${key}\n`);
    return null;
  } catch (error) {
    return `${file.name}: ${describeError(error)}`;
  }
}
