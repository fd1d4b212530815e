import { describeError } from "../platform/describe-error.ts";
import type { JsonObject } from "../platform/json.ts";
import { err, ok, type Result } from "../platform/result.ts";
import type { Invocation, Outcome } from "./command.ts";
import { failed, usage, type Failure } from "./failure.ts";
import { createPrivate, type PrivateFile } from "./files.ts";
import { text, verbatim, type Block } from "./print.ts";

/** Where a secret that exists once will go: settled before it is made, so that none is made that nobody gets. */
export type SecretPlace = { readonly kind: "file"; readonly file: PrivateFile } | { readonly kind: "screen" };

/** What was made, and the key in it. `answer` is the machine's form with the key in it; `withoutKey` the same without. */
export type MadeKey = {
  readonly key: string;
  readonly keyId: string;
  readonly answer: JsonObject;
  readonly withoutKey: JsonObject;
  readonly human: readonly Block[];
};

/** `--out FILE`, or stdout where that is a person's terminal or `--json` says that a program reads it. */
export function openSecretPlace(
  { globals, terminal }: Pick<Invocation<unknown>, "globals" | "terminal">,
  out: string | undefined,
): Result<SecretPlace, Failure> {
  if (out !== undefined) {
    const file = createPrivate(terminal, out);
    return file.ok ? ok({ kind: "file", file: file.value }) : file;
  }
  // Output that goes nobody knows where (a CI log) is no place for a key that cannot be shown again.
  return globals.json || terminal.outIsTty
    ? ok({ kind: "screen" })
    : err(usage("the key is shown once and stdout is not a terminal", "Give --out FILE (mode 0600), or --json."));
}

/** The failure that left nothing to hand over; the place is given up. */
export function abandoned(place: SecretPlace, failure: Failure): Result<never, Failure> {
  if (place.kind === "file") place.file.discard();
  return err(failure);
}

/** Hands the key over, once. */
export function deliver(place: SecretPlace, made: MadeKey): Result<Outcome, Failure> {
  if (place.kind === "screen") {
    return ok({
      json: made.answer,
      human: [...made.human, verbatim([made.key]), text("This is the only time that the key is shown.")],
    });
  }
  try {
    place.file.write(`${made.key}\n`);
  } catch (error) {
    return err(
      failed(
        "The key could not be written",
        `${place.file.name}: ${describeError(error)}`,
        `It is lost: portcullis credentials revoke ${made.keyId}, then create another.`,
      ),
    );
  }
  return ok({
    json: { ...made.withoutKey, key_file: place.file.name },
    human: [...made.human, text(`The key is in ${place.file.name}, readable by you alone, and is not shown again.`)],
  });
}
