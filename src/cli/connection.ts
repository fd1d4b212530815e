import { err, ok, type Result } from "../platform/result.ts";
import type { Globals } from "./command.ts";
import { usage, type Failure } from "./failure.ts";
import { readSecret } from "./files.ts";
import type { Terminal } from "./terminal.ts";

export const DEFAULT_URL = "http://127.0.0.1:8787";
const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/;
/** An API key or a JWT: one word of printable ASCII. */
const KEY = /^[\x21-\x7e]{16,8192}$/;
const KEY_IN_TEXT = /pcl_(?:live|test|local)_/;
/** Signing secrets of webhooks and Slack's tokens. */
const SECRET_IN_TEXT = /whsec_|xox[a-z]-/;

/** The gate's origin from `--url` or PORTCULLIS_URL. A key is never sent in the clear beyond this machine. */
export function gateOrigin(globals: Globals, env: Terminal["env"]): Result<string, Failure> {
  const text = globals.url ?? nonEmpty(env["PORTCULLIS_URL"]) ?? DEFAULT_URL;
  const url = URL.parse(text);
  if (url === null || !["http:", "https:"].includes(url.protocol)) {
    return err(usage(`--url: ${JSON.stringify(text)} is not an address such as https://gate.example`));
  }
  if (url.username !== "" || url.password !== "" || url.pathname !== "/" || url.search !== "" || url.hash !== "") {
    return err(usage("--url: only scheme, host and port are given: no credentials, path or query"));
  }
  if (url.protocol === "http:" && !LOOPBACK.test(url.hostname)) {
    return err(
      usage(`--url: ${url.origin} would carry your key in the clear`, "Use https for anything but this machine."),
    );
  }
  return ok(url.origin);
}

/** The caller's key from `--key-file` or PORTCULLIS_KEY. */
export function openKey(globals: Globals, terminal: Terminal, note: (text: string) => void): Result<string, Failure> {
  const read = globals.keyFile === undefined ? ok(null) : readSecret(terminal, globals.keyFile, note);
  if (!read.ok) return read;
  const [from, text] =
    read.value === null
      ? ["PORTCULLIS_KEY", terminal.env["PORTCULLIS_KEY"] ?? ""]
      : [globals.keyFile ?? "", read.value];
  const key = text.trim();
  if (key === "") return err(usage(`no key: ${from} is empty or not set`, HOW_TO_GIVE_A_KEY));
  // The text itself is never quoted: it may be a key with a slip in it.
  return KEY.test(key) ? ok(key) : err(usage(`${from} does not hold a key: one word is expected`, HOW_TO_GIVE_A_KEY));
}

/** Refuses a key or secret among the arguments, whatever it was meant as; nothing of it is repeated. */
export function keyOnCommandLine(argv: readonly string[]): Failure | null {
  if (argv.some((word) => SECRET_IN_TEXT.test(word))) {
    return usage(
      "a secret does not belong on the command line: it would stay in the shell's history and show in the list of processes",
      "Put the settings into a file, or pipe them to -. If the secret was typed out just now, replace it where it comes from.",
    );
  }
  const found = argv.some(
    (word, index) =>
      KEY_IN_TEXT.test(word) || (/^--(?:api-)?(?:key|token)(?:=|$)/.test(word) && !isPublicKey(word, argv[index + 1])),
  );
  return found
    ? usage(
        "a key does not belong on the command line: it would stay in the shell's history and show in the list of processes",
        `${HOW_TO_GIVE_A_KEY} If the key was typed out just now, revoke it: portcullis credentials revoke KEY_ID.`,
      )
    : null;
}

/** Public keys of logs are for everybody: `audit verify --key portcullis/acme/ledger+…`. */
const PUBLIC_KEY = /^portcullis\/[^+\s]+\+[0-9a-f]{8}\+[A-Za-z0-9+/=]+$/;

const isPublicKey = (word: string, next: string | undefined): boolean =>
  PUBLIC_KEY.test(word.startsWith("--key=") ? word.slice("--key=".length) : word === "--key" ? (next ?? "") : "");

const HOW_TO_GIVE_A_KEY = "Put the key into a file and give --key-file FILE, or set PORTCULLIS_KEY.";

const nonEmpty = (text: string | undefined): string | undefined => (text === "" ? undefined : text);
