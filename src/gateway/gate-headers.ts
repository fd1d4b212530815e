import { parseItem } from "structured-headers";
import { parseUsd } from "../platform/money.ts";
import type { Result } from "../platform/result.ts";
import { err, ok } from "../platform/result.ts";
import type { Refusal } from "../refusal.ts";
import type { GateHeaders } from "../strict-request.ts";
import { malformed, nameOf } from "./malformed.ts";
import { decodedBytes, decodePercent } from "./percent-text.ts";
import { areShownLines, isShownLine } from "./shown-text.ts";

/** Sizes after decoding, in UTF-8 bytes. In ASCII the three take 11 of the 32 KiB that all headers share. */
const REASON_BYTES = 1_024;
const EVIDENCE_BYTES = 8_192;
const BACK_OUT_BYTES = 2_048;
/** Two people decide at most; twice that leaves room for tokens of an earlier, superseded decision. */
const APPROVALS = 4;
/** draft-ietf-httpapi-idempotency-key-header leaves the length open; 255 is what Stripe accepts. */
const IDEMPOTENCY_KEY_CHARS = 255;

const PLAN = /^[A-Za-z0-9_-]{16,128}$/;
const EVIDENCE_REF = /^sha256:[0-9a-f]{64}$/;
/** An incident's key, also where it comes in a body. */
export const INCIDENT = /^[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}$/;
/**
 * A list member of RFC 9651 that is a compact JWS (RFC 7515): a Token, which begins with a letter, or a String, whose
 * escapes a JWS has no use for. The library is not used here: it looks at each of some 700 characters on its own.
 */
const JWS_MEMBER = /^(?:([A-Za-z][\w-]*\.[\w-]+\.[\w-]+)|"([\w-]+\.[\w-]+\.[\w-]+)")$/;

/** Up to 114 years, longer than any job. */
const HOURS = /^(0|[1-9][0-9]{0,5})(?:\.([0-9]{1,3}))?$/;
const MS_PER_THOUSANDTH_HOUR = 3_600;

/** What a request without any of the gate's headers has. */
export const NO_GATE_HEADERS: GateHeaders = Object.freeze({
  dryRun: false,
  plan: null,
  approvals: Object.freeze([]),
  reason: null,
  evidence: null,
  evidenceRef: null,
  backOut: null,
  incident: null,
  idempotencyKey: null,
  maxCostMicros: null,
  maxRunMs: null,
});

type Reading = Partial<GateHeaders>;
/** Reads one header's value; null where it is not what `expected` says. */
type Reader = { readonly name: string; readonly expected: string; readonly read: (value: string) => Reading | null };

const TEXT_FORM = "text that is not blank, UTF-8 percent-encoded if not ASCII (a literal % is %25)";

const READERS: ReadonlyMap<string, Reader> = new Map(
  [
    reader("Gate-Dry-Run", "the structured-field boolean ?1 or ?0 (RFC 9651)", readDryRun),
    reader("Gate-Plan", "a receipt: 16 to 128 characters A-Z a-z 0-9 _ -", (value) =>
      PLAN.test(value) ? { plan: value } : null,
    ),
    reader("Gate-Approval", `a list of 1 to ${APPROVALS} approval tokens (compact JWS)`, readApprovals),
    reader("Gate-Reason", `${TEXT_FORM}, one line of at most 1 KiB`, (value) => {
      const reason = readText(value, REASON_BYTES);
      return reason === null ? null : { reason };
    }),
    reader("Gate-Evidence", `${TEXT_FORM}, at most 8 KiB`, (value) => {
      const evidence = readLines(value, EVIDENCE_BYTES);
      return evidence === null ? null : { evidence };
    }),
    reader("Gate-Back-Out", `${TEXT_FORM}, at most 2 KiB`, (value) => {
      const backOut = readLines(value, BACK_OUT_BYTES);
      return backOut === null ? null : { backOut };
    }),
    reader("Gate-Evidence-Ref", "sha256: and 64 lower-case hex digits", (value) =>
      EVIDENCE_REF.test(value) ? { evidenceRef: value } : null,
    ),
    reader("Gate-Incident", "1 to 128 characters A-Z a-z 0-9 . _ : / - that begin with a letter or digit", (value) =>
      INCIDENT.test(value) ? { incident: value } : null,
    ),
    reader("Gate-Max-Cost", "US dollars as a plain decimal with at most six decimals, e.g. 12.50", (value) => {
      const maxCostMicros = parseUsd(value);
      return maxCostMicros === null ? null : { maxCostMicros };
    }),
    reader("Gate-Max-Hours", "hours above zero as a plain decimal with at most three decimals, e.g. 1.5", (value) => {
      const maxRunMs = readHours(value);
      return maxRunMs === null ? null : { maxRunMs };
    }),
    reader("Idempotency-Key", `a quoted structured-field string of 1 to ${IDEMPOTENCY_KEY_CHARS} characters`, readKey),
  ].map((entry) => [entry.name.toLowerCase(), entry]),
);

/** The gate's request headers and what each expects, for the OpenAPI document. */
export const REQUEST_HEADERS: readonly { readonly name: string; readonly expected: string }[] = [...READERS.values()];

/** Whether `name` (lower case) is one of the gate's own headers or looks like one: a misspelt one must not be ignored. */
export const isGateHeader = (name: string): boolean => name.startsWith("gate-") || name === "idempotency-key";

/**
 * Parses the request headers of the wire contract, section 3, given by lower-case name, in printable ASCII. Refuses with
 * `malformed-request`, naming the header and what was expected. An unknown `Gate-…` name is refused as well: a misspelt
 * `Gate-Dry-Run` must never execute for real. No header but `Gate-Approval` is a list, so a repeated one, which arrives
 * joined by a comma, breaks its grammar; only in the three free texts a comma is a comma.
 */
export function readGateHeaders(raw: ReadonlyMap<string, string>): Result<GateHeaders, Refusal> {
  let headers = NO_GATE_HEADERS;
  for (const [name, value] of raw) {
    const entry = READERS.get(name);
    if (entry === undefined) {
      const known = [...READERS.values()].map((each) => each.name).join(", ");
      return malformed(`${nameOf(name)}: not a request header of the gate; expected one of ${known}`);
    }
    const reading = entry.read(value);
    if (reading === null) return malformed(`${entry.name}: expected ${entry.expected}`);
    headers = { ...headers, ...reading };
  }
  return ok(headers);
}

function reader(name: string, expected: string, read: Reader["read"]): Reader {
  return { name, expected, read };
}

function readDryRun(value: string): Reading | null {
  const item = readBareItem(value);
  return item.ok && typeof item.value === "boolean" ? { dryRun: item.value } : null;
}

function readKey(value: string): Reading | null {
  const item = readBareItem(value);
  if (!item.ok || typeof item.value !== "string") return null;
  return item.value.length >= 1 && item.value.length <= IDEMPOTENCY_KEY_CHARS ? { idempotencyKey: item.value } : null;
}

/** Exact milliseconds of a number of hours, null when it is not a plain decimal above zero. */
function readHours(value: string): number | null {
  const match = HOURS.exec(value);
  if (match === null) return null;
  const thousandths = Number(`${match[1]}${(match[2] ?? "").padEnd(3, "0")}`);
  return thousandths === 0 ? null : thousandths * MS_PER_THOUSANDTH_HOUR;
}

/** An RFC 9651 Item without parameters: none are defined for the gate's headers, and an ignored one could be meant. */
function readBareItem(value: string): Result<unknown, "not-an-item"> {
  try {
    const [item, parameters] = parseItem(value);
    return parameters.size === 0 ? ok(item) : err("not-an-item");
  } catch {
    return err("not-an-item");
  }
}

function readApprovals(value: string): Reading | null {
  const members = value.split(",", APPROVALS + 1);
  if (members.length > APPROVALS) return null;
  const approvals: string[] = [];
  for (const member of members) {
    const match = JWS_MEMBER.exec(member.trim());
    const token = match?.[1] ?? match?.[2];
    if (token === undefined) return null;
    approvals.push(token);
  }
  return { approvals };
}

/** Free text for people, in one line. */
function readText(encoded: string, limitBytes: number): string | null {
  const text = readLines(encoded, limitBytes);
  return text !== null && isShownLine(text) ? text : null;
}

/** The same, in one or more lines: a line feed comes as %0A, a tab as %09. */
function readLines(encoded: string, limitBytes: number): string | null {
  if (decodedBytes(encoded) > limitBytes) return null;
  const text = decodePercent(encoded)?.trim() ?? "";
  return areShownLines(text) ? text : null;
}
